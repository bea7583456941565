package figure

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Point is one point of a curve.
type Point struct{ X, Y float64 }

// Width and height of a page of curves, in points; two pixels of a common screen each.
const pageWidth, pageHeight = 640, 400

// palette is that of Okabe and Ito, which colour-blind readers can tell apart, without its yellow. Further curves have the same colours with
// dashes.
var palette = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff}, color.Black,
}

var dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {6, 2, 2, 2}}

// lines draws curves into an SVG file. A curve of more than 1,024 points is thinned; one of more than 400 is drawn pale, with its running
// mean over it. It is an error if there is no point.
func lines(path, title, x, y string, curves []curve) error {
	p := newPlot(title, x, y)
	grid := draw.LineStyle{Color: color.Gray{0xe8}, Width: vg.Points(0.5)}
	p.Add(&plotter.Grid{Vertical: grid, Horizontal: grid})
	legend := p.Legend // it is drawn beside the curves, not over them
	legend.Top, legend.Left, legend.Padding = true, true, vg.Points(3)
	longest := 0
	var xs, ys span
	for i, c := range curves {
		points := c.points()
		if len(points) == 0 {
			continue
		}
		for _, q := range points {
			xs.add(q.X)
			ys.add(q.Y)
		}
		style := draw.LineStyle{Color: palette[i%len(palette)], Width: vg.Points(1.3), Dashes: dashes[i/len(palette)%len(dashes)]}
		line := &plotter.Line{XYs: xys(points), LineStyle: style}
		switch {
		case len(points) <= 64: // dots show the few measurements; a single one would not be visible without its dot
			p.Add(line, &plotter.Scatter{XYs: line.XYs, GlyphStyle: draw.GlyphStyle{Color: style.Color, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}})
		case len(points) <= 2*meanPoints:
			p.Add(line)
		default: // a noisy curve: a pale band with its mean through it
			pale := *line
			pale.Color, pale.Width, pale.Dashes = lighter(style.Color), vg.Points(0.6), nil
			line.XYs = xys(c.means())
			p.Add(&pale, line)
		}
		if name := short(clean(c.name)); len(curves) > 1 || name != p.Y.Label.Text {
			legend.Add(name, line)
			longest = max(longest, len([]rune(name)))
		}
	}
	if !xs.any {
		return fmt.Errorf("%s: there is no point to draw", path)
	}
	p.X.Min, p.X.Max = xs.widened(0)
	p.Y.Min, p.Y.Max = ys.widened(0.04)
	right := vg.Length(2 * margin) // for the last tick's label
	if longest > 0 {
		right += vg.Points(30) + vg.Length(longest)*legend.TextStyle.Font.Size*0.6
	}
	return save(path, pageWidth, pageHeight, func(page draw.Canvas) {
		p.Draw(draw.Crop(page, 0, -right, 0, 0))
		legend.Draw(draw.Crop(page, page.Size().X-right+margin, 0, 0, -4*margin))
	})
}

func xys(points []Point) plotter.XYs {
	xy := make(plotter.XYs, len(points))
	for i, p := range points {
		xy[i].X, xy[i].Y = p.X, p.Y
	}
	return xy
}

// lighter mixes a colour with two thirds of white.
func lighter(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	mix := func(v uint32) uint8 { return uint8((v>>8 + 2*255) / 3) }
	return color.RGBA{mix(r), mix(g), mix(b), 0xff}
}

// span is the range of values seen.
type span struct {
	low, high float64
	any       bool
}

func (s *span) add(v float64) {
	if !s.any {
		s.low, s.high, s.any = v, v, true
	}
	s.low, s.high = min(s.low, v), max(s.high, v)
}

// widened gives the range of an axis with a margin on both sides. A range too narrow for ticks becomes one of a tenth of the value around it.
func (s *span) widened(margin float64) (low, high float64) {
	size := max(math.Abs(s.low), math.Abs(s.high))
	width := s.high - s.low
	if width <= 1e-9*size || width < 1e-90 {
		around := size / 10
		if size < 1e-90 {
			around = 1
		}
		return s.low - around, s.high + around
	}
	return s.low - margin*width, s.high + margin*width
}
