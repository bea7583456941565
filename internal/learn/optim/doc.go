// Package optim turns a step's gradient into new weights: LAMB and AdamW as in the released code (lamb_optimizer.py and
// optimization.py of google-research/albert), clipping by the global norm, and the learning-rate schedule.
//
// Both optimizers keep two running means of every value, m of the gradient and v of its square, starting at 0 and without bias
// correction; epsilon stands outside the root. With g clipped and w the weight:
//
//	m = 0.9 m + 0.1 g
//	v = 0.999 v + 0.001 g^2
//	u = m / (sqrt(v) + 1e-6) + 0.01 w        (no decay for biases and normalisations)
//	w = w - rate * ratio * u                 ratio = ||w|| / ||u||, each tensor its own: LAMB only, 1 where there is no decay
//
// With BiasCorrection AdamW is PyTorch's: in step t m / (1 - 0.9^t) and v / (1 - 0.999^t) stand in u for m and v.
//
// A tensor that several layers share is one parameter with one summed gradient: it decays once and has one ratio.
//
//	o := optim.New(optim.Config{Kind: optim.LAMB, WeightDecay: 0.01, Clip: 1}, params, device)
//	rate := optim.Schedule{LearningRate: 0.00176, Steps: 125000, Warmup: 3125}
//	for step := 1; step <= 125000; step++ {
//		...                              // the step's gradient into g
//		norm := o.Norm(g)
//		o.Step(step, g, norm, rate.At(step))   // uses g up
//	}
//
// The bits of the new weights depend on weights, gradient and settings alone: threads share out blocks of 4,096 values, whose sums
// are added in ascending order. The package knows neither models nor files.
package optim
