package bench

import (
	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/infer"
	"albert/internal/model"
)

// RandomBatch is a batch of sequences of equal length over the normal pieces of a vocabulary.
func RandomBatch(sequences, length, vocab int) *ops.Batch {
	return randomBatch(sequences, length, vocab)
}

// TrainingStep gives a function that does a training step of a randomly initialised model: 15 % of the pieces masked, sentence loss, LAMB.
func TrainingStep(dev *cpu.Device, c model.Config, sequences, length int) func() error {
	return trainWork(dev, c, sequences, length).run
}

// PeakAfterLoad gives a function that measures a precision's peak in operations a second as [Run] does: right after a matrix product.
func PeakAfterLoad(dev *cpu.Device, precision infer.Precision) (func() float64, error) {
	p := &peak{precision: precision}
	err := p.on(dev)
	return func() float64 {
		_, _ = repeat(p.load, peakLoad) // a product cannot fail
		return p.dev.Peak(peakBursts)
	}, err
}
