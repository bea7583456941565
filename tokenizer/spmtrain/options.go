package spmtrain

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"albert/internal/files/protobuf"
	"albert/tokenizer"
)

// Options are spm_train's, by its names. Those with a tag are in a model file, under that number in the message TrainerSpec of
// sentencepiece_model.proto.
type Options struct {
	VocabSize             int
	CharacterCoverage     float64 `field:"10"` // share of the text's characters that get a piece of their own
	InputSentenceSize     int     `field:"11"` // sentences used at most; 0: all
	ShuffleInputSentence  bool    `field:"19"` // sample them at random; false: the first ones
	SeedSentencepieceSize int     `field:"14"` // candidates at the start, beside the characters; 0: eight times VocabSize, at least 100,000
	ShrinkingFactor       float64 `field:"15"` // share of the candidates that a round keeps
	NumSubIterations      int     `field:"17"` // EM steps of a round

	MaxSentencepieceLength int `field:"20"` // in characters
	MaxSentenceLength      int `field:"18"` // in bytes; longer sentences are left out

	NormalizationRuleName  string
	CharsMap               []byte // rules compiled by tokenizer.BuildCharsMap, used instead of the named ones; nil: none
	DenormalizerCharsMap   []byte // applied to decoded text; nil: none
	AddDummyPrefix         bool   // a space before each sentence
	RemoveExtraWhitespaces bool

	SplitByUnicodeScript      bool   `field:"21"` // no piece has letters of two scripts
	SplitByNumber             bool   `field:"23"` // no piece has digits beside letters
	SplitByWhitespace         bool   `field:"22"` // no piece goes across a space
	SplitDigits               bool   `field:"25"` // each digit is a piece
	TreatWhitespaceAsSuffix   bool   `field:"24"` // spaces end words instead of beginning them
	AllowWhitespaceOnlyPieces bool   `field:"26"`
	PretokenizationDelimiter  string `field:"53"` // no piece goes across this text, and none has a part of it; "": none

	ByteFallback       bool     `field:"35"` // unknown characters become bytes
	HardVocabLimit     bool     `field:"33"` // a text too small for the vocabulary is an error
	RequiredChars      string   `field:"36"`
	ControlSymbols     []string `field:"30"`
	UserDefinedSymbols []string `field:"31"`

	UnkID      int    `field:"40"` // -1: none, as the next three
	BosID      int    `field:"41"`
	EosID      int    `field:"42"`
	PadID      int    `field:"43"`
	UnkPiece   string `field:"45"`
	BosPiece   string `field:"46"`
	EosPiece   string `field:"47"`
	PadPiece   string `field:"48"`
	UnkSurface string `field:"44"` // what an unknown piece is decoded to

	Seed    uint64 // of the sampling
	Threads int    // 0: GOMAXPROCS; changes no bits

	// Progress, if not nil, is called now and then from the calling goroutine with how much of a phase is done; of is 0 where the total is
	// not known.
	Progress func(phase string, done, of int)
}

// DefaultOptions are those of the released training command (README of google-research/albert), and spm_train's where it names none.
func DefaultOptions() Options {
	return Options{VocabSize: 30000, CharacterCoverage: 0.99995, InputSentenceSize: 10_000_000, ShuffleInputSentence: true,
		SeedSentencepieceSize: 1_000_000, ShrinkingFactor: 0.75, NumSubIterations: 2, MaxSentencepieceLength: 16, MaxSentenceLength: 4192,
		NormalizationRuleName: "nmt_nfkc", AddDummyPrefix: true, RemoveExtraWhitespaces: true, SplitByUnicodeScript: true, SplitByNumber: true,
		SplitByWhitespace: true, HardVocabLimit: true, ControlSymbols: []string{"[CLS]", "[SEP]", "[MASK]"},
		UserDefinedSymbols: []string{"(", ")", `"`, "-", ".", "–", "£", "€"}, PadID: 0, UnkID: 1, BosID: -1, EosID: -1,
		UnkPiece: "<unk>", BosPiece: "<s>", EosPiece: "</s>", PadPiece: "<pad>", UnkSurface: " \u2047 "}
}

// maxVocab is the largest vocabulary: what a model file may hold.
const maxVocab = 2_000_000

// Check gives an error for options that are wrong, which names spm_train's flag.
func (o *Options) Check() error {
	switch {
	case o.VocabSize < 1 || o.VocabSize > maxVocab:
		return fmt.Errorf("--vocab-size %d: want 1 to %d", o.VocabSize, maxVocab)
	case !(o.CharacterCoverage > 0 && o.CharacterCoverage <= 1):
		return fmt.Errorf("--character-coverage %v: want above 0 up to 1 (usual: 0.98 to 1)", o.CharacterCoverage)
	case o.InputSentenceSize < 0:
		return fmt.Errorf("--input-sentence-size %d: want 0 (all) or more", o.InputSentenceSize)
	case o.SeedSentencepieceSize < 0:
		return fmt.Errorf("--seed-sentencepiece-size %d: want 0 (by the vocabulary) or more", o.SeedSentencepieceSize)
	case !(o.ShrinkingFactor > 0 && o.ShrinkingFactor < 1):
		return fmt.Errorf("--shrinking-factor %v: want between 0 and 1 (usual: 0.5 to 0.95)", o.ShrinkingFactor)
	case o.NumSubIterations < 1 || o.NumSubIterations > 100:
		return fmt.Errorf("--num-sub-iterations %d: want 1 to 100", o.NumSubIterations)
	case o.MaxSentencepieceLength < 1 || o.MaxSentencepieceLength > 512:
		return fmt.Errorf("--max-sentencepiece-length %d: want 1 to 512", o.MaxSentencepieceLength)
	case o.MaxSentenceLength < 1 || o.MaxSentenceLength > 1<<30:
		return fmt.Errorf("--max-sentence-length %d: want 1 to %d", o.MaxSentenceLength, 1<<30)
	case o.Threads < 0:
		return fmt.Errorf("--threads %d: want 0 (all) or more", o.Threads)
	case o.UnkID < 0 && !o.ByteFallback:
		return fmt.Errorf("--unk-id %d: without --byte-fallback a model needs an unknown piece", o.UnkID)
	case !utf8.ValidString(o.RequiredChars):
		return errors.New("--required-chars: not UTF-8")
	}
	if o.CharsMap == nil {
		if _, err := tokenizer.NormalizationRule(o.NormalizationRuleName); err != nil {
			return fmt.Errorf("--normalization-rule-name: %w", err)
		}
	}
	_, err := o.metaPieces()
	return err
}

// metaPieces lays out the pieces that are not learned, by id: those with an id of their own, then control symbols, user-defined symbols
// and bytes under the ids that are free. A symbol with the text of one of the first sets that piece's type.
func (o *Options) metaPieces() (map[int]tokenizer.Piece, error) {
	at := map[int]tokenizer.Piece{}
	reserved := map[string]int{} // the ids of the pieces that have one in the options, by text
	for _, s := range []struct {
		flag, text string
		id         int
		typ        tokenizer.PieceType
	}{{"unk", o.UnkPiece, o.UnkID, tokenizer.Unknown}, {"bos", o.BosPiece, o.BosID, tokenizer.Control}, {"eos", o.EosPiece, o.EosID, tokenizer.Control},
		{"pad", o.PadPiece, o.PadID, tokenizer.Control}} {
		other, taken := at[s.id]
		_, twice := reserved[s.text]
		switch {
		case s.id < 0:
			continue
		case s.id >= o.VocabSize:
			return nil, fmt.Errorf("--%s-id %d: outside the vocabulary of %d", s.flag, s.id, o.VocabSize)
		case taken:
			return nil, fmt.Errorf("--%s-id %d: is the id of %s already", s.flag, s.id, other.Text)
		case twice:
			return nil, fmt.Errorf("--%s-piece %s: is another piece's text already", s.flag, s.text)
		}
		if err := checkSymbol(s.text); err != nil {
			return nil, fmt.Errorf("--%s-piece: %w", s.flag, err)
		}
		at[s.id] = tokenizer.Piece{Text: s.text, Type: s.typ}
		reserved[s.text] = s.id
	}
	free := 0
	named := map[string]bool{}
	add := func(flag, text string, typ tokenizer.PieceType) error {
		if err := checkSymbol(text); err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
		if named[text] || text == o.UnkPiece {
			return fmt.Errorf("--%s: %q is defined already", flag, text)
		}
		named[text] = true
		if id, ok := reserved[text]; ok {
			at[id] = tokenizer.Piece{Text: text, Type: typ}
			return nil
		}
		for at[free].Text != "" {
			free++
		}
		at[free] = tokenizer.Piece{Text: text, Type: typ}
		return nil
	}
	var bytes []string
	for b := 0; o.ByteFallback && b < 256; b++ {
		bytes = append(bytes, fmt.Sprintf("<0x%02X>", b))
	}
	for _, l := range []struct {
		flag  string
		texts []string
		typ   tokenizer.PieceType
	}{{"control-symbols", o.ControlSymbols, tokenizer.Control}, {"user-defined-symbols", o.UserDefinedSymbols, tokenizer.UserDefined},
		{"byte-fallback", bytes, tokenizer.Byte}} {
		for _, text := range l.texts {
			if err := add(l.flag, text, l.typ); err != nil {
				return nil, err
			}
		}
	}
	if len(at) >= o.VocabSize {
		return nil, fmt.Errorf("--vocab-size %d: the %d pieces that are not learned leave no room for others", o.VocabSize, len(at))
	}
	return at, nil
}

// maxSymbol is how many bytes a symbol may have.
const maxSymbol = 4096

func checkSymbol(s string) error {
	switch {
	case s == "":
		return errors.New("an empty symbol")
	case !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("%q is not text", s)
	case len(s) > maxSymbol:
		return fmt.Errorf("%.40q... has %d bytes, at most %d are taken", s, len(s), maxSymbol)
	}
	return nil
}

// trainerSpec gives the description of the training in a model file of so many pieces, the message TrainerSpec. The names of files and
// the number of threads are left out: they do not change the model.
func (o *Options) trainerSpec(pieces int) []byte {
	fields := map[int]any{3: 1, 4: pieces} // model_type (unigram), vocab_size
	v := reflect.ValueOf(*o)
	for i := range v.NumField() {
		if n, err := strconv.Atoi(v.Type().Field(i).Tag.Get("field")); err == nil {
			fields[n] = v.Field(i).Interface()
		}
	}
	var b []byte
	for _, n := range slices.Sorted(maps.Keys(fields)) {
		number := protobuf.Number(n)
		switch x := fields[n].(type) {
		case int:
			b = protobuf.AppendVarint(b, number, uint64(int64(x)))
		case bool:
			b = protobuf.AppendVarint(b, number, protowire.EncodeBool(x))
		case float64:
			b = protobuf.AppendFloat(b, number, float32(x))
		case string:
			b = protobuf.AppendBytes(b, number, x)
		case []string:
			for _, s := range x {
				b = protobuf.AppendBytes(b, number, s)
			}
		}
	}
	return b
}

// model makes the model of the pieces that are not learned, by id, and of the learned ones, which get the ids that are left.
func (o *Options) model(meta map[int]tokenizer.Piece, learned []tokenizer.Piece) (*tokenizer.Model, error) {
	rule, charsMap := "user_defined", o.CharsMap
	if charsMap == nil {
		rule = o.NormalizationRuleName
		var err error
		if charsMap, err = tokenizer.NormalizationRule(rule); err != nil {
			return nil, err
		}
	}
	n := len(meta) + len(learned)
	m := &tokenizer.Model{Trainer: o.trainerSpec(n), Normalizer: tokenizer.Normalizer{Name: rule, CharsMap: charsMap,
		AddDummyPrefix: o.AddDummyPrefix, RemoveExtraWhitespaces: o.RemoveExtraWhitespaces, EscapeWhitespaces: true}}
	if o.DenormalizerCharsMap != nil {
		m.Denormalizer = &tokenizer.Normalizer{CharsMap: o.DenormalizerCharsMap}
	}
	for id, p := range meta {
		if id >= n {
			return nil, fmt.Errorf("%s has the id %d, but there are only %d pieces", p.Text, id, n)
		}
	}
	for id := range n {
		if p, ok := meta[id]; ok {
			m.Pieces = append(m.Pieces, p)
			continue
		}
		m.Pieces = append(m.Pieces, learned[0])
		learned = learned[1:]
	}
	// Parsing it checks it, as for every user of the model.
	return tokenizer.Parse(m.Marshal())
}
