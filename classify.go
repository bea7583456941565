package albert

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/learn/task"
	"albert/internal/model"
)

// Task is what a model's head answers.
type Task = model.Kind

// The tasks of the heads.
const (
	TaskNone       = model.None
	TaskOrder      = model.Order
	TaskClassify   = model.Classify
	TaskMultiLabel = model.MultiLabel
	TaskRegress    = model.Regress
	TaskTag        = model.Tag
	TaskAnswer     = model.Answer
	TaskChoice     = model.Choice
)

// Task is what the model's head answers: what [Options] say, else by config.json's architectures and problem_type, and the head
// that there is.
func (m *Model) Task() Task {
	if m.task != TaskNone {
		return m.task
	}
	if m.net.Beam.Start.W != nil {
		return TaskAnswer
	}
	switch m.net.Class() {
	case model.PreTraining:
		return TaskOrder
	case model.TokenClassification:
		return TaskTag
	case model.QuestionAnswering:
		return TaskAnswer
	case model.MultipleChoice:
		return TaskChoice
	case model.SequenceClassification:
		var problem string
		_ = json.Unmarshal(m.net.Config.Extra("problem_type"), &problem) // null or absent: by the number of labels
		switch {
		case problem == "multi_label_classification":
			return TaskMultiLabel
		case problem == "regression", problem == "" && m.net.Classifier.W.Rows() == 1:
			return TaskRegress
		}
		return TaskClassify
	}
	return TaskNone
}

// Labels are the names of the head's outputs: config.json's id2label, else LABEL_0 and so on, as transformers has it.
func (m *Model) Labels() []string {
	if m.Task() == TaskOrder {
		return []string{"ordered", "swapped"}
	}
	if m.net.Classifier.W == nil {
		return nil
	}
	var named map[string]string
	_ = json.Unmarshal(m.net.Config.Extra("id2label"), &named) // anything else names none
	labels := make([]string, m.net.Classifier.W.Rows())
	for i := range labels {
		var ok bool
		if labels[i], ok = named[strconv.Itoa(i)]; !ok {
			labels[i] = fmt.Sprintf("LABEL_%d", i)
		}
	}
	return labels
}

// Label is a class and how likely it is.
type Label struct {
	Label string  `json:"label"`
	Score float32 `json:"score"` // softmax over the labels; of any number of labels each one's sigmoid
}

// Classify gives the labels of a text, the likeliest first. Of a model with several labels at once each score stands for itself.
func (m *Model) Classify(text string) ([]Label, error) {
	in, err := m.Encode(text)
	if err != nil {
		return nil, err
	}
	return m.classifyOne(in)
}

// ClassifyPair is Classify for two texts.
func (m *Model) ClassifyPair(a, b string) ([]Label, error) {
	in, err := m.EncodePair(a, b)
	if err != nil {
		return nil, err
	}
	return m.classifyOne(in)
}

func (m *Model) classifyOne(in Input) ([]Label, error) {
	all, err := m.ClassifyAll([]Input{in})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// LabelScores makes labels of one input's logits, best first.
func (m *Model) LabelScores(logits []float32) []Label {
	scores := slices.Clone(logits)
	if m.Task() == TaskMultiLabel {
		for j, x := range logits {
			scores[j] = float32(1 / (1 + numeric.Exp64(-float64(x))))
		}
	} else {
		m.dev.Kernels().Softmax(scores, 1)
	}
	var out []Label
	for j, name := range m.Labels() {
		out = append(out, Label{name, scores[j]})
	}
	slices.SortStableFunc(out, func(a, b Label) int { return cmp.Compare(b.Score, a.Score) })
	return out
}

// ClassifyAll classifies several inputs in one pass, each with all labels, best first.
func (m *Model) ClassifyAll(inputs []Input) ([][]Label, error) {
	k := m.Task()
	if k != TaskClassify && k != TaskMultiLabel && k != TaskOrder {
		return nil, m.wrongTask("classify")
	}
	logits, err := m.SequenceLogits(inputs)
	if err != nil {
		return nil, err
	}
	out := make([][]Label, len(inputs))
	for i, row := range logits {
		out[i] = m.LabelScores(row)
	}
	return out, nil
}

// wrongTask tells that a model has another head than what is asked of it.
func (m *Model) wrongTask(asked string) error {
	has := string(m.Task())
	if has == "" {
		has = "no task's"
	}
	return fmt.Errorf("the model (%s) has %s head, it cannot %s", m.net.Class(), has, asked)
}

// SequenceLogits gives what the head over whole sequences gives before softmax: a row for each input.
func (m *Model) SequenceLogits(inputs []Input) ([][]float32, error) {
	k := m.Task()
	if k == TaskNone || k == TaskTag || k == TaskAnswer {
		return nil, m.wrongTask("judge whole sequences")
	}
	if m.net.Pooler.W == nil {
		return nil, errors.New("the model has no pooler (albert.pooler), which its head needs")
	}
	if err := m.checkAll(inputs); err != nil {
		return nil, err
	}
	t := ops.NewTape(m.dev, nil)
	defer t.Reset()
	b := batch(inputs)
	pooled := m.net.Pool(t, b, m.net.Encode(t, b, model.NoDropout))
	var y *ops.Tensor
	if k == TaskOrder {
		y = m.net.SOPLogits(t, pooled)
	} else {
		y = m.net.ClassifierLogits(t, pooled)
	}
	return copyRows(y, 0, y.Rows), nil
}

func copyRows(x *ops.Tensor, from, to int) [][]float32 {
	rows := make([][]float32, to-from)
	for i := range rows {
		rows[i] = clone(x.Row(from + i))
	}
	return rows
}

// PieceLogits gives what the head over pieces gives before softmax: for each input a row for every piece, special ones included.
// Of question answering a row is the logits of start and end; the beam head has no such rows, see [Model.AnswerLogits].
func (m *Model) PieceLogits(inputs []Input) ([][][]float32, error) {
	k := m.Task()
	if k != TaskTag && k != TaskAnswer {
		return nil, m.wrongTask("judge pieces")
	}
	if k == TaskAnswer && m.net.Spans.W == nil {
		return nil, errors.New("the model answers with the beam head, whose ends depend on a start: there is no logit of each piece's being the end")
	}
	if err := m.checkAll(inputs); err != nil {
		return nil, err
	}
	t := ops.NewTape(m.dev, nil)
	defer t.Reset()
	b := batch(inputs)
	hidden := m.net.Encode(t, b, model.NoDropout)
	var y *ops.Tensor
	if k == TaskTag {
		y = m.net.ClassifierLogits(t, hidden)
	} else {
		y = m.net.SpanLogits(t, hidden)
	}
	out := make([][][]float32, len(inputs))
	for i := range inputs {
		out[i] = copyRows(y, int(b.Offsets[i]), int(b.Offsets[i+1]))
	}
	return out, nil
}

// Entity is a tagged piece, or several joined.
type Entity struct {
	Entity string  `json:"entity"`
	Score  float32 `json:"score"`
	Index  int     `json:"index,omitempty"` // the piece's row, [CLS] is 0; 0 where pieces are joined
	Word   string  `json:"word,omitempty"`
	Start  int     `json:"start"` // code points of the text
	End    int     `json:"end"`

	sum   float32 // of the scores of pieces joined
	count int
}

// Tag gives the label of every piece of a text but those labelled "O"; with aggregate, pieces of the same entity are joined as
// [Aggregate] does. A text that is too long is cut.
func (m *Model) Tag(text string, aggregate bool) ([]Entity, error) {
	in, err := m.TagInput(text)
	if err != nil {
		return nil, err
	}
	logits, err := m.PieceLogits([]Input{in.Input})
	if err != nil {
		return nil, err
	}
	list := m.Entities(in, logits[0])
	if aggregate {
		list = Aggregate(list, text)
	}
	return list, nil
}

// TagInput is a text as pieces that know their places.
type TagInput struct {
	Input
	Places [][2]int // from row 1 on: code points of the text, without the space before a word. Nil: places are rows
	Words  []string // the pieces there, an unknown one as it stands in the text
}

// TagInput makes pieces of a text. One that is too long is cut.
func (m *Model) TagInput(text string) (TagInput, error) {
	if m.tok == nil {
		return TagInput{}, errNoTokenizer
	}
	cut := m.tok.Cut(text)
	in := TagInput{Input: task.Single(m.tok, cut.IDs, m.MaxPieces())}
	in.Places = cut.Offsets[:len(in.IDs)-2]
	runes := []rune(text)
	for i, p := range in.Places {
		word := m.tok.Piece(in.IDs[1+i])
		if in.IDs[1+i] == m.tok.UNK && p[0] < p[1] {
			word = string(runes[p[0]:p[1]])
		}
		in.Words = append(in.Words, word)
	}
	return in, nil
}

// Entities turns the logits of an input's rows into labels; special pieces, and pieces labelled "O", give none.
func (m *Model) Entities(in TagInput, logits [][]float32) []Entity {
	names := m.Labels()
	list := []Entity{}
	for i, row := range logits {
		if m.tok != nil && (in.IDs[i] == m.tok.CLS || in.IDs[i] == m.tok.SEP || in.IDs[i] == m.tok.PAD) {
			continue
		}
		p := slices.Clone(row)
		m.dev.Kernels().Softmax(p, 1)
		best := 0
		for j := range p {
			if row[j] > row[best] {
				best = j
			}
		}
		if names[best] == "O" {
			continue
		}
		e := Entity{Entity: names[best], Score: p[best], Index: i, Start: i, End: i + 1}
		if in.Places != nil {
			p := in.Places[i-1]
			e.Word, e.Start, e.End = in.Words[i-1], p[0], p[1]
		}
		list = append(list, e)
	}
	return list
}

// Aggregate joins neighbouring pieces of one entity: labels that are the same but for "B-" or "I-", where no "B-" begins another one.
// The score is the mean of the pieces'; the word is the text between the places.
func Aggregate(list []Entity, text string) []Entity {
	out := []Entity{}
	runes := []rune(text)
	last := -1 // the row of the last piece
	for _, e := range list {
		begins, name := strings.HasPrefix(e.Entity, "B-"), e.Entity
		if begins || strings.HasPrefix(name, "I-") {
			name = name[2:]
		}
		if n := len(out); n > 0 && last+1 == e.Index && out[n-1].Entity == name && !begins {
			o := &out[n-1]
			o.End = e.End
			o.sum += e.Score
			o.count++
		} else {
			e.Entity, e.sum, e.count = name, e.Score, 1
			out = append(out, e)
		}
		last = e.Index
	}
	for i := range out {
		o := &out[i]
		o.Index, o.Score = 0, o.sum/float32(o.count)
		if o.Word != "" && o.End <= len(runes) {
			o.Word = string(runes[o.Start:max(o.Start, o.End)])
		}
	}
	return out
}

// Choose gives for a question about a context how likely each of the choices is, in their order.
func (m *Model) Choose(context, question string, choices []string) ([]float32, error) {
	inputs, err := m.ChoiceInputs(context, question, choices)
	if err != nil {
		return nil, err
	}
	rows, err := m.SequenceLogits(inputs)
	if err != nil {
		return nil, err
	}
	return m.ChoiceScores(rows), nil
}

// ChoiceInputs lays out a question with its choices: one input each (see [task.Choices]).
func (m *Model) ChoiceInputs(context, question string, choices []string) ([]Input, error) {
	if m.tok == nil {
		return nil, errNoTokenizer
	}
	if len(choices) == 0 {
		return nil, errors.New("there are no choices")
	}
	return task.Choices(m.tok, m.tok.Encode(context), question, choices, m.MaxPieces()), nil
}

// ChoiceScores is the softmax over the logits of the choices.
func (m *Model) ChoiceScores(logits [][]float32) []float32 {
	p := make([]float32, len(logits))
	for i, row := range logits {
		p[i] = row[0]
	}
	m.dev.Kernels().Softmax(p, 1)
	return p
}

// Span is an answer found in a context.
type Span struct {
	Answer string  `json:"answer"` // "": there is none
	Score  float32 `json:"score"`
	Start  int     `json:"start"` // code points of the context
	End    int     `json:"end"`
}

// Answer finds the span of a context that answers a question best. A long context is read in windows.
func (m *Model) Answer(question, context string) (Span, error) {
	spans, err := m.AnswerSpans(question, context, task.DefaultSpanOptions)
	if err != nil {
		return Span{}, err
	}
	return m.BestSpan(spans, nil), nil
}

// AnswerWindows lays out a question and its context in windows no longer than the model takes.
func (m *Model) AnswerWindows(question, context string, o task.SpanOptions) ([]task.Window, error) {
	if m.tok == nil {
		return nil, errNoTokenizer
	}
	o.MaxSeqLength = min(o.MaxSeqLength, m.MaxPieces())
	return task.Windows(m.tok, m.tok.Encode(question), m.tok.Cut(context), o), nil
}

// AnswerSpans gives the likeliest answers, and what speaks against any.
func (m *Model) AnswerSpans(question, context string, o task.SpanOptions) (task.Spans, error) {
	ws, err := m.AnswerWindows(question, context, o)
	if err != nil {
		return task.Spans{}, err
	}
	logits, err := m.AnswerLogits(ws)
	if err != nil {
		return task.Spans{}, err
	}
	return logits.Spans(ws, context, o), nil
}

// AnswerLogits is what the head for answers gives for windows, before softmax: Starts and Ends, each window's logits in all its rows,
// or of a model with the beam head Beams.
type AnswerLogits struct {
	Starts, Ends [][]float32
	Beams        []task.Beam
}

// AnswerLogits runs the head for answers on windows.
func (m *Model) AnswerLogits(ws []task.Window) (AnswerLogits, error) {
	if m.Task() != TaskAnswer {
		return AnswerLogits{}, m.wrongTask("answer questions")
	}
	inputs, contexts := make([]Input, len(ws)), make([][2]int, len(ws))
	for i := range ws {
		inputs[i], contexts[i] = ws[i].Input, ws[i].Context()
	}
	if m.net.Beam.Start.W == nil {
		logits, err := m.PieceLogits(inputs)
		if err != nil {
			return AnswerLogits{}, err
		}
		var l AnswerLogits
		for _, rows := range logits {
			l.Starts, l.Ends = append(l.Starts, task.Column(rows, 0)), append(l.Ends, task.Column(rows, 1))
		}
		return l, nil
	}
	if err := m.checkAll(inputs); err != nil {
		return AnswerLogits{}, err
	}
	t := ops.NewTape(m.dev, nil)
	defer t.Reset()
	b := batch(inputs)
	return AnswerLogits{Beams: task.Beams(t, m.net, b, m.net.Encode(t, b, model.NoDropout), contexts)}, nil
}

// Slice is the logits of windows [from, to).
func (l *AnswerLogits) Slice(from, to int) AnswerLogits {
	if l.Beams != nil {
		return AnswerLogits{Beams: l.Beams[from:to]}
	}
	return AnswerLogits{Starts: l.Starts[from:to], Ends: l.Ends[from:to]}
}

// Spans finds the likeliest answers, and what speaks against any, in the windows of one context; "" where their pieces were given.
func (l *AnswerLogits) Spans(ws []task.Window, context string, o task.SpanOptions) task.Spans {
	if l.Beams != nil {
		return task.BestBeamSpans(ws, l.Beams, context, o)
	}
	return task.BestSpans(ws, l.Starts, l.Ends, context, o)
}

// BestSpan is the best of the spans, or no answer if its score is above the threshold: the given one, else that of a model trained
// on questions without answers (config.json's null_threshold), else there always is an answer, unless the context is empty.
func (m *Model) BestSpan(s task.Spans, threshold *float64) Span {
	if threshold == nil {
		var t float64
		if raw := m.net.Config.Extra("null_threshold"); raw != nil && json.Unmarshal(raw, &t) == nil {
			threshold = &t
		}
	}
	if len(s.Best) == 0 || threshold != nil && float64(s.NullScore()) > *threshold {
		return Span{Score: s.Null.Score}
	}
	b := s.Best[0]
	return Span{Answer: b.Text, Score: b.Score, Start: b.Begin, End: b.End}
}
