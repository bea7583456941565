package examples

import (
	"math"

	"albert/internal/engine/numeric"
	"albert/tokenizer"
)

// A part is what one example is made of: sentences [first, split) and [split, end) of a document, or, if random, [first, split)
// and a run of another document's. With split == end and not random it is a single segment.
type part struct {
	first, split, end int
	next              int // the first sentence of the part after it
	random            bool
	want              int // pieces that the random run should have
}

// purpose says which random numbers of an example are meant.
type purpose uint32

const (
	purposeCut  purpose = iota // how documents are cut: known without reading a piece
	purposeMask                // all the rest: swap, truncation, masks
)

// cutter cuts documents into parts, for one epoch. The sentence at which a part ends depends on where it begins and on the part's
// own random numbers, so cutting can start at any part whose first sentence is known.
type cutter struct {
	Options
	eval  bool // the evaluation set's random numbers, which belong to no epoch
	epoch uint32
}

// stream is a part's random numbers.
func (c *cutter) stream(p purpose, doc, part uint32) *numeric.Stream {
	switch {
	case c.eval:
		return numeric.NewStream(c.Seed, numeric.PurposeEval, uint32(p), doc, part)
	case p == purposeCut:
		return numeric.NewStream(c.Seed, numeric.PurposeCut, c.epoch, doc, part)
	default:
		return numeric.NewStream(c.Seed, numeric.PurposeMask, c.epoch, doc, part)
	}
}

// room is how many pieces two segments may have together.
func (c *cutter) room() int { return c.MaxSeqLength - 3 }

// drawTarget draws how many pieces a pair should have.
func (c *cutter) drawTarget(s *numeric.Stream) int {
	if s.Float64() < c.ShortSeqProb {
		return 2 + s.Intn(c.room()-1)
	}
	return c.room()
}

// walk goes through the parts of a document.
type walk struct {
	cutter
	ends   []int32
	doc    uint32
	part   uint32 // the number of the part that begins at sentence first
	first  int
	target int // upstream: of all its parts
}

// start begins at a part and its first sentence.
func (c *cutter) start(doc int, ends []int32, part uint32, first int) walk {
	w := walk{cutter: *c, ends: ends, doc: uint32(doc), part: part, first: first}
	if c.UpstreamQuirks {
		w.target = c.drawTarget(c.stream(purposeCut, w.doc, math.MaxUint32))
	}
	return w
}

// pieces is how many pieces sentences [first, end) have.
func pieces(ends []int32, first, end int) int {
	return place(ends, end) - place(ends, first)
}

// place is where sentence i begins, in pieces.
func place(ends []int32, i int) int {
	if i == 0 {
		return 0
	}
	return int(ends[i-1])
}

// next gives the part that begins at w.first, and moves on. It is false at the end of the document.
func (w *walk) next() (part, bool) {
	if w.first >= len(w.ends) {
		return part{}, false
	}
	var p part
	switch {
	case w.UpstreamQuirks:
		p = w.upstream()
	case len(w.ends) > 1:
		p = w.pair()
	case w.Objective == None:
		p = part{split: 1, end: 1, next: 1}
	default:
		return part{}, false
	}
	w.first = p.next
	w.part++
	return p, true
}

// pair takes sentences until there are two and the target is met, but none that would overflow the example if there are two
// already: what is cut off is lost for the epoch. A single sentence that would be left over is taken too. At least two sentences
// are left when it is called, so that two are left, or none, when it is called again.
func (w *walk) pair() part {
	s := w.stream(purposeCut, w.doc, w.part)
	target := w.drawTarget(s)
	last := len(w.ends)
	p := part{first: w.first, end: w.first + 2}
	for ; p.end < last; p.end++ {
		n := pieces(w.ends, p.first, p.end)
		if n >= target || pieces(w.ends, p.first, p.end+1) > w.room() {
			break
		}
	}
	if p.end == last-1 {
		p.end = last
	}
	p.split = p.first + 1 + s.Intn(p.end-p.first-1)
	p.next = p.end
	if w.Objective == NSP && s.Intn(2) == 1 {
		// The sentences that the random run replaces begin the next part, unless there is but one: it joins the first segment.
		p.random = true
		p.want = pieces(w.ends, p.split, p.end)
		if p.split == last-1 {
			p.split = last
		}
		p.end, p.next = p.split, p.split
	}
	return p
}

// upstream is SPEC 2.3: the target belongs to the document, a single sentence is a part too, and its partner is random.
func (w *walk) upstream() part {
	s := w.stream(purposeCut, w.doc, w.part)
	p := part{first: w.first, end: w.first + 1}
	for p.end < len(w.ends) && pieces(w.ends, p.first, p.end) < w.target {
		p.end++
	}
	p.split = p.first + 1
	n := p.end - p.first
	if n >= 2 {
		p.split = p.first + 1 + s.Intn(n-1)
	}
	p.next = p.end
	if n == 1 || w.Objective == NSP && s.Intn(2) == 1 {
		p.random = true
		p.want = w.target - pieces(w.ends, p.first, p.split)
		p.end, p.next = p.split, p.split
	}
	return p
}

// lost is how many of its own document's pieces a part leaves out. Upstream's random runs are looked at when they are read, not
// here: their parts count as whole.
func (c *cutter) lost(p part, ends []int32) int {
	a, b := pieces(ends, p.first, p.split), pieces(ends, p.split, p.end)
	switch {
	case p.random && c.UpstreamQuirks:
		return 0
	case p.random:
		kept, _ := tokenizer.Shares(a, p.want, c.room())
		return a - kept
	case b == 0:
		return max(0, a-c.room()-1)
	default:
		return max(0, a+b-c.room())
	}
}
