package spmtrain

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"albert/numeric"
	"albert/tokenizer"
)

// pieces is the model while it is trained: candidates, and a trie over their characters.
type pieces struct {
	list   []piece
	lowest float64
	states []state
	edges  map[edge]int32
}

type state struct{ id int32 }

type edge struct {
	from int32
	r    rune
}

func newPieces(list []piece) *pieces {
	m := &pieces{list: list, states: []state{{-1}}, edges: make(map[edge]int32, 4*len(list))}
	for i, p := range list {
		at := int32(0)
		for _, r := range p.text {
			next, ok := m.edges[edge{at, r}]
			if !ok {
				next = int32(len(m.states))
				m.states = append(m.states, state{-1})
				m.edges[edge{at, r}] = next
			}
			at = next
		}
		m.states[at].id = int32(i)
		if i == 0 || p.score < m.lowest {
			m.lowest = p.score
		}
	}
	return m
}

func (m *pieces) next(at int32, r rune) (int32, bool) {
	n, ok := m.edges[edge{at, r}]
	return n, ok
}

// trainer is one training.
type trainer struct {
	o          Options
	threads    int
	normalizer *tokenizer.Encoder
	symbols    map[byte][]string // user-defined ones by their first byte, longest first
	scripts    scripts
	text       text
	stats      Stats
}

func (t *trainer) progress(phase string, done, of int) {
	if t.o.Progress != nil {
		t.o.Progress(phase, done, of)
	}
}

// Train trains a model on sentences. The result is the same for any number of threads. If the text is too small for the vocabulary
// the error says how large it may be.
func Train(ctx context.Context, sentences iter.Seq2[string, error], o Options) (*tokenizer.Model, Stats, error) {
	t := &trainer{o: o, threads: o.Threads, scripts: scripts{map[rune]string{}}}
	if t.threads <= 0 {
		t.threads = runtime.GOMAXPROCS(0)
	}
	if err := o.check(); err != nil {
		return nil, t.stats, err
	}
	meta, err := o.metaPieces()
	if err != nil {
		return nil, t.stats, err
	}
	charsMap, err := tokenizer.NormalizationRule(o.NormalizationRule)
	if err != nil {
		return nil, t.stats, err
	}
	t.prepare(charsMap)
	if err := t.collect(ctx, sentences); err != nil {
		return nil, t.stats, err
	}
	want := o.VocabSize - len(meta)
	if len(t.text.required) > want {
		return nil, t.stats, fmt.Errorf("--vocab-size %d: the text has %d characters that need pieces, beside %d special symbols; raise it above %d or lower --character-coverage",
			o.VocabSize, len(t.text.required), len(meta), len(t.text.required)+len(meta))
	}
	t.progress("candidates", 0, 0)
	m := newPieces(t.seeds())
	desired := int(float64(want+len(meta)) * 1.1)
	for round := 1; ; round++ {
		for range o.NumSubIterations {
			if err := ctx.Err(); err != nil {
				return nil, t.stats, err
			}
			expected := t.expect(m)
			if m, err = maximize(m, expected); err != nil {
				return nil, t.stats, err
			}
			t.progress("pieces left", len(m.list), desired)
		}
		if len(m.list) <= desired {
			break
		}
		m = t.prune(m, desired)
	}
	learned := t.finish(m, want)
	if len(learned) < want && o.HardVocabLimit {
		t.stats.Largest = len(learned) + len(meta)
		return nil, t.stats, fmt.Errorf("--vocab-size %d: the text is too small for it; it allows %d", o.VocabSize, t.stats.Largest)
	}
	out, err := o.model(meta, learned, charsMap)
	return out, t.stats, err
}

// prepare makes the normaliser: a model that has only what normalising needs.
func (t *trainer) prepare(charsMap []byte) {
	base := &tokenizer.Model{Pieces: []tokenizer.Piece{{Text: "<unk>", Type: tokenizer.Unknown}}, Normalizer: tokenizer.Normalizer{CharsMap: charsMap,
		AddDummyPrefix: t.o.AddDummyPrefix, RemoveExtraWhitespaces: t.o.RemoveExtraWhitespace, EscapeWhitespaces: true}}
	for _, s := range t.o.UserDefinedSymbols {
		base.Pieces = append(base.Pieces, tokenizer.Piece{Text: s, Type: tokenizer.UserDefined})
		if t.symbols == nil {
			t.symbols = map[byte][]string{}
		}
		t.symbols[s[0]] = append(t.symbols[s[0]], s)
	}
	for _, list := range t.symbols {
		slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	}
	t.normalizer = tokenizer.NewEncoder(base)
}

// blockWords is how many words make a block of a sum: blocks are shared among threads, their results added in order.
const blockWords = 4096

// blocks calls f for every block of words on all threads; merge is called in ascending order of blocks.
func (t *trainer) blocks(f func(worker, from, to int) any, merge func(any)) {
	n := len(t.text.words)
	count := (n + blockWords - 1) / blockWords
	results := make([]chan any, count)
	for i := range results {
		results[i] = make(chan any, 1)
	}
	// No worker runs far ahead of what is merged, so that few results wait.
	ahead := make(chan struct{}, 4*t.threads)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range t.threads {
		wg.Go(func() {
			for {
				ahead <- struct{}{}
				b := int(next.Add(1)) - 1
				if b >= count {
					<-ahead
					return
				}
				results[b] <- f(w, b*blockWords, min(n, (b+1)*blockWords))
			}
		})
	}
	for _, r := range results {
		merge(<-r)
		<-ahead
	}
	wg.Wait()
}

// expect is the E step: how often each piece is expected in the text.
func (t *trainer) expect(m *pieces) []float64 {
	expected := make([]float64, len(m.list))
	lattices := make([]lattice, t.threads)
	type sparse struct {
		ids    []int32
		counts []float64
	}
	scratch := make([][]float64, t.threads)
	for i := range scratch {
		scratch[i] = make([]float64, len(m.list))
	}
	t.blocks(func(worker, from, to int) any {
		l, sums := &lattices[worker], scratch[worker]
		var touched []int32
		for _, w := range t.text.words[from:to] {
			l.fill(m, w.text)
			for _, x := range l.nodes {
				if x.id >= 0 && sums[x.id] == 0 {
					touched = append(touched, x.id)
				}
			}
			l.marginals(float64(w.freq), sums)
		}
		s := sparse{}
		for _, id := range touched {
			if sums[id] != 0 {
				s.ids, s.counts = append(s.ids, id), append(s.counts, sums[id])
				sums[id] = 0
			}
		}
		return s
	}, func(r any) {
		s := r.(sparse)
		for i, id := range s.ids {
			expected[id] += s.counts[i]
		}
	})
	return expected
}

// maximize is the M step: pieces that are hardly expected go, the others get their new scores, by the digamma function as in a
// Dirichlet prior's variational estimate, which favours few pieces.
func maximize(m *pieces, expected []float64) (*pieces, error) {
	const least = 0.5
	var list []piece
	var counts []float64
	sum := 0.0
	for i, e := range expected {
		if e >= least {
			list = append(list, m.list[i])
			counts = append(counts, e)
			sum += e
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the text is too small: no piece is left")
	}
	log := digamma(sum)
	for i := range list {
		list[i].score = digamma(counts[i]) - log
	}
	return newPieces(list), nil
}

// digamma is the derivative of log gamma, for x > 0: moved up to 7 and more, then its asymptotic series.
func digamma(x float64) float64 {
	r := 0.0
	for ; x < 7; x++ {
		r -= 1 / x
	}
	x -= 0.5
	y := 1 / float64(x*x)
	// 1/24 x^-2 - 7/960 x^-4 + 31/8064 x^-6 - 127/30720 x^-8
	s := float64(y * (31.0/8064 - float64(y*(127.0/30720))))
	s = float64(y * (7.0/960 - s))
	s = float64(y * (1.0/24 - s))
	return r + numeric.Log64(x) + s
}

// prune drops the pieces whose loss costs the text's likelihood least, down to the shrinking factor or to what is desired.
func (t *trainer) prune(m *pieces, desired int) *pieces {
	n := len(m.list)
	keep := make([]bool, n)
	alternatives := make([][]int32, n)
	t.parallel(n, func(l *lattice, i int) {
		r := []rune(m.list[i].text)
		l.fill(m, r)
		var buf [64]int32
		best := l.viterbi(-1, buf[:0])
		if len(best) != 1 {
			return // never taken whole
		}
		keep[i] = true
		if second := l.viterbi(int(best[0]), buf[:0]); len(second) > 0 {
			for k := len(second) - 1; k >= 0; k-- {
				id := l.nodes[second[k]].id
				if id < 0 {
					alternatives[i] = nil
					return
				}
				alternatives[i] = append(alternatives[i], id)
			}
		}
	})
	// How often each piece is taken, and in how many words.
	freq, in := make([]float64, n), make([]float64, n)
	total := 0.0
	lattices := make([]lattice, t.threads)
	type taken struct {
		ids  []int32
		freq []int64
		ins  []int64
		sum  int64
	}
	t.blocks(func(worker, from, to int) any {
		l := &lattices[worker]
		var out taken
		var buf [512]int32
		for _, w := range t.text.words[from:to] {
			l.fill(m, w.text)
			path := l.viterbi(-1, buf[:0])
			start := len(out.ids)
			for _, x := range path {
				id := l.nodes[x].id
				if id < 0 {
					continue
				}
				out.ids, out.freq = append(out.ids, id), append(out.freq, w.freq)
				seen := slices.Contains(out.ids[start:len(out.ids)-1], id)
				out.ins = append(out.ins, map[bool]int64{false: w.freq}[seen])
			}
			out.sum += w.freq
		}
		return out
	}, func(r any) {
		out := r.(taken)
		for i, id := range out.ids {
			freq[id] += float64(out.freq[i])
			in[id] += float64(out.ins[i])
		}
		total += float64(out.sum)
	})
	sum := 0.0
	for _, f := range freq {
		sum += f
	}
	logSum := numeric.Log64(sum)
	type candidate struct {
		id   int
		loss float64
	}
	var list []piece
	var candidates []candidate
	for i, p := range m.list {
		switch {
		case freq[i] == 0 && !keep[i]:
		case len(alternatives[i]) == 0:
			list = append(list, p)
		default:
			share := in[i] / total
			now := numeric.Log64(freq[i]) - logSum
			logAlt := numeric.Log64(sum + float64(freq[i]*float64(len(alternatives[i])-1)))
			then := 0.0
			for _, a := range alternatives[i] {
				then += numeric.Log64(freq[a]+freq[i]) - logAlt
			}
			loss := float64(share * (now - then))
			if freq[i] == 0 {
				loss = 0
			}
			candidates = append(candidates, candidate{i, loss})
		}
	}
	size := max(desired, int(t.o.ShrinkingFactor*float64(n)))
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.loss, a.loss), cmp.Compare(a.id, b.id)) })
	for _, c := range candidates {
		if len(list) >= size {
			break
		}
		list = append(list, m.list[c.id])
	}
	return newPieces(list)
}

// parallel calls f for 0 ... n-1 on all threads, each with a lattice of its own.
func (t *trainer) parallel(n int, f func(l *lattice, i int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	const chunk = 256
	for range t.threads {
		wg.Go(func() {
			var l lattice
			for {
				from := int(next.Add(chunk)) - chunk
				if from >= n {
					return
				}
				for i := from; i < min(n, from+chunk); i++ {
					f(&l, i)
				}
			}
		})
	}
	wg.Wait()
}

// sortParallel sorts n things: runs on all threads, then merges of neighbours. Things that compare equal are equal.
func (t *trainer) sortParallel(n int, run func(from, to int), merge func(from, mid, to int)) {
	parts := 1
	for parts < t.threads {
		parts *= 2
	}
	at := func(i int) int { return n * i / parts }
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { run(at(i), at(i+1)) })
	}
	wg.Wait()
	for w := 1; w < parts; w *= 2 {
		for i := 0; i+w < parts; i += 2 * w {
			wg.Go(func() { merge(at(i), at(i+w), at(i+2*w)) })
		}
		wg.Wait()
	}
}

// finish takes the pieces of the vocabulary: every required character, then the likeliest. Characters that training has dropped get
// scores below all others.
func (t *trainer) finish(m *pieces, want int) []tokenizer.Piece {
	const below = 0.0001
	score := map[string]float64{}
	for _, p := range m.list {
		score[p.text] = p.score
	}
	final := map[string]float64{}
	penalty := 0.0
	for _, r := range t.requiredChars() {
		s, ok := score[string(r)]
		if !ok {
			s = m.lowest + penalty
			penalty += below
		}
		final[string(r)] = s
	}
	order := slices.SortedFunc(slices.Values(m.list), func(a, b piece) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.text, b.text))
	})
	for _, p := range order {
		if len(final) == want {
			break
		}
		final[p.text] = p.score
	}
	var out []tokenizer.Piece
	for text, s := range final {
		if utf8.ValidString(text) {
			out = append(out, tokenizer.Piece{Text: text, Score: float32(s), Type: tokenizer.Normal})
		}
	}
	slices.SortFunc(out, func(a, b tokenizer.Piece) int {
		return cmp.Or(cmp.Compare(final[b.Text], final[a.Text]), cmp.Compare(a.Text, b.Text))
	})
	return out
}
