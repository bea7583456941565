package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"albert/internal/formats"
	"albert/internal/model"
	"albert/internal/run"
	"albert/pretrain"
)

// InspectCmd shows a model's or run's configuration, parameters, memory and FLOPs, or the examples of a step.
type InspectCmd struct {
	Path      string `arg:"" optional:"" help:"Model in any format, or run directory."`
	Config    string `help:"A configuration by name (base, large, xlarge, xxlarge, base-v1, bert-base, ...) or a config.json." placeholder:"NAME|FILE"`
	SeqLength int    `default:"128" help:"Pieces of the sequence for which FLOPs and memory are given."`
	Step      int    `help:"Show the examples that this step of the run learns from, a JSON line each."`
	JSON      bool   `name:"json" negatable:"" help:"Give one JSON object."`
	allFlags
}

// report is the object that --json gives.
type report struct {
	Parameters        int             `json:"parameters"`
	ParametersEncoder int             `json:"parameters_encoder"`
	Format            string          `json:"format,omitempty"`
	Config            json.RawMessage `json:"config"`
	Tensors           []tensorInfo    `json:"tensors"`
	WeightsSHA256     string          `json:"weights_sha256,omitempty"`
	SeqLength         int             `json:"seq_length"`
	FlopsForward      float64         `json:"flops_forward"`
	Memory            memoryInfo      `json:"memory"`
	Notes             []string        `json:"notes,omitempty"`
	Run               *run.Manifest   `json:"run,omitempty"`
}

type tensorInfo struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
	DType string `json:"dtype"`
}

// memoryInfo is in bytes.
type memoryInfo struct {
	Parameters int `json:"parameters"` // fp32
	Inference  int `json:"inference"`  // parameters, packed weights, activations of one sequence
}

// Run inspects.
func (c *InspectCmd) Run(ctx context.Context) error {
	defer c.limit()()
	switch {
	case c.Path == "" && c.Config == "":
		return usagef("inspect: give a model or run directory, or --config NAME")
	case c.Path != "" && c.Config != "":
		return usagef("inspect: give a path or --config, not both")
	case c.SeqLength < 1:
		return usagef("--seq-length %d: want at least 1", c.SeqLength)
	case c.Step != 0:
		if c.Path == "" || c.Step < 0 {
			return usagef("--step needs a run directory and a step from 1")
		}
		return pretrain.WriteStep(ctx, os.Stdout, c.Path, c.Step)
	}
	r, err := c.report()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	fmt.Printf("parameters          %d (%d in encoder and pooler)\n", r.Parameters, r.ParametersEncoder)
	fmt.Printf("forward pass        %.3f GFLOP for %d pieces\n", r.FlopsForward/1e9, c.SeqLength)
	fmt.Printf("memory              %.1f MB parameters, %.1f MB in inference\n", float64(r.Memory.Parameters)/1e6, float64(r.Memory.Inference)/1e6)
	if r.Run != nil {
		if p, _ := r.Run.Settings.Get("precision").(json.RawMessage); strings.Contains(string(p), "bf16") {
			fmt.Printf("precision           %s\n", strings.Trim(string(p), `"`))
		}
	}
	if r.WeightsSHA256 != "" {
		fmt.Printf("weights_sha256      %s\n", r.WeightsSHA256)
	}
	for _, n := range r.Notes {
		fmt.Printf("note                %s\n", n)
	}
	fmt.Printf("tensors\n")
	for _, t := range r.Tensors {
		fmt.Printf("  %-70s %-4s %v\n", t.Name, t.DType, t.Shape)
	}
	return nil
}

func (c *InspectCmd) report() (*report, error) {
	r := &report{SeqLength: c.SeqLength}
	var config model.Config
	var err error
	if c.Config != "" {
		if config, err = configOf(c.Config); err != nil {
			return nil, err
		}
		for _, t := range model.Layout(config) {
			r.Tensors = append(r.Tensors, tensorInfo{t.Name, t.Shape, "F32"})
		}
		r.ParametersEncoder, r.Parameters = config.ParameterCount()
	} else {
		m, err := formats.Open(c.Path)
		if err != nil {
			return nil, noModel(c.Path, err)
		}
		config = m.Config
		for _, t := range m.Tensors() {
			dtype := string(t.DType)
			if d, ok := m.DTypes[t.Name]; ok {
				dtype = d
			} else if d, ok := m.DTypes[strings.TrimPrefix(t.Name, config.Prefix())]; ok { // a bare model's names
				dtype = d
			}
			r.Tensors = append(r.Tensors, tensorInfo{t.Name, t.Shape, dtype})
		}
		r.Format, r.Notes = string(m.Format), m.Notes
		r.Parameters, r.ParametersEncoder = m.Params.Size(), m.EncoderSize()
		r.WeightsSHA256 = m.Hash()
		if m, err := run.Dir(filepath.Clean(c.Path)).ReadManifest(); err == nil {
			r.Run = m
		}
	}
	if n := config.GroupsNote(); n != "" && c.Config != "" {
		r.Notes = append(r.Notes, n)
	}
	if r.Config, err = json.Marshal(config); err != nil {
		return nil, err
	}
	r.FlopsForward = config.FlopsForward(c.SeqLength)
	r.Memory.Parameters = 4 * r.Parameters
	r.Memory.Inference = config.InferenceBytes(c.SeqLength)
	return r, nil
}

// configOf reads --config: a known name, else a file.
func configOf(s string) (model.Config, error) {
	if c, ok := model.NamedConfig(s); ok {
		return c, nil
	}
	if _, err := os.Stat(s); err != nil {
		return model.Config{}, usagef("--config %s: neither a file nor one of %s", s, strings.Join(model.ConfigNames(), ", "))
	}
	return model.ReadConfig(s)
}
