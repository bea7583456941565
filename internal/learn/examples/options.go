package examples

import (
	"albert/internal/run"
	"fmt"
)

// Pairing says what the second segment of an example is, and so what the sentence loss asks.
type Pairing string

// The pairings, by the names of --objective.
const (
	SOP  Pairing = "sop"  // two consecutive runs of sentences, swapped half of the time
	NSP  Pairing = "nsp"  // the second run comes from another document half of the time
	None Pairing = "none" // the ordered pair, without a label
)

// maxNGram bounds NGram: up to it, the numbers 1/n have a common denominator that fits anywhere.
const maxNGram = 16

// Options say how documents become examples. Every field reaches the examples' bits.
type Options struct {
	Objective         Pairing
	MaxSeqLength      int     // pieces of an example at most, [CLS] and [SEP] included
	ShortSeqProb      float64 // how often a pair is given a shorter length, uniform from 2 on
	MaskRate          float64 // masked pieces to all pieces
	MaxPredictions    int     // masked pieces of an example at most; 0: no cap
	NGram             int     // words masked together at most
	FavorShorterNGram bool    // p(n) ~ 1/n; false: the same probabilities in reverse
	UpstreamQuirks    bool    // SPEC 2.3 to the letter
	Seed              uint64
}

func (o *Options) check() error {
	refuse := func(field string, value any, problem string) error {
		return &run.FieldError{Field: field, Value: value, Problem: problem}
	}
	switch {
	case o.Objective != SOP && o.Objective != NSP && o.Objective != None:
		return refuse("Objective", o.Objective, "want sop, nsp or none")
	case o.MaxSeqLength < 5 || o.MaxSeqLength > 1<<24:
		return refuse("MaxSeqLength", o.MaxSeqLength, fmt.Sprintf("want 5 (two pieces, [CLS] and two [SEP]) to %d", 1<<24))
	case !(o.ShortSeqProb >= 0 && o.ShortSeqProb <= 1):
		return refuse("ShortSeqProb", o.ShortSeqProb, "want 0 to 1")
	case !(o.MaskRate >= 0 && o.MaskRate < 1):
		return refuse("MaskRate", o.MaskRate, "want 0 up to, not including, 1")
	case o.MaxPredictions < 0:
		return refuse("MaxPredictions", o.MaxPredictions, "want 0 (no cap) or more")
	case o.NGram < 1 || o.NGram > maxNGram:
		return refuse("NGram", o.NGram, fmt.Sprintf("want 1 to %d", maxNGram))
	}
	return nil
}
