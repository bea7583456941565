package finetune

import (
	"context"

	"albert/internal/engine/cpu"
	"albert/internal/engine/numeric"
	"albert/internal/learn/optim"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/text/dataset"
)

// Overfit is what the check by Config.OverfitOneBatch found.
type Overfit = train.Overfitted

// overfit checks by one batch whether the setup can learn. It writes no file.
func (c *job) overfit(ctx context.Context, dev *cpu.Device, data *sets) (*Overfit, error) {
	zero, none := float32(0), 0
	c.Dropout, c.ClassifierDropout, c.WarmupSteps = &zero, &zero, &none
	data.train = some(data.train, c.Seed)
	if data.dev != nil {
		data.dev = some(data.dev, c.Seed)
	}
	data.test = nil
	start, err := c.start(dev, data, &cut{})
	if err != nil {
		return nil, err
	}
	m, t := start.m, start.learner
	c.BatchSize = min(c.BatchSize, train.OverfitExamples)
	batch, err := t.Batch(1)
	if err != nil {
		return nil, err
	}
	bound := 0.0
	switch b := batch.(type) {
	case *task.Step:
		bound = t.(*learner).o.Bound(b.Examples)
	case *task.EmbedStep:
		bound = t.(*vectorLearner).e.Bound(b.Examples)
	}
	return train.Overfit(ctx, train.Config{Rate: optim.Schedule{LearningRate: c.LearningRate},
		Optimizer: optim.Config{Kind: optim.Kind(c.Optimizer), WeightDecay: c.WeightDecay, Clip: c.Clip, BiasCorrection: c.BiasCorrection},
		Together:  train.Together(m.Config.ActivationBytes(), dev.Threads()), MicroBatch: c.MicroBatchSize,
		Quiet: c.Quiet, Device: dev, Messages: c.Messages}, m.Params, t, bound)
}

// some is a part of a set, more examples than a batch has, in a random order, so that not all of a large one is cut into pieces.
func some(set *dataset.Set, seed uint64) *dataset.Set {
	part, n := *set, uint64(len(set.Examples))
	part.Examples = nil
	for i := range min(n, 4*train.OverfitExamples) {
		part.Examples = append(part.Examples, set.Examples[numeric.Permute(seed, numeric.PurposeShuffle, 0, n, i)])
	}
	return &part
}
