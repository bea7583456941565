package finetune

import (
	"fmt"
	"strconv"
	"strings"

	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/internal/text/dataset"
	"albert/tokenizer"
)

// Features are a set's examples as pieces.
type Features struct {
	Set      *dataset.Set
	Kind     model.Kind
	Examples []task.Example
	// Of[i] is the example of the set that Examples[i] comes from: a long context gives several.
	Of        []int
	spans     task.SpanOptions
	wordRows  [][]int // of tagging: for each example the rows of its words' first pieces, 0 for a word without any or cut off
	Truncated int     // examples that were cut
	Dropped   int     // examples of training that nothing can be learned from
}

// Settings of how examples become pieces.
type Settings struct {
	MaxSeqLength int
	// Long reads texts (of classes and numbers) that are too long in windows, over which the answers are averaged, instead of cutting
	// them. Not for training.
	Long bool
	// TruncationSide is where texts are cut; "": where the tokenizer says.
	TruncationSide tokenizer.Side
	task.SpanOptions
}

// NewFeatures makes pieces of a set's examples. For training, those without a label, or whose answer's place is a guess, are dropped.
func NewFeatures(set *dataset.Set, tok *tokenizer.Tokenizer, s Settings, training bool) (*Features, error) {
	f := &Features{Set: set, Kind: set.Task.Kind}
	tok = tok.CutAt(s.TruncationSide)
	s.SpanOptions.MaxSeqLength = s.MaxSeqLength
	f.spans = s.SpanOptions
	contexts := map[string]tokenizer.Text{} // questions share their passage
	articles := map[string][]int32{}
	for i := range set.Examples {
		e := &set.Examples[i]
		x := task.Example{Label: task.NoLabel}
		switch f.Kind {
		case model.Classify, model.MultiLabel, model.Regress:
			switch f.Kind {
			case model.Classify:
				x.Label = int32(e.Label)
			case model.Regress:
				x.Values = []float32{float32(e.Score)}
			default:
				x.Values = make([]float32, len(set.Labels))
				for _, l := range e.Labels {
					x.Values[l] = 1
				}
			}
			if training && (f.Kind == model.Classify && e.Label < 0 || f.Kind == model.Regress && e.Score != e.Score || f.Kind == model.MultiLabel && e.Labels == nil) {
				f.Dropped++
				continue
			}
			list, err := textInputs(tok, e, s)
			if err != nil {
				return nil, err
			}
			for k := range list {
				x.Inputs = list[k : k+1]
				f.add(i, x)
			}
		case model.Tag:
			rows, err := f.layoutWords(tok, e, &x, s.MaxSeqLength)
			if err != nil {
				return nil, err
			}
			f.wordRows = append(f.wordRows, rows)
			f.add(i, x)
		case model.Choice:
			article, ok := articles[e.Context]
			if !ok {
				article = tok.Encode(e.Context)
				articles[e.Context] = article
			}
			var err error
			if x.Inputs, err = task.Choices(tok, article, e.Question, e.Choices, s.MaxSeqLength); err != nil {
				return nil, err
			}
			x.Label = int32(e.Label)
			if training && e.Label < 0 {
				f.Dropped++
				continue
			}
			f.add(i, x)
		case model.Answer:
			context, ok := contexts[e.Context]
			if !ok {
				context = tok.Cut(e.Context)
				contexts[e.Context] = context
			}
			if training && !e.Impossible && (len(e.Answers) == 0 || !e.Answers[0].Exact) {
				f.Dropped++
				continue
			}
			ws, err := task.Windows(tok, tok.Encode(e.Question), context, s.SpanOptions)
			if err != nil {
				return nil, err
			}
			for k := range ws {
				x := ws[k].Example()
				if len(e.Answers) > 0 && !e.Impossible {
					x.Start, x.End = ws[k].Rows(e.Answers[0].Start, e.Answers[0].End)
				}
				f.add(i, x)
			}
		default:
			return nil, fmt.Errorf("task %s: nothing learns %q", set.Task.Name, set.Task.Kind)
		}
	}
	return f, nil
}

// layoutWords makes pieces and tags of a tagged example's words, and gives the rows of their first pieces, 0 for a word without any or cut
// off.
func (f *Features) layoutWords(tok *tokenizer.Tokenizer, e *dataset.Example, x *task.Example, most int) (rows []int, err error) {
	var ids, tags []int32
	rows = make([]int, len(e.Words))
	for w, word := range e.Words {
		for k, id := range tok.Encode(word) {
			label := int32(task.NoLabel)
			if k == 0 {
				rows[w] = 1 + len(ids)
				if e.Labels != nil {
					label = int32(e.Labels[w])
				}
			}
			ids, tags = append(ids, id), append(tags, label)
		}
	}
	in, err := task.Layout(tok, ids, nil, most)
	if err != nil {
		return nil, err
	}
	for w := range rows {
		if rows[w] > in.A.To {
			rows[w] = 0
		}
		rows[w] = max(0, rows[w]-in.A.From)
	}
	x.Inputs = []tokenizer.Encoding{in}
	x.Tags = append(append([]int32{task.NoLabel}, tags[in.A.From:in.A.To]...), task.NoLabel)
	return rows, nil
}

func (f *Features) add(of int, x task.Example) {
	x.Index = uint64(len(f.Examples))
	for _, in := range x.Inputs {
		if in.Truncated {
			f.Truncated++
			break
		}
	}
	f.Examples, f.Of = append(f.Examples, x), append(f.Of, of)
}

// textInputs lays out a text or pair: cut where it is too long, or with s.Long in windows.
func textInputs(tok *tokenizer.Tokenizer, e *dataset.Example, s Settings) ([]tokenizer.Encoding, error) {
	var pair []int32
	if e.HasPair {
		pair = append([]int32{}, tok.Encode(e.Pair)...)
	}
	if s.Long {
		return task.LayoutLong(tok, tok.Encode(e.Text), pair, s.MaxSeqLength)
	}
	one, err := task.Layout(tok, tok.Encode(e.Text), pair, s.MaxSeqLength)
	return []tokenizer.Encoding{one}, err
}

// outputs is how many outputs the head for a set has.
func outputs(set *dataset.Set) int {
	switch set.Task.Kind {
	case model.Regress:
		return 1
	case model.Choice, model.Answer:
		return 0
	}
	return len(set.Labels)
}

// heads are what a model needs for a set; beam: of the heads for answers the one of SQuAD 2.0.
func heads(set *dataset.Set, beam bool) model.Heads {
	if beam {
		return model.Heads{Beam: true}
	}
	return set.Task.Kind.Heads(outputs(set))
}

// configure writes into a model's configuration what its head is for, and nothing that another head of it was for.
func configure(c *model.Config, set *dataset.Set, beam bool) error {
	k := set.Task.Kind
	id2label, label2id := map[string]string{}, map[string]int{}
	names := set.Labels
	if set.Task.Kind == model.Regress {
		names = []string{"LABEL_0"}
	}
	for i, l := range names {
		id2label[fmt.Sprint(i)], label2id[l] = l, i
	}
	extra := map[string]any{"architectures": []string{k.Class()}, "finetuning_task": set.Task.Name, "id2label": nil, "label2id": nil,
		"num_labels": nil, "problem_type": nil, "null_threshold": nil, model.HeadKey: nil}
	if len(names) > 0 {
		extra["id2label"], extra["label2id"] = id2label, label2id
	}
	if beam {
		extra["architectures"], extra[model.HeadKey] = []string{model.Bare}, model.BeamHead
	}
	switch k {
	case model.Classify:
		extra["problem_type"] = "single_label_classification"
	case model.MultiLabel:
		extra["problem_type"] = "multi_label_classification"
	case model.Regress:
		extra["problem_type"] = "regression"
	}
	for name, v := range extra {
		if err := c.SetExtra(name, v); err != nil {
			return err
		}
	}
	return nil
}

// checkLabels refuses a training set in which every example has the same label, and tells of labels that the dev set cannot measure.
func (c *job) checkLabels(trainSet, devSet *dataset.Set) error {
	if trainSet.Task.Kind != model.Classify {
		return nil
	}
	count := func(s *dataset.Set) []int {
		n := make([]int, len(trainSet.Labels))
		for _, e := range s.Examples {
			if e.Label >= 0 {
				n[e.Label]++
			}
		}
		return n
	}
	there, held := count(trainSet), count(devSet)
	labels, last := 0, 0
	var missing []string
	for l, n := range there {
		if n > 0 {
			labels, last = labels+1, l
			if held[l] == 0 {
				missing = append(missing, strconv.Quote(trainSet.Labels[l]))
			}
		}
	}
	if labels == 1 {
		return fmt.Errorf("%s: every example has the label %q: there is nothing to learn", trainSet.Examples[0].File, trainSet.Labels[last])
	}
	if n := len(missing); n > 0 {
		more := ""
		if n > 10 {
			missing, more = missing[:10], fmt.Sprintf(" and %d more", n-10)
		}
		c.message("the dev set has no example of %s%s: they are learned, but not measured", strings.Join(missing, ", "), more)
	}
	return nil
}
