package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var bertOptions = map[string]Options{
	"default":               {Lower: true},
	"cased":                 {KeepAccents: true},
	"accents":               {Lower: true, KeepAccents: true},
	"cased-without-accents": {},
	"Chinese-joined":        {Lower: true, JoinChinese: true},
	"no-basic":              {Lower: true, NoBasic: true},
}

func newWords(t testing.TB, o Options) *Tokenizer {
	t.Helper()
	vocab, err := os.ReadFile(filepath.Join("testdata", "wordpiece.txt"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := NewWordPiece(vocab, o)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestWordPieceIsThatOfTransformers(t *testing.T) {
	for name, o := range bertOptions {
		t.Run(name, func(t *testing.T) {
			tok := newWords(t, o)
			for _, row := range rows[goldenText](t, "wordpiece-"+name+".jsonl") {
				got := goldenText{Text: row.Text, IDs: []int32{}, Pieces: []string{}, Decoded: tok.Decode(row.IDs)}
				for _, k := range tok.EncodeWithOffsets(row.Text) {
					got.IDs, got.Pieces = append(got.IDs, k.ID), append(got.Pieces, k.Piece)
				}
				if d := cmp.Diff(row, got); d != "" {
					t.Errorf("%q (-want +got)\n%s", row.Text, d)
				}
				checkPlaces(t, tok, row.Text)
			}
		})
	}
}

// checkPlaces holds the ways to encode a text against each other, and looks whether places are sound.
func checkPlaces(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	ids, x := tok.Encode(text), tok.Cut(text)
	if !slices.Equal(ids, x.IDs) || len(x.IDs) != len(x.Offsets) {
		t.Errorf("%q: Encode %v, Cut %v", text, ids, x)
	}
	for i, k := range tok.EncodeWithOffsets(text) {
		if k.ID != ids[i] || k.Begin < 0 || k.End < k.Begin || k.End > len(text) {
			t.Errorf("%q: %+v", text, k)
		}
	}
	for i, p := range x.Offsets {
		if p[0] < 0 || p[1] < p[0] || p[1] > utf8.RuneCountInString(text) {
			t.Errorf("%q: %d stands at %v", text, x.IDs[i], p)
		}
	}
}

func TestWordPiecePlaces(t *testing.T) {
	tok := newWords(t, bertOptions["default"])
	text := "  RIVERs, 中文\x00 e\u0301a\u0301 [MASK]한國"
	var got []string
	for _, k := range tok.EncodeWithOffsets(text) {
		got = append(got, k.Piece+"="+text[k.Begin:k.End])
	}
	all := strings.Join(got, "|")
	for _, want := range []string{"##s=s", ",=,", "e=e\u0301|##a=a\u0301", "[MASK]=[MASK]"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	runes := []rune(text)
	x := tok.Cut(text)
	for i, k := range tok.EncodeWithOffsets(text) {
		if s := string(runes[x.Offsets[i][0]:x.Offsets[i][1]]); s != text[k.Begin:k.End] {
			t.Errorf("%+v: %q", k, s)
		}
	}
}

func TestCompositionIsByWholeCharacters(t *testing.T) {
	for _, s := range []string{"\U0003006c\u0301", "e\u0301", "\u1112\u1161\u11ab", "a\u0323\u0302", "a\u0302\u0323", "\u0344", "𝅘𝅥", "q\u0301\u0301"} {
		var in []letter
		for _, r := range s {
			in = append(in, letter{r: r})
		}
		got := ""
		for _, l := range composeLetters(in) {
			got += string(l.r)
		}
		want := map[string]string{"e\u0301": "é", "\u1112\u1161\u11ab": "한", "a\u0323\u0302": "ậ", "a\u0302\u0323": "ậ", "\u0344": "\u0308\u0301", "𝅘𝅥": "\U0001d158\U0001d165"}[s]
		if want == "" {
			want = s
		}
		if got != want {
			t.Errorf("%+q: %+q, want %+q", s, got, want)
		}
	}
	long := []letter{{r: 'e'}}
	for range 100 {
		long = append(long, letter{r: 0x301})
	}
	if n := len(composeLetters(long)); n != 100 {
		t.Errorf("%d letters of e and 100 accents", n)
	}
}

func TestVocabFiles(t *testing.T) {
	tok, err := NewWordPiece([]byte("[PAD]\r\na\n[UNK]\r##b\n\na\n[CLS]\n[SEP]\nx\x00y\n[MASK]"), Options{Lower: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := [...]int32{tok.PAD, tok.UNK, tok.CLS, tok.SEP, tok.MASK}; got != [...]int32{0, 2, 6, 7, 9} {
		t.Error(got)
	}
	if ids := tok.Encode("A ab[SEP]b"); !slices.Equal(ids, []int32{5, 5, 3, 7, 2}) { // the last of equal lines
		t.Error(ids)
	}
	if tok.VocabSize() != 10 || tok.IsStart(3) || !tok.IsStart(1) || tok.Type() != "wordpiece" {
		t.Error(tok.VocabSize(), tok.IsStart(3), tok.Type())
	}
	if tok.With(DefaultOptions).Cleanup != CleanupBert {
		t.Error("WordPiece with another clean-up")
	}
	for vocab, want := range map[string]string{"": "no piece [UNK]", "a\n": "no piece [UNK]", "a\n\xff\n[UNK]": "line 2: no UTF-8",
		"[UNK]\n" + strings.Repeat("x", maxPieceBytes): "line 2: has 8000 bytes"} {
		if _, err := NewWordPiece([]byte(vocab), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", vocab, err)
		}
	}
}

func TestWordPieceDirectories(t *testing.T) {
	for _, o := range bertOptions {
		tok := newWords(t, o)
		dir := t.TempDir()
		if err := tok.WriteDir(dir); err != nil {
			t.Fatal(err)
		}
		for _, only := range []string{"", VocabFile} {
			if only != "" && o.NoBasic { // the fast tokenizer does not have it
				break
			}
			if only != "" {
				if err := os.Remove(filepath.Join(dir, only)); err != nil {
					t.Fatal(err)
				}
			}
			again, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			want := tok.Options
			want.RemoveSpace = again.RemoveSpace // is for SentencePiece
			if again.Options != want {
				t.Errorf("%+v came back as %+v", want, again.Options)
			}
			for _, row := range rows[goldenText](t, "wordpiece-default.jsonl") {
				if a, b := tok.Encode(row.Text), again.Encode(row.Text); !slices.Equal(a, b) {
					t.Errorf("%q: %v, then %v", row.Text, a, b)
				}
			}
		}
	}
	tok, err := Open(filepath.Join("testdata", "wordpiece.txt"))
	if err != nil || tok.Cleanup != CleanupBert || !tok.Lower || tok.KeepAccents {
		t.Error(tok, err)
	}
}

func FuzzWordPiece(f *testing.F) {
	f.Add([]byte("[UNK]\na\n##b\n"), "a ab 中 é\u0301")
	f.Add([]byte("[CLS]\n[UNK]\n\n[CLS]\n##"), "[CLS]## \x00#")
	f.Fuzz(func(t *testing.T, vocab []byte, text string) {
		tok, err := NewWordPiece(vocab, Options{Lower: len(vocab)%2 == 0, KeepAccents: len(text)%2 == 0})
		if err != nil {
			return
		}
		checkPlaces(t, tok, text)
		tok.Decode(tok.Encode(text))
	})
}
