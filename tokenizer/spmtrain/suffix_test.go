package spmtrain

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"albert/internal/engine/numeric"
)

// The suffix array is the one that a plain sort gives.
func TestSuffixArray(t *testing.T) {
	s := numeric.NewStream(1, numeric.PurposeSample, 0, 0, 0)
	for round := range 200 {
		text := randomText(s, 1+s.Intn(300), []string{"a", "ab ", "abc  ", "añ東 京", "abcdefghijklmnop ", "aaaaaaab "}[round%6])
		if strings.TrimSpace(text) == "" {
			continue
		}
		tr := collected(t, text, smallOptions(1000))
		most := 1 + s.Intn(20)
		w := &tr.words
		var want []int32
		for i := range w.freq {
			for p := w.start[i]; p < w.start[i+1]-1; p++ {
				want = append(want, p)
			}
		}
		of := func(p int32) []int32 {
			x := w.letters[p : w.start[w.at(p)+1]-1]
			return x[:min(len(x), most)]
		}
		slices.SortFunc(want, func(a, b int32) int { return cmp.Or(slices.Compare(of(a), of(b)), cmp.Compare(a, b)) })
		if got := tr.suffixArray(most); !slices.Equal(got, want) {
			t.Fatalf("%q to %d letters: %v, want %v", text, most, got, want)
		}
	}
}

// The candidates are the runs of characters inside words that stand in the text at least twice and are followed by different bytes,
// found here by counting all of them.
func TestSeeds(t *testing.T) {
	s := numeric.NewStream(2, numeric.PurposeSample, 0, 0, 0)
	for round := range 200 {
		var b strings.Builder
		for range 1 + s.Intn(8) {
			b.WriteString(strings.TrimSpace(randomText(s, 1+s.Intn(60), []string{"ab .", "abc  ", "añ東–京 ", "aab’–(", "ab12 "}[round%5])))
			b.WriteByte('\n')
		}
		o := smallOptions(1000)
		o.MaxSentencepieceLength, o.TreatWhitespaceAsSuffix = 1+s.Intn(6), s.Intn(3) == 0
		if strings.TrimSpace(b.String()) == "" {
			continue
		}
		tr := collected(t, b.String(), o)
		type run struct {
			n    int
			next map[byte]bool
		}
		want := map[string]*run{}
		for line := range strings.Lines(b.String()) {
			if line = strings.TrimSuffix(line, "\n"); line == "" {
				continue
			}
			text := tr.normalizer.Normalized(line)
			for _, u := range o.UserDefinedSymbols {
				text = strings.ReplaceAll(text, u, reserved)
			}
			text += "\x00"
			for i := range text {
				for j := range text {
					if x := ""; j > i {
						x = text[i:j]
						if strings.Contains(x, reserved) || utf8.RuneCountInString(x) < 2 {
							continue
						}
						if want[x] == nil {
							want[x] = &run{next: map[byte]bool{}}
						}
						want[x].n++
						want[x].next[text[j]] = true
					}
				}
			}
		}
		list := map[string]int64{}
		total := int64(0)
		for x, r := range want {
			var letters []int32
			for _, c := range x {
				letters = append(letters, tr.letterOf[c])
			}
			if r.n >= 2 && len(r.next) > 1 && tr.valid(letters) {
				list[x] = int64(r.n) * int64(utf8.RuneCountInString(x))
				total += list[x]
			}
		}
		for i, c := range tr.alphabet {
			list[string(c)] = tr.charFreq[i]
			total += tr.charFreq[i]
		}
		got := tr.seeds()
		if len(got) != len(list) {
			var have []string
			for _, p := range got {
				have = append(have, tr.text(p))
			}
			t.Fatalf("%q: %q, want %q", b.String(), have, slices.Sorted(maps.Keys(list)))
		}
		for i, p := range got {
			x := tr.text(p)
			if want := numeric.Log64(float64(list[x])) - numeric.Log64(float64(total)); p.score != want {
				t.Fatalf("%q: %q has the score %v, want %v", b.String(), x, p.score, want)
			}
			if i > 0 && tr.text(got[i-1]) >= x {
				t.Fatalf("%q: %q stands before %q", b.String(), tr.text(got[i-1]), x)
			}
		}
	}
}

// Of too many candidates those with the largest count times length stay, whatever the limit for keeping them meanwhile does.
func TestSeedLimit(t *testing.T) {
	text := corpusOf(3, 300)
	o := smallOptions(1000)
	all := collected(t, text, o).seeds()
	for _, limit := range []int{1, 10, 100, 500} {
		o.SeedSentencepieceSize = limit
		tr := collected(t, text, o)
		got := tr.seeds()
		scores := map[string]float64{}
		for _, p := range all {
			if p.n > 1 {
				scores[tr.text(p)] = p.score
			}
		}
		best := slices.SortedFunc(maps.Values(scores), func(a, b float64) int { return cmp.Compare(b, a) })[:limit]
		n := 0
		for _, p := range got {
			if p.n == 1 {
				continue
			}
			n++
			if scores[tr.text(p)] < best[limit-1] {
				t.Errorf("%d candidates: %q is among them", limit, tr.text(p))
			}
		}
		if n != limit {
			t.Errorf("%d candidates, want %d", n, limit)
		}
	}
}

// The candidates of one long word take about as long as those of the same letters in short words, and none are looked for once the training
// is cancelled.
func TestSeedsOfOneLongWord(t *testing.T) {
	s := numeric.NewStream(9, numeric.PurposeSample, 0, 0, 0)
	letters := make([]byte, 150_000)
	for i := range letters {
		letters[i] = byte('a' + s.Intn(20))
	}
	o := smallOptions(1000)
	o.MaxSentenceLength, o.Threads = 1<<20, 1
	took := func(text string) time.Duration {
		tr := collected(t, text, o)
		start := time.Now()
		tr.seeds()
		return time.Since(start)
	}
	short := string(letters)
	for i := 100; i < len(short); i += 101 {
		short = short[:i] + " " + short[i:]
	}
	if long, short := took(string(letters)), took(short); long > 5*short+time.Second {
		t.Errorf("%v, in short words %v", long, short)
	}
	tr := collected(t, string(letters), o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tr.ctx = ctx
	if list := tr.seeds(); list != nil {
		t.Errorf("%d candidates after the end", len(list))
	}
}

// A cancelled training does not go on with the words that a thread has taken.
func TestCancelBetweenWords(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tr := &trainer{threads: 2, ctx: ctx}
	done := 0
	tr.parallel(100, 1000, func(int) func(int) {
		return func(int) {
			done++
			cancel()
		}
	})
	if done != 1 {
		t.Errorf("%d words, want 1", done)
	}
}

func BenchmarkSuffixArray(b *testing.B) {
	tr := &trainer{o: DefaultOptions(), threads: 1, ctx: b.Context()}
	if err := tr.prepare(nil); err != nil {
		b.Fatal(err)
	}
	if err := tr.collect(linesOf(corpusOf(1, 20000))); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(tr.words.letters)))
	for b.Loop() {
		tr.suffixArray(17)
	}
}
