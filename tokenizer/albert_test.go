package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func newGolden(t testing.TB, name string, o Options) *Tokenizer {
	t.Helper()
	tok, err := New(goldenModel(t, name), o)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestPieceKinds(t *testing.T) {
	tok := newGolden(t, "albert", DefaultOptions)
	if tok.PAD != 0 || tok.UNK != 1 || tok.CLS != 2 || tok.SEP != 3 || tok.MASK != 4 {
		t.Error(tok.PAD, tok.UNK, tok.CLS, tok.SEP, tok.MASK)
	}
	for id := range int32(tok.VocabSize()) {
		if special := id < 5; tok.IsSpecial(id) != special {
			t.Errorf("%d %q: special %v", id, tok.Piece(id), tok.IsSpecial(id))
		}
	}
	for piece, want := range map[string]bool{"▁the": true, "the": false, "▁": true, "<x": true, "[CLS]": false, "a": false, "don't": true, ",": true,
		".": true, "=": true, "'": true, "5": true, "é": true, "a-b": false, "x.": false, "Ab": false} {
		if startsWord(piece) != want {
			t.Errorf("%q starts a word: %v", piece, !want)
		}
	}
	if tok.SHA256() == "" || len(tok.SHA256()) != 64 {
		t.Error(tok.SHA256())
	}
}

func TestPlacesOfPiecesGoThroughTheCleanup(t *testing.T) {
	tok := newGolden(t, "albert", DefaultOptions)
	text := "  The\t TEACHER [MASK] reáding 92000,  ﬁne\u0301  "
	var got []string
	tokens := tok.EncodeWithOffsets(text)
	for _, k := range tokens {
		got = append(got, k.Piece+"="+text[k.Begin:k.End])
	}
	all := strings.Join(got, "|")
	for _, want := range []string{"▁the=The", "[MASK]=[MASK]", ",=,"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	last := 0
	for _, k := range tokens {
		if k.Begin < last || k.End < k.Begin {
			t.Errorf("places go back: %+v after %d", k, last)
		}
		last = k.End
	}
	if last != len(text)-2 {
		t.Errorf("the last piece ends at %d of %d", last, len(text))
	}
	points := []rune(text)
	for i, p := range tok.Cut(text).Offsets { // the same in characters, without the space before a word; pieces of "ﬁ" have all of it
		k := tokens[i]
		if got, want := string(points[p[0]:p[1]]), strings.TrimLeft(text[k.Begin:k.End], " \t"); k.Piece != space && got != want && !(want == "" && got == "ﬁ") {
			t.Errorf("%q at %v are not the characters of %+v, %q", got, p, k, want)
		}
	}
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	for _, o := range []Options{DefaultOptions, {Cleanup: CleanupAlbert, KeepAccents: true}, {Cleanup: CleanupNone, KeepAccents: true}} {
		run := t.TempDir()
		model := filepath.Join(run, "model")
		if err := os.Mkdir(model, 0o755); err != nil {
			t.Fatal(err)
		}
		tok := newGolden(t, "albert", o)
		if err := tok.WriteDir(model); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{model, run} {
			again, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if again.Options != o || again.SHA256() != tok.SHA256() {
				t.Errorf("%+v came back as %+v", o, again.Options)
			}
		}
		bare, err := Open(filepath.Join(model, ModelFile))
		if err != nil || bare.Cleanup != CleanupNone {
			t.Errorf("a bare file: %v, %v", bare, err)
		}
		var c map[string]any
		if err := json.Unmarshal(tok.Files()[ConfigFile], &c); err != nil || c["tokenizer_class"] != "AlbertTokenizer" ||
			fmt.Sprint(c["model_input_names"]) != "[input_ids token_type_ids attention_mask]" {
			t.Error(c, err)
		}
		for text, want := range map[string]string{"{": "unexpected end", `{"cleanup": "x"}`: `cleanup "x"`, `{"do_lower_case": 1}`: "do_lower_case"} {
			if err := os.WriteFile(filepath.Join(model, ConfigFile), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(model); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ConfigFile) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

func TestContradiction(t *testing.T) {
	lower := testModel()
	upper := testModel()
	upper.Pieces = append(upper.Pieces, Piece{Text: "THE", Score: -4, Type: Normal})
	for i, c := range []struct {
		m    *Model
		o    Options
		want bool
	}{{lower, DefaultOptions, false}, {lower, Options{Cleanup: CleanupAlbert}, true}, {lower, Options{Cleanup: CleanupNone}, true},
		{upper, DefaultOptions, true}, {upper, Options{Cleanup: CleanupNone}, false}} {
		tok, err := New(c.m.Marshal(), c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Contradiction(); (got != "") != c.want {
			t.Errorf("case %d: %q", i, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	tok := newGolden(t, "bytes", DefaultOptions)
	texts := []string{"the teacher", "漢字 abc the é", strings.Repeat("long ", 500), "", "[MASK] 2000,"}
	var want [][]int32
	for _, s := range texts {
		want = append(want, tok.Encode(s))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				k := (i + g) % len(texts)
				if got := tok.Encode(texts[k]); !slices.Equal(got, want[k]) {
					t.Errorf("%q: %v, want %v", texts[k], got, want[k])
				}
			}
		})
	}
	wg.Wait()
}

func TestEncodeAllocatesOnlyItsResult(t *testing.T) {
	text := strings.Repeat("The teacher was reading a letter in the garden. ", 20)
	for _, o := range []Options{{Cleanup: CleanupNone}, DefaultOptions} {
		tok := newGolden(t, "albert", o)
		tok.Encode(text)
		if n := testing.AllocsPerRun(20, func() { tok.Encode(text) }); n > 3 {
			t.Errorf("%s: %v allocations", o.Cleanup, n)
		}
	}
}

// checkEncoding holds what is true of any text.
func checkEncoding(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	tokens := tok.EncodeWithOffsets(text)
	ids := tok.Encode(text)
	if len(ids) != len(tokens) {
		t.Fatalf("%q: %d ids, %d tokens", text, len(ids), len(tokens))
	}
	last := 0
	for i, k := range tokens {
		if k.ID != ids[i] || k.ID < 0 || int(k.ID) >= tok.VocabSize() {
			t.Fatalf("%q: id %d, with places %d", text, ids[i], k.ID)
		}
		if k.Begin < last || k.End < k.Begin || k.End > len(text) {
			t.Fatalf("%q: piece %d at [%d, %d) after %d", text, i, k.Begin, k.End, last)
		}
		if k.Piece != tok.Piece(k.ID) && k.ID != tok.UNK {
			t.Fatalf("%q: piece %q has id %d, which is %q", text, k.Piece, k.ID, tok.Piece(k.ID))
		}
		last = k.End
		if tok.Cleanup == CleanupNone && k.ID == tok.UNK && i > 0 && tokens[i-1].ID == tok.UNK {
			t.Fatalf("%q: two unknown pieces side by side", text)
		}
	}
	decoded := tok.Decode(ids)
	if !utf8.ValidString(decoded) {
		t.Fatalf("%q is decoded to %q", text, decoded)
	}
	if tok.Cleanup == CleanupNone && tok.Model().ByteFallback && !strings.ContainsAny(text, "▁ \ufffd") && utf8.ValidString(text) {
		// Nothing is lost but what the normal form changes.
		want := strings.ReplaceAll(tok.Normalized(text), space, " ")
		if tok.Model().Normalizer.AddDummyPrefix {
			want = strings.TrimPrefix(want, " ")
		}
		if decoded != want {
			t.Fatalf("%q has the normal form %q and is decoded to %q", text, want, decoded)
		}
	}
}

func TestAnyTextCanBeEncoded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	toks := []*Tokenizer{newGolden(t, "albert", DefaultOptions), newGolden(t, "bytes", Options{Cleanup: CleanupNone}),
		newGolden(t, "identity", Options{Cleanup: CleanupNone}), newGolden(t, "suffix", Options{Cleanup: CleanupAlbert})}
	parts := []string{"the", " ", "é", "\xff", "漢", "[CLS]", "[MASK]", "<unk>", "``", "1,", "\u0301", "\U0010ffff", "\x00", "\n", "▁", "ab", "Σ"}
	for range 3000 {
		text := ""
		for range rnd.IntN(12) {
			text += parts[rnd.IntN(len(parts))]
		}
		for _, tok := range toks {
			checkEncoding(t, tok, text)
		}
	}
}

// TestLongTexts has texts whose scores are set back on the way.
func TestLongTexts(t *testing.T) {
	tok := newGolden(t, "albert", Options{Cleanup: CleanupNone})
	for _, s := range []string{"漢", "x ", "the teacher ", "-"} {
		text := strings.Repeat(s, 40000)
		checkEncoding(t, tok, text)
		// Far from the ends the pieces of a repeated text are the repeated pieces.
		few, many := tok.Encode(strings.Repeat(s, 100)), tok.Encode(text)
		if n := min(50, len(few)/2); !slices.Equal(few[:n], many[:n]) {
			t.Errorf("%q: %v, much repeated %v", s, few[:n], many[:n])
		}
	}
}

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"The teacher.", "  [MASK] 2,000, ", "\xff\xc3", "漢字é\u0301", "``x''", "\u1100\u1161\u11a8", "<PAD>"} {
		f.Add(s)
	}
	toks := []*Tokenizer{newGolden(f, "albert", DefaultOptions), newGolden(f, "albert", Options{Cleanup: CleanupNone}),
		newGolden(f, "bytes", Options{Cleanup: CleanupNone}), newGolden(f, "fold", Options{Cleanup: CleanupAlbert, KeepAccents: true}),
		newGolden(f, "suffix", Options{Cleanup: CleanupNone})}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tok := range toks {
			checkEncoding(t, tok, text)
		}
		if len(text) < 200 {
			toks[1].NBest(text, 8)
		}
	})
}

// BenchmarkEncode takes English text line by line, with ALBERT's own model where it is found.
func BenchmarkEncode(b *testing.B) {
	line := "The teacher was slowly reading a long letter in the old garden, and the students went down to the river; “how odd,” she said. "
	lines := strings.SplitAfter(strings.Repeat(line, 200), ". ")
	for _, model := range []string{"albert", "spiece"} {
		for _, o := range []Options{{Cleanup: CleanupNone}, DefaultOptions} {
			b.Run(model+"/"+string(o.Cleanup), func(b *testing.B) {
				data := goldenModel(b, "albert")
				if model == "spiece" {
					data = spiece(b)
				}
				tok, err := New(data, o)
				if err != nil {
					b.Fatal(err)
				}
				for name, encode := range map[string]func(s string){"ids": func(s string) { tok.Encode(s) }, "offsets": func(s string) { tok.EncodeWithOffsets(s) }} {
					b.Run(name, func(b *testing.B) {
						b.SetBytes(int64(200 * len(line)))
						for b.Loop() {
							for _, s := range lines {
								encode(s)
							}
						}
					})
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	data := spiece(b)
	for b.Loop() {
		if _, err := New(data, DefaultOptions); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNormalizationRule(b *testing.B) {
	for b.Loop() {
		if _, err := BuildCharsMap(ruleMap(true, false)); err != nil {
			b.Fatal(err)
		}
	}
}
