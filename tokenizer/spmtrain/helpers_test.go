package spmtrain

import (
	"iter"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/numeric"
	"albert/tokenizer"
)

// linesOf gives the lines of a text as sentences.
func linesOf(text string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for line := range strings.Lines(text) {
			if !yield(strings.TrimSuffix(line, "\n"), nil) {
				return
			}
		}
	}
}

// corpusOf makes text: words of syllables, the frequent ones short, as natural text has them, with commas, symbols and rare characters.
func corpusOf(seed uint64, sentences int) string {
	s := numeric.NewStream(seed, numeric.PurposeSample, 0, 0, 0)
	syllables := strings.Fields("zé ну да 東 京 ing ed st an on er qui th")
	for _, c := range "bcdfghklmnprstvw" {
		for _, v := range "aeiou" {
			syllables = append(syllables, string(c)+string(v))
		}
	}
	lexicon := make([]string, 8000)
	for i := range lexicon {
		for range 1 + s.Intn(1+log2(i)/3) {
			// A square: some syllables are more frequent than others.
			lexicon[i] += syllables[int(float64(len(syllables))*s.Float64()*s.Float64())]
		}
	}
	var b strings.Builder
	for range sentences {
		for i := range 3 + s.Intn(15) {
			if i > 0 {
				b.WriteByte(' ')
			}
			// Zipf's law: ranks are the exponential of something uniform.
			b.WriteString(lexicon[int(numeric.Exp64(s.Float64()*8.98))])
			switch s.Intn(12) {
			case 0:
				b.WriteByte(',')
			case 1:
				b.WriteString(`-"x" (`)
			case 2:
				b.WriteString("’s")
			}
		}
		b.WriteString([]string{".", "!", "", " 1905.", "…"}[s.Intn(5)])
		b.WriteByte('\n')
	}
	return b.String()
}

func log2(i int) (n int) {
	for ; i > 0; i /= 2 {
		n++
	}
	return n
}

// smallOptions are options for small texts: their normal form depends on no table.
func smallOptions(vocab int) Options {
	o := DefaultOptions()
	o.VocabSize, o.CharacterCoverage, o.NormalizationRuleName = vocab, 1, "identity"
	return o
}

func mustTrain(t *testing.T, text string, o Options) *tokenizer.Model {
	t.Helper()
	m, _, err := Train(t.Context(), linesOf(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// collected is a trainer that has read a text.
func collected(t *testing.T, text string, o Options) *trainer {
	t.Helper()
	tr := &trainer{o: o, threads: max(1, o.Threads), ctx: t.Context()}
	meta, err := o.metaPieces()
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.prepare(meta); err != nil {
		t.Fatal(err)
	}
	if err := tr.collect(linesOf(text)); err != nil {
		t.Fatal(err)
	}
	return tr
}

func texts(m *tokenizer.Model) []string {
	var out []string
	for _, p := range m.Pieces {
		out = append(out, p.Text)
	}
	return out
}

func has(m *tokenizer.Model, text string) bool { return slices.Contains(texts(m), text) }

// randomText is characters of a small alphabet with spaces, so that much of it repeats.
func randomText(s *numeric.Stream, n int, alphabet string) string {
	r := []rune(alphabet)
	var b strings.Builder
	for range n {
		b.WriteRune(r[s.Intn(len(r))])
	}
	return b.String()
}
