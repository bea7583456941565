package pretraining

import (
	"context"
	"iter"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/learn/examples"
	"albert/internal/learn/optim"
	"albert/internal/learn/train"
	"albert/internal/model"
)

// Learner is pretraining for the training loop: batches from a sampler, evaluation on fixed examples.
type Learner struct {
	Objective
	Sampler   *examples.Sampler
	BatchSize int // sequences of a step
	Mask      int32
	Eval      []examples.Example // may be empty: then nothing is evaluated
}

// Batch gives the examples of a step.
func (t *Learner) Batch(step int) (train.Batch, error) {
	list, err := t.Sampler.Batch(step, t.BatchSize)
	if err != nil {
		return nil, err
	}
	return t.NewBatch(step, list, t.Mask), nil
}

// RunOn runs sequences [from,to) of a batch forward and back on another device, such as one that measures; the gradients are dropped.
func (t *Learner) RunOn(device ops.Device, b train.Batch, from, to int) {
	o := t.Objective
	o.Device = device
	o.run(new(ops.Grads), b.(*Batch).Examples[from:to], 1, 1, 1, t.Mask)
}

// Evaluate measures the model on the learner's fixed examples.
func (t *Learner) Evaluate(ctx context.Context) (train.Fields, error) {
	if len(t.Eval) == 0 {
		return nil, nil
	}
	return t.Measure(ctx, t.Eval, t.Mask)
}

// Measure gives the evaluation fields of log.jsonl for a model on examples.
func (o *Objective) Measure(ctx context.Context, list []examples.Example, mask int32) (train.Fields, error) {
	batches := func(yield func([]examples.Example) bool) {
		for from := 0; from < len(list); {
			to, pieces := from, 0
			for to < len(list) && (to == from || pieces+len(list[to].InputIDs) <= train.LeafPieces) {
				pieces += len(list[to].InputIDs)
				to++
			}
			if !yield(list[from:to]) {
				return
			}
			from = to
		}
	}
	run := func(ctx context.Context, batches iter.Seq[[]examples.Example]) iter.Seq2[[]float64, error] {
		return func(yield func([]float64, error) bool) {
			for batch := range batches {
				if err := ctx.Err(); err != nil {
					yield(nil, err)
					return
				}
				s := o.run(nil, batch, 0, 1, 1, mask)
				if !yield(s.list(), nil) {
					return
				}
			}
		}
	}
	var total sums
	for s, err := range train.Shared(ctx, batches, run) {
		if err != nil {
			return nil, err
		}
		total.add(sumsOf(s))
	}
	_, hits, count := examples.Baseline(list, mask)
	var masked, baseline any
	if count > 0 {
		masked, baseline = float64(total.maskedCorrect)/float64(count), float64(hits)/float64(count)
	}
	return append(total.losses(),
		train.Field{Name: "mlm_accuracy_masked", Value: masked}, train.Field{Name: "mlm_baseline_masked", Value: baseline},
		train.Field{Name: "mlm_count", Value: total.mlmCount}, train.Field{Name: "mlm_masked_count", Value: count},
		train.Field{Name: "sop_count", Value: total.sopCount}, train.Field{Name: "examples", Value: len(list)},
		train.Field{Name: "tokens", Value: total.pieces}), nil
}

var _ train.Batch = (*Batch)(nil)

// NewBenchStep gives a function that does one training step of LAMB on fixed examples, as [train.Run] does.
func NewBenchStep(dev *cpu.Device, m *model.Model, list []examples.Example) func() error {
	o := &Objective{Model: m, Device: dev}
	c := train.Config{
		Optimizer: optim.Config{Kind: optim.LAMB, WeightDecay: 0.01, Clip: 1}, Device: dev,
		Together: train.Together(m.Config.ActivationBytes(), dev.Threads()),
	}
	return train.BenchStep(c, m.Params, func() train.Batch { return o.NewBatch(1, list, 4) })
}
