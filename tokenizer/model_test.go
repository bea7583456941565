package tokenizer

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestModelsComeBackByteForByte(t *testing.T) {
	files, err := filepath.Glob("testdata/*.model")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	check := func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Marshal(), data) {
			t.Error("the bytes differ")
		}
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			check(t, data)
			// What is not understood stays.
			strange := protowire.AppendString(protowire.AppendTag(nil, 2000, protowire.BytesType), "strange")
			m, err := Parse(append(bytes.Clone(data), strange...))
			if err != nil {
				t.Fatal(err)
			}
			m.Pieces[3].other = string(strange)
			m.Normalizer.raw = append(m.Normalizer.raw, strange...)
			m.Normalizer.Name = "another"
			again, err := Parse(m.Marshal())
			if err != nil {
				t.Fatal(err)
			}
			if again.Normalizer.Name != "another" || again.Pieces[3].other != string(strange) || !bytes.Equal(again.other, strange) ||
				!bytes.HasSuffix(again.Normalizer.raw, strange) {
				t.Error("fields are lost")
			}
		})
	}
	t.Run("spiece", func(t *testing.T) { check(t, spiece(t)) })
}

// testModel is a small valid model.
func testModel() *Model {
	m := &Model{Normalizer: defaultNormalizer}
	m.Pieces = []Piece{{Text: "<unk>", Type: Unknown}, {Text: "[CLS]", Type: Control}, {Text: "(", Type: UserDefined},
		{Text: "▁a", Score: -1, Type: Normal}, {Text: "b", Score: -2, Type: Normal}, {Text: "c", Score: -3, Type: Unused}}
	return m
}

func TestUnusableModelsAreRefused(t *testing.T) {
	trainer := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
	}
	for want, change := range map[string]func(m *Model){
		"no pieces":                      func(m *Model) { m.Pieces = m.Pieces[:2] },
		"no unknown piece":               func(m *Model) { m.Pieces = m.Pieces[1:] },
		"second unknown piece":           func(m *Model) { m.Pieces[1].Type = Unknown },
		"piece 4: has no text":           func(m *Model) { m.Pieces[4].Text = "" },
		`piece 5: "b" appears twice`:     func(m *Model) { m.Pieces[5].Text = "b" },
		"piece 3: has a zero byte":       func(m *Model) { m.Pieces[3].Text = "a\x00b" },
		"8000 bytes":                     func(m *Model) { m.Pieces[3].Text = strings.Repeat("a", 8000) },
		"has the score NaN":              func(m *Model) { m.Pieces[3].Score = float32(nan()) },
		"byte_fallback is off":           func(m *Model) { m.Pieces[3] = Piece{Text: "<0x00>", Type: Byte} },
		"without piece <0x00>":           func(m *Model) { m.Trainer = trainer(35, 1) },
		"model_type is BPE (2)":          func(m *Model) { m.Trainer = trainer(3, 2) },
		"model_type is unknown (9)":      func(m *Model) { m.Trainer = trainer(3, 9) },
		"unknown type 7":                 func(m *Model) { m.Pieces[3].Type = 7 },
		"charsmap is cut short":          func(m *Model) { m.Normalizer.CharsMap = []byte{1, 2} },
		"a trie of 5 bytes":              func(m *Model) { m.Normalizer.CharsMap = []byte{5, 0, 0, 0, 1, 2} },
		"denormalizer_spec: the chars":   func(m *Model) { m.Denormalizer = &Normalizer{CharsMap: []byte{1}} },
		"not of the type that a Sentenc": func(m *Model) { m.other = trainer(1, 3) },
	} {
		m := testModel()
		change(m)
		if _, err := Parse(m.Marshal()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Parse(testModel().Marshal()); err != nil {
		t.Error(err)
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestCutOrFlippedModelsDoNoHarm(t *testing.T) {
	blob, err := BuildCharsMap(map[string]string{"A": "a", "é": "e", "\t": " "})
	if err != nil {
		t.Fatal(err)
	}
	m := testModel()
	m.Normalizer.CharsMap = blob
	data := m.Marshal()
	cut := 0
	for n := range data {
		if _, err := Parse(data[:n]); err != nil {
			cut++
		}
	}
	if cut < len(data)*9/10 {
		t.Errorf("%d of %d cut models are refused", cut, len(data))
	}
	for i := range data {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(data)
			bad[i] ^= bit
			if m, err := Parse(bad); err == nil {
				tok, err := New(bad, DefaultOptions)
				if err != nil {
					t.Fatal(err)
				}
				tok.Decode(tok.Encode("aAb (é\t\xffb"))
				NewEncoder(m).Tokens("aAb (é\t\xffb")
			}
		}
	}
	if _, err := Open("model.go"); err == nil || !strings.HasPrefix(err.Error(), "model.go: not a usable SentencePiece model: ") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(testModel().Marshal())
	for _, name := range []string{"suffix", "fold"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".model"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Parse(m.Marshal())
		if err != nil {
			t.Fatalf("a model that was read cannot be read again: %v", err)
		}
		text := "The [MASK] café,\t2,000, \xff漢字 " + m.Pieces[len(m.Pieces)-1].Text
		a, b := NewEncoder(m), NewEncoder(again)
		ids := a.IDs(text)
		if other := b.IDs(text); len(ids) != len(other) {
			t.Fatalf("%v, after writing and reading %v", ids, other)
		}
		if a.Decode(ids) != b.Decode(ids) {
			t.Fatal("decoded differently")
		}
		a.NBest(text, 3)
	})
}
