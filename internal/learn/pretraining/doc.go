// Package pretraining computes the losses that ALBERT is pretrained with, for the training loop: masked pieces, and the order of two
// segments. Package examples makes what it learns from; package pretrain is the run.
package pretraining

import (
	"iter"

	"albert/internal/model"
	"albert/internal/text/corpus"
	"albert/tokenizer"
)

// Given is what a program of this module has at hand and a run therefore reads from no file.
type Given struct {
	Config     model.Config
	Tokenizer  *tokenizer.Tokenizer
	Train, Dev Text
}

// Text is documents and a name for them; they may be asked for more than once.
type Text struct {
	Documents iter.Seq2[corpus.Document, error]
	Name      string
}
