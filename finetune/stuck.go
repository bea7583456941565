package finetune

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"albert/internal/engine/numeric"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
)

// ErrStopped is wrapped by the error of a run that saved its state before the end, because its context was done or MaxTime over.
var ErrStopped = train.ErrStopped

// ErrStuck is wrapped by the error of a run that Config.StopIfStuck ended.
var ErrStuck = errors.New("stopped by `StopIfStuck`, state saved; without it the run goes on when it is started again")

const (
	// watched is how many steps are looked at together: with batches of 16 their mean loss is that of 800 examples.
	watched = 50
	// nearChance is the share of guessing's loss above which nothing was learned.
	nearChance = 0.98
	// vanished and exploded are gradient norms, before clipping, between which fine-tuning lives: a norm of ALBERT is about 1 to 30.
	vanished, exploded = 1e-4, 1e3
	// explosions is how many of the watched steps may be above exploded: one is a bad example.
	explosions = 5
)

// watch looks at the rows of a run's log for the signs of fine-tuning that does not learn, the first complaint about ALBERT. It says what
// it sees once, and changes no bits.
type watch struct {
	c      *job
	kind   model.Kind
	chance float64 // the loss of the best answer that looks at no text; 0: not known
	from   int     // the step after which a loss at chance is a sign: a while after warm-up

	loss, norm [watched]float64 // of the last steps
	n          int
	constant   bool // the last evaluation had one answer to everything
	said       bool
}

func newWatch(c *job, f *Features) *watch {
	return &watch{c: c, kind: f.Kind, chance: chance(f), from: *c.WarmupSteps + max(watched, c.Steps/5)}
}

// after is told a row of the log.
func (w *watch) after(row train.Fields) (warning string, err error) {
	step, _ := row.Get("step").(int)
	sign := ""
	if row.Get("split") != nil {
		if w.constant && step > w.from {
			sign = "every prediction on the dev set is the same; " + w.advice()
		}
	} else {
		sign = w.step(step, row)
	}
	if sign == "" || w.said {
		return "", nil
	}
	w.said = true
	sign = fmt.Sprintf("up to step %d nothing is learned: %s", step, sign)
	if w.c.StopIfStuck {
		return "", fmt.Errorf("%s: %w", sign, ErrStuck)
	}
	return sign, nil
}

// step looks at a step's values.
func (w *watch) step(step int, row train.Fields) string {
	loss, ok := row.Get("loss").(float64)
	norm, there := row.Get("grad_norm").(float64)
	if !ok || !there { // skipped: the loop tells of these
		return ""
	}
	w.loss[w.n%watched], w.norm[w.n%watched] = loss, norm
	w.n++
	if w.n < watched {
		return ""
	}
	mean, high := 0.0, 0
	for i, l := range w.loss {
		mean += l / watched
		if w.norm[i] > exploded {
			high++
		}
	}
	switch {
	case high >= explosions:
		sign := fmt.Sprintf("the gradient explodes, its norm was above %g in %d of the last %d steps; ", exploded, high, watched)
		if w.kind == model.Regress {
			return sign + "bring the numbers to a range of about 0 to 5, or " + w.advice()
		}
		return sign + w.advice()
	case slices.Max(w.norm[:]) < vanished && (w.chance == 0 || mean > w.chance/2):
		return fmt.Sprintf("the gradient has vanished, its norm was below %g in the last %d steps; ", vanished, watched) + w.advice()
	case w.chance > 0 && step > w.from && mean >= nearChance*w.chance:
		return fmt.Sprintf("the mean loss of the last %d steps, %.3f, is that of guessing, %.3f; ", watched, mean, w.chance) + w.advice()
	}
	return ""
}

// advice names the likely cause and the settings to try.
func (w *watch) advice() string {
	c := w.c
	if c.Scratch {
		return "random weights (`Scratch`) need more `Steps` and a higher `LearningRate` than a pretrained model"
	}
	if c.LearningRate < 1e-6 {
		return fmt.Sprintf("the learning rate is probably too low: try `LearningRate` %.2g", 10*c.LearningRate)
	}
	try := []string{fmt.Sprintf("`LearningRate` %.2g", c.LearningRate/4), fmt.Sprintf("`WarmupSteps` %d", max(2**c.WarmupSteps, c.Steps/10, 1))}
	if *c.Dropout > 0 {
		try = append(try, "`Dropout` 0")
	}
	if c.BatchSize < 32 {
		try = append(try, "`BatchSize` 32")
	}
	return "the learning rate is probably too high for this model: try " + strings.Join(try, ", ")
}

// chance is the loss of the best answer that looks at no text: the entropy of the labels, the variance of the numbers, the entropy of a
// uniform choice. 0 where that is nothing, or not known.
func chance(f *Features) float64 {
	switch f.Kind {
	case model.Classify:
		count := map[int32]int{}
		for _, e := range f.Examples {
			count[e.Label]++
		}
		return entropy(count)
	case model.Tag:
		count := map[int32]int{}
		for _, e := range f.Examples {
			for _, l := range e.Tags {
				if l != task.NoLabel {
					count[l]++
				}
			}
		}
		return entropy(count)
	case model.MultiLabel:
		held := make([]int, len(f.Examples[0].Values)) // examples that have each label
		for _, e := range f.Examples {
			for l, v := range e.Values {
				held[l] += int(v)
			}
		}
		sum := 0.0
		for _, n := range held {
			sum += entropy(map[int32]int{0: len(f.Examples) - n, 1: n})
		}
		return sum / float64(max(1, len(held)))
	case model.Regress:
		mean, variance := 0.0, 0.0
		for _, e := range f.Examples {
			mean += float64(e.Values[0]) / float64(len(f.Examples))
		}
		for _, e := range f.Examples {
			d := float64(e.Values[0]) - mean
			variance += float64(d*d) / float64(len(f.Examples))
		}
		return variance
	case model.Rank: // of the mean label
		mean := 0.0
		for _, e := range f.Examples {
			mean += float64(e.Values[0]) / float64(len(f.Examples))
		}
		return -float64(mean*numeric.Log64(mean)) - float64((1-mean)*numeric.Log64(1-mean))
	case model.Choice:
		sum := 0.0
		for _, e := range f.Examples {
			sum += numeric.Log64(float64(len(e.Inputs)))
		}
		return sum / float64(len(f.Examples))
	case model.Answer: // whether there is an answer in the window, and any piece as good as another
		count, sum := map[int32]int{}, 0.0
		for _, e := range f.Examples {
			if e.Start == 0 && e.End == 0 {
				count[0]++
				continue
			}
			count[1]++
			sum += numeric.Log64(float64(e.Pieces()))
		}
		return entropy(count) + sum/float64(len(f.Examples))
	}
	return 0
}

// entropy is that of counts, in nats.
func entropy(count map[int32]int) float64 {
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

// sameAnswers tells of predictions that do not depend on the text, where the truth does.
func sameAnswers(f *Features, p *Predictions) bool {
	examples := f.Set.Examples
	switch f.Kind {
	case model.Classify:
		right := false
		for i, l := range p.Labels {
			if l != p.Labels[0] {
				return false
			}
			right = right || examples[i].Label != examples[0].Label
		}
		return right
	case model.Regress, model.Rank:
		low, high := slices.Min(p.Values), slices.Max(p.Values)
		least, most := examples[0].Score, examples[0].Score
		for _, e := range examples {
			least, most = min(least, e.Score), max(most, e.Score)
		}
		return high-low < 1e-3*(most-least)
	}
	return false
}
