package finetune

import (
	"fmt"
	"slices"
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
	// Of[i] is the example of the set that Examples[i] comes from: a long text or context gives several.
	Of    []int
	spans task.SpanOptions
	// words are of tagging: for each example of the set the window and the row there of each word's first piece; row 0 of a word without
	// any.
	words [][][2]int

	training bool
	most     int // pieces of an example

	// What is left out: examples that were cut and the pieces cut off, examples of training that nothing can be learned from, words and
	// answers without pieces, answers that stand in no window as a whole.
	Truncated, Cut, Dropped, NoPieces, Unplaced, Divided int
	notes                                                []string // what was assumed
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
	f := &Features{Set: set, Kind: set.Task.Kind, training: training, most: s.MaxSeqLength}
	tok = tok.CutAt(s.TruncationSide)
	s.SpanOptions.MaxSeqLength = s.MaxSeqLength
	f.spans = s.SpanOptions
	contexts := map[string]tokenizer.Text{} // questions share their passage
	articles := map[string][]int32{}
	known := labelled(set)
	for i := range set.Examples {
		e := &set.Examples[i]
		if training { // what has no label is no training example
			if len(known) == 0 || known[0] != i {
				f.Dropped++
				f.words = append(f.words, nil)
				continue
			}
			known = known[1:]
		}
		var err error
		switch f.Kind {
		case model.Classify, model.MultiLabel, model.Regress, model.Rank:
			err = f.addText(tok, i, s)
		case model.Tag:
			err = f.addWords(tok, i)
		case model.Choice:
			article, ok := articles[e.Context]
			if !ok {
				article = tok.Encode(e.Context)
				articles[e.Context] = article
			}
			err = f.addChoices(tok, i, article)
		case model.Answer:
			context, ok := contexts[e.Context]
			if !ok {
				context = tok.Cut(e.Context)
				contexts[e.Context] = context
			}
			err = f.addQuestion(tok, i, context)
		default:
			err = fmt.Errorf("task %s: nothing learns %q", set.Task.Name, set.Task.Kind)
		}
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *Features) add(of int, x task.Example) {
	x.Index = uint64(len(f.Examples))
	f.Examples, f.Of = append(f.Examples, x), append(f.Of, of)
}

// cut counts the pieces of an example that are in none of its sequences.
func (f *Features) cut(pieces int) {
	if pieces > 0 {
		f.Truncated++
		f.Cut += pieces
	}
}

// addText lays out a text or pair: cut where it is too long, or with s.Long in windows.
func (f *Features) addText(tok *tokenizer.Tokenizer, i int, s Settings) error {
	e, x := &f.Set.Examples[i], task.Example{Label: task.NoLabel}
	switch f.Kind {
	case model.Classify:
		x.Label = int32(e.Label)
	case model.Regress, model.Rank:
		x.Values = []float32{float32(e.Score)}
	default:
		x.Values = make([]float32, len(f.Set.Labels))
		for _, l := range e.Labels {
			x.Values[l] = 1
		}
	}
	text, pair := tok.Encode(e.Text), []int32(nil)
	if e.HasPair {
		pair = append([]int32{}, tok.Encode(e.Pair)...)
	}
	list, err := make([]tokenizer.Encoding, 1), error(nil)
	switch {
	case s.Long:
		list, err = task.LayoutLong(tok, text, pair, s.MaxSeqLength)
	case f.Kind == model.Rank:
		list[0], err = task.LayoutRanked(tok, text, pair, s.MaxSeqLength)
	default:
		list[0], err = task.Layout(tok, text, pair, s.MaxSeqLength)
	}
	if err != nil {
		return err
	}
	last := list[len(list)-1]
	f.cut(len(text) + len(pair) - (last.A.To - list[0].A.From) - (last.B.To - list[0].B.From))
	for k := range list {
		x.Inputs = list[k : k+1]
		f.add(i, x)
	}
	return nil
}

// addWords lays out a tagged example's words, in windows where there are many. A word's tag is that of its first piece.
func (f *Features) addWords(tok *tokenizer.Tokenizer, i int) error {
	e := &f.Set.Examples[i]
	var ids []int32
	first := make([]int, len(e.Words)) // pieces
	for w, word := range e.Words {
		pieces := tok.Encode(word)
		if first[w] = len(ids); len(pieces) == 0 {
			first[w] = -1
			f.NoPieces++
		}
		ids = append(ids, pieces...)
	}
	list, at, err := task.LayoutTagged(tok, ids, f.most)
	if err != nil {
		return err
	}
	tags := make([][]int32, len(list))
	for k, in := range list {
		tags[k] = slices.Repeat([]int32{task.NoLabel}, len(in.IDs))
	}
	words := make([][2]int, len(e.Words))
	for w, p := range first {
		if p < 0 {
			continue
		}
		words[w] = at[p]
		if e.Labels != nil {
			tags[at[p][0]][at[p][1]] = int32(e.Labels[w])
		}
	}
	f.words = append(f.words, words)
	for k := range list {
		f.add(i, task.Example{Label: task.NoLabel, Inputs: list[k : k+1], Tags: tags[k]})
	}
	return nil
}

// addChoices lays out a question with its choices; article are the pieces of its context.
func (f *Features) addChoices(tok *tokenizer.Tokenizer, i int, article []int32) error {
	e := &f.Set.Examples[i]
	list, err := task.Choices(tok, article, e.Question, e.Choices, f.most)
	if err != nil {
		return err
	}
	cut := 0
	for k, text := range task.Continuations(e.Question, e.Choices) {
		if list[k].Truncated {
			cut += len(article) + len(tok.Encode(text)) - (list[k].A.To - list[k].A.From) - (list[k].B.To - list[k].B.From)
		}
	}
	f.cut(cut)
	f.add(i, task.Example{Label: int32(e.Label), Inputs: list})
	return nil
}

// addQuestion lays out a question in windows over its context.
func (f *Features) addQuestion(tok *tokenizer.Tokenizer, i int, context tokenizer.Text) error {
	e := &f.Set.Examples[i]
	begin, end := 0, 0
	if len(e.Answers) > 0 {
		begin, end = task.Covered(context.Offsets, e.Answers[0].Start, e.Answers[0].End)
		if f.training && (begin == end || !e.Answers[0].Exact) {
			if f.Dropped++; e.Answers[0].Exact {
				f.Unplaced++
			}
			return nil
		}
	}
	question := tok.Encode(e.Question)
	ws, err := task.Windows(tok, question, context, f.spans)
	if err != nil {
		return err
	}
	f.cut(len(question) - (ws[0].A.To - ws[0].A.From))
	found := begin == end
	for k := range ws {
		x := ws[k].Example()
		if begin < end {
			x.Start, x.End = ws[k].Rows(begin, end)
			found = found || x.Start > 0
		}
		f.add(i, x)
	}
	if !found {
		f.Divided++
	}
	return nil
}

// Notes say what was left out: how many and why.
func (f *Features) Notes() []string {
	list := slices.Clone(f.notes)
	note := func(n int, format string, args ...any) {
		if n > 0 {
			list = append(list, fmt.Sprintf("%s: %d of ", f.Set.Split, n)+fmt.Sprintf(format, args...))
		}
	}
	all, words := len(f.Set.Examples), 0
	for i := range f.Set.Examples {
		words += len(f.Set.Examples[i].Words)
	}
	why := fmt.Sprintf("cut to %d pieces (max_seq_length)", f.most)
	if f.Kind == model.Answer {
		why = fmt.Sprintf("have a question cut to %d pieces (max_query_length)", min(f.spans.MaxQueryLength, f.most-4))
	}
	note(f.Truncated, "%d examples %s: %d pieces cut off", all, why, f.Cut)
	tagged := "nothing is learned from them"
	if !f.training {
		if unlabelled := all - len(labelled(f.Set)); unlabelled < all {
			note(unlabelled, "%d examples have no label: they are not measured", all)
		}
		if tagged = "they are tagged as most of the other words are"; slices.Contains(f.Set.Labels, outside) {
			tagged = fmt.Sprintf("they are tagged %q", outside)
		}
	}
	note(f.NoPieces, "%d words have no pieces: %s", words, tagged)
	note(f.Unplaced, "%d answers have no pieces: nothing is learned from them", all)
	if f.training {
		note(f.Dropped, "%d examples without a usable label left out", all)
		note(f.Divided, "%d answers stand in no window as a whole: they are learned as no answer", all)
	}
	return list
}

// outputs is how many outputs the head for a set has.
func outputs(set *dataset.Set) int {
	switch set.Task.Kind {
	case model.Regress, model.Rank:
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
	if k == model.Regress || k == model.Rank {
		names = []string{"LABEL_0"}
	}
	for i, l := range names {
		id2label[fmt.Sprint(i)], label2id[l] = l, i
	}
	extra := map[string]any{"architectures": []string{c.ClassName(k.Class())}, "finetuning_task": set.Task.Name, "id2label": nil, "label2id": nil,
		"num_labels": nil, "problem_type": nil, "null_threshold": nil, model.HeadKey: nil}
	if len(names) > 0 {
		extra["id2label"], extra["label2id"] = id2label, label2id
	}
	if beam {
		extra["architectures"], extra[model.HeadKey] = []string{c.ClassName(model.Bare)}, model.BeamHead
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
	if k == model.Rank {
		return c.SetCrossEncoder(model.Sigmoid)
	}
	return c.NoCrossEncoder()
}

// checkLabels refuses a training set in which every example has the same label, and tells of labels that the dev set cannot measure.
func (c *job) checkLabels(trainSet, devSet *dataset.Set) error {
	switch trainSet.Task.Kind {
	case model.Rank:
		first := &trainSet.Examples[0]
		if !slices.ContainsFunc(trainSet.Examples, func(e dataset.Example) bool { return e.Score != first.Score }) {
			return fmt.Errorf("%s: every example has the label %v: there is nothing to learn", first.File, first.Score)
		}
		return nil
	case model.Classify:
	default:
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
