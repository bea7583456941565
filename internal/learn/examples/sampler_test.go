package examples

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"albert/internal/text/corpus"
	"albert/tokenizer"
)

var _ Source = (*corpus.Shards)(nil)

func TestVocabularyOfATokenizer(t *testing.T) {
	m := tokenizer.Model{Pieces: []tokenizer.Piece{{Text: "<unk>", Type: tokenizer.Unknown}, {Text: "[CLS]", Type: tokenizer.Control},
		{Text: "[SEP]", Type: tokenizer.Control}, {Text: "[MASK]", Type: tokenizer.Control}, {Text: "(", Type: tokenizer.UserDefined}}}
	for _, text := range []string{"▁call", "ing", "7"} {
		m.Pieces = append(m.Pieces, tokenizer.Piece{Text: text, Type: tokenizer.Normal})
	}
	tok, err := tokenizer.New(m.Marshal(), tokenizer.DefaultOptions)
	if err != nil {
		t.Fatal(err)
	}
	v := NewVocabulary(tok)
	if v.CLS != 1 || v.SEP != 2 || v.Mask != 3 || !slices.Equal(v.Normal, []int32{5, 6, 7}) ||
		!slices.Equal(v.Starts[4:], []bool{true, true, false, true}) || v.Size() != 8 {
		t.Errorf("%+v", v)
	}
	if err := v.check(); err != nil {
		t.Error(err)
	}
}

// segmentsOf splits an example, masks undone, into the pieces of its segments, and checks specials and token types.
func segmentsOf(t *testing.T, e Example, v Vocabulary) [][]int32 {
	t.Helper()
	ids := original(e)
	if ids[0] != v.CLS || ids[len(ids)-1] != v.SEP {
		t.Fatalf("example %d is not enclosed by [CLS] and [SEP]: %v", e.Index, ids)
	}
	var segments [][]int32
	from := 1
	for i := range ids {
		if want := uint8(len(segments)); e.TokenTypes[i] != want {
			t.Fatalf("example %d: token type %d at %d, want %d", e.Index, e.TokenTypes[i], i, want)
		}
		if ids[i] == v.SEP {
			segments = append(segments, ids[from:i])
			from = i + 1
		}
	}
	if len(segments) != len(e.Sources) || len(e.TokenTypes) != len(ids) {
		t.Fatalf("example %d: %d segments from %d sources, %d types of %d pieces", e.Index, len(segments), len(e.Sources), len(e.TokenTypes), len(ids))
	}
	return segments
}

// contains tells whether part stands in whole without a gap.
func contains(whole, part []int32) bool {
	for i := 0; i+len(part) <= len(whole); i++ {
		if slices.Equal(whole[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

func flat(sentences [][]int32) []int32 { return slices.Concat(sentences...) }

func TestEpochUsesEverySentenceOnce(t *testing.T) {
	v := testVocabulary(5000)
	docs := randomDocuments(1, 300, 40, 20, 5000)
	for _, objective := range []Pairing{SOP, NSP, None} {
		for _, shape := range []struct {
			length int
			short  float64
		}{{64, 0}, {64, 0.1}, {64, 1}, {5, 0.5}} {
			t.Run(fmt.Sprint(objective, shape), func(t *testing.T) {
				o := options(func(o *Options) { o.Objective, o.MaxSeqLength, o.ShortSeqProb = objective, shape.length, shape.short })
				s := sampler(t, docs, v, o)
				var sizes []uint64
				for epoch := range uint32(3) {
					used := make([][]int, len(docs))
					for d := range docs {
						used[d] = make([]int, len(docs[d]))
					}
					lost := 0
					for _, e := range epochOf(t, s, epoch) {
						if len(e.InputIDs) > o.MaxSeqLength {
							t.Fatalf("example of %d pieces", len(e.InputIDs))
						}
						for i, segment := range segmentsOf(t, e, v) {
							src := e.Sources[i]
							whole := flat(docs[src.Document][src.FirstSentence : src.FirstSentence+src.Sentences])
							if len(segment) == 0 || !contains(whole, segment) {
								t.Fatalf("example %d: segment %d is no slice of its sentences", e.Index, i)
							}
							if objective == NSP && e.Label == 1 && i == 1 {
								continue
							}
							lost += len(whole) - len(segment)
							for j := range src.Sentences {
								used[src.Document][src.FirstSentence+j]++
							}
						}
						checkPair(t, e, objective)
					}
					dropped, pieces := 0, 0
					for d := range docs {
						pieces += len(flat(docs[d]))
						want := 1
						if len(docs[d]) == 1 && objective != None {
							want = 0
							dropped++
						}
						for i, n := range used[d] {
							if n != want {
								t.Fatalf("epoch %d: sentence %d of document %d is used %d times, want %d", epoch, i, d, n, want)
							}
						}
					}
					c, err := s.Epoch(epoch)
					if err != nil {
						t.Fatal(err)
					}
					sizes = append(sizes, c.Examples)
					c.Examples = 0
					want := Epoch{Documents: uint64(len(docs)), Dropped: uint64(dropped), Pieces: uint64(pieces), Lost: uint64(lost)}
					if c != want {
						t.Errorf("epoch %d counts %+v, want %+v", epoch, c, want)
					}
				}
				if objective == NSP || shape.short > 0 && shape.length > 5 {
					if sizes[0] == sizes[1] && sizes[1] == sizes[2] {
						t.Errorf("every epoch is cut into %d examples", sizes[0])
					}
				}
			})
		}
	}
}

// checkPair holds what the sources of one example have to do with each other.
func checkPair(t *testing.T, e Example, objective Pairing) {
	t.Helper()
	if objective == None != (e.Label == -1) {
		t.Fatalf("label %d with objective %s", e.Label, objective)
	}
	if len(e.Sources) == 1 {
		if objective != None || e.Sources[0].Sentences != 1 || e.Sources[0].FirstSentence != 0 {
			t.Fatalf("a lone segment %+v", e.Sources)
		}
		return
	}
	a, b := e.Sources[0], e.Sources[1]
	if objective == NSP && e.Label == 1 {
		if a.Document == b.Document {
			t.Fatalf("the random segment is of the same document: %+v", e.Sources)
		}
		return
	}
	if e.Label == 1 {
		a, b = b, a
	}
	if a.Document != b.Document || a.FirstSentence+a.Sentences != b.FirstSentence {
		t.Fatalf("label %d, but the segments are %+v", e.Label, e.Sources)
	}
}

func TestNothingIsLostThatFits(t *testing.T) {
	v := testVocabulary(500)
	docs := randomDocuments(2, 200, 60, 12, 500)
	for d := range docs {
		for i := range docs[d] {
			docs[d][i] = docs[d][i][:min(len(docs[d][i]), 12)]
		}
	}
	s := sampler(t, docs, v, options(nil))
	c, err := s.Epoch(0)
	if err != nil {
		t.Fatal(err)
	}
	// Only a last sentence that joins a full pair can cost pieces: 12 of a document at most.
	if c.Lost > 12*c.Documents || c.Lost*20 > c.Pieces {
		t.Errorf("%d of %d pieces of short sentences lost", c.Lost, c.Pieces)
	}
}

func TestDocumentsOfTwoSentences(t *testing.T) {
	v := testVocabulary(100)
	docs := make([][][]int32, 400)
	for d := range docs {
		docs[d] = [][]int32{{7, 8, 10}, {11, 13}}
	}
	long := slices.Repeat([]int32{5}, 10000)
	docs[0] = [][]int32{long, long}
	docs[1] = [][]int32{{7}, long}
	s := sampler(t, docs, v, options(func(o *Options) { o.ShortSeqProb = 0.5 }))
	swapped := 0
	for _, e := range epochOf(t, s, 0) {
		want := []int{3, 2}
		switch e.Sources[0].Document {
		case 0:
			want = []int{31, 30}
		case 1:
			want = []int{1, 60}
		}
		got := segmentsOf(t, e, v)
		if e.Label == 1 {
			swapped++
			if e.Sources[0].Document != 0 { // between equals it is the second that gives one more
				got[0], got[1] = got[1], got[0]
			}
		}
		if len(got[0]) != want[0] || len(got[1]) != want[1] {
			t.Errorf("document %d: segments of %d and %d pieces, want %v", e.Sources[0].Document, len(got[0]), len(got[1]), want)
		}
	}
	near(t, "swapped", swapped, len(docs), 0.5)
	if c, _ := s.Epoch(0); c.Examples != 400 || c.Lost != 20000-61+10001-61 || len(c.Warnings()) != 1 {
		t.Errorf("%+v: %q", c, c.Warnings())
	}
}

func TestLabelsAreFair(t *testing.T) {
	v := testVocabulary(500)
	docs := randomDocuments(3, 2000, 20, 12, 500)
	for _, objective := range []Pairing{SOP, NSP} {
		s := sampler(t, docs, v, options(func(o *Options) { o.Objective = objective }))
		ones, n := 0, 0
		var length [2]int
		for _, e := range epochOf(t, s, 0) {
			n++
			ones += int(e.Label)
			if len(e.Sources) == 2 {
				length[e.Label] += len(e.InputIDs)
			}
		}
		near(t, string(objective)+" label 1", ones, n, 0.5)
		t.Logf("%s: pieces with label 0: %.1f, with label 1: %.1f", objective, float64(length[0])/float64(n-ones), float64(length[1])/float64(ones))
	}
}

func TestShortSequences(t *testing.T) {
	v := testVocabulary(100)
	docs := [][][]int32{make([][]int32, 200000)}
	for i := range docs[0] {
		docs[0][i] = []int32{int32(5 + i%90)}
	}
	s := sampler(t, docs, v, options(func(o *Options) { o.MaxSeqLength = 128 }))
	full, lower, n := 0, 0, 0
	for _, e := range epochOf(t, s, 0) {
		n++
		switch l := len(e.InputIDs); {
		case l == 128:
			full++
		case l < 5 || l > 128:
			t.Fatalf("example of %d pieces", l)
		case l < 67: // targets 2 to 63
			lower++
		}
	}
	near(t, "full length", full, n, 0.9+0.1/124)
	near(t, "lower half of the shorter", lower, n-full, 62./123)
}

// copying is a source that uses the buffers it is given.
type copying struct{ *Memory }

func (c copying) Ends(doc int, buf []int32) []int32 {
	return append(buf[:0], c.Memory.Ends(doc, nil)...)
}
func (c copying) Pieces(doc, from, to int, buf []int32) []int32 {
	return append(buf[:0], c.Memory.Pieces(doc, from, to, nil)...)
}

func TestExampleDependsOnItsIndexAlone(t *testing.T) {
	v := testVocabulary(500)
	docs := randomDocuments(4, 50, 30, 12, 500)
	for _, o := range []Options{
		options(nil),
		options(func(o *Options) { o.Objective = NSP }),
		options(func(o *Options) { o.UpstreamQuirks = true }),
		options(func(o *Options) { o.UpstreamQuirks, o.Objective = true, NSP }),
	} {
		s := sampler(t, docs, v, o)
		var inOrder []Example
		const size = 37
		for step := 1; len(inOrder) < 1000; step++ {
			batch, err := s.Batch(step, size)
			if err != nil {
				t.Fatal(err)
			}
			inOrder = append(inOrder, batch...)
		}
		if inOrder[len(inOrder)-1].Epoch < 2 {
			t.Fatal("the batches don't reach over epochs")
		}
		other, err := NewSampler(copying{NewMemory(docs)}, v, o)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := len(inOrder) - 1 - g; i >= 0; i -= 4 {
					e, err := other.Example(uint64(i))
					if err != nil {
						t.Error(err)
						return
					}
					if d := cmp.Diff(inOrder[i], e); d != "" {
						t.Errorf("example %d: %s", i, d)
						return
					}
				}
			})
		}
		wg.Wait()
		o.Seed++
		if e, _ := sampler(t, docs, v, o).Example(0); cmp.Equal(e, inOrder[0]) {
			t.Error("another seed gives the same example")
		}
	}
}

func TestEpochIsShuffled(t *testing.T) {
	v := testVocabulary(500)
	docs := randomDocuments(5, 400, 20, 12, 500)
	s := sampler(t, docs, v, options(nil))
	for epoch := range uint32(2) {
		examples := epochOf(t, s, epoch)
		seen := map[string]bool{}
		ascending := 0
		for i, e := range examples {
			seen[fmt.Sprint(e.Sources)] = true
			if i > 0 && e.Sources[0].Document >= examples[i-1].Sources[0].Document {
				ascending++
			}
		}
		if len(seen) != len(examples) {
			t.Errorf("%d of %d examples are different", len(seen), len(examples))
		}
		near(t, "ascending documents", ascending, len(examples)-1, 0.5)
	}
}

func TestLongDocumentIsFoundByItsMarks(t *testing.T) {
	v := testVocabulary(500)
	docs := randomDocuments(6, 5, 2, 3, 500)
	docs = append(docs, randomDocuments(7, 1, 1, 3, 500)...)
	for range 9000 {
		docs[5] = append(docs[5], []int32{5, 6, 7, 8})
	}
	docs = append(docs, docs[0], docs[5])
	for _, quirks := range []bool{false, true} {
		s := sampler(t, docs, v, options(func(o *Options) { o.UpstreamQuirks, o.Objective, o.MaxSeqLength = quirks, NSP, 32 }))
		tab, _, err := s.epochs.at(0)
		if err != nil {
			t.Fatal(err)
		}
		if len(tab.long) != 2 {
			t.Fatalf("%d long documents", len(tab.long))
		}
		index := uint64(0)
		for d := range docs {
			ends := s.src.Ends(d, nil)
			w := tab.start(d, ends, 0, 0)
			for {
				number, first := w.part, w.first
				if _, ok := w.next(); !ok {
					break
				}
				doc, part, from, at := tab.locate(index)
				if doc != d || part != number || part-from >= markEvery {
					t.Fatalf("index %d: document %d, part %d from %d, want %d, %d", index, doc, part, from, d, number)
				}
				again := tab.start(doc, ends, from, at)
				for again.part < part {
					again.next()
				}
				if again.first != first {
					t.Fatalf("index %d: part begins at sentence %d, want %d", index, again.first, first)
				}
				index++
			}
		}
		if index != tab.Examples {
			t.Errorf("%d examples counted, %d walked", tab.Examples, index)
		}
	}
}

func TestEvalExamples(t *testing.T) {
	v := testVocabulary(500)
	docs := randomDocuments(8, 100, 20, 12, 500)
	all, err := EvalExamples(NewMemory(docs), v, options(nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := EvalExamples(NewMemory(docs), v, options(nil), len(all)+1)
	if d := cmp.Diff(all, again); d != "" {
		t.Error(d)
	}
	for i, e := range all {
		if e.Index != uint64(i) || i > 0 && e.Sources[0].Document < all[i-1].Sources[0].Document {
			t.Fatalf("example %d is out of order", i)
		}
	}
	some, _ := EvalExamples(NewMemory(docs), v, options(nil), 50)
	if len(some) != 50 {
		t.Fatalf("%d examples, want 50", len(some))
	}
	for i, e := range some {
		if !cmp.Equal(e, all[e.Index]) || i > 0 && e.Index <= some[i-1].Index {
			t.Errorf("example %d of a part differs from the whole's", e.Index)
		}
	}
	if last := some[49].Sources[0].Document; last < 50 {
		t.Errorf("the 50 come from the first %d documents", last+1)
	}
	if first, _ := sampler(t, docs, v, options(nil)).Example(0); cmp.Equal(first.InputIDs, all[0].InputIDs) {
		t.Error("evaluation and training share random numbers")
	}
}

func TestBaseline(t *testing.T) {
	examples := []Example{
		{InputIDs: []int32{2, 4, 4, 9, 3}, MaskedPositions: []int32{1, 2, 3}, MaskedIDs: []int32{8, 7, 9}},
		{InputIDs: []int32{2, 4, 9, 9, 3}, MaskedPositions: []int32{1, 2, 3}, MaskedIDs: []int32{7, 9, 9}},
		{InputIDs: []int32{2, 4, 3}, MaskedPositions: []int32{1}, MaskedIDs: []int32{8}},
	}
	if piece, hits, count := Baseline(examples, 4); piece != 7 || hits != 2 || count != 4 {
		t.Errorf("piece %d, %d of %d; want 7, 2 of 4", piece, hits, count)
	}
	if _, hits, count := Baseline(nil, 4); hits != 0 || count != 0 {
		t.Errorf("nothing: %d of %d", hits, count)
	}
}

func TestExampleAsJSON(t *testing.T) {
	e := Example{Index: 1 << 60, Epoch: 2, InputIDs: []int32{2, 4, 3}, TokenTypes: []uint8{0, 0, 1}, MaskedPositions: []int32{1},
		MaskedIDs: []int32{29999}, Label: 1, Sources: []Segment{{3, 0, 2}, {3, 2, 1}}}
	got, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"example":1152921504606846976,"epoch":2,"input_ids":[2,4,3],"token_type_ids":[0,0,1],"masked_positions":[1],` +
		`"masked_ids":[29999],"sop_label":1,"source":[{"document":3,"first_sentence":0,"sentences":2},{"document":3,"first_sentence":2,"sentences":1}]}`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
	e.Label = -1
	if got, _ := json.Marshal(e); !strings.Contains(string(got), `"sop_label":null`) {
		t.Errorf("got %s", got)
	}
}

func TestBadInput(t *testing.T) {
	v := testVocabulary(100)
	pair := [][][]int32{{{5, 6}, {7}}}
	for _, c := range []struct {
		name string
		docs [][][]int32
		o    Options
		want string
	}{
		{"no documents", nil, options(nil), "no documents"},
		{"empty document", [][][]int32{{{5}}, {}}, options(nil), "document 1 is empty"},
		{"empty sentence", [][][]int32{{{5}, {}}}, options(nil), "document 0: sentence 1 is empty"},
		{"single sentences", [][][]int32{{{5}}, {{6}}}, options(nil), "`Objective` none"},
		{"one document", pair, options(func(o *Options) { o.Objective = NSP }), "`Objective` nsp"},
		{"objective", pair, options(func(o *Options) { o.Objective = "mlm" }), "Objective mlm"},
		{"length", pair, options(func(o *Options) { o.MaxSeqLength = 4 }), "MaxSeqLength 4"},
		{"n", pair, options(func(o *Options) { o.NGram = 0 }), "NGram 0"},
		{"rate", pair, options(func(o *Options) { o.MaskRate = 1 }), "MaskRate 1"},
		{"short", pair, options(func(o *Options) { o.ShortSeqProb = -0.1 }), "ShortSeqProb -0.1"},
		{"cap", pair, options(func(o *Options) { o.MaxPredictions = -1 }), "MaxPredictions -1"},
	} {
		if _, err := NewSampler(NewMemory(c.docs), v, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one about %s", c.name, err, c.want)
		}
	}
	if s, err := NewSampler(NewMemory([][][]int32{{{5}, {100}}}), v, options(nil)); err != nil {
		t.Error(err)
	} else if _, err := s.Batch(1, 1); err == nil || !strings.Contains(err.Error(), "piece 100") {
		t.Errorf("a piece outside the vocabulary: error %v", err)
	}
	if _, err := NewSampler(NewMemory(pair), Vocabulary{CLS: 2, SEP: 3, Mask: -1, Starts: v.Starts, Normal: v.Normal}, options(nil)); err == nil {
		t.Error("a vocabulary without [MASK] is taken")
	}
}
