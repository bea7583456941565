// Package task is what a model is fine-tuned for: how an example of a task becomes pieces, and what a head's outputs mean. The
// layouts and settings are those of the released code (run_classifier.py, squad_utils.py, race_utils.py).
//
//	windows := task.Windows(tok, question, context, task.DefaultSpanOptions)
//	... a forward pass over the windows gives start and end logits ...
//	best := task.BestSpans(windows, starts, ends, context, task.DefaultSpanOptions)
//
// It does not run models: the front door and the training loop do.
package task

import "albert/tokenizer"

// Input is one sequence as pieces, special ones included.
type Input struct {
	IDs, Types []int32
	Truncated  bool // something was cut to fit
}

// Single lays out [CLS] a [SEP], token types 0. What does not fit is cut at the end. most counts special pieces too.
func Single(tok *tokenizer.Tokenizer, a []int32, most int) Input {
	room := max(0, most-2)
	in := Input{Truncated: len(a) > room}
	a = a[:min(len(a), room)]
	in.IDs = make([]int32, 0, len(a)+2)
	in.IDs = append(append(append(in.IDs, tok.CLS), a...), tok.SEP)
	in.Types = make([]int32, len(in.IDs))
	return in
}

// Pair lays out [CLS] a [SEP] b [SEP], token types 0 and 1. While both are too long together, the longer one loses its last piece,
// b where they are equal.
func Pair(tok *tokenizer.Tokenizer, a, b []int32, most int) Input {
	na, nb := tokenizer.Shares(len(a), len(b), max(0, most-3))
	in := joined(tok, a[:na], b[:nb])
	in.Truncated = na+nb < len(a)+len(b)
	return in
}

// joined is [CLS] a [SEP] b [SEP].
func joined(tok *tokenizer.Tokenizer, a, b []int32) Input {
	ids := make([]int32, 0, len(a)+len(b)+3)
	ids = append(append(append(ids, tok.CLS), a...), tok.SEP)
	second := len(ids)
	ids = append(append(ids, b...), tok.SEP)
	types := make([]int32, len(ids))
	for i := second; i < len(types); i++ {
		types[i] = 1
	}
	return Input{IDs: ids, Types: types}
}
