package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// randomModel makes a small vocabulary in which many paths through a word have equal or almost equal scores.
func randomModel(r *rand.Rand) *Model {
	letters := []string{"a", "b", "c", "d", "é", "漢", "😀"}
	scores := func() float32 { return -1 - float32(r.IntN(4)) }
	switch r.IntN(6) {
	case 0: // ties that rounding breaks
		scores = func() float32 { return -0.1 * float32(1+r.IntN(30)) }
	case 1: // almost equal
		scores = func() float32 { return -2 - float32(r.IntN(3))*0x1p-20 }
	case 2: // as they are trained
		scores = func() float32 { return -14 * r.Float32() }
	case 3: // so large that the sum is set back after some words, or within one
		size := []float32{300, 8000, 60000}[r.IntN(3)]
		scores = func() float32 { return -size * (1 + float32(r.IntN(3))/8) }
	}
	last := scores()    // of "z"
	if r.IntN(3) == 0 { // ties, where the sum is set back between them
		scores, last = func() float32 { return -0.1 * float32(1+r.IntN(30)) }, -2999.7
	}
	m := &Model{Normalizer: defaultNormalizer, ByteFallback: r.IntN(3) == 0}
	m.Normalizer.AddDummyPrefix = r.IntN(4) > 0
	m.Normalizer.RemoveExtraWhitespaces = r.IntN(4) > 0
	m.Pieces = []Piece{{Text: "<unk>", Type: Unknown}}
	if m.ByteFallback {
		for b := range 256 {
			m.Pieces = append(m.Pieces, Piece{Text: "<0x" + strings.ToUpper(string("0123456789abcdef"[b>>4])+string("0123456789abcdef"[b&15])) + ">", Type: Byte})
		}
	}
	taken := map[string]bool{}
	for range 5 + r.IntN(120) {
		var text string
		if r.IntN(3) == 0 {
			text = space
		}
		for range r.IntN(5) {
			text += letters[r.IntN(len(letters))]
		}
		p := Piece{Text: text, Score: scores(), Type: Normal}
		if r.IntN(25) == 0 {
			p.Type = UserDefined
		}
		if text != "" && !taken[text] {
			taken[text] = true
			m.Pieces = append(m.Pieces, p)
		}
	}
	m.Pieces = append(m.Pieces, Piece{Text: "z", Score: last, Type: Normal})
	return m
}

// randomWords makes a text out of few words, short and long ones.
func randomWords(r *rand.Rand, words int) string {
	letters := []string{"a", "a", "b", "c", "d", "z", "é", "漢", "😀", "x", "\x00", "\xff", space}
	var list []string
	for range 1 + r.IntN(12) {
		n := 1 + r.IntN(6)
		if r.IntN(6) == 0 {
			n = r.IntN(40)
		}
		var b strings.Builder
		for range n {
			b.WriteString(letters[r.IntN(len(letters)-r.IntN(8))])
		}
		list = append(list, b.String())
	}
	var b strings.Builder
	for range words {
		b.WriteString(list[r.IntN(len(list))])
		b.WriteString([]string{" ", " ", " ", "  ", ""}[r.IntN(5)])
	}
	return b.String()
}

// forgetful gives an encoder that remembers nothing.
func forgetful(t testing.TB, m *Model) *Encoder {
	t.Helper()
	e := NewEncoder(m)
	e.table = nil
	return e
}

// sameTokens fails the test unless both encoders give the same for a text, and the same again.
func sameTokens(t *testing.T, remembers, forgets *Encoder, text string) {
	t.Helper()
	want := forgets.Tokens(text)
	for range 3 { // not known, known the second time, taken from memory
		if got := remembers.Tokens(text); !slices.Equal(got, want) {
			i := 0
			for i < len(got) && i < len(want) && got[i] == want[i] {
				i++
			}
			t.Fatalf("%.200q: %d and %d pieces, different from piece %d on", text, len(got), len(want), i)
		}
	}
}

// remembered counts the words whose path is kept.
func (t *wordTable) remembered() (n int) {
	for i := range t.entries {
		if uint8(t.entries[i].data[2].Load()>>8) > 0 {
			n++
		}
	}
	return n
}

func TestRememberedWordsChangeNothing(t *testing.T) {
	total := 0
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 14))
		m := randomModel(r)
		e, off := NewEncoder(m), forgetful(t, m)
		for _, n := range []int{1, 3, 10, 30, 100, 1000} {
			for range 4 {
				sameTokens(t, e, off, randomWords(r, n))
			}
		}
		total += e.table.remembered()
	}
	if total < 1000 {
		t.Errorf("%d words are remembered in all: the test compares nothing", total)
	}
}

func TestWordsWithTiesAreSearched(t *testing.T) {
	for step, kept := range map[float32]bool{1: true, 0x1p-20: false, 0: false} { // how much better one path is
		m := &Model{Normalizer: defaultNormalizer, Pieces: []Piece{
			{Text: "<unk>", Type: Unknown}, {Text: space + "a", Score: -2, Type: Normal}, {Text: "b", Score: -3, Type: Normal},
			{Text: space, Score: -1, Type: Normal}, {Text: "ab", Score: -4 - step, Type: Normal},
		}}
		e := NewEncoder(m)
		sameTokens(t, e, forgetful(t, m), strings.Repeat("ab ", 5000))
		text := make([]byte, wordBytes)
		if w := e.learn(keyOf(text, copy(text, space+"ab"))); w.count != 2 || w.reach > 0 != kept {
			t.Errorf("step %v: %d pieces, reach %v", step, w.count, w.reach)
		}
	}
}

func TestMemoryOfWordsIsOff(t *testing.T) {
	m := must(Parse(goldenModel(t, "albert")))
	m.Normalizer.CharsMap = nil
	if NewEncoder(m).table == nil {
		t.Error("off for a vocabulary whose pieces have the space sign at their beginning alone")
	}
	last := len(m.Pieces)
	for _, text := range []string{"a" + space, "a" + space + "b", space + space, "\xe2"} {
		for _, kind := range []PieceType{Normal, UserDefined} {
			m.Pieces = append(m.Pieces[:last], Piece{Text: text, Score: -1, Type: kind})
			if NewEncoder(m).table != nil {
				t.Errorf("on with the piece %q (%v)", text, kind)
			}
		}
	}
	m.Pieces = m.Pieces[:last]
	m.Normalizer.CharsMap = must(BuildCharsMap(map[string]string{"a": "\xe2\x96"}))
	if NewEncoder(m).table != nil {
		t.Error("on with a rule whose text is no UTF-8")
	}
	m.Normalizer.CharsMap = nil
	t.Setenv(WordsVariable, "off")
	if NewEncoder(m).table != nil {
		t.Errorf("on with %s=off", WordsVariable)
	}
}

func TestWordsAreRememberedConcurrently(t *testing.T) {
	m := must(Parse(goldenModel(t, "albert")))
	e, off := NewEncoder(m), forgetful(t, m)
	r := rand.New(rand.NewPCG(1, 2))
	var texts []string
	for range 60 {
		texts = append(texts, randomWords(r, 50))
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 3 {
				for _, text := range texts {
					if !slices.Equal(e.IDs(text), off.IDs(text)) {
						t.Errorf("%.100q: other ids", text)
					}
				}
			}
		})
	}
	all.Wait()
}

func TestSlotsAreWhole(t *testing.T) {
	var s slot
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 5000 {
				x := uint64(n%7 + 1)
				if i == 0 {
					s.store(key{low: x, bytes: 3}, &word{ids: [3]uint64{x, x, x}, lengths: x, bytes: 3, count: uint8(x), reach: float32(x)})
				}
				want := word{ids: [3]uint64{x, x, x}, lengths: x, bytes: 3, count: uint8(x), reach: float32(x)}
				if got := (word{}); s.load(key{low: x, bytes: 3}, &got) && got != want {
					t.Errorf("got %v, want %v", got, want)
				}
			}
		})
	}
	all.Wait()
}

func FuzzRememberedWords(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, randomWords(rand.New(rand.NewPCG(seed, 3)), 20))
	}
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		m := randomModel(rand.New(rand.NewPCG(seed, 14)))
		e, off := NewEncoder(m), forgetful(t, m)
		sameTokens(t, e, off, text)
		sameTokens(t, e, off, strings.Repeat(text+" ", min(20, 1+10000/(1+len(text)))))
	})
}
