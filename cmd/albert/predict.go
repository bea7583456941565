package main

import (
	"errors"
	"fmt"

	"albert"
	"albert/internal/learn/task"
)

// PredictCmd answers with the head of a model, as Hugging Face's pipelines do.
type PredictCmd struct {
	Model    string   `arg:"" help:"Model directory, run directory or model file."`
	Input    []string `arg:"" optional:"" help:"Texts, or files with an example a line; stdin without any."`
	More     []string `name:"input" sep:"none" help:"A file, again." placeholder:"FILE"`
	Task     string   `enum:",classify,multilabel,regress,tag,answer,choice,order" default:"" help:"What the head is for (${enum}), where the config does not say." placeholder:"TASK"`
	All      bool     `negatable:"" help:"Classification: give all labels."`
	Logits   bool     `negatable:"" help:"Give what the head gives before softmax instead."`
	Long     string   `enum:"truncate,windows" default:"truncate" help:"Classes and numbers of texts that are too long: truncate them, or average over windows."`
	Truncate bool     `default:"true" negatable:"" help:"Cut texts that are too long for the model."`

	Aggregate bool `negatable:"" help:"Tagging: join the pieces of an entity."`

	TopK            int      `default:"1" help:"Answering: so many answers; more than one gives a list."`
	NullThreshold   *float64 `help:"Answering: no answer where the logits of none exceed the best span's by more than this; with the beam head, where its logit of none is above this." placeholder:"X"`
	MaxSeqLength    int      `default:"384" help:"Answering: pieces of a window."`
	DocStride       int      `default:"128" help:"Answering: pieces from one window's beginning to the next's."`
	MaxQueryLength  int      `default:"64" help:"Answering: pieces of the question that are kept."`
	MaxAnswerLength int      `default:"30" help:"Answering: pieces of an answer."`

	Threads int `help:"Threads (0: all)."`
}

// Run answers every example with a line of JSON.
func (c *PredictCmd) Run() error {
	switch {
	case c.TopK < 1:
		return usagef("--top-k %d: want at least 1", c.TopK)
	case c.MaxSeqLength < 8, c.DocStride < 1, c.MaxQueryLength < 0, c.MaxAnswerLength < 1:
		return usagef("--max-seq-length %d, --doc-stride %d, --max-query-length %d, --max-answer-length %d: want at least 8, 1, 0, 1",
			c.MaxSeqLength, c.DocStride, c.MaxQueryLength, c.MaxAnswerLength)
	}
	m, err := albert.OpenWith(c.Model, albert.Options{Threads: c.Threads, Task: albert.Task(c.Task)})
	if err != nil {
		return noModel(c.Model, err)
	}
	defer m.Close()
	o := lineOptions{truncate: c.Truncate, encode: func(it *item) ([]albert.Input, error) { return it.encode(m) }}
	switch m.Task() {
	case albert.TaskClassify, albert.TaskMultiLabel, albert.TaskOrder, albert.TaskRegress:
		o.answer = c.sequences(m)
		if c.Long == "windows" {
			o.encode = func(it *item) ([]albert.Input, error) { return it.encodeLong(m) }
		}
	case albert.TaskTag:
		o.answer = c.tags(m)
	case albert.TaskAnswer:
		o.encode, o.answer = c.answers(m)
	case albert.TaskChoice:
		o.encode, o.answer = c.choices(m)
	default:
		return fmt.Errorf("%s: the model has no head to predict with: use `albert fill` or `albert embed`, or fine-tune it first", c.Model)
	}
	return answerLines(m, append(c.Input, c.More...), o)
}

// logitsOf answers with logits.
func logitsOf(v any) answer {
	text, err := object(field{"logits", v})
	return answer{value: text, err: err}
}

// sequences answers with the head over whole sequences; of several windows with the mean of their logits.
func (c *PredictCmd) sequences(m *albert.Model) func([]*item, [][]albert.Input) ([]answer, error) {
	return func(_ []*item, groups [][]albert.Input) ([]answer, error) {
		var all [][]float32
		inputs := flat(groups)
		for len(inputs) > 0 { // the windows of one text may be many
			n, pieces := 0, 0
			for n < len(inputs) && (n == 0 || pieces+len(inputs[n].IDs) <= 2*maxBatchPieces) {
				pieces += len(inputs[n].IDs)
				n++
			}
			rows, err := m.SequenceLogits(inputs[:n])
			if err != nil {
				return nil, err
			}
			all, inputs = append(all, rows...), inputs[n:]
		}
		var err error
		answers := make([]answer, len(groups))
		for i, g := range groups {
			row := meanLogits(all[:len(g)])
			all = all[len(g):]
			switch {
			case c.Logits:
				answers[i] = logitsOf(row)
			case m.Task() == albert.TaskRegress:
				score := any(row)
				if len(row) == 1 {
					score = row[0]
				}
				answers[i].value, err = object(field{"score", score})
			case c.All || m.Task() == albert.TaskMultiLabel:
				answers[i].value, err = object(field{"labels", m.LabelScores(row)})
			default:
				answers[i].value = m.LabelScores(row)[0]
			}
			if err != nil {
				return nil, err
			}
		}
		return answers, nil
	}
}

// meanLogits is the mean of windows' logits.
func meanLogits(rows [][]float32) []float32 {
	if len(rows) == 1 {
		return rows[0]
	}
	mean := make([]float32, len(rows[0]))
	for _, row := range rows {
		for k, x := range row {
			mean[k] += x
		}
	}
	for k := range mean {
		mean[k] /= float32(len(rows))
	}
	return mean
}

// tags answers with a label for each piece.
func (c *PredictCmd) tags(m *albert.Model) func([]*item, [][]albert.Input) ([]answer, error) {
	return func(its []*item, groups [][]albert.Input) ([]answer, error) {
		logits, err := m.PieceLogits(flat(groups))
		if err != nil {
			return nil, err
		}
		answers := make([]answer, len(its))
		for i, it := range its {
			if c.Logits {
				answers[i] = logitsOf(logits[i])
				continue
			}
			in := albert.TagInput{Input: groups[i][0]}
			if it.IDs == nil {
				if it.HasPair {
					answers[i].err = errors.New("tagging takes one text, not a pair")
					continue
				}
				if in, err = m.TagInput(it.Text); err != nil {
					return nil, err
				}
			}
			list := m.Entities(in, logits[i])
			if c.Aggregate {
				list = albert.Aggregate(list, it.Text)
			}
			answers[i].value = list
		}
		return answers, nil
	}
}

// answers answers with spans of contexts.
func (c *PredictCmd) answers(m *albert.Model) (func(*item) ([]albert.Input, error), func([]*item, [][]albert.Input) ([]answer, error)) {
	o := task.SpanOptions{MaxSeqLength: c.MaxSeqLength, DocStride: c.DocStride, MaxQueryLength: c.MaxQueryLength,
		MaxAnswerLength: c.MaxAnswerLength, NBest: max(task.DefaultSpanOptions.NBest, c.TopK)}
	windows := map[*item][]task.Window{}
	encode := func(it *item) ([]albert.Input, error) {
		if it.IDs != nil {
			if it.Lists {
				return nil, errors.New(`"input_ids" is a list of lists, which only choices are`)
			}
			return it.given(m)
		}
		if !it.HasPair {
			return nil, errors.New(`want {"question": ..., "context": ...}`)
		}
		ws, err := m.AnswerWindows(it.Text, it.Pair, o)
		if err != nil {
			return nil, err
		}
		windows[it] = ws
		inputs := make([]albert.Input, len(ws))
		for i, w := range ws {
			inputs[i] = w.Input
		}
		return inputs, nil
	}
	return encode, func(its []*item, groups [][]albert.Input) ([]answer, error) {
		var all []task.Window
		for i, it := range its {
			if it.IDs != nil {
				all = append(all, task.GivenWindow(groups[i][0], m.SEP()))
			} else {
				all = append(all, windows[it]...)
			}
			delete(windows, it)
		}
		logits, err := m.AnswerLogits(all)
		if err != nil {
			return nil, err
		}
		answers := make([]answer, len(its))
		from := 0
		for i, it := range its {
			to := from + len(groups[i])
			one := logits.Slice(from, to)
			switch {
			case c.Logits:
				answers[i] = spanLogits(one)
			case it.IDs != nil:
				answers[i].value = single(c, withoutWords(c.spans(m, one.Spans(all[from:to], "", o))))
			default:
				answers[i].value = single(c, c.spans(m, one.Spans(all[from:to], it.Pair, o)))
			}
			from = to
		}
		return answers, nil
	}
}

// pieceSpan is an answer where the pieces were given: its places are theirs, and there is no text, unless it is that there is no answer.
type pieceSpan struct {
	Answer *string `json:"answer,omitempty"`
	Score  float32 `json:"score"`
	Start  int     `json:"start"`
	End    int     `json:"end"`
}

func withoutWords(answers []albert.Span) []pieceSpan {
	list := make([]pieceSpan, len(answers))
	for i, a := range answers {
		list[i] = pieceSpan{Score: a.Score, Start: a.Start, End: a.End}
		if a.Start == a.End {
			list[i].Answer = &a.Answer
		}
	}
	return list
}

// single is the only answer, unless --top-k asks for a list.
func single[T any](c *PredictCmd, list []T) any {
	if c.TopK == 1 {
		return list[0]
	}
	return list
}

// spans are the best answers, so many as --top-k says, one at least.
func (c *PredictCmd) spans(m *albert.Model, s task.Spans) []albert.Span {
	best := m.BestSpan(s, c.NullThreshold)
	var list []albert.Span
	if best.Start == best.End {
		list = append(list, best)
	}
	for _, b := range s.Best {
		list = append(list, albert.Span{Answer: b.Text, Score: b.Score, Start: b.Begin, End: b.End})
	}
	return list[:min(c.TopK, len(list))]
}

// spanLogits gives the logits of one window, or of several in a list. The beam head has no logit of an end without a start: it gives
// "start_logits", "cls_logit" (of no answer) and its "candidates", whose "start" and "end" are rows of the window.
func spanLogits(l albert.AnswerLogits) answer {
	var list []any
	add := func(fields ...field) error {
		o, err := object(fields...)
		list = append(list, o)
		return err
	}
	for i := range l.Starts {
		if err := add(field{"start_logits", l.Starts[i]}, field{"end_logits", l.Ends[i]}); err != nil {
			return answer{err: err}
		}
	}
	for _, b := range l.Beams {
		if err := add(field{"start_logits", b.Start}, field{"cls_logit", b.NoAnswer}, field{"candidates", b.Candidates}); err != nil {
			return answer{err: err}
		}
	}
	if len(list) == 1 {
		return answer{value: list[0]}
	}
	text, err := object(field{"windows", list})
	return answer{value: text, err: err}
}

// choices answers with one of several texts.
func (c *PredictCmd) choices(m *albert.Model) (func(*item) ([]albert.Input, error), func([]*item, [][]albert.Input) ([]answer, error)) {
	encode := func(it *item) ([]albert.Input, error) {
		switch {
		case it.IDs != nil && !it.Lists:
			return nil, errors.New(`"input_ids" of choices is a list of lists, one for each`)
		case it.IDs != nil:
			return it.given(m)
		case !it.Question || it.Choices == nil:
			return nil, errors.New(`want {"context": ..., "question": ..., "choices": [...]}`)
		}
		return m.ChoiceInputs(it.Pair, it.Text, it.Choices)
	}
	return encode, func(its []*item, groups [][]albert.Input) ([]answer, error) {
		all, err := m.SequenceLogits(flat(groups))
		if err != nil {
			return nil, err
		}
		answers := make([]answer, len(its))
		for i := range its {
			rows := all[:len(groups[i])]
			all = all[len(groups[i]):]
			if c.Logits {
				var v []float32
				for _, r := range rows {
					v = append(v, r[0])
				}
				answers[i] = logitsOf(v)
				continue
			}
			scores, best := m.ChoiceScores(rows), 0
			for j := range rows {
				if rows[j][0] > rows[best][0] {
					best = j
				}
			}
			if answers[i].value, err = object(field{"choice", best}, field{"scores", scores}); err != nil {
				return nil, err
			}
		}
		return answers, nil
	}
}
