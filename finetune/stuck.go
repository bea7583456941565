package finetune

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"albert/internal/engine/numeric"
	"albert/internal/learn/signs"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
)

// ErrStopped is wrapped by the error of a run that saved its state before the end, because its context was done or MaxTime over.
var ErrStopped = train.ErrStopped

// ErrStuck is wrapped by the error of a run that Config.StopIfStuck ended.
var ErrStuck = errors.New("stopped by `StopIfStuck`, state saved; without it the run goes on when it is started again")

// slowSteps is how long a run may take to leave the loss of guessing: SST-2 took a small model 200 steps.
const slowSteps = 250

// newWatch looks for the signs of fine-tuning that does not learn.
func newWatch(c *job, guess, uniform float64, unclear func() bool) *signs.Watch {
	from := max(*c.WarmupSteps+max(signs.Watched, c.Steps/5), min(slowSteps, c.Steps/2))
	w := &signs.Watch{Loss: "loss", Guess: guess, Guessing: "guessing", Uniform: uniform, From: from, Steps: c.Steps}
	w.Advice = func(s signs.Sign) string { return c.advice(s, unclear) }
	if c.StopIfStuck {
		w.Stop = ErrStuck
	}
	return w
}

// advice names the likely cause of a sign and the settings to try. unclear tells whether equal texts have unequal answers.
func (c *job) advice(s signs.Sign, unclear func() bool) string {
	if (s == signs.Chance || s == signs.Constant || s == signs.Vanishing) && unclear() {
		return "most texts are there several times with different answers, so that they do not tell which one is right: look whether the right columns are read " +
			"(`TextColumn`, `PairColumn`, `LabelColumn`)"
	}
	what := ""
	if s == signs.Exploding && c.Task.Kind == model.Regress {
		what = "bring the numbers to a range of about 0 to 5, or "
	}
	return what + c.rateAdvice(s)
}

// rateAdvice is that on the learning rate, the usual cause.
func (c *job) rateAdvice(s signs.Sign) string {
	if c.Scratch && s != signs.Diverging && s != signs.Exploding {
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
	text := "the learning rate is probably too high for this model: try " + strings.Join(try, ", ")
	if s == signs.Chance || s == signs.Constant {
		text += "; if that does not help, look whether the labels belong to the texts (`OverfitOneBatch` tells whether the setup can learn)"
	}
	return text
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
		return signs.Entropy(count)
	case model.Tag:
		count := map[int32]int{}
		for _, e := range f.Examples {
			for _, l := range e.Tags {
				if l != task.NoLabel {
					count[l]++
				}
			}
		}
		return signs.Entropy(count)
	case model.MultiLabel:
		held := make([]int, len(f.Examples[0].Values)) // examples that have each label
		for _, e := range f.Examples {
			for l, v := range e.Values {
				held[l] += int(v)
			}
		}
		sum := 0.0
		for _, n := range held {
			sum += signs.Entropy(map[int32]int{0: len(f.Examples) - n, 1: n})
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
		return signs.Entropy(count) + sum/float64(len(f.Examples))
	}
	return 0
}

// uniform is the loss of equally likely answers; 0 where that is nothing.
func uniform(f *Features) float64 {
	switch labels := len(f.Set.Labels); f.Kind {
	case model.Classify, model.Tag:
		return numeric.Log64(float64(max(2, labels)))
	case model.MultiLabel:
		return math.Ln2
	case model.Choice:
		return chance(f)
	case model.Answer:
		sum := 0.0
		for i := range f.Examples {
			sum += numeric.Log64(float64(f.Examples[i].Pieces())) / float64(len(f.Examples))
		}
		return sum
	}
	return 0
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
