package examples

import (
	"math"
	"slices"
	"testing"

	"albert/internal/engine/numeric"
)

// Memory is a Source held in memory.
type Memory struct{ pieces, ends [][]int32 }

// NewMemory holds documents given as lists of sentences, each a list of pieces.
func NewMemory(documents [][][]int32) *Memory {
	m := &Memory{}
	for _, d := range documents {
		var pieces, ends []int32
		for _, sentence := range d {
			pieces = append(pieces, sentence...)
			ends = append(ends, int32(len(pieces)))
		}
		m.pieces = append(m.pieces, pieces)
		m.ends = append(m.ends, ends)
	}
	return m
}

func (m *Memory) Documents() int                              { return len(m.ends) }
func (m *Memory) Ends(doc int, _ []int32) []int32             { return m.ends[doc] }
func (m *Memory) Pieces(doc, from, to int, _ []int32) []int32 { return m.pieces[doc][from:to] }

// DefaultOptions are the defaults of `albert pretrain`.
func DefaultOptions() Options {
	return Options{Objective: SOP, MaxSeqLength: 512, ShortSeqProb: 0.1, MaskRate: 0.15, NGram: 3, FavorShorterNGram: true}
}

// testVocabulary has specials 0 to 4 and size-5 normal pieces, of which every third continues a word.
func testVocabulary(size int) Vocabulary {
	v := Vocabulary{CLS: 2, SEP: 3, Mask: 4, Starts: make([]bool, size)}
	for id := range v.Starts {
		v.Starts[id] = id > 4 && id%3 != 0
		if id > 4 {
			v.Normal = append(v.Normal, int32(id))
		}
	}
	return v
}

// randomDocuments makes documents of 1 to sentences sentences of 1 to pieces pieces; about one sentence in twenty is ten times
// as long.
func randomDocuments(seed uint64, documents, sentences, pieces, vocabulary int) [][][]int32 {
	docs := make([][][]int32, documents)
	for d := range docs {
		r := numeric.NewStream(seed, numeric.PurposeSample, uint32(d), 0, 0)
		docs[d] = make([][]int32, 1+r.Intn(sentences))
		for s := range docs[d] {
			n := 1 + r.Intn(pieces)
			if r.Intn(20) == 0 {
				n *= 10
			}
			for range n {
				docs[d][s] = append(docs[d][s], int32(5+r.Intn(vocabulary-5)))
			}
		}
	}
	return docs
}

// options are small defaults, changed by change.
func options(change func(*Options)) Options {
	o := DefaultOptions()
	o.MaxSeqLength = 64
	o.Seed = 7
	if change != nil {
		change(&o)
	}
	return o
}

func sampler(t testing.TB, docs [][][]int32, v Vocabulary, o Options) *Sampler {
	t.Helper()
	s, err := NewSampler(NewMemory(docs), v, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// epochOf gives all the examples of an epoch.
func epochOf(t testing.TB, s *Sampler, epoch uint32) []Example {
	t.Helper()
	first := uint64(0)
	for e := range epoch {
		c, err := s.Epoch(e)
		if err != nil {
			t.Fatal(err)
		}
		first += c.Examples
	}
	c, err := s.Epoch(epoch)
	if err != nil {
		t.Fatal(err)
	}
	examples := make([]Example, c.Examples)
	for i := range examples {
		if examples[i], err = s.Example(first + uint64(i)); err != nil {
			t.Fatal(err)
		}
		if examples[i].Epoch != epoch || examples[i].Index != first+uint64(i) {
			t.Fatalf("example %d of epoch %d calls itself %d of %d", first+uint64(i), epoch, examples[i].Index, examples[i].Epoch)
		}
	}
	return examples
}

// original undoes the masks.
func original(e Example) []int32 {
	ids := slices.Clone(e.InputIDs)
	for i, p := range e.MaskedPositions {
		ids[p] = e.MaskedIDs[i]
	}
	return ids
}

// near fails unless hits of n is within 4 standard deviations of chance p.
func near(t *testing.T, what string, hits, n int, p float64) {
	t.Helper()
	mean, sigma := p*float64(n), math.Sqrt(p*(1-p)*float64(n))
	if d := float64(hits) - mean; n == 0 || math.Abs(d) > 4*sigma {
		t.Errorf("%s: %d of %d, want %.1f, off by %.1f standard deviations", what, hits, n, mean, d/sigma)
	}
}
