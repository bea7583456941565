package train

import (
	"context"
	"fmt"
	"math"

	"albert/internal/engine/ops"
	"albert/internal/learn/optim"
)

const (
	// OverfitSteps and OverfitExamples are how often one batch is learned by [Overfit], and how large it is at most.
	OverfitSteps, OverfitExamples = 500, 16
	// learnt is how near to the lowest possible loss it must come.
	learnt = 0.1
)

// Overfitted is what became of one batch that was learned again and again.
type Overfitted struct {
	Learns    bool     `json:"learns"` // the last loss is below the bound and 0.1
	FirstLoss float64  `json:"first_loss"`
	Loss      *float64 `json:"loss"`  // of the last step; null: not finite
	Bound     float64  `json:"bound"` // no model has a lower loss on these examples
	Steps     int      `json:"steps"`
	Examples  int      `json:"examples"`
	// Advice names the likely cause and the settings to try where it does not learn.
	Advice string `json:"advice,omitempty"`
}

// String is the verdict in a line.
func (o *Overfitted) String() string {
	bound := ""
	if o.Bound > 0 {
		bound = fmt.Sprintf(" (equal texts with unequal answers, or the loss itself, allow no less than %.4f)", o.Bound)
	}
	switch {
	case o.Loss == nil:
		return fmt.Sprintf("one batch of %d examples is not learned: the loss is not finite after step %d; %s", o.Examples, o.Steps, o.Advice)
	case o.Learns:
		return fmt.Sprintf("one batch of %d examples is learned: loss %.4f, then %.4f after %d steps%s; the setup can learn", o.Examples, o.FirstLoss,
			*o.Loss, o.Steps, bound)
	}
	return fmt.Sprintf("one batch of %d examples is not learned: loss %.4f, then %.4f after %d steps, not below %.4f%s; %s", o.Examples, o.FirstLoss,
		*o.Loss, o.Steps, o.Bound+learnt, bound, o.Advice)
}

// Overfit trains params on one batch, the learner's first, at a constant rate, and tells whether it is learned: a setup that cannot learn even
// that is wrong. It writes no file. Of c it takes the rate, the optimizer, and how steps are computed and shown. bound is the lowest loss that
// any model can have on the batch.
func Overfit(ctx context.Context, c Config, params *ops.Params, learner Learner, bound float64) (*Overfitted, error) {
	c.Steps = OverfitSteps
	p := newProgress(&c)
	defer p.end()
	optimizer := optim.New(c.Optimizer, params, c.Device)
	gradients := c.accumulator(params, nil)
	o := &Overfitted{Bound: bound}
	p.begin(0)
	for n := 1; n <= OverfitSteps; n++ {
		batch, err := learner.Batch(1)
		if err != nil {
			return nil, err
		}
		g, err := gradients.gradient(ctx, batch, func(int) {})
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", n, err)
		}
		loss, norm := batch.Report().Number("loss"), optimizer.Norm(g)
		o.Steps, o.Examples = n, batch.Len()
		if n == 1 {
			o.FirstLoss = loss
		}
		if !finite(loss) || !finite(norm) {
			gradients.put(g)
			o.FirstLoss, o.Loss = number(o.FirstLoss), nil
			o.Advice = fmt.Sprintf("the loss overflows: try `LearningRate` %.2g", c.Rate.LearningRate/10)
			return o, nil
		}
		o.Loss, o.Learns = &loss, loss < bound+learnt
		if n < OverfitSteps {
			optimizer.Step(n, g, norm, float32(c.Rate.LearningRate))
		}
		gradients.put(g)
		p.step(n, append(append(Fields{{Name: "step", Value: n}}, batch.Report()...), Field{Name: "grad_norm", Value: norm}))
	}
	switch fell := o.FirstLoss - *o.Loss; {
	case o.Learns:
	case *o.Loss > 1.5*o.FirstLoss: // guessing is hardly worse than the first weights
		o.Advice = fmt.Sprintf("the loss grows: the learning rate is too high; try `LearningRate` %.2g", c.Rate.LearningRate/10)
	case fell <= 0.02*(o.FirstLoss-bound):
		o.Advice = fmt.Sprintf("the loss does not fall: the learning rate is far too high or too low for this model; try `LearningRate` %.2g, then %.2g",
			c.Rate.LearningRate/10, 10*c.Rate.LearningRate)
	default:
		o.Advice = fmt.Sprintf("the loss falls, but slowly: try `LearningRate` %.2g; if that is worse, %.2g", 5*c.Rate.LearningRate, c.Rate.LearningRate/5)
	}
	return o, nil
}

// number is x, or 0 where JSON has no form for it.
func number(x float64) float64 {
	if !finite(x) {
		return 0
	}
	return x
}

// Ambiguity is the mean entropy of answers given the inputs that they belong to, in nats, over so many examples: the cross-entropy that is left
// to a model which sees equal inputs with different answers. Inputs and answers are numbered or named as is convenient.
func Ambiguity[I, A comparable](pairs func(yield func(input I, answer A) bool)) (entropy float64, count int) {
	inputs, both := map[I]int{}, map[struct {
		input  I
		answer A
	}]int{}
	pairs(func(input I, answer A) bool {
		inputs[input]++
		both[struct {
			input  I
			answer A
		}{input, answer}]++
		count++
		return true
	})
	for k, n := range both {
		entropy -= float64(n) * math.Log(float64(n)/float64(inputs[k.input]))
	}
	return entropy / float64(max(1, count)), count
}
