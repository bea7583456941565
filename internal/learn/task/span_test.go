package task

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/tokenizer"
)

// letters is a tokenizer whose pieces are words and letters of a few sentences.
func words(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	m := &tokenizer.Model{Normalizer: tokenizer.Normalizer{Name: "identity", AddDummyPrefix: true, RemoveExtraWhitespaces: true, EscapeWhitespaces: true}}
	add := func(text string, typ tokenizer.PieceType, score float32) {
		m.Pieces = append(m.Pieces, tokenizer.Piece{Text: text, Score: score, Type: typ})
	}
	add("<pad>", tokenizer.Control, 0)
	add("<unk>", tokenizer.Unknown, 0)
	for _, c := range []string{"[CLS]", "[SEP]", "[MASK]"} {
		add(c, tokenizer.Control, 0)
	}
	for _, w := range strings.Fields("▁the ▁bridge ▁was ▁built ▁in ▁by ▁who ▁when ▁ó ▁it ▁is ▁a") {
		add(w, tokenizer.Normal, -2)
	}
	for c := 'a'; c <= 'z'; c++ {
		add(string(c), tokenizer.Normal, -5)
	}
	for _, c := range "▁0123456789.,óúñ" {
		add(string(c), tokenizer.Normal, -5)
	}
	tok, err := tokenizer.New(m.Marshal(), tokenizer.Options{Cleanup: tokenizer.CleanupAlbert, Lower: true, RemoveSpace: true, KeepAccents: true})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Every piece of the context is in some window, once with maximal context, and its place gives its text back.
func TestWindowsCoverTheContext(t *testing.T) {
	tok := words(t)
	context := strings.Repeat("The bridge was built in 1890 by O'Connor Ñuñez.  It is a bridge.\t", 5)
	for _, o := range []SpanOptions{
		DefaultSpanOptions,
		{MaxSeqLength: 40, DocStride: 8, MaxQueryLength: 6, MaxAnswerLength: 30, NBest: 20},
		{MaxSeqLength: 20, DocStride: 100, MaxQueryLength: 64, MaxAnswerLength: 30, NBest: 20},
	} {
		ws, err := Windows(tok, tok.Encode("When was it built"), tok.Cut(context), o)
		if err != nil {
			t.Fatal(err)
		}
		all := tok.Encode(context)
		seen, best := make([]int, len(all)), make([]int, len(all))
		runes := []rune(context)
		for _, w := range ws {
			if len(w.IDs) > o.MaxSeqLength || w.IDs[0] != tok.CLS || w.IDs[len(w.IDs)-1] != tok.SEP || w.IDs[w.B.At-1] != tok.SEP {
				t.Fatalf("window %v of %d", w.IDs, o.MaxSeqLength)
			}
			for i, p := range w.Offsets {
				k := w.B.From + i
				seen[k]++
				if w.MaxContext[i] {
					best[k]++
				}
				if w.IDs[w.B.At+i] != all[k] {
					t.Fatalf("piece %d of the context is another", k)
				}
				piece := strings.ReplaceAll(tok.Piece(all[k]), "▁", "")
				text := strings.ToLower(strings.TrimSpace(string(runes[p[0]:p[1]])))
				if all[k] != tok.UNK && !strings.Contains(text, piece) {
					t.Errorf("piece %q stands for %q", piece, text)
				}
			}
		}
		for k := range all {
			if seen[k] == 0 || best[k] != 1 {
				t.Fatalf("%+v: piece %d is in %d windows, %d times with maximal context", o, k, seen[k], best[k])
			}
		}
	}
}

// The span whose logits are highest is found in whatever window it is, with its text.
func TestBestSpanIsWhatTheLogitsSay(t *testing.T) {
	tok := words(t)
	context := strings.Repeat("it is a bridge. ", 6) + "It was built in 1890 by Núñez. " + strings.Repeat("it is a bridge. ", 6)
	o := SpanOptions{MaxSeqLength: 48, DocStride: 12, MaxQueryLength: 10, MaxAnswerLength: 12, NBest: 20}
	ws, err := Windows(tok, tok.Encode("when"), tok.Cut(context), o)
	if err != nil || len(ws) < 3 {
		t.Fatal("one window", err)
	}
	at := slices.Index([]rune(context), '1')
	starts, ends := make([][]float32, len(ws)), make([][]float32, len(ws))
	for k, w := range ws {
		starts[k], ends[k] = make([]float32, len(w.IDs)), make([]float32, len(w.IDs))
		for i, p := range w.Offsets {
			if p[0] <= at && at < p[1] && strings.TrimSpace(string([]rune(context)[p[0]:p[1]])) != "" {
				starts[k][w.B.At+i] = 5
			}
			if p[0] <= at+3 && at+3 < p[1] {
				ends[k][w.B.At+i] = 5
			}
		}
		starts[k][0], ends[k][0] = 3, float32(k)/10
	}
	s := BestSpans(ws, starts, ends, context, o)
	if got := s.Best[0]; got.Text != "1890" || got.Begin != at || got.End != at+4 || got.Logit != 10 {
		t.Errorf("%+v, want 1890 at %d", got, at)
	}
	if s.Null.Logit != 3 || s.NullScore() != -7 {
		t.Errorf("no answer: %+v, %v", s.Null, s.NullScore())
	}
	for _, b := range s.Best {
		if b.Text != string([]rune(context)[b.Begin:b.End]) || b.Text != strings.TrimSpace(b.Text) || b.Score < 0 || b.Score > 1 {
			t.Errorf("span %+v", b)
		}
	}
	empty, _ := Windows(tok, tok.Encode("when"), tok.Cut(""), o)
	if s := BestSpans(empty, [][]float32{make([]float32, len(empty[0].IDs))}, [][]float32{make([]float32, len(empty[0].IDs))}, "", o); len(s.Best) != 0 {
		t.Errorf("an empty context gives %+v", s.Best)
	}
}

func TestChoicesFillTheBlank(t *testing.T) {
	tok := words(t)
	in, _ := Choices(tok, tok.Encode("the bridge was built"), "it _ a _", []string{"is", "was"}, 64)
	if got, want := tok.Decode(in[1].IDs), "[CLS] the bridge was built[SEP] it was a was[SEP]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	in, _ = Choices(tok, tok.Encode("the bridge"), "who", []string{"a"}, 64)
	if got, want := tok.Decode(in[0].IDs), "[CLS] the bridge[SEP] who a[SEP]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	list, err := Choices(tok, tok.Encode(strings.Repeat("bridge ", 100)), strings.Repeat("a ", 300), []string{"the"}, 100)
	if err != nil {
		t.Fatal(err)
	}
	long := list[0]
	if len(long.IDs) != 100 || !long.Truncated || long.IDs[len(long.IDs)-2] != tok.Encode("the")[0] {
		t.Errorf("%d pieces, the end is lost", len(long.IDs))
	}
}

// A real tokenizer on real text, where both are there.
func TestWindowsOfRealText(t *testing.T) {
	data := os.Getenv("ALBERT_DATA")
	if data == "" {
		data = "../../../../shared/data"
	}
	tok, err := tokenizer.Open(filepath.Join(data, "spiece.model"))
	if err != nil {
		t.Skip("no spiece.model in ALBERT_DATA: ", err)
	}
	tok = tok.With(tokenizer.DefaultOptions)
	context := "The Café de Flore (“1887”) — in Saint‑Germain‑des‑Prés, naïve ﬁnance: ½ of 2000, ok."
	ws, err := Windows(tok, tok.Encode("Where?"), tok.Cut(context), DefaultSpanOptions)
	if err != nil {
		t.Fatal(err)
	}
	w := ws[0]
	runes := []rune(context)
	if got := string(runes[w.Offsets[len(w.Offsets)-2][0]:w.Offsets[len(w.Offsets)-2][1]]); strings.TrimSpace(got) != "ok" {
		t.Errorf("the last word's place holds %q", got)
	}
}

func TestCovered(t *testing.T) {
	offsets := [][2]int{{1, 3}, {3, 3}, {4, 6}, {4, 6}}
	for _, c := range [][4]int{{1, 3, 1, 3}, {0, 4, 1, 3}, {3, 9, 4, 6}, {2, 5, 2, 5}, {3, 4, 3, 3}, {6, 9, 6, 6}, {0, 1, 0, 0}} {
		if b, e := Covered(offsets, c[0], c[1]); b != c[2] || e != c[3] {
			t.Errorf("%d to %d: %d to %d, want %d to %d", c[0], c[1], b, e, c[2], c[3])
		}
	}
	if b, e := Covered(nil, 2, 3); b != e {
		t.Error(b, e)
	}
}
