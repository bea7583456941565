package examples

import (
	"fmt"
	"math"
	"sync"

	"albert/internal/engine/numeric"
	"albert/internal/run"
	"albert/tokenizer"
)

// Sampler makes the examples of a run. Example i, from 0, is a function of the source, the vocabulary, the options and i: it is the
// same whoever asks, whenever, and in whatever order. Epochs follow one another without end; each uses every document once, cut,
// masked and ordered anew. A Sampler is safe for concurrent use.
type Sampler struct {
	src    Source
	masker *masker
	epochs epochs
	pool   sync.Pool // of *scratch
}

// scratch is what making an example needs, kept from one to the next.
type scratch struct {
	ends, otherEnds, pieces []int32 // of the source

	ids                  []int32
	positions, originals []int32 // of the masked pieces

	// The words of ids (masker.words), those chosen to be masked, and an order to try them in.
	candidates, word, run, order []int32
	chosen                       []bool
}

// NewSampler counts the first epoch, and so looks at every document's sentences once. Errors name the option, or the document.
func NewSampler(src Source, v Vocabulary, o Options) (*Sampler, error) {
	return newSampler(src, v, o, false)
}

func newSampler(src Source, v Vocabulary, o Options, eval bool) (*Sampler, error) {
	if err := run.Check(&o); err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	switch n := src.Documents(); {
	case n == 0:
		return nil, fmt.Errorf("there are no documents")
	case n > math.MaxInt32:
		return nil, fmt.Errorf("%d documents: at most %d can be numbered", n, math.MaxInt32)
	case n == 1 && o.Objective == NSP && !o.UpstreamQuirks:
		return nil, fmt.Errorf("`Objective` nsp takes segments from other documents, but there is only one document")
	}
	s := &Sampler{src: src, masker: newMasker(o, v)}
	s.epochs.src = src
	s.epochs.cutter = cutter{Options: o, eval: eval}
	s.epochs.begin = []uint64{0}
	s.pool.New = func() any { return new(scratch) }
	_, err := s.Epoch(0)
	return s, err
}

// Epoch counts an epoch's examples, from 0.
func (s *Sampler) Epoch(epoch uint32) (Epoch, error) {
	s.epochs.mu.Lock()
	defer s.epochs.mu.Unlock()
	t, err := s.epochs.table(epoch)
	if err != nil {
		return Epoch{}, err
	}
	return t.Epoch, nil
}

// Batch gives the examples that a step learns from: step, from 1, of size examples each, takes the size examples after those of
// the step before, across the end of an epoch if need be.
func (s *Sampler) Batch(step, size int) ([]Example, error) {
	if step < 1 || size < 1 {
		return nil, fmt.Errorf("batch of step %d with %d examples: both count from 1", step, size)
	}
	batch := make([]Example, size)
	first := uint64(step-1) * uint64(size)
	for i := range batch {
		var err error
		if batch[i], err = s.Example(first + uint64(i)); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

// Example gives one example.
func (s *Sampler) Example(i uint64) (Example, error) {
	t, at, err := s.epochs.at(i)
	if err != nil {
		return Example{}, err
	}
	e, err := s.make(t, numeric.Permute(t.Seed, numeric.PurposeShuffle, t.epoch, t.Examples, at))
	e.Index = i
	return e, err
}

// make makes the example of an index of an epoch, before the shuffle: by document and part.
func (s *Sampler) make(t *table, index uint64) (Example, error) {
	sc := s.pool.Get().(*scratch)
	defer s.pool.Put(sc)
	doc, number, from, first := t.locate(index)
	sc.ends = s.src.Ends(doc, sc.ends)
	w := t.start(doc, sc.ends, from, first)
	var p part
	for w.part <= number {
		var ok bool
		if p, ok = w.next(); !ok {
			return Example{}, fmt.Errorf("document %d has changed since its examples were counted", doc)
		}
	}
	r := t.stream(purposeMask, uint32(doc), number)
	a, b := s.segments(&t.cutter, sc, r, doc, p)
	label := int8(-1)
	switch {
	case t.Objective == None:
	case p.random:
		label = 1
	case t.Objective == SOP && r.Intn(2) == 1:
		a, b = b, a
		label = 1
	default:
		label = 0
	}
	truncate(&t.cutter, &a, &b, p, r)

	sc.ids = append(sc.ids[:0], s.masker.CLS)
	sc.ids = append(append(sc.ids, s.read(sc, a)...), s.masker.SEP)
	second := len(sc.ids)
	if b.Sentences > 0 {
		sc.ids = append(append(sc.ids, s.read(sc, b)...), s.masker.SEP)
	}
	for _, id := range sc.ids {
		if uint32(id) >= uint32(s.masker.Size()) {
			return Example{}, fmt.Errorf("document %d: piece %d, but the vocabulary has %d", doc, id, s.masker.Size())
		}
	}
	s.masker.mask(sc, r)
	return sc.example(t.epoch, label, second, a, b), nil
}

// A segment is sentences of a document, and the pieces of them that are used.
type segment struct {
	Segment
	from, to int
}

func newSegment(doc int, ends []int32, first, end int) segment {
	return segment{Segment{doc, first, end - first}, place(ends, first), place(ends, end)}
}

// segments gives a part's two segments, whole; the second has no sentences if there is one only.
func (s *Sampler) segments(c *cutter, sc *scratch, r *numeric.Stream, doc int, p part) (a, b segment) {
	a = newSegment(doc, sc.ends, p.first, p.split)
	if !p.random {
		return a, newSegment(doc, sc.ends, p.split, p.end)
	}
	// A run of another document has as many pieces as what it replaces, if whole sentences allow, so that its length does not tell.
	documents := s.src.Documents()
	var other int
	enough, most := p.want, math.MaxInt
	if c.UpstreamQuirks {
		for range 10 {
			if other = r.Intn(documents); other != doc {
				break
			}
		}
	} else {
		if other = r.Intn(documents - 1); other >= doc {
			other++
		}
		var kept int
		kept, enough = tokenizer.Shares(a.to-a.from, p.want, c.room())
		most = c.room() - kept
	}
	sc.otherEnds = s.src.Ends(other, sc.otherEnds)
	first := r.Intn(len(sc.otherEnds))
	end := first + 1
	for end < len(sc.otherEnds) && pieces(sc.otherEnds, first, end) < enough && pieces(sc.otherEnds, first, end+1) <= most {
		end++
	}
	return a, newSegment(other, sc.otherEnds, first, end)
}

// truncate cuts segments to the room that there is, at either end. A segment that keeps k pieces keeps any k in a row with equal
// chances; upstream drops piece by piece, first or last with equal chances, which comes to the middle of a long segment.
func truncate(c *cutter, a, b *segment, p part, r *numeric.Stream) {
	keptA, keptB := a.to-a.from, b.to-b.from
	switch {
	case c.UpstreamQuirks:
		for keptA+keptB > c.room() {
			longer, kept := b, &keptB
			if keptA > keptB {
				longer, kept = a, &keptA
			}
			*kept--
			if r.Intn(2) == 0 {
				longer.from++
			} else {
				longer.to--
			}
		}
		return
	case p.random:
		keptA, _ = tokenizer.Shares(keptA, p.want, c.room())
		keptB = min(keptB, c.room()-keptA)
	case b.Sentences == 0:
		keptA = min(keptA, c.room()+1)
	default:
		keptA, keptB = tokenizer.Shares(keptA, keptB, c.room())
	}
	a.keep(keptA, r)
	b.keep(keptB, r)
}

func (s *segment) keep(n int, r *numeric.Stream) {
	if over := s.to - s.from - n; over > 0 {
		s.from += r.Intn(over + 1)
		s.to = s.from + n
	}
}

// read gives a segment's pieces, until the next read.
func (s *Sampler) read(sc *scratch, g segment) []int32 {
	sc.pieces = s.src.Pieces(g.Document, g.from, g.to, sc.pieces)
	return sc.pieces
}

// example copies what is to be kept. Its second segment begins at piece second.
func (sc *scratch) example(epoch uint32, label int8, second int, a, b segment) Example {
	n, m := len(sc.ids), len(sc.positions)
	all := make([]int32, n+2*m)
	e := Example{
		Epoch:           epoch,
		InputIDs:        all[:n:n],
		TokenTypes:      make([]uint8, n),
		MaskedPositions: all[n : n+m : n+m],
		MaskedIDs:       all[n+m:],
		Label:           label,
		Sources:         []Segment{a.Segment, b.Segment},
	}
	copy(e.InputIDs, sc.ids)
	copy(e.MaskedPositions, sc.positions)
	copy(e.MaskedIDs, sc.originals)
	for i := second; i < n; i++ {
		e.TokenTypes[i] = 1
	}
	if b.Sentences == 0 {
		e.Sources = e.Sources[:1]
	}
	return e
}
