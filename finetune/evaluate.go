package finetune

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/infer"
	"albert/internal/learn/metric"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/text/dataset"
)

// Predictions are what a model answers to the examples of a set, in their order.
type Predictions struct {
	Labels []int         // classes; choices
	Scores [][]float64   // of each class (softmax; of several labels sigmoids), of each choice
	Values []float64     // numbers; of pairs of a query and a text the sigmoid
	Multi  [][]bool      // of several labels, those above a half
	Tags   [][]string    // of each word
	Words  [][][]float64 // of tags: each word's score for each label; nil for a word without pieces
	Spans  []task.Spans  // of questions
	Loss   float64       // mean; NaN-free: 0 without labels
}

// evaluated is what a model gives for an example of a set.
type evaluated struct {
	task.Output            // of several windows the mean; of tagging the logits of each word, nil for one without pieces
	Spans       task.Spans // of answering
	Windows     []float64  // the loss of each window
}

// Predict runs a model over a set. The loss is that of training, without dropout. Where an example has several windows their logits are
// averaged, and their losses. The ranks of ctx share the examples (see [train.Shared]).
func (f *Features) Predict(ctx context.Context, o *task.Objective, dev *cpu.Device) (*Predictions, error) {
	work := infer.Work[[2]int, task.Output, evaluated]{
		Layout: func(examples [2]int) ([]task.Example, error) { return f.Examples[examples[0]:examples[1]], nil },
		Head: func(t *ops.Tape, b *ops.Batch, sequences []int, examples []task.Example) []task.Output {
			return o.Infer(t, b, sequences, examples, 1)
		},
		Answer: func(at [2]int, examples []task.Example, outs []task.Output) (e evaluated, err error) {
			switch of := f.Of[at[0]]; f.Kind {
			case model.Answer:
				e.Spans = task.BestOf(examples, outs, f.Set.Examples[of].Context, f.spans)
			case model.Tag:
				e.Logits = make([][]float32, len(f.words[of]))
				for w, at := range f.words[of] {
					if at[1] > 0 {
						e.Logits[w] = outs[at[0]].Logits[at[1]]
					}
				}
			default:
				e.Output = task.Mean(outs)
				e.Windows = []float64{e.Loss}
				return e, nil
			}
			for _, out := range outs {
				e.Windows = append(e.Windows, out.Loss)
			}
			return e, nil
		},
	}
	p := &Predictions{}
	from, labelled := 0, 0
	run := func(ctx context.Context, groups iter.Seq[[2]int]) iter.Seq2[evaluated, error] {
		return infer.Each(ctx, infer.NewEngine(dev, o.Model.Config.ActivationBytes()), groups, work)
	}
	for e, err := range train.Shared(ctx, f.groups(), run) {
		if err != nil {
			return nil, err
		}
		if known(f.Kind, f.Set, f.Of[from], &f.Examples[from]) {
			for k, loss := range e.Windows {
				p.Loss += loss
				labelled += weight(f.Kind, &f.Examples[from+k])
			}
		}
		f.predict(p, &e)
		from = f.end(from)
	}
	p.tagOthers(f.Set.Labels)
	p.Loss /= float64(max(1, labelled))
	return p, nil
}

// end is the end of the examples that come from the same example of the set as the given one.
func (f *Features) end(from int) int {
	to := from + 1
	for to < len(f.Of) && f.Of[to] == f.Of[from] {
		to++
	}
	return to
}

// groups are the examples of each example of the set, [from, to).
func (f *Features) groups() iter.Seq[[2]int] {
	return func(yield func([2]int) bool) {
		for from := 0; from < len(f.Of); from = f.end(from) {
			if !yield([2]int{from, f.end(from)}) {
				return
			}
		}
	}
}

// predict adds the prediction of an example of the set.
func (f *Features) predict(p *Predictions, e *evaluated) {
	switch f.Kind {
	case model.Classify, model.Choice:
		p.Labels = append(p.Labels, task.ArgMax(e.Logits[0]))
		p.Scores = append(p.Scores, scores(f.Kind, e.Logits[0]))
	case model.Regress:
		p.Values = append(p.Values, float64(e.Logits[0][0]))
	case model.Rank:
		p.Values = append(p.Values, task.Sigmoid(e.Logits[0][0]))
	case model.MultiLabel:
		chosen := make([]bool, len(e.Logits[0]))
		for k, x := range e.Logits[0] {
			chosen[k] = x > 0
		}
		p.Scores, p.Multi = append(p.Scores, scores(f.Kind, e.Logits[0])), append(p.Multi, chosen)
	case model.Tag:
		tags, words := make([]string, len(e.Logits)), make([][]float64, len(e.Logits))
		for w, logits := range e.Logits {
			if logits != nil {
				tags[w], words[w] = f.Set.Labels[task.ArgMax(logits)], scores(f.Kind, logits)
			}
		}
		p.Tags, p.Words = append(p.Tags, tags), append(p.Words, words)
	case model.Answer:
		p.Spans = append(p.Spans, e.Spans)
	}
}

// outside is the tag of a word that is no part of what tags name, by convention.
const outside = "O"

// tagOthers tags the words without pieces: as outside where there is such a label, else as most of the other words are.
func (p *Predictions) tagOthers(labels []string) {
	tag := outside
	if len(labels) > 0 && !slices.Contains(labels, outside) {
		count := make([]float64, len(labels))
		for i, tags := range p.Tags {
			for w, t := range tags {
				if p.Words[i][w] != nil {
					count[slices.Index(labels, t)]++
				}
			}
		}
		tag = labels[task.ArgMax(count)]
	}
	for i, tags := range p.Tags {
		for w := range tags {
			if p.Words[i][w] == nil {
				tags[w] = tag
			}
		}
	}
}

// scores are [infer.Scores] in float64.
func scores(k model.Kind, logits []float32) []float64 {
	out := make([]float64, len(logits))
	for i, s := range infer.Scores(k, logits) {
		out[i] = float64(s)
	}
	return out
}

// known tells whether an example has what its loss needs.
func known(k model.Kind, set *dataset.Set, of int, e *task.Example) bool {
	switch k {
	case model.Classify, model.Choice:
		return e.Label >= 0
	case model.Regress, model.Rank:
		return e.Values[0] == e.Values[0]
	case model.MultiLabel:
		return set.Examples[of].Labels != nil
	}
	return true
}

// weight is what an example counts in the mean loss.
func weight(k model.Kind, e *task.Example) int {
	if k != model.Tag {
		return 1
	}
	n := 0
	for _, l := range e.Tags {
		if l != task.NoLabel {
			n++
		}
	}
	return n
}

// Score gives the official metrics of predictions. Of questions without answers the best threshold for giving none comes with them,
// found on the same set, as the released code does; nil otherwise.
func Score(set *dataset.Set, p *Predictions) (metric.Scores, *float64, error) {
	name := set.Task.Name
	known := labelled(set)
	if len(known) == 0 {
		var s metric.Scores
		for _, m := range metric.Names(name) {
			s = append(s, metric.Score{Name: m, Undefined: "no example has a label"})
		}
		return s, nil, nil
	}
	set, p = only(set, p, known)
	switch set.Task.Kind {
	case model.Classify:
		gold := make([]int, len(set.Examples))
		for i, e := range set.Examples {
			gold[i] = e.Label
		}
		s, err := metric.Classify(name, set.Labels, gold, p.Labels)
		return s, nil, err
	case model.Choice:
		gold, high := make([]int, len(set.Examples)), make([]bool, len(set.Examples))
		for i, e := range set.Examples {
			gold[i], high[i] = e.Label, isHigh(&e)
		}
		if name == "race" {
			s, err := metric.RACE(gold, p.Labels, high)
			return s, nil, err
		}
		s, err := metric.Classify(name, set.Labels, gold, p.Labels)
		return s, nil, err
	case model.Regress:
		gold := make([]float64, len(set.Examples))
		for i, e := range set.Examples {
			gold[i] = e.Score
		}
		s, err := metric.Regress(name, gold, p.Values)
		return s, nil, err
	case model.Rank:
		s, err := scoreRanked(set, p)
		return s, nil, err
	case model.MultiLabel:
		r, err := metric.MultiLabel(goldLabels(set), p.Multi)
		if err != nil {
			return nil, nil, err
		}
		return r.Scores(), nil, nil
	case model.Tag:
		r, err := compareTags(set, p)
		if err != nil {
			return nil, nil, err
		}
		return r.Scores(), nil, nil
	case model.Answer:
		return scoreAnswers(set, p)
	}
	return nil, nil, fmt.Errorf("task %s cannot be scored", set.Task.Name)
}

// Questions are what the SQuAD metrics need of a set.
func Questions(set *dataset.Set) []metric.Question {
	list := make([]metric.Question, len(set.Examples))
	for i, e := range set.Examples {
		list[i].ID = e.ID
		for _, a := range e.Answers {
			list[i].Answers = append(list[i].Answers, a.Text)
		}
	}
	return list
}

// Answers are the texts that are answered: with a threshold none where [task.Spans.NullScore] is above it. A question
// for which no span can be given gets "" (the released code: "empty").
func (p *Predictions) Answers(threshold *float64) []string {
	out := make([]string, len(p.Spans))
	for i, s := range p.Spans {
		if len(s.Best) > 0 && (threshold == nil || float64(s.NullScore()) <= *threshold) {
			out[i] = s.Best[0].Text
		}
	}
	return out
}

// NullOdds are the questions' [task.Spans.NullScore]. Where there is no span they are above every other's.
func (p *Predictions) NullOdds() []float64 {
	odds := make([]float64, len(p.Spans))
	high := 0.0
	for i, s := range p.Spans {
		if len(s.Best) > 0 {
			odds[i] = float64(s.NullScore())
			high = max(high, odds[i])
		}
	}
	for i, s := range p.Spans {
		if len(s.Best) == 0 {
			odds[i] = high + 1
		}
	}
	return odds
}

func scoreAnswers(set *dataset.Set, p *Predictions) (metric.Scores, *float64, error) {
	questions := Questions(set)
	texts := func(threshold *float64) map[string]string {
		m := map[string]string{}
		for i, a := range p.Answers(threshold) {
			m[set.Examples[i].ID] = a
		}
		return m
	}
	if !set.Task.Impossible {
		s, _, err := metric.SQuAD1(questions, texts(nil))
		return s, nil, err
	}
	var odds metric.NullOdds
	for i, o := range p.NullOdds() {
		odds = append(odds, metric.NullOdd{ID: set.Examples[i].ID, Odds: o})
	}
	best, err := metric.SQuAD2(questions, texts(nil), odds, metric.NullThreshold)
	if err != nil {
		return nil, nil, err
	}
	threshold, err := best.Get("best_f1_thresh")
	if err != nil {
		return nil, nil, err
	}
	s, err := metric.SQuAD2(questions, texts(nil), odds, threshold)
	return s, &threshold, err
}

// isHigh tells of a question of RACE whether it is from a high school.
func isHigh(e *dataset.Example) bool {
	return strings.HasPrefix(e.ID, "high") || strings.Contains(filepath.ToSlash(e.File), "/high/")
}
