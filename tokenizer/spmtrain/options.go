package spmtrain

import (
	"fmt"
	"math"
	"slices"

	"albert/tokenizer"

	"google.golang.org/protobuf/encoding/protowire"
)

// Options are spm_train's, by its names.
type Options struct {
	VocabSize             int
	CharacterCoverage     float64 // share of characters that get a piece of their own
	InputSentenceSize     int     // sentences used at most, sampled at random; 0: all
	ShuffleInputSentence  bool    // sample at random; false: the first ones
	SeedSentencepieceSize int
	ShrinkingFactor       float64
	NumSubIterations      int
	MaxSentencepieceLen   int // in characters
	MaxSentenceLength     int // in bytes; longer sentences are left out
	NormalizationRule     string
	AddDummyPrefix        bool
	RemoveExtraWhitespace bool
	SplitByUnicodeScript  bool
	SplitByNumber         bool
	SplitByWhitespace     bool
	SplitDigits           bool
	ByteFallback          bool
	HardVocabLimit        bool
	RequiredChars         string
	ControlSymbols        []string
	UserDefinedSymbols    []string
	UnkID, BosID          int
	EosID, PadID          int // -1: none
	UnkPiece, BosPiece    string
	EosPiece, PadPiece    string
	UnkSurface            string
	Seed                  uint64
	Threads               int // 0: GOMAXPROCS; changes no bits

	Progress func(phase string, done, of int)
}

// DefaultOptions are those of the released training command (README of google-research/albert), and spm_train's where it names none.
func DefaultOptions() Options {
	return Options{VocabSize: 30000, CharacterCoverage: 0.99995, InputSentenceSize: 10_000_000, ShuffleInputSentence: true,
		SeedSentencepieceSize: 1_000_000, ShrinkingFactor: 0.75, NumSubIterations: 2, MaxSentencepieceLen: 16, MaxSentenceLength: 4192,
		NormalizationRule: "nmt_nfkc", AddDummyPrefix: true, RemoveExtraWhitespace: true, SplitByUnicodeScript: true, SplitByNumber: true,
		SplitByWhitespace: true, HardVocabLimit: true, ControlSymbols: []string{"[CLS]", "[SEP]", "[MASK]"},
		UserDefinedSymbols: []string{"(", ")", `"`, "-", ".", "–", "£", "€"}, PadID: 0, UnkID: 1, BosID: -1, EosID: -1,
		UnkPiece: "<unk>", BosPiece: "<s>", EosPiece: "</s>", PadPiece: "<pad>", UnkSurface: " \u2047 "}
}

func (o *Options) check() error {
	switch {
	case o.VocabSize < 1:
		return fmt.Errorf("--vocab-size %d: want at least 1", o.VocabSize)
	case !(o.CharacterCoverage > 0 && o.CharacterCoverage <= 1):
		return fmt.Errorf("--character-coverage %v: want above 0 up to 1 (usual: 0.98 to 1)", o.CharacterCoverage)
	case o.InputSentenceSize < 0:
		return fmt.Errorf("--input-sentence-size %d: want 0 (all) or more", o.InputSentenceSize)
	case o.SeedSentencepieceSize < 1:
		return fmt.Errorf("--seed-sentencepiece-size %d: want at least 1", o.SeedSentencepieceSize)
	case !(o.ShrinkingFactor > 0 && o.ShrinkingFactor < 1):
		return fmt.Errorf("--shrinking-factor %v: want between 0 and 1", o.ShrinkingFactor)
	case o.NumSubIterations < 1 || o.NumSubIterations > 100:
		return fmt.Errorf("--num-sub-iterations %d: want 1 to 100", o.NumSubIterations)
	case o.MaxSentencepieceLen < 1 || o.MaxSentencepieceLen > 512:
		return fmt.Errorf("--max-sentencepiece-length %d: want 1 to 512", o.MaxSentencepieceLen)
	case o.MaxSentenceLength < 1:
		return fmt.Errorf("--max-sentence-length %d: want at least 1", o.MaxSentenceLength)
	case !o.SplitByWhitespace:
		return fmt.Errorf("--no-split-by-whitespace: pieces across spaces are not supported")
	case o.UnkID < 0:
		return fmt.Errorf("--unk-id %d: a model needs an unknown piece", o.UnkID)
	}
	return nil
}

// metaPieces lays out the pieces that are not learned: those with an id of their own, then control symbols, user-defined symbols and
// byte pieces in the places that are free.
func (o *Options) metaPieces() (map[int]tokenizer.Piece, error) {
	at := map[int]tokenizer.Piece{}
	names := map[string]bool{}
	put := func(id int, p tokenizer.Piece) error {
		if p.Text == "" {
			return fmt.Errorf("an empty symbol")
		}
		if names[p.Text] {
			return fmt.Errorf("symbol %q is given twice", p.Text)
		}
		names[p.Text] = true
		at[id] = p
		return nil
	}
	for _, s := range []struct {
		id   int
		text string
		typ  tokenizer.PieceType
	}{{o.UnkID, o.UnkPiece, tokenizer.Unknown}, {o.BosID, o.BosPiece, tokenizer.Control}, {o.EosID, o.EosPiece, tokenizer.Control}, {o.PadID, o.PadPiece, tokenizer.Control}} {
		if s.id < 0 {
			continue
		}
		if s.id >= o.VocabSize {
			return nil, fmt.Errorf("id %d of %s is outside a vocabulary of %d", s.id, s.text, o.VocabSize)
		}
		if _, taken := at[s.id]; taken {
			return nil, fmt.Errorf("id %d of %s is taken", s.id, s.text)
		}
		if err := put(s.id, tokenizer.Piece{Text: s.text, Type: s.typ}); err != nil {
			return nil, err
		}
	}
	next := 0
	add := func(text string, typ tokenizer.PieceType) error {
		for {
			if _, taken := at[next]; !taken {
				break
			}
			next++
		}
		return put(next, tokenizer.Piece{Text: text, Type: typ})
	}
	for _, s := range o.ControlSymbols {
		if names[s] { // as in spm_train, a control symbol may name a special piece again
			continue
		}
		if err := add(s, tokenizer.Control); err != nil {
			return nil, err
		}
	}
	for _, s := range o.UserDefinedSymbols {
		if err := add(s, tokenizer.UserDefined); err != nil {
			return nil, err
		}
	}
	if o.ByteFallback {
		for b := range 256 {
			if err := add(fmt.Sprintf("<0x%02X>", b), tokenizer.Byte); err != nil {
				return nil, err
			}
		}
	}
	if len(at) >= o.VocabSize {
		return nil, fmt.Errorf("--vocab-size %d: the %d special symbols leave no room", o.VocabSize, len(at))
	}
	return at, nil
}

// trainerSpec is the message that a model file keeps of its training.
func (o *Options) trainerSpec() []byte {
	var b []byte
	num := func(f protowire.Number, v int) {
		b = protowire.AppendTag(b, f, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(int64(v)))
	}
	boolean := func(f protowire.Number, v bool) { num(f, int(protowire.EncodeBool(v))) }
	text := func(f protowire.Number, s string) {
		b = protowire.AppendTag(b, f, protowire.BytesType)
		b = protowire.AppendString(b, s)
	}
	float := func(f protowire.Number, v float64) {
		b = protowire.AppendTag(b, f, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, math.Float32bits(float32(v)))
	}
	num(3, 1) // unigram
	num(4, o.VocabSize)
	float(10, o.CharacterCoverage)
	num(11, o.InputSentenceSize)
	num(14, o.SeedSentencepieceSize)
	float(15, o.ShrinkingFactor)
	num(17, o.NumSubIterations)
	num(18, o.MaxSentenceLength)
	boolean(19, o.ShuffleInputSentence)
	num(20, o.MaxSentencepieceLen)
	boolean(21, o.SplitByUnicodeScript)
	boolean(22, o.SplitByWhitespace)
	boolean(23, o.SplitByNumber)
	boolean(25, o.SplitDigits)
	for _, s := range o.ControlSymbols {
		text(30, s)
	}
	for _, s := range o.UserDefinedSymbols {
		text(31, s)
	}
	boolean(33, o.HardVocabLimit)
	boolean(35, o.ByteFallback)
	text(36, o.RequiredChars)
	num(40, o.UnkID)
	num(41, o.BosID)
	num(42, o.EosID)
	num(43, o.PadID)
	text(44, o.UnkSurface)
	text(45, o.UnkPiece)
	text(46, o.BosPiece)
	text(47, o.EosPiece)
	text(48, o.PadPiece)
	return b
}

// model joins the special pieces with the learned ones.
func (o *Options) model(meta map[int]tokenizer.Piece, learned []tokenizer.Piece, charsMap []byte) (*tokenizer.Model, error) {
	m := &tokenizer.Model{Trainer: o.trainerSpec(), Normalizer: tokenizer.Normalizer{Name: o.NormalizationRule, CharsMap: charsMap,
		AddDummyPrefix: o.AddDummyPrefix, RemoveExtraWhitespaces: o.RemoveExtraWhitespace, EscapeWhitespaces: true}}
	n := len(meta) + len(learned)
	for id := range n {
		if p, ok := meta[id]; ok {
			m.Pieces = append(m.Pieces, p)
			continue
		}
		m.Pieces = append(m.Pieces, learned[0])
		learned = learned[1:]
	}
	// Read again, as every user of the model will.
	return tokenizer.Parse(slices.Clone(m.Marshal()))
}
