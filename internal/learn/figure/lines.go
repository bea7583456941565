package figure

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
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

// styles gives curves of one name one style. Those of a group have its colour.
func styles(curves []curve) map[string]draw.LineStyle {
	list, inGroup := map[string]draw.LineStyle{}, map[int]int{}
	for i, c := range curves {
		colour, dash := i%len(palette), i/len(palette)
		if c.group > 0 {
			colour, dash = (c.group-1)%len(palette), inGroup[c.group]
			inGroup[c.group]++
		}
		list[c.name] = draw.LineStyle{Color: palette[colour], Width: vg.Points(1.3), Dashes: dashes[dash%len(dashes)]}
	}
	return list
}

// lines draws curves into an SVG file. A curve of more than 1,024 points is thinned; one of more than 400 is drawn pale, with its running
// mean over it; of one in a group the mean alone. It is an error if there is no point.
func lines(path, title, x, y string, curves []curve) error {
	longest := 0
	var xs span
	for i := range curves {
		c := &curves[i]
		for _, q := range c.points() {
			xs.add(q.X)
		}
		if name := short(clean(c.name)); len(c.segments) > 0 && (len(curves) > 1 || name != y) {
			longest = max(longest, len([]rune(name)))
		}
	}
	if !xs.any {
		return fmt.Errorf("%s: there is no point to draw", path)
	}
	scales, style := byScale(curves), styles(curves)
	height := vg.Length(pageHeight)
	if len(scales) > 1 {
		height *= 0.6
	}
	return save(path, pageWidth, height*vg.Length(len(scales)), func(page draw.Canvas) {
		each := page.Size().Y / vg.Length(len(scales))
		for k, group := range scales {
			p := newPlot(title, x, y)
			if k > 0 {
				p.Title.Text = ""
			}
			legend := p.Legend // it is drawn beside the curves, not over them
			legend.Top, legend.Left, legend.Padding = true, true, vg.Points(3)
			addCurves(p, &legend, group, style, longest > 0)
			p.X.Min, p.X.Max = xs.widened(0)
			right := vg.Length(2 * margin) // for the last tick's label
			if longest > 0 {
				right += vg.Points(30) + vg.Length(longest)*legend.TextStyle.Font.Size*0.6
			}
			part := draw.Crop(page, 0, 0, each*vg.Length(len(scales)-1-k), -each*vg.Length(k))
			p.Draw(draw.Crop(part, 0, -right, 0, 0))
			legend.Draw(draw.Crop(part, part.Size().X-right+margin, 0, 0, -4*margin))
		}
	})
}

// fewPoints are drawn as they are.
const fewPoints = 64

// addCurves adds curves and their names to a plot, and sets its vertical range.
func addCurves(p *plot.Plot, legend *plot.Legend, curves []curve, styles map[string]draw.LineStyle, named bool) {
	grid := draw.LineStyle{Color: color.Gray{0xe8}, Width: vg.Points(0.5)}
	p.Add(&plotter.Grid{Vertical: grid, Horizontal: grid})
	var ys span
	for _, c := range curves {
		points := c.points()
		if c.group > 0 && len(points) > fewPoints {
			points = c.means(groupPoints)
		}
		for _, q := range points {
			ys.add(q.Y)
		}
		style := styles[c.name]
		line := &plotter.Line{XYs: xys(points), LineStyle: style}
		switch {
		case c.group > 0 && len(points) > 1:
			p.Add(line)
		case len(points) <= fewPoints: // dots show the few measurements; a single one would not be visible without its dot
			p.Add(line, &plotter.Scatter{XYs: line.XYs, GlyphStyle: draw.GlyphStyle{Color: style.Color, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}})
		case len(points) <= 2*meanPoints:
			p.Add(line)
		default: // a noisy curve: a pale band with its mean through it
			pale := *line
			pale.Color, pale.Width, pale.Dashes = lighter(style.Color), vg.Points(0.6), nil
			line.XYs = xys(c.means(meanPoints))
			p.Add(&pale, line)
		}
		if named {
			legend.Add(short(clean(c.name)), line)
		}
	}
	p.Y.Min, p.Y.Max = ys.widened(0.04)
}

// oneScale is how many times as high a curve may be as another with which it shares an axis.
const oneScale = 4

// byScale parts curves into those that can be read on one axis, in their order: what stays at 0.69 beside what falls to 6 cannot. A
// quantity and its evaluations ("loss", "dev loss") stay together.
func byScale(curves []curve) (groups [][]curve) {
	high := map[string]float64{}
	quantity := func(c *curve) string { return strings.TrimPrefix(c.name, "dev ") }
	for i := range curves {
		for _, q := range curves[i].points() {
			high[quantity(&curves[i])] = max(high[quantity(&curves[i])], math.Abs(q.Y))
		}
	}
	for _, c := range curves {
		if len(c.segments) == 0 {
			continue
		}
		h := high[quantity(&c)]
		k := slices.IndexFunc(groups, func(g []curve) bool {
			first := high[quantity(&g[0])]
			return min(h, first) == 0 || max(h, first)/min(h, first) < oneScale
		})
		if k < 0 {
			k, groups = len(groups), append(groups, nil)
		}
		groups[k] = append(groups[k], c)
	}
	return groups
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
