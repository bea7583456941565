// Package signs looks at the rows of a run's log for the signs of a run that does not learn, the first complaint about ALBERT, and says early
// what it sees, with the likely cause and the settings to try. It changes no bits.
//
//	w := signs.Watch{Loss: "loss", Guess: math.Ln2, Guessing: "guessing", From: 100, Advice: advice}
//	warning, err := w.After(row)        // train.Config.After
package signs

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"albert/internal/engine/numeric"
	"albert/internal/learn/train"
)

const (
	// Watched is how many steps are looked at together: with batches of 16 their mean loss is that of 800 examples.
	Watched = 50
	// near is the share of guessing's loss above which nothing was learned.
	near = 0.98
	// above is how much worse than equally likely answers a model must be to be called diverging; a new one is at about 1.05 times their loss.
	above = 1.5
	// vanished and exploded are gradient norms, before clipping, between which learning lives: a norm of ALBERT is about 0.3 to 30.
	vanished, exploded = 1e-4, 1e3
	// explosions is how many of the watched steps may be above exploded: one is a bad example.
	explosions = 5
	// orderLearned is the sentence loss, as a share of chance's, below which something of the order was learned, and maskedFell the share of
	// guessing's loss below which masked pieces were.
	orderLearned, maskedFell = 0.999, 0.9
)

// Sign is what is seen.
type Sign int

// The signs.
const (
	Chance    Sign = iota // the loss is that of guessing
	Diverging             // it is far above that
	Exploding             // the gradient's norm is huge
	Vanishing             // it is nothing, and the loss is not low
	Order                 // masked pieces are learned, the order of sentences is not
	Constant              // every held-out answer is the same
)

// Watch is told every row of a run's log. It says a sign once: the first of those that nothing is learned, and [Order].
type Watch struct {
	Loss     string  // the field of the log: loss, mlm_loss
	Guess    float64 // the loss of the best answer that looks at no text; 0: not known
	Guessing string  // what that is called
	Uniform  float64 // the loss of equally likely answers; 0: not known
	From     int     // the step after which a loss at Guess is a sign: a while after warm-up
	Steps    int     // of the run; from its half on the order of sentences should be learned
	Advice   func(Sign) string
	Stop     error // unless nil, a sign that nothing is learned ends the run with it
	Constant bool  // the last evaluation had one answer to everything

	loss, norm [Watched]float64 // of the last steps
	n          int
	order      []float64 // sentence losses, of a tenth of the run
	said, told bool      // that nothing is learned; that no order is
}

// After is told a row of the log, for [train.Config].
func (w *Watch) After(row train.Fields) (warning string, err error) {
	step, _ := row.Get("step").(int)
	sign := ""
	if row.Get("split") != nil {
		if w.Constant && step > w.From {
			sign = "every prediction on the dev set is the same; " + w.Advice(Constant)
		}
	} else {
		sign = w.step(step, row)
	}
	if sign == "" || w.said {
		return w.sentences(step, row), nil
	}
	w.said = true
	sign = fmt.Sprintf("up to step %d nothing is learned: %s", step, sign)
	if w.Stop != nil {
		return "", fmt.Errorf("%s: %w", sign, w.Stop)
	}
	return sign, nil
}

// step looks at a step's values.
func (w *Watch) step(step int, row train.Fields) string {
	loss, ok := row.Get(w.Loss).(float64)
	norm, there := row.Get("grad_norm").(float64)
	if !ok || !there { // skipped: the loop tells of these
		return ""
	}
	w.loss[w.n%Watched], w.norm[w.n%Watched] = loss, norm
	w.n++
	if w.n < Watched {
		return ""
	}
	mean, high := w.mean(), 0
	for _, n := range w.norm {
		if n > exploded {
			high++
		}
	}
	switch {
	case high >= explosions:
		return fmt.Sprintf("the gradient explodes, its norm was above %g in %d of the last %d steps; ", exploded, high, Watched) + w.Advice(Exploding)
	case slices.Max(w.norm[:]) < vanished && (w.Guess == 0 || mean > w.Guess/2):
		return fmt.Sprintf("the gradient has vanished, its norm was below %g in the last %d steps; ", vanished, Watched) + w.Advice(Vanishing)
	case w.Uniform > 0 && mean > above*w.Uniform:
		return fmt.Sprintf("the mean loss of the last %d steps, %.3f, is far above that of equally likely answers, %.3f; ", Watched, mean, w.Uniform) +
			w.Advice(Diverging)
	case w.Guess > 0 && step > w.From && mean >= near*w.Guess:
		return fmt.Sprintf("the mean loss of the last %d steps, %.3f, is that of %s, %.3f; ", Watched, mean, w.Guessing, w.Guess) + w.Advice(Chance)
	}
	return ""
}

func (w *Watch) mean() float64 {
	sum := 0.0
	for _, l := range w.loss {
		sum += l / Watched
	}
	return sum
}

// sentences looks at the sentence loss of pretraining: from the half of the run on, at the mean of a tenth of it.
func (w *Watch) sentences(step int, row train.Fields) string {
	loss, ok := row.Get("sop_loss").(float64)
	if !ok || w.told || row.Get("split") != nil {
		return ""
	}
	window := max(2*Watched, w.Steps/10)
	w.order = append(w.order, loss)
	if len(w.order) < window {
		return ""
	}
	w.order = w.order[len(w.order)-window:]
	if 2*step < w.Steps || w.Guess == 0 || w.mean() > maskedFell*w.Guess {
		return ""
	}
	mean := 0.0
	for _, l := range w.order {
		mean += l / float64(window)
	}
	if mean < orderLearned*math.Ln2 {
		return ""
	}
	w.told = true
	return fmt.Sprintf("up to step %d masked pieces are learned, but not the order of sentences: its mean loss over the last %d steps, %.4f, is that of "+
		"guessing, %.4f; %s", step, window, mean, math.Ln2, w.Advice(Order))
}

// Entropy is that of counts, in nats: the cross-entropy of answers that follow their frequencies.
func Entropy[K int32 | int](count map[K]int) float64 {
	n := 0
	for _, c := range count {
		n += c
	}
	sum := 0.0
	for _, l := range slices.Sorted(maps.Keys(count)) {
		if count[l] == 0 {
			continue
		}
		p := float64(count[l]) / float64(n)
		sum -= float64(p * numeric.Log64(p))
	}
	return sum
}
