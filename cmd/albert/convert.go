package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"albert/internal/engine/cpu"
	"albert/internal/formats"
	"albert/internal/infer"
)

// ConvertCmd takes a model from one format to another.
type ConvertCmd struct {
	From   string         `arg:"" help:"Model directory, run, .safetensors, .bin, .pt or .onnx file, TensorFlow checkpoint, .tar.gz or .zip."`
	To     string         `arg:"" optional:"" help:"A directory (Hugging Face), or a name with one of those endings."`
	Output string         `help:"The same as TO." placeholder:"TO"`
	As     formats.Format `name:"to" enum:",hf,safetensors,pytorch,tensorflow,tar,onnx" default:"" help:"The format, where the name does not say: hf, safetensors, pytorch, tensorflow, tar or onnx." placeholder:"FORMAT"`
	Int8   bool           `name:"int8" negatable:"" help:"ONNX: write the weights in int8."`
	DType  formats.DType  `name:"dtype" enum:"fp32,fp16,bf16,keep" default:"fp32" help:"Hugging Face, safetensors, PyTorch: the weights' type: fp32, fp16, bf16, or keep (each tensor's own)."`
	Force  bool           `negatable:"" help:"Replace a model that is there already."`
	JSON   bool           `name:"json" negatable:"" help:"Give one JSON object."`
	precisionFlag
	allFlags
}

// Run converts, and says what it did.
func (c *ConvertCmd) Run(ctx context.Context) error {
	defer c.limit()()
	switch {
	case c.To == "":
		c.To = c.Output
	case c.Output != "":
		return usagef("convert: the target is given twice, %s and --output %s", c.To, c.Output)
	}
	if c.To == "" {
		return usagef("convert: no target is given: albert convert %s DIR (Hugging Face), or a name that ends with .safetensors, .bin, .onnx, .tar.gz; albert convert --help", c.From)
	}
	if ext := filepath.Ext(c.To); ext == ".gguf" || ext == ".ggml" {
		return usagef("convert: %s: llama.cpp's formats are not written; there are Hugging Face, PyTorch, TensorFlow and ONNX", c.To)
	}
	m, err := openUntil(ctx, c.From)
	if err != nil {
		return noModel(c.From, err)
	}
	if err := c.quantize(m); err != nil {
		return err
	}
	format, notes, err := formats.Write(ctx, c.To, m, formats.WriteOptions{Format: c.As, Int8: c.Int8, DType: c.DType, Force: c.Force})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return errInterrupted
	}
	if errors.Is(err, formats.ErrTarget) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if m.Word.Data == nil {
		notes = append(notes, "weights in int8 beside their scales, as only albert reads them: they have another weights_sha256")
	}
	notes = append(m.Notes, notes...)
	if m.Tokenizer == nil {
		notes = append(notes, "there is no tokenizer beside the model, so none is written")
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(struct {
			From   string         `json:"from"`
			To     string         `json:"to"`
			Source formats.Format `json:"from_format"`
			Target formats.Format `json:"to_format"`
			Class  string         `json:"class"`
			Hash   string         `json:"weights_sha256"`
			Notes  []string       `json:"notes,omitempty"`
		}{c.From, c.To, m.Format, format, m.Class(), m.Hash(), notes})
	}
	what := string(format)
	if c.Int8 || m.Word.Data == nil {
		what += " int8"
	}
	if c.DType != formats.FP32 {
		what += " " + string(c.DType)
	}
	if !c.Quiet {
		fmt.Fprintf(os.Stderr, "%s (%s) to %s (%s): %s, %d parameters, weights_sha256 %s\n", c.From, m.Format, c.To, what, m.Class(), m.Params.Size(), m.Hash())
	}
	for _, n := range notes {
		fmt.Fprintf(os.Stderr, "note: %s\n", n)
	}
	return nil
}

var errInterrupted = errors.New("stopped; nothing is written")

// openUntil opens a model. It does not wait for that where ctx ends before, but for an archive, which is unpacked into files that are removed again.
func openUntil(ctx context.Context, path string) (*formats.Model, error) {
	var m *formats.Model
	var err error
	done := make(chan struct{})
	go func() {
		m, err = formats.Open(path)
		close(done)
	}()
	if formats.IsArchive(path) {
		<-done
	}
	select {
	case <-ctx.Done():
		return nil, errInterrupted
	case <-done:
		return m, err
	}
}

// quantize gives the model int8 weights for --precision int8. An ONNX file rounds them in its own way.
func (c *ConvertCmd) quantize(m *formats.Model) error {
	switch c.Precision {
	case infer.Int8:
	case "", infer.FP32:
		return nil
	default:
		return usagef("convert: --precision %s is how products are computed, of weights in fp32; files in bf16 are written with --dtype bf16", c.Precision)
	}
	if c.As == formats.ONNX || c.As == "" && formats.Guess(c.To) == formats.ONNX {
		c.Int8 = true
		return nil
	}
	dev, err := cpu.New("", 0)
	if err != nil {
		return err
	}
	defer dev.Close()
	_, err = infer.Prepare(m, infer.Int8, dev)
	return err
}
