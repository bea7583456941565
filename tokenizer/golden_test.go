package tokenizer

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rows reads a golden file of testdata.
func rows[T any](t *testing.T, name string) []T {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []T
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<24)
	for sc.Scan() {
		var row T
		if err := json.Unmarshal(sc.Bytes(), &row); err != nil {
			t.Fatalf("%s:%d: %v", name, len(out)+1, err)
		}
		out = append(out, row)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// goldenModel reads a model of testdata and puts the charsmap of its rule back.
func goldenModel(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".model"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if m.Normalizer.CharsMap == nil {
		if m.Normalizer.CharsMap, err = NormalizationRule(m.Normalizer.Name); err != nil {
			t.Fatal(err)
		}
	}
	return m.Marshal()
}

// spiece finds ALBERT's own model.
func spiece(t testing.TB) []byte {
	t.Helper()
	dirs := []string{os.Getenv("ALBERT_DATA")}
	if dirs[0] == "" {
		dirs = nil
		for up := ".."; len(up) < 30; up += "/.." {
			dirs = append(dirs, filepath.Join(up, "shared", "data"))
		}
	}
	for _, d := range dirs {
		if data, err := os.ReadFile(filepath.Join(d, ModelFile)); err == nil {
			return data
		}
	}
	t.Skipf("no %s in ALBERT_DATA or ../shared/data: its golden files are not compared", ModelFile)
	return nil
}

type goldenText struct {
	Text    string   `json:"text"` // hexadecimal
	IDs     []int32  `json:"ids"`
	Pieces  []string `json:"pieces"`
	Offsets [][2]int `json:"offsets"`
	Decoded string   `json:"decoded"`
	NBest   []struct {
		IDs   []int32 `json:"ids"`
		Score float32 `json:"score"`
	} `json:"nbest"`
}

func TestPiecesAreThoseOfTheOriginal(t *testing.T) {
	for _, name := range []string{"albert", "bytes", "suffix", "identity", "custom", "fold", "spiece"} {
		t.Run(name, func(t *testing.T) {
			var data []byte
			if name == "spiece" {
				data = spiece(t)
			} else {
				data = goldenModel(t, name)
			}
			tok, err := New(data, Options{Cleanup: CleanupNone})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows[goldenText](t, name+".jsonl") {
				raw, err := hex.DecodeString(row.Text)
				if err != nil {
					t.Fatal(err)
				}
				text := string(raw)
				got := goldenText{Text: row.Text, IDs: []int32{}, Pieces: []string{}, Offsets: [][2]int{}, NBest: row.NBest}
				for _, k := range tok.EncodeWithOffsets(text) {
					got.IDs = append(got.IDs, k.ID)
					got.Pieces = append(got.Pieces, strings.ToValidUTF8(k.Piece, "\uFFFD"))
					got.Offsets = append(got.Offsets, [2]int{k.Begin, k.End})
				}
				got.Decoded = tok.Decode(got.IDs)
				if d := cmp.Diff(row, got); d != "" {
					t.Errorf("%q (-want +got)\n%s", text, d)
				}
				if ids := tok.Encode(text); !slices.Equal(ids, got.IDs) {
					t.Errorf("%q: Encode %v, EncodeWithOffsets %v", text, ids, got.IDs)
				}
				if row.NBest == nil {
					continue
				}
				paths := tok.NBest(text, 4)
				if len(paths) != len(row.NBest) {
					t.Fatalf("%q: %d paths, want %d", text, len(paths), len(row.NBest))
				}
				for i, p := range paths {
					ids := []int32{}
					for _, k := range p.Tokens {
						ids = append(ids, k.ID)
					}
					if want := row.NBest[i]; !slices.Equal(ids, want.IDs) || p.Score != want.Score {
						t.Errorf("%q: path %d is %v with %v, want %v with %v", text, i, ids, p.Score, want.IDs, want.Score)
					}
				}
			}
		})
	}
}

func TestCleanupIsThatOfTransformers(t *testing.T) {
	for option, change := range map[string]func(o *Options){
		"default":            func(o *Options) {},
		"keep_accents":       func(o *Options) { o.KeepAccents = true },
		"cased":              func(o *Options) { o.Lower = false },
		"cased+keep_accents": func(o *Options) { o.Lower, o.KeepAccents = false, true },
		"keep_spaces":        func(o *Options) { o.RemoveSpace = false },
	} {
		o := DefaultOptions
		change(&o)
		for _, prefix := range []string{"hf-", "spiece-hf-"} {
			name := prefix + option + ".jsonl"
			if _, err := os.Stat(filepath.Join("testdata", name)); err != nil {
				continue
			}
			t.Run(prefix+option, func(t *testing.T) {
				data := goldenModel(t, "albert")
				if prefix != "hf-" {
					data = spiece(t)
				}
				tok, err := New(data, o)
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows[goldenText](t, name) {
					got := goldenText{Text: row.Text, IDs: []int32{}, Pieces: []string{}, Decoded: tok.Decode(row.IDs)}
					for _, k := range tok.EncodeWithOffsets(row.Text) {
						got.IDs, got.Pieces = append(got.IDs, k.ID), append(got.Pieces, k.Piece)
						if k.Begin < 0 || k.Begin > k.End || k.End > len(row.Text) {
							t.Errorf("%q: %+v", row.Text, k)
						}
					}
					if d := cmp.Diff(row, got); d != "" {
						t.Errorf("%q (-want +got)\n%s", row.Text, d)
					}
					if ids := tok.Encode(row.Text); !slices.Equal(ids, row.IDs) {
						t.Errorf("%q: Encode gives %v, want %v", row.Text, ids, row.IDs)
					}
				}
			})
		}
	}
}

// charsMapRules lists the rules of a compiled charsmap by walking its trie.
func charsMapRules(t *testing.T, blob []byte) map[string]string {
	t.Helper()
	c, err := parseCharsMap(blob)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var walk func(at, u uint32, key []byte)
	walk = func(at, u uint32, key []byte) {
		for b := 1; b < 256; b++ {
			at, u, ok := c.trie.step(at, u, byte(b))
			if !ok {
				continue
			}
			key := append(key, byte(b))
			if v, end := c.trie.value(at, u); end {
				out[string(key)] = c.text[v : int(v)+strings.IndexByte(c.text[v:], 0)]
			}
			walk(at, u, key)
		}
	}
	if len(c.trie) > 0 {
		walk(0, c.trie[0], nil)
	}
	return out
}

func TestNormalizationRulesAreThoseOfTheOriginal(t *testing.T) {
	type rule struct {
		Rule   string `json:"rule"`
		Rules  int    `json:"rules"`
		SHA256 string `json:"sha256"`
	}
	for _, want := range rows[rule](t, "rules.jsonl") {
		blob, err := NormalizationRule(want.Rule)
		if err != nil {
			t.Fatal(err)
		}
		m := charsMapRules(t, blob)
		h := sha256.New()
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(h, "%x %x\n", k, m[k])
		}
		if got := (rule{want.Rule, len(m), hex.EncodeToString(h.Sum(nil))}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if len(blob) > 256<<10 {
			t.Errorf("%s: %d bytes", want.Rule, len(blob))
		}
	}
	if blob, err := NormalizationRule("identity"); err != nil || len(blob) != 0 {
		t.Errorf("identity: %d bytes, %v", len(blob), err)
	}
	if _, err := NormalizationRule("nfkd"); err == nil || !strings.Contains(err.Error(), "nmt_nfkc") {
		t.Errorf("an unknown rule: %v", err)
	}
}
