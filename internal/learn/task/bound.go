package task

import (
	"fmt"
	"math"
	"slices"

	"albert/internal/learn/train"
	"albert/internal/model"
)

// Bound is a loss that no model can be below on examples: where texts are equal and what is to be learned from them is not, a model without
// dropout can only give the mean answer. It is 0 for most data.
func (o *Objective) Bound(examples []Example) float64 {
	key := func(e *Example) string {
		text := ""
		for _, in := range e.Inputs {
			text += fmt.Sprint(in.IDs, in.Types)
		}
		return text
	}
	switch o.Kind {
	case model.Classify, model.Choice:
		bound, _ := train.Ambiguity(func(yield func(string, int32) bool) {
			for i := range examples {
				yield(key(&examples[i]), examples[i].Label)
			}
		})
		return bound
	case model.Tag:
		bound, _ := train.Ambiguity(func(yield func(string, int32) bool) {
			for i := range examples {
				text := key(&examples[i])
				for at, l := range examples[i].Tags {
					if l != NoLabel {
						yield(fmt.Sprint(at, text), l)
					}
				}
			}
		})
		return bound
	case model.Answer:
		ends := func(end func(e *Example) int32) float64 {
			bound, _ := train.Ambiguity(func(yield func(string, int32) bool) {
				for i := range examples {
					yield(key(&examples[i]), end(&examples[i]))
				}
			})
			return bound / 2
		}
		if o.Model.Beam.Start.W != nil { // the end's loss is given the start, and there is that of no answer: each is at least 0
			return ends(func(e *Example) int32 { return e.Start })
		}
		return ends(func(e *Example) int32 { return e.Start }) + ends(func(e *Example) int32 { return e.End })
	case model.Regress, model.MultiLabel:
		return spread(examples, key, o.Kind == model.MultiLabel)
	}
	return 0
}

// spread is the mean over examples and values of the variance among equal inputs, or with binary of the entropy of a value between 0 and 1.
func spread(examples []Example, key func(e *Example) string, binary bool) float64 {
	groups := map[string][]int{}
	for i := range examples {
		groups[key(&examples[i])] = append(groups[key(&examples[i])], i)
	}
	sum, count := 0.0, 0
	for _, group := range groups {
		for k := range examples[group[0]].Values {
			mean := 0.0
			for _, i := range group {
				mean += float64(examples[i].value(k)) / float64(len(group))
			}
			for _, i := range group {
				count++
				d := float64(examples[i].value(k)) - mean
				if !binary {
					sum += d * d
				} else if mean > 0 && mean < 1 {
					sum -= mean*math.Log(mean) + (1-mean)*math.Log(1-mean)
				}
			}
		}
	}
	return sum / float64(max(1, count))
}

// Bound is a loss that no vectors have on examples: see docs/finetuning.md, "Can it learn at all?".
func (l *VectorLoss) Bound(examples []Example) float64 {
	one := 0.0
	switch l.Loss {
	case MNR: // rows of one anchor with k positives: log k each
		var rows int
		one, rows = train.Ambiguity(func(yield func(int32, int32) bool) {
			seen := map[[2]int32]bool{}
			for _, e := range examples {
				pair := [2]int32{e.Texts[0], e.Texts[1]}
				if !seen[pair] { // the same row again is left out of the candidates
					yield(pair[0], pair[1])
				}
				seen[pair] = true
			}
		})
		one *= float64(rows) / float64(len(examples)) // a lower bound: the rows that are there twice count once
	case CoSENT:
		one = l.cosentBound(examples)
	case Cosine, MSE:
		one = spread(examples, func(e *Example) string {
			texts := slices.Clone(e.Texts)
			slices.Sort(texts) // a cosine has no order
			return fmt.Sprint(texts)
		}, false)
	}
	return one * float64(len(l.Dimensions))
}

// cosentRounds is how often [VectorLoss.cosentBound] goes down, at most; more make it hardly higher. A round looks at all pairs of examples,
// of which cosentPairs are looked at: every round gives a bound, later ones a higher one.
const (
	cosentRounds = 20_000
	cosentPairs  = 5_000_000
)

// cosentBound is the least of [CoSENT] that cosines in [-1,1] can have, from below. The loss is convex in them, so that from any cosines
// f(c) + the least of gradient times (x - c), x in [-1,1], is below it; gradient descent makes that close.
func (l *VectorLoss) cosentBound(examples []Example) (bound float64) {
	if len(examples) == 0 {
		return 0
	}
	cos, d := make([]float64, len(examples)), make([]float64, len(examples))
	for i := range examples {
		for j := range examples { // by the rank of the score
			if examples[j].Values[0] < examples[i].Values[0] {
				cos[i] += 2 / float64(len(examples))
			}
		}
		cos[i]--
	}
	rate := 1 / (l.Scale * l.Scale)
	for range min(cosentRounds, max(1, cosentPairs/(len(cos)*len(cos)))) {
		clear(d)
		least := l.cosent(examples, cos, d)
		for i, x := range cos {
			least -= d[i]*x + math.Abs(d[i])
			cos[i] = max(-1, min(1, x-rate*d[i]))
		}
		bound = max(bound, least)
	}
	return bound
}
