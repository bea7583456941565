package figure

import "math"

// maxPoints bounds a drawn curve: more than the page has pixels across.
const maxPoints = 1024

// meanPoints bounds the points of a curve's mean.
const meanPoints = 200

// curve holds a series in bounded memory. Its points are cut into runs of equal length, and of each run the lowest and the highest point are
// kept, so that no peak is lost. When there are too many runs, neighbours are joined.
type curve struct {
	name        string
	runs        []run
	length      int // of a run, in points
	first, last Point
}

// run is some neighbouring points: the lowest and the highest of them, which of these two comes first, the sum of all and their number.
type run struct {
	low, high Point
	highFirst bool
	sum       Point
	n         int
}

func (r *run) join(o run) {
	lowIsNew, highIsNew := o.low.Y < r.low.Y, o.high.Y > r.high.Y
	switch {
	case lowIsNew && highIsNew:
		r.highFirst = o.highFirst
	case lowIsNew:
		r.highFirst = true
	case highIsNew:
		r.highFirst = false
	}
	if lowIsNew {
		r.low = o.low
	}
	if highIsNew {
		r.high = o.high
	}
	r.sum.X += o.sum.X
	r.sum.Y += o.sum.Y
	r.n += o.n
}

// add appends a point; one that cannot be drawn is left out.
func (c *curve) add(p Point) {
	if !drawable(p.X) || !drawable(p.Y) {
		return
	}
	if len(c.runs) == 0 {
		c.first, c.length = p, 1
	}
	c.last = p
	next := run{p, p, false, p, 1}
	if last := len(c.runs) - 1; last >= 0 && c.runs[last].n < c.length {
		c.runs[last].join(next)
		return
	}
	if len(c.runs) == maxPoints {
		for i := range maxPoints / 2 {
			c.runs[i] = c.runs[2*i]
			c.runs[i].join(c.runs[2*i+1])
		}
		c.runs = c.runs[:maxPoints/2]
		c.length *= 2
	}
	c.runs = append(c.runs, next)
}

func drawable(v float64) bool { return math.Abs(v) <= 1e100 } // false of NaN

// points gives the points to draw, at most 2*maxPoints + 2.
func (c *curve) points() []Point {
	if len(c.runs) == 0 {
		return nil
	}
	out := []Point{c.first}
	put := func(p Point) {
		if p != out[len(out)-1] {
			out = append(out, p)
		}
	}
	for _, r := range c.runs {
		if r.highFirst {
			put(r.high)
			put(r.low)
		} else {
			put(r.low)
			put(r.high)
		}
	}
	put(c.last)
	return out
}

// means gives the means of at most meanPoints parts of about equal length.
func (c *curve) means() []Point {
	var out []Point
	each := (len(c.runs) + meanPoints - 1) / meanPoints
	for from := 0; from < len(c.runs); from += each {
		part := c.runs[from]
		for _, r := range c.runs[from+1 : min(from+each, len(c.runs))] {
			part.join(r)
		}
		out = append(out, Point{part.sum.X / float64(part.n), part.sum.Y / float64(part.n)})
	}
	return out
}
