// Package tokenizer reads, writes and applies SentencePiece unigram models, with ALBERT's clean-up of text on top.
//
//	t, err := tokenizer.Open("albert-base-v2")   // spiece.model and tokenizer_config.json
//	ids := t.Encode("This is a test")
//
// It does not train models: package spmtrain does.
package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
)

// PieceType is what a piece is for.
type PieceType int32

// The types, with SentencePiece's numbers.
const (
	Normal      PieceType = 1
	Unknown     PieceType = 2
	Control     PieceType = 3
	UserDefined PieceType = 4
	Unused      PieceType = 5
	Byte        PieceType = 6
)

var typeNames = map[PieceType]string{Normal: "normal", Unknown: "unknown", Control: "control", UserDefined: "user_defined", Unused: "unused", Byte: "byte"}

// String is the type's name.
func (t PieceType) String() string { return typeNames[t] }

// Piece is an entry of the vocabulary.
type Piece struct {
	Text  string
	Score float32 // log-probability
	Type  PieceType
}

// Normalizer says how text is brought into normal form.
type Normalizer struct {
	Name                   string
	CharsMap               []byte // compiled replacements: a double-array trie and the texts it points to
	AddDummyPrefix         bool
	RemoveExtraWhitespaces bool
	EscapeWhitespaces      bool
	other                  []byte // fields that are not read, as they stood
}

// Model is a SentencePiece model file.
type Model struct {
	Pieces     []Piece
	Trainer    []byte // the trainer's settings, a protobuf message; of them only what encoding needs is read
	Normalizer Normalizer

	UnkID        int
	ByteFallback bool
	UnkSurface   string // what an unknown piece is decoded to

	other []byte // further fields, as they stood
}

// Limits of a model file. The largest vocabularies in use have a quarter of a million pieces, in some ten megabytes.
const (
	maxModelBytes = 256 << 20
	maxPieces     = 4 << 20
	maxPieceBytes = 4096
)

// Load reads a model file.
func Load(path string) (*Model, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxModelBytes+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	m, err := Parse(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: not a SentencePiece model: %w", path, err)
	}
	return m, data, nil
}

// fields walks a protobuf message.
func fields(data []byte, f func(num protowire.Number, typ protowire.Type, value, whole []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(num, typ, data[n:])
		if size < 0 {
			return fmt.Errorf("field %d: %w", num, protowire.ParseError(size))
		}
		if err := f(num, typ, data[n:n+size], data[:n+size]); err != nil {
			return err
		}
		data = data[n+size:]
	}
	return nil
}

func bytesOf(typ protowire.Type, value []byte) ([]byte, error) {
	if typ != protowire.BytesType {
		return nil, errors.New("wrong wire type")
	}
	b, n := protowire.ConsumeBytes(value)
	if n < 0 {
		return nil, protowire.ParseError(n)
	}
	return b, nil
}

func varintOf(typ protowire.Type, value []byte) (uint64, error) {
	if typ != protowire.VarintType {
		return 0, errors.New("wrong wire type")
	}
	v, n := protowire.ConsumeVarint(value)
	if n < 0 {
		return 0, protowire.ParseError(n)
	}
	return v, nil
}

// Parse reads the bytes of a model file.
func Parse(data []byte) (*Model, error) {
	if len(data) > maxModelBytes {
		return nil, fmt.Errorf("larger than %d MiB", maxModelBytes>>20)
	}
	m := &Model{UnkID: -1, UnkSurface: " \u2047 "}
	m.Normalizer = Normalizer{AddDummyPrefix: true, RemoveExtraWhitespaces: true, EscapeWhitespaces: true}
	err := fields(data, func(num protowire.Number, typ protowire.Type, value, whole []byte) error {
		if num < 1 || num > 3 {
			m.other = append(m.other, whole...)
			return nil
		}
		b, err := bytesOf(typ, value)
		if err != nil {
			return fmt.Errorf("field %d: %w", num, err)
		}
		switch num {
		case 1:
			if len(m.Pieces) == maxPieces {
				return fmt.Errorf("more than %d pieces", maxPieces)
			}
			p, err := parsePiece(b)
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(m.Pieces), err)
			}
			m.Pieces = append(m.Pieces, p)
		case 2:
			m.Trainer = append(m.Trainer, b...)
			return m.parseTrainer(b)
		case 3:
			return m.Normalizer.parse(b)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

func parsePiece(b []byte) (Piece, error) {
	p := Piece{Type: Normal}
	err := fields(b, func(num protowire.Number, typ protowire.Type, value, _ []byte) error {
		switch num {
		case 1:
			s, err := bytesOf(typ, value)
			if err != nil {
				return err
			}
			if len(s) > maxPieceBytes {
				return fmt.Errorf("a text of %d bytes", len(s))
			}
			p.Text = string(s)
		case 2:
			if typ != protowire.Fixed32Type {
				return errors.New("score: wrong wire type")
			}
			v, n := protowire.ConsumeFixed32(value)
			if n < 0 {
				return protowire.ParseError(n)
			}
			p.Score = math.Float32frombits(v)
		case 3:
			v, err := varintOf(typ, value)
			if err != nil {
				return err
			}
			if v < uint64(Normal) || v > uint64(Byte) {
				return fmt.Errorf("unknown type %d", v)
			}
			p.Type = PieceType(v)
		}
		return nil
	})
	if err == nil && (p.Score != p.Score || math.IsInf(float64(p.Score), 0)) {
		err = fmt.Errorf("score %v", p.Score)
	}
	return p, err
}

func (m *Model) parseTrainer(b []byte) error {
	return fields(b, func(num protowire.Number, typ protowire.Type, value, _ []byte) error {
		switch num {
		case 3:
			v, err := varintOf(typ, value)
			if err == nil && v != 1 {
				name := map[uint64]string{2: "BPE", 3: "word", 4: "char"}[v]
				err = fmt.Errorf("model type %s (%d): only unigram models are supported", name, v)
			}
			return err
		case 24:
			v, err := varintOf(typ, value)
			if err == nil && v != 0 {
				err = errors.New("treat_whitespace_as_suffix is not supported")
			}
			return err
		case 35:
			v, err := varintOf(typ, value)
			m.ByteFallback = v != 0
			return err
		case 44:
			s, err := bytesOf(typ, value)
			m.UnkSurface = string(s)
			return err
		}
		return nil
	})
}

func (n *Normalizer) parse(b []byte) error {
	return fields(b, func(num protowire.Number, typ protowire.Type, value, whole []byte) error {
		switch num {
		case 1, 2:
			s, err := bytesOf(typ, value)
			if err != nil {
				return fmt.Errorf("normalizer: %w", err)
			}
			if num == 1 {
				n.Name = string(s)
			} else {
				n.CharsMap = append([]byte(nil), s...)
			}
		case 3, 4, 5:
			v, err := varintOf(typ, value)
			if err != nil {
				return fmt.Errorf("normalizer: %w", err)
			}
			*map[protowire.Number]*bool{3: &n.AddDummyPrefix, 4: &n.RemoveExtraWhitespaces, 5: &n.EscapeWhitespaces}[num] = v != 0
		default:
			n.other = append(n.other, whole...)
		}
		return nil
	})
}

// check makes sure that the model can encode.
func (m *Model) check() error {
	if len(m.Pieces) == 0 {
		return errors.New("no pieces")
	}
	seen := make(map[string]bool, len(m.Pieces))
	bytes := 0
	for i, p := range m.Pieces {
		if p.Text == "" {
			return fmt.Errorf("piece %d is empty", i)
		}
		if seen[p.Text] {
			return fmt.Errorf("piece %d: %q stands twice", i, p.Text)
		}
		seen[p.Text] = true
		switch p.Type {
		case Unknown:
			if m.UnkID >= 0 {
				return fmt.Errorf("piece %d: a second unknown piece", i)
			}
			m.UnkID = i
		case Byte:
			if byteOf(p.Text) < 0 {
				return fmt.Errorf("piece %d: %q is no byte piece", i, p.Text)
			}
			bytes++
		}
	}
	if m.UnkID < 0 {
		return errors.New("no unknown piece")
	}
	if m.ByteFallback && bytes != 256 {
		return fmt.Errorf("byte fallback with %d byte pieces, want 256", bytes)
	}
	_, _, err := splitCharsMap(m.Normalizer.CharsMap)
	return err
}

// byteOf is the byte that a piece like <0x0A> stands for, -1 for another text.
func byteOf(s string) int {
	var b int
	if len(s) != 6 {
		return -1
	}
	if _, err := fmt.Sscanf(s, "<0x%02X>", &b); err != nil || fmt.Sprintf("<0x%02X>", b) != s {
		return -1
	}
	return b
}

// Marshal gives the bytes of the model file.
func (m *Model) Marshal() []byte {
	var out []byte
	message := func(num protowire.Number, b []byte) {
		out = protowire.AppendTag(out, num, protowire.BytesType)
		out = protowire.AppendBytes(out, b)
	}
	for _, p := range m.Pieces {
		var b []byte
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, p.Text)
		b = protowire.AppendTag(b, 2, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, math.Float32bits(p.Score))
		if p.Type != Normal {
			b = protowire.AppendTag(b, 3, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(p.Type))
		}
		message(1, b)
	}
	message(2, m.Trainer)
	n := &m.Normalizer
	var b []byte
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, n.Name)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendBytes(b, n.CharsMap)
	for num, v := range []bool{3: n.AddDummyPrefix, 4: n.RemoveExtraWhitespaces, 5: n.EscapeWhitespaces} {
		if num >= 3 {
			b = protowire.AppendTag(b, protowire.Number(num), protowire.VarintType)
			b = protowire.AppendVarint(b, protowire.EncodeBool(v))
		}
	}
	message(3, append(b, n.other...))
	return append(out, m.other...)
}
