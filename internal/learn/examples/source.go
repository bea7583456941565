package examples

import (
	"fmt"

	"albert/tokenizer"
)

// Source is tokenised text: documents of sentences of pieces. No document and no sentence is empty. Its methods are safe for
// concurrent use. A method either always returns memory of the source, which nobody writes to, and leaves buf alone, or always buf,
// made longer where needed as append would. corpus.Shards is a Source.
type Source interface {
	// Documents is how many there are, numbered from 0 in the order of the input.
	Documents() int
	// Ends gives where each sentence of a document ends, in pieces from the document's start. It is asked for once an example
	// and once an epoch for every document, so it should not touch the pieces.
	Ends(doc int, buf []int32) []int32
	// Pieces gives pieces [from, to) of a document.
	Pieces(doc, from, to int, buf []int32) []int32
}

// Vocabulary is what making examples needs to know of a tokenizer.
type Vocabulary struct {
	CLS, SEP, Mask int32
	Starts         []bool  // for every piece, whether it starts a word (SPEC 2.3's test)
	Normal         []int32 // the pieces that a random replacement is drawn from
}

// NewVocabulary takes it from a tokenizer. Normal are its normal pieces: no control, unknown, user-defined, unused or byte pieces.
func NewVocabulary(t *tokenizer.Tokenizer) Vocabulary {
	v := Vocabulary{CLS: t.CLS, SEP: t.SEP, Mask: t.MASK}
	for id, p := range t.Model().Pieces {
		v.Starts = append(v.Starts, t.IsStart(int32(id)))
		if p.Type == tokenizer.Normal {
			v.Normal = append(v.Normal, int32(id))
		}
	}
	return v
}

// Size is the number of pieces.
func (v *Vocabulary) Size() int { return len(v.Starts) }

func (v *Vocabulary) check() error {
	for _, s := range []struct {
		name string
		id   int32
	}{{"[CLS]", v.CLS}, {"[SEP]", v.SEP}, {"[MASK]", v.Mask}} {
		if s.id < 0 || int(s.id) >= v.Size() {
			return fmt.Errorf("vocabulary: no piece %s, which masked examples need", s.name)
		}
	}
	if len(v.Normal) == 0 {
		return fmt.Errorf("vocabulary: no normal pieces")
	}
	for _, id := range v.Normal {
		if id < 0 || int(id) >= v.Size() {
			return fmt.Errorf("vocabulary: normal piece %d of %d", id, v.Size())
		}
	}
	return nil
}
