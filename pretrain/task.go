package pretrain

import (
	"context"

	"albert/internal/learn/train"
)

// Task is pretraining for the training loop: batches from a sampler, evaluation on fixed examples.
type Task struct {
	Objective
	Sampler   *Sampler
	BatchSize int // sequences of a step
	Mask      int32
	Eval      []Example // may be empty: then nothing is evaluated
}

// Batch gives the examples of a step.
func (t *Task) Batch(step int) (train.Batch, error) {
	examples, err := t.Sampler.Batch(step, t.BatchSize)
	if err != nil {
		return nil, err
	}
	return t.NewBatch(step, examples, t.Mask), nil
}

// Evaluate measures the model on the task's fixed examples.
func (t *Task) Evaluate(ctx context.Context) (train.Fields, error) {
	if len(t.Eval) == 0 {
		return nil, nil
	}
	return t.Measure(ctx, t.Eval, t.Mask)
}

// Measure gives the evaluation fields of log.jsonl for a model on examples.
func (o *Objective) Measure(ctx context.Context, examples []Example, mask int32) (train.Fields, error) {
	var total sums
	for from := 0; from < len(examples); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to, pieces := from, 0
		for to < len(examples) && (to == from || pieces+len(examples[to].InputIDs) <= train.LeafPieces) {
			pieces += len(examples[to].InputIDs)
			to++
		}
		total.add(o.run(nil, examples[from:to], 0, 1, 1, mask))
		from = to
	}
	_, hits, count := Baseline(examples, mask)
	var masked, baseline any
	if count > 0 {
		masked, baseline = float64(total.masked.correct)/float64(count), float64(hits)/float64(count)
	}
	return append(total.losses(),
		train.Field{Name: "mlm_accuracy_masked", Value: masked}, train.Field{Name: "mlm_baseline_masked", Value: baseline},
		train.Field{Name: "mlm_count", Value: total.mlmCount}, train.Field{Name: "mlm_masked_count", Value: count},
		train.Field{Name: "sop_count", Value: total.sopCount}, train.Field{Name: "examples", Value: len(examples)},
		train.Field{Name: "tokens", Value: total.pieces}), nil
}

var _ train.Batch = (*Batch)(nil)
