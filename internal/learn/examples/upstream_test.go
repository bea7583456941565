package examples

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"albert/internal/engine/numeric"
)

// modelUpstream is SPEC 2.3 for one document, written the plain way: lists of tokens, an index that is rewound, one piece popped
// at a time. It draws the same random numbers in the same places as the package.
func modelUpstream(docs [][][]int32, doc int, v Vocabulary, o Options, epoch uint32) []Example {
	document := docs[doc]
	maxNum := o.MaxSeqLength - 3
	target := maxNum
	r := numeric.NewStream(o.Seed, numeric.PurposeCut, epoch, uint32(doc), math.MaxUint32)
	if r.Float64() < o.ShortSeqProb {
		target = 2 + r.Intn(maxNum-1)
	}
	var out []Example
	var chunk [][]int32
	length := 0
	for i := 0; i < len(document); i++ {
		chunk = append(chunk, document[i])
		length += len(document[i])
		if i != len(document)-1 && length < target {
			continue
		}
		cut := numeric.NewStream(o.Seed, numeric.PurposeCut, epoch, uint32(doc), uint32(len(out)))
		rest := numeric.NewStream(o.Seed, numeric.PurposeMask, epoch, uint32(doc), uint32(len(out)))
		k := 1
		if len(chunk) >= 2 {
			k = 1 + cut.Intn(len(chunk)-1)
		}
		begin := i - len(chunk) + 1
		a, b := flat(chunk[:k]), []int32(nil)
		from := []Segment{{doc, begin, k}, {doc, begin + k, len(chunk) - k}}
		label := int8(0)
		if len(chunk) == 1 || o.Objective == NSP && cut.Intn(2) == 1 {
			label = 1
			var other int
			for range 10 {
				other = rest.Intn(len(docs))
				if other != doc {
					break
				}
			}
			start := rest.Intn(len(docs[other]))
			from[1] = Segment{other, start, 0}
			for _, sentence := range docs[other][start:] {
				b = append(b, sentence...)
				from[1].Sentences++
				if len(b) >= target-len(a) {
					break
				}
			}
			i -= len(chunk) - k
		} else {
			b = flat(chunk[k:])
			if o.Objective == SOP && rest.Intn(2) == 1 {
				label = 1
				a, b = b, a
				from[0], from[1] = from[1], from[0]
			}
		}
		for len(a)+len(b) > maxNum {
			longer := &b
			if len(a) > len(b) {
				longer = &a
			}
			if rest.Intn(2) == 0 {
				*longer = (*longer)[1:]
			} else {
				*longer = (*longer)[:len(*longer)-1]
			}
		}
		e := Example{Epoch: epoch, MaskedPositions: []int32{}, MaskedIDs: []int32{}, Label: label, Sources: from}
		tokens := slices.Concat([]int32{v.CLS}, a, []int32{v.SEP}, b, []int32{v.SEP})
		e.TokenTypes = slices.Concat(make([]uint8, len(a)+2), slices.Repeat([]uint8{1}, len(b)+1))
		modelMasks(&e, tokens, v, o, rest)
		out = append(out, e)
		chunk, length = nil, 0
	}
	return out
}

func modelMasks(e *Example, tokens []int32, v Vocabulary, o Options, r *numeric.Stream) {
	var words [][]int32
	for i, id := range tokens {
		if id == v.CLS || id == v.SEP {
			continue
		}
		if len(words) >= 1 && !v.Starts[id] {
			words[len(words)-1] = append(words[len(words)-1], int32(i))
		} else {
			words = append(words, []int32{int32(i)})
		}
	}
	budget := max(1, int(math.RoundToEven(float64(len(tokens))*o.MaskRate)))
	if o.MaxPredictions > 0 {
		budget = min(budget, o.MaxPredictions)
	}
	var order []int
	for w := range words {
		order = append(order, w)
	}
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	covered := map[int32]bool{}
	for _, w := range order {
		if len(covered) >= budget {
			break
		}
		n := 3
		switch u := r.Intn(11); { // 6, 3, 2 of 11
		case u < 6:
			n = 1
		case u < 9:
			n = 2
		}
		var set []int32
		for ; n >= 1; n-- {
			set = slices.Concat(words[w:min(w+n, len(words))]...)
			if len(covered)+len(set) <= budget {
				break
			}
		}
		if n == 0 || slices.ContainsFunc(set, func(p int32) bool { return covered[p] }) {
			continue
		}
		for _, p := range set {
			covered[p] = true
		}
	}
	e.InputIDs = slices.Clone(tokens)
	for i, id := range tokens {
		if covered[int32(i)] {
			e.MaskedPositions = append(e.MaskedPositions, int32(i))
			e.MaskedIDs = append(e.MaskedIDs, id)
			switch u := r.Intn(10); u {
			case 8:
			case 9:
				e.InputIDs[i] = int32(r.Intn(v.Size()))
			default:
				e.InputIDs[i] = v.Mask
			}
		}
	}
}

func TestUpstreamIsSpec23(t *testing.T) {
	v := testVocabulary(300)
	docs := randomDocuments(21, 120, 25, 15, 300)
	for _, o := range []Options{
		options(func(o *Options) { o.MaxPredictions = 20 }),
		options(func(o *Options) { o.MaxPredictions, o.MaxSeqLength = 3, 32 }),
		options(func(o *Options) { o.Objective = NSP }),
		options(func(o *Options) { o.Objective, o.ShortSeqProb = NSP, 1 }),
		options(func(o *Options) { o.ShortSeqProb = 1 }),
		options(func(o *Options) { o.MaxSeqLength = 5 }),
	} {
		o.UpstreamQuirks = true
		s := sampler(t, docs, v, o)
		for epoch := range uint32(2) {
			s.epochs.mu.Lock()
			tab, err := s.epochs.table(epoch)
			s.epochs.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			index := uint64(0)
			for doc := range docs {
				for _, want := range modelUpstream(docs, doc, v, o, epoch) {
					if index >= tab.Examples {
						t.Fatalf("%d examples; the model has more", index)
					}
					got, err := s.make(tab, index)
					if err != nil {
						t.Fatal(err)
					}
					if d := cmp.Diff(want, got); d != "" {
						t.Fatalf("document %d, index %d (-want +got): %s", doc, index, d)
					}
					index++
				}
			}
			if index != tab.Examples {
				t.Fatalf("%d examples, the model has %d", tab.Examples, index)
			}
		}
	}
}

// The quirks one by one, as SPEC 2.3 lists them, each beside the default.
func TestQuirks(t *testing.T) {
	v := testVocabulary(300)
	quirks := func(o *Options) { o.UpstreamQuirks, o.ShortSeqProb = true, 0 }

	t.Run("a single sentence gets a random partner and label 1", func(t *testing.T) {
		docs := slices.Repeat([][][]int32{{{5, 7, 8}}, {{10, 11}, {13}}}, 50)
		for _, e := range epochOf(t, sampler(t, docs, v, options(quirks)), 0) {
			if a, b := e.Sources[0], e.Sources[1]; a.Sentences == 1 && len(docs[a.Document]) == 1 && (e.Label != 1 || a.Document == b.Document) {
				t.Errorf("%+v", e)
			}
		}
		s := sampler(t, docs, v, options(nil))
		if c, _ := s.Epoch(0); c.Dropped != 50 || c.Examples != 50 {
			t.Errorf("by default %+v", c)
		}
	})
	t.Run("the target belongs to the document", func(t *testing.T) {
		docs := slices.Repeat([][][]int32{slices.Repeat([][]int32{{5}}, 500)}, 20)
		for _, q := range []bool{true, false} {
			o := options(func(o *Options) { o.UpstreamQuirks, o.ShortSeqProb = q, 1 })
			lengths := make([]map[int]bool, len(docs))
			for _, e := range epochOf(t, sampler(t, docs, v, o), 0) {
				d := e.Sources[0]
				other := e.Sources[1]
				if max(d.FirstSentence+d.Sentences, other.FirstSentence+other.Sentences) == 500 {
					continue // the rest
				}
				if lengths[d.Document] == nil {
					lengths[d.Document] = map[int]bool{}
				}
				lengths[d.Document][len(e.InputIDs)] = true
			}
			for d, l := range lengths {
				if l != nil && (len(l) == 1) != q {
					t.Errorf("quirks %v, document %d: lengths %v", q, d, l)
				}
			}
		}
	})
	t.Run("an n-gram spans the segments, and the piece after [SEP] joins the word before it", func(t *testing.T) {
		ids := []int32{v.CLS, 5, v.SEP, 6, v.SEP} // 6 continues
		for _, q := range []bool{true, false} {
			s := &scratch{ids: ids}
			m := newMasker(options(func(o *Options) { o.UpstreamQuirks = q }), v)
			m.words(s)
			if words := len(s.chosen); (words == 1) != q {
				t.Errorf("quirks %v: %d words", q, words)
			}
		}
		ids = []int32{v.CLS, 5, v.SEP, 7, v.SEP} // 7 starts
		for _, q := range []bool{true, false} {
			o := options(func(o *Options) { o.UpstreamQuirks, o.MaskRate, o.NGram, o.FavorShorterNGram = q, 0.4, 2, false })
			together := 0
			for number := range uint32(100) {
				s := &scratch{ids: slices.Clone(ids)}
				m := newMasker(o, v)
				m.words(s)
				if q {
					m.chooseUpstream(s, numeric.NewStream(1, 1, number, 0, 0), 2)
					if s.chosen[0] && s.chosen[1] {
						together++
					}
				} else if s.free(0, 2) {
					together++
				}
			}
			if (together > 0) != q {
				t.Errorf("quirks %v: both segments masked together %d times", q, together)
			}
		}
	})
	t.Run("NSP puts unused sentences back", func(t *testing.T) {
		docs := slices.Repeat([][][]int32{slices.Repeat([][]int32{{5}}, 300)}, 20)
		s := sampler(t, docs, v, options(func(o *Options) { quirks(o); o.Objective = NSP }))
		used := make([][]int, len(docs))
		for d := range used {
			used[d] = make([]int, 300)
		}
		for _, e := range epochOf(t, s, 0) {
			for i, src := range e.Sources {
				if i == 0 || e.Label == 0 {
					for j := range src.Sentences {
						used[src.Document][src.FirstSentence+j]++
					}
				}
			}
		}
		for d := range used {
			if slices.Min(used[d]) != 1 || slices.Max(used[d]) != 1 {
				t.Errorf("document %d: %v", d, used[d])
			}
		}
	})
	t.Run("a long segment keeps its middle", func(t *testing.T) {
		sentence := make([]int32, 2000)
		for i := range sentence {
			sentence[i] = int32(5 + i)
		}
		v := testVocabulary(2005)
		docs := slices.Repeat([][][]int32{{sentence, {5}}}, 200)
		outer := map[bool]int{}
		for _, q := range []bool{true, false} {
			o := options(func(o *Options) { o.UpstreamQuirks, o.ShortSeqProb, o.MaskRate = q, 0, 0.01 })
			for _, e := range epochOf(t, sampler(t, docs, v, o), 0) {
				for _, segment := range segmentsOf(t, e, v) {
					if at := segment[0] - 5; len(segment) > 20 && (at < 800 || at > 1200) {
						outer[q]++
					}
				}
			}
		}
		if outer[true] > 0 || outer[false] < 60 {
			t.Errorf("slices from the outer four fifths: %v", outer)
		}
	})
}
