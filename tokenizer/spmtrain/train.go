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

	"albert/tokenizer"
)

// trainer holds the state of one training.
type trainer struct {
	o          Options
	threads    int
	ctx        context.Context
	normalizer *tokenizer.Encoder
	symbols    *symbols // texts that stand apart: no piece has a part of them

	alphabet []rune // the characters that get pieces, ascending
	letters  []letter
	letterOf map[rune]int32
	charFreq []int64 // how often each character of the alphabet is in the text
	words    words
	stats    Stats
}

func (t *trainer) progress(phase string, done, of int64) {
	if t.o.Progress != nil {
		t.o.Progress(phase, int(done), int(of))
	}
}

// Train trains a model on sentences. The result is the same for any number of threads. If the text is too small for the vocabulary
// the error says how large it may be.
func Train(ctx context.Context, sentences iter.Seq2[string, error], o Options) (*tokenizer.Model, Stats, error) {
	t := &trainer{o: o, threads: o.Threads, ctx: ctx}
	if t.threads <= 0 {
		t.threads = runtime.GOMAXPROCS(0)
	}
	m, err := t.train(sentences)
	if ctx.Err() != nil {
		m, err = nil, ctx.Err()
	}
	return m, t.stats, err
}

func (t *trainer) train(sentences iter.Seq2[string, error]) (*tokenizer.Model, error) {
	o := &t.o
	if err := o.Check(); err != nil {
		return nil, err
	}
	meta, err := o.metaPieces()
	if err != nil {
		return nil, err
	}
	if err := t.prepare(meta); err != nil {
		return nil, err
	}
	if err := t.collect(sentences); err != nil {
		return nil, err
	}
	want := o.VocabSize - len(meta)
	if len(t.alphabet) > want {
		return nil, fmt.Errorf("--vocab-size %d: the text has %d characters that need pieces, beside %d special symbols: want at least %d, or a lower --character-coverage",
			o.VocabSize, len(t.alphabet), len(meta), len(t.alphabet)+len(meta))
	}
	t.progress("finding candidates", 0, 0)
	v := t.vocabulary(t.seeds())
	desired := int(float64(o.VocabSize) * 1.1)
	for {
		for range o.NumSubIterations {
			if err := t.ctx.Err(); err != nil {
				return nil, err
			}
			t.progress(fmt.Sprintf("pruning to %d candidates, now", desired), int64(len(v.list)), 0)
			if v, err = t.maximize(v, t.expect(v)); err != nil {
				return nil, err
			}
		}
		v = t.prune(v, desired)
		if len(v.list) <= desired {
			break
		}
	}
	learned := t.finish(t.reachable(v), want)
	if len(learned) < want && o.HardVocabLimit {
		t.stats.Largest = len(learned) + len(meta)
		return nil, fmt.Errorf("--vocab-size %d: the text is too small for it; it allows %d", o.VocabSize, t.stats.Largest)
	}
	return o.model(meta, learned)
}

// prepare makes the normaliser, and the finder of the texts that stand apart in normal text: those of all pieces that are not learned.
func (t *trainer) prepare(meta map[int]tokenizer.Piece) error {
	// Without user-defined symbols, which a model would leave as they are: spm_train normalises them.
	o := t.o
	o.ByteFallback = false
	m, err := o.model(nil, []tokenizer.Piece{{Text: "<unk>", Type: tokenizer.Unknown}, {Text: string(space), Type: tokenizer.Normal}})
	if err != nil {
		return err
	}
	t.normalizer = tokenizer.NewEncoder(m)
	var texts []string
	for _, p := range meta {
		texts = append(texts, p.Text)
	}
	if o.PretokenizationDelimiter != "" {
		texts = append(texts, o.PretokenizationDelimiter)
	}
	t.symbols = newSymbols(texts)
	return nil
}

// parallel runs a function for 0 to n-1 on all threads, chunk by chunk, until the training is cancelled. Each thread that takes part calls
// worker once, with its number, to get the function.
func (t *trainer) parallel(n, chunk int, worker func(thread int) func(i int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for thread := range min(t.threads, (n+chunk-1)/chunk) {
		wg.Go(func() {
			f := worker(thread)
			for {
				from := int(next.Add(int64(chunk))) - chunk
				if from >= n {
					return
				}
				for i := from; i < min(n, from+chunk); i++ {
					if t.ctx.Err() != nil {
						return
					}
					f(i)
				}
			}
		})
	}
	wg.Wait()
}

// finish chooses the learned pieces of the model: the whole alphabet, then the likeliest pieces. Characters that training has dropped get
// about the lowest score, each a little more than the more frequent ones, as spm_train has it.
func (t *trainer) finish(v *vocabulary, want int) []tokenizer.Piece {
	const step = 0.0001
	type scored struct {
		piece
		text string
	}
	var out, rest []scored
	has := make([]bool, len(t.alphabet))
	for _, p := range v.list {
		s := scored{p, t.text(p)}
		if p.n == 1 {
			has[t.words.letters[p.at]] = true
			out = append(out, s)
		} else {
			rest = append(rest, s)
		}
	}
	var lost []int
	for c := range t.alphabet {
		if !has[c] {
			lost = append(lost, c)
		}
	}
	slices.SortFunc(lost, func(a, b int) int { return cmp.Or(cmp.Compare(t.charFreq[b], t.charFreq[a]), cmp.Compare(a, b)) })
	for i, c := range lost {
		out = append(out, scored{piece{score: v.lowest + float64(step*float64(i))}, string(t.alphabet[c])})
	}
	// By the scores in the precision of the file: pieces that are equal there are sorted by their text.
	order := func(a, b scored) int {
		return cmp.Or(cmp.Compare(float32(b.score), float32(a.score)), cmp.Compare(a.text, b.text))
	}
	slices.SortFunc(rest, order)
	out = append(out, rest[:min(len(rest), want-len(out))]...)
	slices.SortFunc(out, order)
	pieces := make([]tokenizer.Piece, len(out))
	for i, s := range out {
		pieces[i] = tokenizer.Piece{Text: s.text, Score: float32(s.score), Type: tokenizer.Normal}
	}
	return pieces
}
