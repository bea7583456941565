package pretrain

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"albert/internal/engine/cpu"
	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/learn/examples"
	"albert/internal/learn/pretraining"
	"albert/internal/run"
	"albert/internal/text/corpus"
	"albert/tokenizer"
)

// WriteStep writes the examples that a step of a run learns from, a JSON line each. The run need not have come so far.
func WriteStep(ctx context.Context, w io.Writer, dir string, step int) error {
	enc := json.NewEncoder(w)
	return EachOfStep(dir, step, func(e *examples.Example, _ int, _ *tokenizer.Tokenizer) error {
		return cmp.Or(ctx.Err(), enc.Encode(e))
	})
}

// EachOfStep is for this module's own programs: it calls f with each example that a step of a run learns
// from, how many they are, and the run's tokenizer, until f gives an error.
func EachOfStep(dir string, step int, f func(e *examples.Example, of int, tok *tokenizer.Tokenizer) error) error {
	man, err := run.Dir(dir).ReadManifest()
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: not a run directory (no %s)", dir, run.ManifestFile)
	}
	if err != nil {
		return err
	}
	var o examples.Options
	var batch, steps int
	var data string
	for name, to := range map[string]any{"objective": &o.Objective, "max-seq-length": &o.MaxSeqLength, "short-seq-prob": &o.ShortSeqProb,
		"mask-rate": &o.MaskRate, "max-predictions": &o.MaxPredictions, "ngram": &o.NGram, "favor-shorter-ngram": &o.FavorShorterNGram,
		"upstream-quirks": &o.UpstreamQuirks, "seed": &o.Seed, "batch-size": &batch, "steps": &steps, "train": &data} {
		raw, ok := man.Settings.Get(name).(json.RawMessage)
		if !ok {
			return fmt.Errorf("%s: %s has no setting %s: not a pretraining run", dir, run.ManifestFile, name)
		}
		if err := json.Unmarshal(raw, to); err != nil {
			return fmt.Errorf("%s: %s: setting %s: %w", dir, run.ManifestFile, name, err)
		}
	}
	if step < 1 || step > steps {
		return fmt.Errorf("step %d: the run has steps 1 to %d", step, steps)
	}
	if !filepath.IsAbs(data) {
		data = filepath.Join(dir, data)
	}
	tok, err := tokenizer.Open(dir)
	if err != nil {
		return err
	}
	s, err := corpus.OpenShards(data)
	if err != nil {
		return err
	}
	defer s.Close()
	sampler, err := examples.NewSampler(s, examples.NewVocabulary(tok), o)
	if err != nil {
		return err
	}
	for i := range batch {
		e, err := sampler.Example(uint64(step-1)*uint64(batch) + uint64(i))
		if err == nil {
			err = f(&e, batch, tok)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Evaluate measures a model on the pretraining objectives over c.Dev, text or shards: the evaluation fields of log.jsonl, an object. Of c it takes
// what examples are made by: Objective, MaxSeqLength (0: what the model takes), ShortSeqProb, MaskRate, MaxPredictions, NGram, FavorShorterNGram,
// UpstreamQuirks, Seed, EvalExamples; and Reading and Threads.
func Evaluate(ctx context.Context, path string, precision infer.Precision, c Config) (jsonobject.Fields, error) {
	m, err := formats.Open(path)
	if err != nil {
		return nil, err
	}
	if m.MLMDense.W == nil {
		return nil, fmt.Errorf("%s: the model has no head for masked pieces (predictions.*)", path)
	}
	o := c.examples()
	if o.Objective != examples.None && (m.SOP.W == nil || m.Pooler.W == nil) {
		return nil, fmt.Errorf("%s: the model has no sentence-order head: only `Objective` none can be evaluated", path)
	}
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer", path)
	}
	if o.MaxSeqLength == 0 {
		o.MaxSeqLength = m.Config.MaxPositionEmbeddings
	}
	if o.MaxSeqLength > m.Config.MaxPositionEmbeddings {
		return nil, &run.FieldError{Field: "MaxSeqLength", Value: o.MaxSeqLength, Problem: fmt.Sprintf("the model has %d positions", m.Config.MaxPositionEmbeddings)}
	}
	tmp, remove, err := disk.Temporary("albert-eval-")
	if err != nil {
		return nil, err
	}
	defer remove()
	c.Output, c.Quiet = tmp, true
	j := job{Config: c, tokenizer: m.Tokenizer}
	shards, err := j.shards(ctx, "dev", c.Dev, nil)
	if err != nil {
		return nil, err
	}
	defer shards.Close()
	v := examples.NewVocabulary(m.Tokenizer)
	list, err := examples.EvalExamples(shards, v, o, c.EvalExamples)
	if err != nil {
		return nil, err
	}
	if s, err := examples.NewSampler(shards, v, o); c.Messages != nil && err == nil {
		j.noteLost(s)
	}
	dev, err := cpu.New("", c.Threads)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	device, err := infer.Prepare(m, precision, dev)
	if err != nil {
		return nil, err
	}
	objective := pretraining.Objective{Model: m.Model, Device: device}
	return objective.Measure(ctx, list, v.Mask)
}
