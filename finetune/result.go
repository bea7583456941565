package finetune

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/run"
)

// Result is RUN/result.json.
type Result struct {
	Task     string          `json:"task"`
	Metric   string          `json:"metric"`
	Dev      json.RawMessage `json:"dev"`
	Runs     []RunResult     `json:"runs"`
	BestStep int             `json:"best_step"`
	Median   *float64        `json:"median"` // null: the metric is undefined in every run
	Mean     *float64        `json:"mean"`
	// Deviation is the standard deviation over the runs, of a sample; 0 of one run.
	Deviation   *float64 `json:"standard_deviation"`
	Undefined   string   `json:"undefined,omitempty"` // why the metric has no value
	Submissions []string `json:"submissions,omitempty"`
	Notes       []string `json:"data_notes,omitempty"` // what was left out of the data, and why
	// Mismatched are the metrics on MNLI's mismatched dev set, where there is one; the matched one chooses the best step.
	Mismatched json.RawMessage `json:"dev_mismatched,omitempty"`
	// Overfit is the result where Config.OverfitOneBatch is set, and nothing else is.
	Overfit *Overfit `json:"-"`
}

// RunResult is one run of a Result.
type RunResult struct {
	Seed     uint64          `json:"seed"`
	Value    *float64        `json:"value"` // of the metric; null: undefined
	BestStep int             `json:"best_step"`
	Dev      json.RawMessage `json:"dev"`
	Dir      string          `json:"dir"`
	// Skipped are the steps without a finite loss or gradient, and where their examples stand in the data.
	Skipped []train.Skip `json:"skipped,omitempty"`
}

// summarise finds median, mean and deviation of the runs whose metric is defined.
func (r *Result) summarise() {
	var v []float64
	for _, x := range r.Runs {
		if x.Value != nil {
			v = append(v, *x.Value)
		}
	}
	if len(v) == 0 {
		r.Undefined = r.Metric + " has no value on this dev set"
		var dev struct {
			Undefined map[string]string `json:"undefined"`
		}
		if json.Unmarshal(r.Dev, &dev) == nil && dev.Undefined[r.Metric] != "" {
			r.Undefined += ": " + dev.Undefined[r.Metric]
		}
		return
	}
	slices.Sort(v)
	n := len(v)
	sum, sq := 0.0, 0.0
	for _, x := range v {
		sum += x
	}
	median, mean, deviation := (v[(n-1)/2]+v[n/2])/2, sum/float64(n), 0.0
	if n > 1 {
		for _, x := range v {
			sq += float64((x - mean) * (x - mean))
		}
		deviation = math.Sqrt(sq / float64(n-1))
	}
	r.Median, r.Mean, r.Deviation = &median, &mean, &deviation
}

// evaluationFile is kept beside the model: how it does on the dev set.
const evaluationFile = "eval.json"

// writeCard writes the card of a model, what.
func (c *job) writeCard(dir, what string, m *model.Model, scores []byte) error {
	card := run.Card{Tags: []string{m.Config.ModelType}, Settings: c.cardSettings(m), Hash: m.Hash(),
		Text: fmt.Sprintf("%s, fine-tuned with `albert finetune --task %s` from %s. On its dev set: `%s`.", what, c.Task.Name,
			filepath.Base(filepath.Clean(c.Model)), scores)}
	return card.Write(run.Dir(c.Output), dir)
}

// result reads what a finished run reached.
func (c *job) result() (*RunResult, error) {
	r := &RunResult{Seed: c.Seed, Dir: c.Output}
	text, err := disk.ReadFile(filepath.Join(run.Dir(c.Output).Model(), evaluationFile), 1<<30)
	if err != nil {
		return nil, err
	}
	r.Dev = json.RawMessage(strings.TrimSpace(string(text)))
	name := c.metric
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", evaluationFile, err)
	}
	var v *float64
	if err := json.Unmarshal(values[name], &v); err == nil {
		r.Value = v
	}
	if r.Skipped, err = train.Skipped(run.Dir(c.Output)); err != nil {
		return nil, err
	}
	r.BestStep, err = train.BestStep(run.Dir(c.Output))
	return r, err
}
