package examples

import (
	"fmt"
	"math"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
)

// Epoch counts what one pass over all documents gives.
type Epoch struct {
	Examples  uint64
	Documents uint64
	Dropped   uint64 // documents of one sentence, which give no pair
	Pieces    uint64 // of all documents
	Lost      uint64 // pieces cut off where sentences are too long for an example
}

func (e *Epoch) add(o Epoch) {
	e.Examples += o.Examples
	e.Documents += o.Documents
	e.Dropped += o.Dropped
	e.Pieces += o.Pieces
	e.Lost += o.Lost
}

// Warnings says, a sentence each, where an epoch leaves out more than a tenth of what there is.
func (e Epoch) Warnings() []string {
	var w []string
	if 10*e.Dropped > e.Documents {
		w = append(w, fmt.Sprintf("%d of %d documents have one sentence and give no pair: dropped; `Objective` none would use them",
			e.Dropped, e.Documents))
	}
	if 10*e.Lost > e.Pieces {
		w = append(w, fmt.Sprintf("%d of %d pieces are cut off, because two sentences are often longer than an example: "+
			"a higher `MaxSeqLength` or shorter sentences keep them", e.Lost, e.Pieces))
	}
	return w
}

// table maps an index of an epoch to its document and part. It has 8 bytes a document, and 4 for every 64 parts of long documents.
type table struct {
	Epoch
	cutter
	last []uint64 // the index after the last example of each document
	long []longDocument
}

// A longDocument has more than markEvery parts; the first sentences of parts markEvery, 2 markEvery, ... are kept, so that its
// parts need not be walked from the first.
type longDocument struct {
	doc   int
	marks []int32
}

// markEvery bounds the parts walked for an example to what a short document has; a mark's 4 bytes are then a thousandth of what
// the pieces of its parts take on disk.
const markEvery = 64

// blockDocuments is how many documents a thread counts at a time: some 100 us of work.
const blockDocuments = 4096

// newTable counts an epoch's examples in one pass over the ends of sentences, on all processors.
func newTable(c cutter, src Source) (*table, error) {
	n := src.Documents()
	t := &table{cutter: c, last: make([]uint64, n)}
	blocks := make([]tableBlock, (n+blockDocuments-1)/blockDocuments)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(blocks)) {
		wg.Go(func() {
			var ends, marks []int32
			for {
				b := int(next.Add(1)) - 1
				if b >= len(blocks) {
					return
				}
				from := b * blockDocuments
				ends, marks = blocks[b].count(&c, src, from, t.last[from:min(from+blockDocuments, n)], ends, marks)
			}
		})
	}
	wg.Wait()
	for b := range blocks {
		if err := blocks[b].err; err != nil {
			return nil, err
		}
		t.long = append(t.long, blocks[b].long...)
		t.Epoch.add(blocks[b].Epoch)
	}
	sum := uint64(0)
	for i, count := range t.last {
		sum += count
		t.last[i] = sum
	}
	return t, nil
}

type tableBlock struct {
	Epoch
	long []longDocument
	err  error
}

// count fills in the number of examples of each document from on. It returns its two buffers, for the next block.
func (b *tableBlock) count(c *cutter, src Source, from int, counts []uint64, buf, marks []int32) ([]int32, []int32) {
	for i := range counts {
		doc := from + i
		ends := src.Ends(doc, buf)
		if cap(ends) > cap(buf) {
			buf = ends[:0]
		}
		if b.err = checkEnds(doc, ends); b.err != nil {
			break
		}
		marks = marks[:0]
		w := c.start(doc, ends, 0, 0)
		for {
			if w.part > 0 && w.part%markEvery == 0 {
				marks = append(marks, int32(w.first))
			}
			p, ok := w.next()
			if !ok {
				break
			}
			b.Lost += uint64(c.lost(p, ends))
		}
		counts[i] = uint64(w.part)
		if w.part > markEvery {
			b.long = append(b.long, longDocument{doc, append([]int32(nil), marks...)})
		}
		if w.part == 0 {
			b.Dropped++
		}
		b.Documents++
		b.Examples += uint64(w.part)
		b.Pieces += uint64(ends[len(ends)-1])
	}
	return buf, marks
}

func checkEnds(doc int, ends []int32) error {
	if len(ends) == 0 {
		return fmt.Errorf("document %d is empty", doc)
	}
	before := int32(0)
	for i, e := range ends {
		if e <= before {
			return fmt.Errorf("document %d: sentence %d is empty", doc, i)
		}
		before = e
	}
	return nil
}

// locate finds an index's document, the number of its part, and where to begin walking: a part at or before it and that part's
// first sentence.
func (t *table) locate(index uint64) (doc int, part, from uint32, first int) {
	doc = sort.Search(len(t.last), func(i int) bool { return t.last[i] > index })
	if doc > 0 {
		index -= t.last[doc-1]
	}
	part = uint32(index)
	if part >= markEvery {
		i := sort.Search(len(t.long), func(i int) bool { return t.long[i].doc >= doc })
		m := part / markEvery
		return doc, part, m * markEvery, int(t.long[i].marks[m-1])
	}
	return doc, part, 0, 0
}

// epochs finds the epoch of a position in the endless row of examples. Epochs differ in size, so that each is counted once; the
// tables of the last two used are kept.
type epochs struct {
	cutter
	src Source

	mu     sync.Mutex
	begin  []uint64 // the position of each epoch's first example, and of the one after the last counted
	tables [2]*table
}

// table gives the table of an epoch. The mutex is held.
func (e *epochs) table(epoch uint32) (*table, error) {
	for i, t := range e.tables {
		if t != nil && t.epoch == epoch {
			if i == 1 {
				e.tables[0], e.tables[1] = e.tables[1], e.tables[0]
			}
			return t, nil
		}
	}
	c := e.cutter
	c.epoch = epoch
	t, err := newTable(c, e.src)
	if err != nil {
		return nil, err
	}
	if t.Examples == 0 {
		return nil, fmt.Errorf("the %d documents give no example: none has two sentences; `Objective` none takes single ones", t.Documents)
	}
	e.tables[0], e.tables[1] = t, e.tables[0]
	if int(epoch) == len(e.begin)-1 {
		e.begin = append(e.begin, e.begin[epoch]+t.Examples)
	}
	return t, nil
}

// at gives the table of the epoch that a position falls into, and the position within it.
func (e *epochs) at(position uint64) (*table, uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for position >= e.begin[len(e.begin)-1] {
		if uint64(len(e.begin)) > math.MaxUint32 {
			return nil, 0, fmt.Errorf("example %d lies beyond the last epoch that can be numbered", position)
		}
		if _, err := e.table(uint32(len(e.begin) - 1)); err != nil {
			return nil, 0, err
		}
	}
	epoch := sort.Search(len(e.begin), func(i int) bool { return e.begin[i] > position }) - 1
	t, err := e.table(uint32(epoch))
	if err != nil {
		return nil, 0, err
	}
	return t, position - e.begin[epoch], nil
}
