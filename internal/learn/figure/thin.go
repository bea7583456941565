package figure

import "math"

// maxPoints bounds a drawn curve: more than the page has pixels across.
const maxPoints = 1024

// meanPoints bounds the points of a curve's mean, groupPoints those of the mean that alone is drawn of each of several runs.
const meanPoints, groupPoints = 200, 50

// curve gathers a series in bounded memory. Its points are cut into segments of equal length, of which the lowest and the highest are kept, so
// that no peak is lost; when there are too many segments, neighbours are joined.
type curve struct {
	name        string
	group       int // of several runs: the curves of a group have one colour and differ in their dashes; 0: no group
	segments    []segment
	length      int // of a segment, in points
	first, last Point
}

// segment is a few neighbouring points: the lowest and the highest, which comes first, the sum of all and their number.
type segment struct {
	low, high Point
	highFirst bool
	sum       Point
	n         int
}

func (r *segment) join(o segment) {
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
	if len(c.segments) == 0 {
		c.first, c.length = p, 1
	}
	c.last = p
	next := segment{p, p, false, p, 1}
	if last := len(c.segments) - 1; last >= 0 && c.segments[last].n < c.length {
		c.segments[last].join(next)
		return
	}
	if len(c.segments) == maxPoints {
		for i := range maxPoints / 2 {
			c.segments[i] = c.segments[2*i]
			c.segments[i].join(c.segments[2*i+1])
		}
		c.segments = c.segments[:maxPoints/2]
		c.length *= 2
	}
	c.segments = append(c.segments, next)
}

func drawable(v float64) bool { return math.Abs(v) <= 1e100 } // false of NaN

// points gives the points to draw, at most 2*maxPoints + 2.
func (c *curve) points() []Point {
	if len(c.segments) == 0 {
		return nil
	}
	out := []Point{c.first}
	put := func(p Point) {
		if p != out[len(out)-1] {
			out = append(out, p)
		}
	}
	for _, r := range c.segments {
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

// means gives the means of at most so many parts of about equal length.
func (c *curve) means(parts int) []Point {
	var out []Point
	each := (len(c.segments) + parts - 1) / parts
	for from := 0; from < len(c.segments); from += each {
		part := c.segments[from]
		for _, r := range c.segments[from+1 : min(from+each, len(c.segments))] {
			part.join(r)
		}
		out = append(out, Point{part.sum.X / float64(part.n), part.sum.Y / float64(part.n)})
	}
	return out
}
