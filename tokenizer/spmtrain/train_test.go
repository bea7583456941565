package spmtrain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/numeric"
	"albert/tokenizer"
)

// The model has the same bytes on any number of threads, on any processor, and today as ever: a change here changes every tokenizer that
// is trained, and so the numerics number.
func TestSameBytes(t *testing.T) {
	const want = "9cbf163c026d8dbf1611b04f67c679085baaf4fc25e74cd8f6766ee637688a43"
	text := corpusOf(7, 4000)
	o := smallOptions(1500)
	o.InputSentenceSize = 3000
	for _, procs := range []int{1, 2, 7} {
		for _, threads := range []int{0, 1, 3, 16} {
			func() {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				o.Threads = threads
				sum := sha256.Sum256(mustTrain(t, text, o).Marshal())
				if got := hex.EncodeToString(sum[:]); got != want {
					t.Errorf("%d processors, %d threads: sha256 %s, want %s", procs, threads, got, want)
				}
			}()
		}
	}
}

// The same for a word far longer than any piece, whose ends are found without going through it.
func TestSameBytesOfOneLongWord(t *testing.T) {
	const want = "29acbe135ad0a3824ca2a41943919eaa66ac752100d4f00788012c1be7f452a9"
	text := strings.ReplaceAll(corpusOf(11, 600), "\n", "")
	text = strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, text)
	o := smallOptions(400)
	o.MaxSentenceLength = 1 << 20
	sum := sha256.Sum256(mustTrain(t, text, o).Marshal())
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("%d letters: sha256 %s, want %s", len(text), got, want)
	}
}

// The order of pieces is that of ALBERT's own model: the special ones first, then by falling score, the lone space among the first.
func TestLayout(t *testing.T) {
	m := mustTrain(t, corpusOf(8, 2000), smallOptions(1000))
	first := []string{"<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "(", ")", `"`, "-", ".", "–", "£", "€"}
	if got := texts(m)[:len(first)]; !slices.Equal(got, first) {
		t.Errorf("begins with %q, want %q", got, first)
	}
	types := []tokenizer.PieceType{tokenizer.Control, tokenizer.Unknown, tokenizer.Control, tokenizer.Control, tokenizer.Control}
	for i, p := range m.Pieces {
		want := tokenizer.Normal
		switch {
		case i < len(types):
			want = types[i]
		case i < len(first):
			want = tokenizer.UserDefined
		}
		if p.Type != want {
			t.Errorf("piece %d %q is %v, want %v", i, p.Text, p.Type, want)
		}
		if i < len(first) && p.Score != 0 {
			t.Errorf("piece %d %q has the score %v, want 0", i, p.Text, p.Score)
		}
		if i > len(first) && p.Score > m.Pieces[i-1].Score {
			t.Errorf("piece %d %q is likelier than the one before", i, p.Text)
		}
		if i >= len(first) && strings.ContainsAny(p.Text, `()"-.–£€`) {
			t.Errorf("piece %d %q has part of a user-defined symbol", i, p.Text)
		}
	}
	if len(m.Pieces) != 1000 {
		t.Errorf("%d pieces, want 1000", len(m.Pieces))
	}
}

func TestMetaPieces(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(o *Options)
		want   []string
		err    string
	}{
		{"ids of spm_train", func(o *Options) { o.UnkID, o.BosID, o.EosID, o.PadID = 0, 1, 2, -1 },
			[]string{"<unk>", "<s>", "</s>", "[CLS]", "[SEP]", "[MASK]", "("}, ""},
		{"ids with gaps", func(o *Options) {
			o.PadID, o.UnkID, o.ControlSymbols, o.UserDefinedSymbols = 4, 1, []string{"C"}, []string{"U", "V"}
		},
			[]string{"C", "<unk>", "U", "V", "<pad>"}, ""},
		{"a symbol that names a piece", func(o *Options) { o.ControlSymbols = []string{"<pad>", "X"} }, []string{"<pad>", "<unk>", "X", "("}, ""},
		{"pieces renamed", func(o *Options) { o.PadPiece, o.UnkPiece = "[PAD]", "[UNK]" }, []string{"[PAD]", "[UNK]", "[CLS]"}, ""},
		{"twice", func(o *Options) { o.UserDefinedSymbols = []string{"[CLS]"} }, nil, "[CLS]"},
		{"the unknown piece again", func(o *Options) { o.UserDefinedSymbols = []string{"<unk>"} }, nil, "<unk>"},
		{"an id taken", func(o *Options) { o.BosID = 0 }, nil, "--pad-id 0"},
		{"an id too large", func(o *Options) { o.PadID = 700 }, nil, "--pad-id 700"},
		{"no unknown piece", func(o *Options) { o.UnkID = -1 }, nil, "--unk-id"},
		{"one text for two", func(o *Options) { o.BosID, o.BosPiece = 5, "<pad>" }, nil, "-piece <pad>"},
		{"an empty symbol", func(o *Options) { o.ControlSymbols = []string{"a", ""} }, nil, "empty"},
		{"not text", func(o *Options) { o.UserDefinedSymbols = []string{"\xff"} }, nil, "--user-defined-symbols"},
		{"no room", func(o *Options) { o.VocabSize = 13 }, nil, "--vocab-size 13"},
	} {
		o := smallOptions(600)
		c.change(&o)
		err := o.Check()
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.err)
		}
		if err != nil {
			continue
		}
		if got := texts(mustTrain(t, corpusOf(9, 1500), o))[:len(c.want)]; !slices.Equal(got, c.want) {
			t.Errorf("%s: begins with %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for flag, change := range map[string]func(o *Options){
		"--vocab-size":                  func(o *Options) { o.VocabSize = 0 },
		"--character-coverage":          func(o *Options) { o.CharacterCoverage = 1.5 },
		"--character-coverage NaN":      func(o *Options) { o.CharacterCoverage = math.NaN() },
		"--input-sentence-size":         func(o *Options) { o.InputSentenceSize = -1 },
		"--seed-sentencepiece-size":     func(o *Options) { o.SeedSentencepieceSize = -1 },
		"--shrinking-factor":            func(o *Options) { o.ShrinkingFactor = 1 },
		"--num-sub-iterations":          func(o *Options) { o.NumSubIterations = 0 },
		"--max-sentencepiece-length":    func(o *Options) { o.MaxSentencepieceLength = 1000 },
		"--max-sentence-length":         func(o *Options) { o.MaxSentenceLength = 0 },
		"--normalization-rule-name":     func(o *Options) { o.NormalizationRuleName = "nfx" },
		"--required-chars":              func(o *Options) { o.RequiredChars = "\xff" },
		"--threads":                     func(o *Options) { o.Threads = -1 },
		"--control-symbols: \"\\x00\"":  func(o *Options) { o.ControlSymbols = []string{"\x00"} },
		"--user-defined-symbols: \"aaa": func(o *Options) { o.UserDefinedSymbols = []string{strings.Repeat("a", 10000)} },
	} {
		o := DefaultOptions()
		change(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("error %v, want one with %s", err, flag)
		}
	}
	o := DefaultOptions()
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

// Characters asked for, and those that cover as much of the text as asked, get pieces; others become unknown.
func TestCoverage(t *testing.T) {
	text := strings.Repeat("abc abd dab cab bad\n", 500) + "xyz ü\n"
	o := smallOptions(40)
	o.HardVocabLimit = false
	for _, c := range []struct {
		coverage  float64
		required  string
		has, lack string
	}{
		{1, "", "abcdxyzü", "q"},
		{0.999, "", "abcd", "xyzü"},
		{0.999, "üq", "abcdüq", "xyz"},
	} {
		o.CharacterCoverage, o.RequiredChars = c.coverage, c.required
		m := mustTrain(t, text, o)
		for _, r := range c.has {
			if !has(m, string(r)) {
				t.Errorf("coverage %v, required %q: %q has no piece", c.coverage, c.required, r)
			}
		}
		for _, p := range m.Pieces[13:] {
			if strings.ContainsAny(p.Text, c.lack) {
				t.Errorf("coverage %v, required %q: piece %q", c.coverage, c.required, p.Text)
			}
		}
	}
}

// Characters that are asked for but never learned have the lowest scores.
func TestRequiredScores(t *testing.T) {
	o := smallOptions(300)
	o.RequiredChars, o.HardVocabLimit = "ξψ", false
	m := mustTrain(t, corpusOf(10, 300), o)
	lowest := float32(0)
	for _, p := range m.Pieces {
		if p.Text != "ξ" && p.Text != "ψ" {
			lowest = min(lowest, p.Score)
		}
	}
	for _, p := range m.Pieces {
		if (p.Text == "ξ" || p.Text == "ψ") && math.Abs(float64(p.Score-lowest)) > 0.1 {
			t.Errorf("%q has the score %v, want about the lowest, %v", p.Text, p.Score, lowest)
		}
	}
}

// A text too small for the vocabulary is an error that names a size that works.
func TestTooSmall(t *testing.T) {
	text := strings.Repeat("to be or not to be that is the question\nwhether tis nobler in the mind\n", 3)
	o := smallOptions(5000)
	_, stats, err := Train(t.Context(), linesOf(text), o)
	if err == nil || stats.Largest == 0 || !strings.Contains(err.Error(), fmt.Sprint(stats.Largest)) {
		t.Fatalf("error %v, largest %d", err, stats.Largest)
	}
	o.VocabSize = stats.Largest
	if n := len(mustTrain(t, text, o).Pieces); n != o.VocabSize {
		t.Errorf("%d pieces, want %d", n, o.VocabSize)
	}
	o.VocabSize = 5000
	o.HardVocabLimit = false
	if n := len(mustTrain(t, text, o).Pieces); n != stats.Largest {
		t.Errorf("%d pieces without a hard limit, want %d", n, stats.Largest)
	}
	o.VocabSize = 20
	if _, _, err := Train(t.Context(), linesOf(text), o); err == nil || !strings.Contains(err.Error(), "want at least 3") {
		t.Errorf("more characters than pieces: error %v", err)
	}
}

func TestEmpty(t *testing.T) {
	for _, text := range []string{"", "\n\n", "  \n \n"} {
		if _, _, err := Train(t.Context(), linesOf(text), DefaultOptions()); err == nil || !strings.Contains(err.Error(), "empty") {
			t.Errorf("%q: error %v", text, err)
		}
	}
	// Nothing but symbols: no piece to learn, but characters enough.
	if _, _, err := Train(t.Context(), linesOf("(-)\n"), smallOptions(100)); err == nil {
		t.Error("a text of symbols alone trained a model")
	}
}

// Sentences that cannot be used are counted: too long ones, and those with the reserved character, are left out; bytes that are not
// UTF-8 are replaced.
func TestUnusable(t *testing.T) {
	text := corpusOf(11, 500)
	plain := mustTrain(t, text, smallOptions(400))
	long := strings.Repeat("a", 5000)
	m, stats, err := Train(t.Context(), linesOf(text+long+"\nfoo ▅ bar\n"), smallOptions(400))
	if err != nil {
		t.Fatal(err)
	}
	if stats.TooLong != 1 || stats.Reserved != 1 || stats.Sentences != 502 || stats.Used != 500 {
		t.Errorf("%+v", stats)
	}
	if string(m.Marshal()) != string(plain.Marshal()) {
		t.Error("sentences left out have changed the model")
	}
	m, stats, err = Train(t.Context(), linesOf(text+"broken\xff\xfe bytes\xc3\nmore \xed\xa0\x80\n"), smallOptions(400))
	if err != nil || stats.InvalidUTF8 != 2 {
		t.Fatalf("%d sentences with invalid UTF-8, error %v", stats.InvalidUTF8, err)
	}
	if !has(m, "\uFFFD") {
		t.Error("no piece for what replaces invalid bytes")
	}
}

// Above the limit a sample is used: each sentence with the same chance, the same ones for the same seed.
func TestSample(t *testing.T) {
	const sentences, size = 400, 100
	var hits [sentences]int
	for seed := range uint64(200) {
		o := smallOptions(1000)
		o.InputSentenceSize, o.Seed = size, seed
		tr := &trainer{o: o, threads: 1, ctx: t.Context()}
		if err := tr.prepare(nil); err != nil {
			t.Fatal(err)
		}
		// Every sentence is one character of its own.
		all := func(yield func(string, error) bool) {
			for i := range sentences {
				if !yield(string(rune(0x4e00+i)), nil) {
					return
				}
			}
		}
		if err := tr.collect(all); err != nil {
			t.Fatal(err)
		}
		if tr.stats.Used != size || tr.stats.Sentences != sentences {
			t.Fatalf("%+v", tr.stats)
		}
		for _, r := range tr.alphabet {
			if r >= 0x4e00 {
				hits[r-0x4e00]++
			}
		}
	}
	// 200 draws of chance 1/4: mean 50, deviation 6.1.
	for i, n := range hits {
		if n < 20 || n > 80 {
			t.Errorf("sentence %d was taken %d times of 200, want about 50", i, n)
		}
	}
	o := smallOptions(1000)
	o.InputSentenceSize, o.ShuffleInputSentence, o.HardVocabLimit = 3, false, false
	m := mustTrain(t, "ab\ncd\nef\ngh\n", o)
	if !has(m, "f") || has(m, "g") {
		t.Error("without shuffling, not the first sentences were used")
	}
}

// What may be a piece, and what not.
func TestSplitOptions(t *testing.T) {
	text := corpusOf(12, 800) + strings.Repeat("the cat 2024 4x4 naïveда 4x4s, 4x4. the cat\nthe cat 2024 日本カタ,the cat 2025\n", 60)
	base := smallOptions(1200)
	base.HardVocabLimit = false
	count := func(change func(o *Options), is func(p string) bool) (n int) {
		o := base
		change(&o)
		for _, p := range mustTrain(t, text, o).Pieces[13:] {
			if p.Type == tokenizer.Normal && is(p.Text) {
				n++
			}
		}
		return n
	}
	none := func(*Options) {}
	inner := func(p string) bool { return strings.LastIndex(p, "▁") > 0 }
	digits := func(p string) bool {
		return strings.ContainsAny(p, "0123456789") && len(strings.TrimPrefix(p, "▁")) > 1
	}
	mixed := func(p string) bool { return strings.ContainsAny(p, "0123456789") && strings.Contains(p, "x") }
	scripts := func(p string) bool {
		return strings.ContainsAny(p, "abcdefghijklmnopqrstuvwxyz") && strings.ContainsAny(p, "да,")
	}
	suffix := func(p string) bool { return strings.HasSuffix(p, "▁") && p != "▁" }
	for _, c := range []struct {
		name   string
		change func(o *Options)
		is     func(p string) bool
		want   bool
	}{
		{"pieces across spaces", none, inner, false},
		{"pieces across spaces", func(o *Options) { o.SplitByWhitespace = false }, inner, true},
		{"numbers", none, digits, true},
		{"numbers", func(o *Options) { o.SplitDigits = true }, digits, false},
		{"digits beside letters", none, mixed, false},
		{"digits beside letters", func(o *Options) { o.SplitByNumber = false }, mixed, true},
		{"two scripts", none, scripts, false},
		{"two scripts", func(o *Options) { o.SplitByUnicodeScript = false }, scripts, true},
		{"a space at the end", none, suffix, false},
		{"a space at the end", func(o *Options) { o.TreatWhitespaceAsSuffix = true }, suffix, true},
		{"a space before letters", func(o *Options) { o.TreatWhitespaceAsSuffix = true }, func(p string) bool { return strings.HasPrefix(p, "▁") && p != "▁" }, false},
		{"more than four characters", func(o *Options) { o.MaxSentencepieceLength = 4 }, func(p string) bool { return len([]rune(p)) > 4 }, false},
		{"parts of a delimiter", func(o *Options) { o.PretokenizationDelimiter = "a" }, func(p string) bool { return strings.Contains(p, "a") }, false},
	} {
		if n := count(c.change, c.is); (n > 0) != c.want {
			t.Errorf("%s: %d, want any: %v", c.name, n, c.want)
		}
	}
}

func TestWhitespaceOnlyPieces(t *testing.T) {
	o := smallOptions(60)
	o.HardVocabLimit, o.AllowWhitespaceOnlyPieces, o.RemoveExtraWhitespaces = false, true, false
	spaces := func(p string) bool { return len(p) > 3 && strings.Trim(p, "▁") == "" }
	text := strings.Repeat("if  x\n    y  z\n        w\n", 100)
	if m := mustTrain(t, text, o); !slices.ContainsFunc(texts(m), spaces) {
		t.Errorf("no piece of spaces: %q", texts(m))
	}
	o.AllowWhitespaceOnlyPieces = false
	if m := mustTrain(t, text, o); slices.ContainsFunc(texts(m), spaces) {
		t.Errorf("a piece of spaces: %q", texts(m))
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		text         string
		suffix, only bool
		want         string
	}{
		{"▁a▁bc", false, false, "▁a|▁bc"},
		{"a▁▁b▁", false, false, "a|▁|▁b|▁"},
		{"a▁▁b▁▁", false, true, "a|▁▁b|▁▁"},
		{"▁▁▁", false, true, "▁▁▁"},
		{"a▁bc▁", true, false, "a▁|bc▁"},
		{"a▁▁b", true, false, "a▁|▁|b"},
		{"▁▁a▁▁b", true, true, "▁▁|a▁▁|b"},
	} {
		o := Options{SplitByWhitespace: true, TreatWhitespaceAsSuffix: c.suffix, AllowWhitespaceOnlyPieces: c.only}
		var got []string
		for s := c.text; s != ""; {
			w := o.word(s)
			got = append(got, w)
			s = s[len(w):]
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%q, suffix %v, whitespace alone %v: %q, want %s", c.text, c.suffix, c.only, got, c.want)
		}
	}
}

func TestByteFallback(t *testing.T) {
	o := smallOptions(700)
	o.ByteFallback, o.CharacterCoverage = true, 0.98
	m := mustTrain(t, corpusOf(13, 1500), o)
	if !m.ByteFallback || !has(m, "<0xFF>") {
		t.Error("no byte pieces")
	}
	e := tokenizer.NewEncoder(m)
	if got := e.Decode(e.IDs("kare 🐈 lo")); got != "kare 🐈 lo" {
		t.Errorf("decoded to %q", got)
	}
}

// Text that was learned from comes back.
func TestRoundTrip(t *testing.T) {
	text := corpusOf(14, 1500)
	o := DefaultOptions()
	o.VocabSize, o.CharacterCoverage = 800, 1
	e := tokenizer.NewEncoder(mustTrain(t, text, o))
	for line := range strings.Lines(text) {
		want := e.Decode(e.IDs(line))
		if got := e.Decode(e.IDs(want)); got != want {
			t.Fatalf("%q became %q", want, got)
		}
	}
}

func TestErrorsAndCancel(t *testing.T) {
	broken := errors.New("broken disk")
	failing := func(yield func(string, error) bool) { _ = yield("a b c", nil) && yield("", broken) }
	if _, _, err := Train(t.Context(), failing, DefaultOptions()); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	text := corpusOf(15, 3000)
	phases := map[string]bool{}
	o := smallOptions(500)
	o.Progress = func(phase string, _, _ int) { phases[phase] = true }
	mustTrain(t, text, o)
	for phase := range phases {
		ctx, cancel := context.WithCancel(t.Context())
		o.Progress = func(p string, _, _ int) {
			if p == phase {
				cancel()
			}
		}
		if m, _, err := Train(ctx, linesOf(text), o); !errors.Is(err, context.Canceled) || m != nil {
			t.Errorf("cancelled while %s: error %v", phase, err)
		}
	}
	if len(phases) < 3 {
		t.Errorf("phases %v", phases)
	}
}

// Words are what counts: sentences in another order give the same model.
func TestOrderOfSentences(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(corpusOf(16, 1000), "\n"), "\n")
	want := mustTrain(t, strings.Join(lines, "\n"), smallOptions(600)).Marshal()
	s := numeric.NewStream(1, numeric.PurposeShuffle, 0, 0, 0)
	s.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	if string(mustTrain(t, strings.Join(lines, "\n"), smallOptions(600)).Marshal()) != string(want) {
		t.Error("another order, another model")
	}
}

func FuzzTrain(f *testing.F) {
	f.Add("to be or not\nto be", 40, uint8(0))
	f.Add("▁▁a▁b\n\x00\xff東京 ２０２４", 300, uint8(255))
	f.Fuzz(func(t *testing.T, text string, vocab int, flags uint8) {
		if len(text) > 2000 || vocab > 2000 {
			return
		}
		o := DefaultOptions()
		on := func(bit int) bool { return flags>>bit&1 == 1 }
		o.VocabSize, o.HardVocabLimit, o.SplitByWhitespace, o.TreatWhitespaceAsSuffix = vocab, on(0), on(1), on(2)
		o.AllowWhitespaceOnlyPieces, o.RemoveExtraWhitespaces, o.ByteFallback, o.AddDummyPrefix = on(3), on(4), on(5), on(6)
		o.SplitByUnicodeScript = on(7)
		m, _, err := Train(t.Context(), linesOf(text), o)
		if err != nil {
			return
		}
		if len(m.Pieces) > vocab {
			t.Errorf("%d pieces, asked for %d", len(m.Pieces), vocab)
		}
		e := tokenizer.NewEncoder(m)
		for line := range strings.Lines(text) {
			e.IDs(line)
		}
	})
}

func BenchmarkTrain(b *testing.B) {
	text := corpusOf(1, 20000)
	o := smallOptions(4000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, _, err := Train(b.Context(), iter.Seq2[string, error](linesOf(text)), o); err != nil {
			b.Fatal(err)
		}
	}
}
