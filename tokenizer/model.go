// Package tokenizer reads, writes and applies SentencePiece unigram models, with ALBERT's clean-up of text on top, and WordPiece
// vocabularies.
//
//	t, err := tokenizer.Open("albert-base-v2")   // spiece.model and tokenizer_config.json
//	ids := t.Encode("This is a test")
//	pair, err := t.EncodePair("Who?", "Nobody.", 512, tokenizer.OnlySecond)
//
// [Encoder] is SentencePiece alone, with the results of the C++ library 0.2.3: the same pieces, scores and byte offsets for any input.
// [Tokenizer] cleans text up before, as transformers' slow AlbertTokenizer does; with a vocab.txt it is transformers' slow
// BertTokenizer. It reads tokenizer.json, too, and writes it for the fast tokenizers.
//
// Tokens that were added to a tokenizer are found in text before that is cut, as transformers finds them, and written back.
//
// It does not train models: package spmtrain does. There is no sampling of segmentations and no BPE.
package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"albert/internal/files/protobuf"
)

// PieceType is what a piece is for.
type PieceType int32

// The types, with SentencePiece's numbers.
const (
	Normal      PieceType = 1
	Unknown     PieceType = 2
	Control     PieceType = 3 // never found in text
	UserDefined PieceType = 4 // always one piece where it is found in text, and not normalised
	Unused      PieceType = 5 // never found in text
	Byte        PieceType = 6 // <0x00> to <0xFF>: a byte of an unknown character
)

var typeNames = map[PieceType]string{Normal: "normal", Unknown: "unknown", Control: "control", UserDefined: "user_defined", Unused: "unused", Byte: "byte"}

// String is the type's name.
func (t PieceType) String() string { return typeNames[t] }

// Piece is an entry of the vocabulary.
type Piece struct {
	Text  string
	Score float32 // log-probability
	Type  PieceType

	other string // the bytes of fields that are not read, to be written again
}

// Normalizer says how text is brought into normal form.
type Normalizer struct {
	Name                   string
	CharsMap               []byte // compiled replacements: see [BuildCharsMap]
	AddDummyPrefix         bool   // a space before the text
	RemoveExtraWhitespaces bool
	EscapeWhitespaces      bool // spaces become U+2581

	raw []byte // the message that was read
}

// Model is a SentencePiece model file.
type Model struct {
	Pieces       []Piece
	Trainer      []byte // TrainerSpec, a protobuf message; the fields that encoding needs are below
	Normalizer   Normalizer
	Denormalizer *Normalizer // applied to decoded text; nil: none

	// Of Trainer.
	ByteFallback bool   // an unknown character becomes bytes
	UnkSurface   string // what an unknown piece is decoded to

	whitespaceSuffix bool   // the dummy space comes after the text
	wordPiece        bool   // no SentencePiece model: the pieces of a vocab.txt
	other            []byte // further fields, to be written again
}

// Limits of a model file. The largest vocabularies in use have a quarter of a million pieces, in some five megabytes.
const (
	maxModelBytes = 64 << 20
	maxPieces     = 2 << 20
	maxPieceBytes = 8000 // the original's limit
)

// fields calls f for each field of a protobuf message. Its errors name the field.
func fields(data []byte, f func(x protobuf.Field) error) error {
	return protobuf.Read(data, func(x protobuf.Field) error {
		if err := f(x); err != nil {
			return fmt.Errorf("field %d: %w", x.Number, err)
		}
		return nil
	})
}

// want gives an error if a field does not have the type that it has in SentencePiece's models.
func want(x protobuf.Field, t protobuf.Type) error {
	if x.Type != t {
		return errors.New("not of the type that a SentencePiece model has there")
	}
	return nil
}

// Parse reads the bytes of a model file. It refuses what the C++ library refuses, and models that are not unigram models.
func Parse(data []byte) (*Model, error) {
	if len(data) > maxModelBytes {
		return nil, fmt.Errorf("larger than %d MiB", maxModelBytes>>20)
	}
	m := &Model{UnkSurface: " \u2047 ", Normalizer: defaultNormalizer, Pieces: make([]Piece, 0, min(len(data)/24, 1<<16))} // a piece has some 20 bytes
	err := fields(data, func(x protobuf.Field) error {
		switch x.Number {
		case 1:
			if len(m.Pieces) == maxPieces {
				return fmt.Errorf("more than %d pieces", maxPieces)
			}
			p, err := parsePiece(x.Bytes)
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(m.Pieces), err)
			}
			m.Pieces = append(m.Pieces, p)
		case 2:
			m.Trainer = append(m.Trainer, x.Bytes...)
		case 3:
			if err := m.Normalizer.parse(x.Bytes); err != nil {
				return err
			}
		case 5:
			if m.Denormalizer == nil {
				m.Denormalizer = new(defaultNormalizer)
			}
			if err := m.Denormalizer.parse(x.Bytes); err != nil {
				return err
			}
		default:
			m.other = append(m.other, x.Raw...)
			return nil
		}
		return want(x, protobuf.Bytes)
	})
	if err != nil {
		return nil, err
	}
	if err := m.parseTrainer(); err != nil {
		return nil, fmt.Errorf("trainer_spec: %w", err)
	}
	return m, m.check()
}

func parsePiece(b []byte) (Piece, error) {
	p := Piece{Type: Normal}
	err := fields(b, func(x protobuf.Field) error {
		switch x.Number {
		case 1:
			p.Text = string(x.Bytes)
			return want(x, protobuf.Bytes)
		case 2:
			p.Score = x.Float()
			return want(x, protobuf.Fixed32)
		case 3:
			if x.Type == protobuf.Varint && (x.Value < uint64(Normal) || x.Value > uint64(Byte)) {
				return fmt.Errorf("unknown type %d", x.Value)
			}
			p.Type = PieceType(x.Value)
			return want(x, protobuf.Varint)
		}
		p.other += string(x.Raw)
		return nil
	})
	return p, err
}

// parseTrainer reads what encoding needs of the trainer's settings.
func (m *Model) parseTrainer() error {
	return fields(m.Trainer, func(x protobuf.Field) error {
		switch x.Number {
		case 3:
			if x.Type == protobuf.Varint && x.Value != 1 {
				name, ok := map[uint64]string{2: "BPE", 3: "word", 4: "character"}[x.Value]
				if !ok {
					name = "unknown"
				}
				return fmt.Errorf("model_type is %s (%d): only unigram models (1) can be used", name, x.Value)
			}
			return want(x, protobuf.Varint)
		case 24:
			m.whitespaceSuffix = x.Value != 0
			return want(x, protobuf.Varint)
		case 35:
			m.ByteFallback = x.Value != 0
			return want(x, protobuf.Varint)
		case 44:
			m.UnkSurface = string(x.Bytes)
			return want(x, protobuf.Bytes)
		}
		return nil
	})
}

var defaultNormalizer = Normalizer{AddDummyPrefix: true, RemoveExtraWhitespaces: true, EscapeWhitespaces: true}

func (n *Normalizer) parse(b []byte) error {
	n.raw = append(n.raw, b...)
	return fields(b, func(x protobuf.Field) error {
		switch x.Number {
		case 1:
			n.Name = string(x.Bytes)
			return want(x, protobuf.Bytes)
		case 2:
			n.CharsMap = append([]byte(nil), x.Bytes...)
			return want(x, protobuf.Bytes)
		case 3, 4, 5:
			*n.flag(x.Number) = x.Value != 0
			return want(x, protobuf.Varint)
		}
		return nil
	})
}

// flag gives the boolean with a field number of 3 to 5.
func (n *Normalizer) flag(num protobuf.Number) *bool {
	return [...]*bool{&n.AddDummyPrefix, &n.RemoveExtraWhitespaces, &n.EscapeWhitespaces}[num-3]
}

// reserved tells whether pieces of a type are never found in text. Their texts may be those of other pieces, too.
func (t PieceType) reserved() bool { return t == Control || t == Unknown || t == Byte }

// check gives an error for a model that cannot encode.
func (m *Model) check() error {
	keys, reserved := make([]trieKey, 0, len(m.Pieces)), []trieKey(nil)
	unknown := -1
	var bytes [256]bool
	for i := range m.Pieces {
		p := &m.Pieces[i]
		if m.ByteFallback && p.Text == "\x00" {
			p.Type = Unused // some converted models have it beside <0x00>
		}
		if err := m.checkPiece(p); err != nil {
			return fmt.Errorf("piece %d: %w", i, err)
		}
		if p.Text == "\x00" {
			continue
		}
		if k := newTrieKey(p.Text, uint32(i)); p.Type.reserved() {
			reserved = append(reserved, k)
		} else {
			keys = append(keys, k)
		}
		switch p.Type {
		case Unknown:
			if unknown >= 0 {
				return fmt.Errorf("piece %d: %q is a second unknown piece, after piece %d", i, p.Text, unknown)
			}
			unknown = i
		case Byte:
			bytes[byteOf(p.Text)] = true
		}
	}
	if err := cmp.Or(checkTwice(keys), checkTwice(reserved)); err != nil {
		return err
	}
	if len(keys) == 0 {
		return errors.New("no pieces")
	}
	if unknown < 0 && !m.ByteFallback {
		return errors.New("no unknown piece")
	}
	for b, found := range bytes {
		if m.ByteFallback && !found {
			return fmt.Errorf("byte_fallback without piece <0x%02X>", b)
		}
	}
	if _, err := parseCharsMap(m.Normalizer.CharsMap); err != nil {
		return fmt.Errorf("normalizer_spec: %w", err)
	}
	if m.Denormalizer != nil {
		if _, err := parseCharsMap(m.Denormalizer.CharsMap); err != nil {
			return fmt.Errorf("denormalizer_spec: %w", err)
		}
	}
	return nil
}

// checkTwice gives an error if a text is there twice. The values are the pieces' numbers; it sorts the keys.
func checkTwice(keys []trieKey) error {
	sortKeys(keys)
	for i := 1; i < len(keys); i++ {
		if k := keys[i]; k.text == keys[i-1].text {
			return fmt.Errorf("piece %d: %q appears twice", k.value, k.text)
		}
	}
	return nil
}

func (m *Model) checkPiece(p *Piece) error {
	switch {
	case p.Text == "":
		return errors.New("has no text")
	case len(p.Text) >= maxPieceBytes:
		return fmt.Errorf("has %d bytes, at most %d are taken", len(p.Text), maxPieceBytes-1)
	case strings.IndexByte(p.Text, 0) >= 0 && !(p.Text == "\x00" && p.Type == Unused):
		return errors.New("has a zero byte")
	case math.IsNaN(float64(p.Score)) || math.IsInf(float64(p.Score), 0):
		return fmt.Errorf("has the score %v", p.Score)
	case p.Type == Byte && !m.ByteFallback:
		return fmt.Errorf("%q is a byte piece, but byte_fallback is off", p.Text)
	case p.Type == Byte && byteOf(p.Text) < 0:
		return fmt.Errorf("%q is no byte piece", p.Text)
	}
	return nil
}

// Marshal gives the bytes of the model file: a pure function of the model. Fields that Parse did not understand are kept.
func (m *Model) Marshal() []byte {
	var out, b []byte
	for i := range m.Pieces {
		b = m.Pieces[i].append(b[:0])
		out = protobuf.AppendBytes(out, 1, b)
	}
	if m.Trainer != nil {
		out = protobuf.AppendBytes(out, 2, m.Trainer)
	}
	out = protobuf.AppendBytes(out, 3, m.Normalizer.marshal())
	if m.Denormalizer != nil {
		out = protobuf.AppendBytes(out, 5, m.Denormalizer.marshal())
	}
	return append(out, m.other...)
}

func (p *Piece) append(b []byte) []byte {
	b = protobuf.AppendFloat(protobuf.AppendBytes(b, 1, p.Text), 2, p.Score)
	if p.Type != Normal {
		b = protobuf.AppendVarint(b, 3, uint64(p.Type))
	}
	return append(b, p.other...)
}

// marshal gives the bytes of the message: those that were read if nothing has changed since.
func (n *Normalizer) marshal() []byte {
	was := defaultNormalizer
	if n.raw != nil && was.parse(n.raw) == nil && was.Name == n.Name && string(was.CharsMap) == string(n.CharsMap) &&
		was.AddDummyPrefix == n.AddDummyPrefix && was.RemoveExtraWhitespaces == n.RemoveExtraWhitespaces && was.EscapeWhitespaces == n.EscapeWhitespaces {
		return n.raw
	}
	b := protobuf.AppendBytes(nil, 1, n.Name)
	b = protobuf.AppendBytes(b, 2, n.CharsMap)
	for num := protobuf.Number(3); num <= 5; num++ {
		b = protobuf.AppendVarint(b, num, protowire.EncodeBool(*n.flag(num)))
	}
	_ = fields(n.raw, func(x protobuf.Field) error {
		if x.Number > 5 {
			b = append(b, x.Raw...)
		}
		return nil
	})
	return b
}
