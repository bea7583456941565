package finetune

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/engine/cpu"
	"albert/internal/engine/numeric"
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
	Values []float64     // numbers
	Multi  [][]bool      // of several labels, those above a half
	Tags   [][]string    // of each word
	Words  [][][]float64 // of tags: each word's score for each label; nil for a word that was cut off, or has no pieces
	Spans  []task.Spans  // of questions
	Loss   float64       // mean; NaN-free: 0 without labels
}

// Predict runs a model over a set. The loss is that of training, without dropout.
func (f *Features) Predict(ctx context.Context, o *task.Objective, dev *cpu.Device) (*Predictions, error) {
	outs, err := runAll(ctx, o, dev, f.Examples)
	if err != nil {
		return nil, err
	}
	return f.predictions(outs), nil
}

// predictions makes predictions of outputs. Where an example has several windows their logits are averaged, and their losses.
func (f *Features) predictions(outs []task.Output) *Predictions {
	p := &Predictions{}
	labelled := 0
	for i := 0; i < len(outs); i++ {
		out := outs[i]
		e := &f.Examples[i]
		if f.Kind != model.Answer {
			from := i
			for i+1 < len(outs) && f.Of[i+1] == f.Of[i] {
				i++
			}
			out = mean(outs[from : i+1])
		}
		if known(f.Kind, f.Set, f.Of[i], e) {
			p.Loss += out.Loss
			labelled += weight(f.Kind, e)
		}
		switch f.Kind {
		case model.Classify:
			p.Labels = append(p.Labels, task.ArgMax(out.Logits[0]))
			p.Scores = append(p.Scores, softmax(out.Logits[0]))
		case model.Choice:
			column := task.Column(out.Logits, 0)
			p.Labels = append(p.Labels, task.ArgMax(column))
			p.Scores = append(p.Scores, softmax(column))
		case model.Regress:
			p.Values = append(p.Values, float64(out.Logits[0][0]))
		case model.MultiLabel:
			row := out.Logits[0]
			scores, chosen := make([]float64, len(row)), make([]bool, len(row))
			for k, x := range row {
				scores[k], chosen[k] = 1/(1+numeric.Exp64(-float64(x))), x > 0
			}
			p.Scores, p.Multi = append(p.Scores, scores), append(p.Multi, chosen)
		case model.Tag:
			tags, words := make([]string, len(f.firsts[i])), make([][]float64, len(f.firsts[i]))
			for w, row := range f.firsts[i] {
				tags[w] = "O" // a word that was cut off, or has no pieces
				if row > 0 {
					tags[w] = f.Set.Labels[task.ArgMax(out.Logits[row])]
					words[w] = softmax(out.Logits[row])
				}
			}
			p.Tags, p.Words = append(p.Tags, tags), append(p.Words, words)
		}
	}
	if f.Kind == model.Answer {
		p.Spans = f.answers(outs)
	}
	p.Loss /= float64(max(1, labelled))
	return p
}

// mean averages the outputs of an example's windows.
func mean(outs []task.Output) task.Output {
	if len(outs) == 1 {
		return outs[0]
	}
	n := float32(len(outs))
	var sum task.Output
	for _, row := range outs[0].Logits {
		sum.Logits = append(sum.Logits, make([]float32, len(row)))
	}
	for _, o := range outs {
		sum.Loss += o.Loss / float64(n)
		for r, row := range o.Logits {
			for k, x := range row {
				sum.Logits[r][k] += x
			}
		}
	}
	for _, row := range sum.Logits {
		for k := range row {
			row[k] /= n
		}
	}
	return sum
}

// answers joins the windows of each question.
func (f *Features) answers(outs []task.Output) []task.Spans {
	spans := make([]task.Spans, len(f.Set.Examples))
	for i := 0; i < len(outs); {
		j := i
		var starts, ends [][]float32
		var beams []task.Beam
		for ; j < len(outs) && f.Of[j] == f.Of[i]; j++ {
			if outs[j].Beam == nil {
				starts, ends = append(starts, task.Column(outs[j].Logits, 0)), append(ends, task.Column(outs[j].Logits, 1))
			}
			if b := outs[j].Beam; b != nil {
				beams = append(beams, *b)
			}
		}
		if beams != nil {
			spans[f.Of[i]] = task.BestBeamSpans(f.windows[i:j], beams, f.Set.Examples[f.Of[i]].Context, f.spans)
			i = j
			continue
		}
		spans[f.Of[i]] = task.BestSpans(f.windows[i:j], starts, ends, f.Set.Examples[f.Of[i]].Context, f.spans)
		i = j
	}
	return spans
}

// known tells whether an example has what its loss needs.
func known(k model.Kind, set *dataset.Set, of int, e *task.Example) bool {
	switch k {
	case model.Classify, model.Choice:
		return e.Label >= 0
	case model.Regress:
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

// runAll runs examples in leaves, several at once where that is faster.
func runAll(ctx context.Context, o *task.Objective, dev *cpu.Device, examples []task.Example) ([]task.Output, error) {
	outs := make([]task.Output, len(examples))
	var leaves [][2]int
	for from := 0; from < len(examples); {
		to, pieces := from, 0
		for to < len(examples) && (to == from || pieces+examples[to].Pieces() <= train.LeafPieces) {
			pieces += examples[to].Pieces()
			to++
		}
		leaves = append(leaves, [2]int{from, to})
		from = to
	}
	width := train.Together(o.Model.Config.ActivationBytes(), dev.Threads())
	for group := range slices.Chunk(leaves, width) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		dev.Run(len(group), func(i int) {
			copy(outs[group[i][0]:], o.Run(nil, examples[group[i][0]:group[i][1]], 0, 1))
		})
	}
	return outs, nil
}

func softmax(x []float32) []float64 {
	high := slices.Max(x)
	p := make([]float64, len(x))
	sum := 0.0
	for i, v := range x {
		p[i] = numeric.Exp64(float64(v) - float64(high))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
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
		s, err := metric.Classify(name, gold, p.Labels)
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
		s, err := metric.Classify(name, gold, p.Labels)
		return s, nil, err
	case model.Regress:
		gold := make([]float64, len(set.Examples))
		for i, e := range set.Examples {
			gold[i] = e.Score
		}
		s, err := metric.Regress(name, gold, p.Values)
		return s, nil, err
	case model.MultiLabel:
		r, err := metric.MultiLabel(goldLabels(set), p.Multi)
		if err != nil {
			return nil, nil, err
		}
		return r.Scores(), nil, nil
	case model.Tag:
		r, err := metric.Tags(goldTags(set), p.Tags)
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
