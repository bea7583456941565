package optim

import "albert/internal/engine/numeric"

// Schedule is the released learning rate: linear warm-up, then polynomial decay to 0 (run_pretraining.py, tf.train.polynomial_decay
// without cycle). The decay counts from the first step, the warm-up included, so that the rate jumps down a little where the
// warm-up ends.
type Schedule struct {
	LearningRate float64
	Steps        int     // where the rate reaches 0
	Warmup       int     // steps of warm-up; 0: none
	Power        float64 // of the decay; 0 means 1, linear
}

// At is the rate that step applies, steps counting from 1. With a warm-up step 1 has rate 0.
func (s Schedule) At(step int) float32 {
	done := float64(step - 1)
	if step-1 < s.Warmup {
		return float32(s.LearningRate * float64(done/float64(s.Warmup)))
	}
	left := 1 - float64(done/float64(s.Steps))
	if left <= 0 {
		return 0
	}
	if s.Power != 0 {
		left = numeric.Pow64(left, s.Power)
	}
	return float32(s.LearningRate * left)
}
