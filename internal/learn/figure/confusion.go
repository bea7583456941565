package figure

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// maxClasses is the largest matrix that is drawn, maxNumbered the largest with a number in each cell.
const maxClasses, maxNumbered = 200, 25

// Confusion draws a confusion matrix into an SVG file: a row for each true class, the first at the top, a column for each predicted one; a
// cell's colour is its share of the row. matrix is [len(labels)][len(labels)] counts.
func Confusion(path string, labels []string, matrix [][]int) error {
	n := len(labels)
	if n == 0 || n > maxClasses {
		return fmt.Errorf("%s: a confusion matrix of %d classes cannot be drawn: want 1 to %d", path, n, maxClasses)
	}
	if len(matrix) != n {
		return fmt.Errorf("%s: %d rows for %d classes", path, len(matrix), n)
	}
	total, right := 0, 0
	for i, row := range matrix {
		if len(row) != n {
			return fmt.Errorf("%s: row %d has %d columns for %d classes", path, i, len(row), n)
		}
		for j, v := range row {
			if v < 0 {
				return fmt.Errorf("%s: row %d, column %d: count %d", path, i, j, v)
			}
			total += v
		}
		right += row[i]
	}
	title := "Confusion matrix: no examples"
	if total > 0 {
		title = fmt.Sprintf("Confusion matrix: %d of %d right", right, total)
	}
	p := newPlot(title, "predicted", "true")
	cells := &cells{matrix: matrix, style: p.X.Tick.Label}
	cells.style.XAlign, cells.style.YAlign = text.XCenter, text.YCenter
	p.Add(cells)
	columns, rows := make(plot.ConstantTicks, n), make(plot.ConstantTicks, n)
	widest := vg.Length(0)
	for i, l := range labels {
		l = short(clean(l))
		widest = max(widest, width(p.X.Tick.Label, l))
		columns[i] = plot.Tick{Value: float64(i), Label: l}
		rows[i] = plot.Tick{Value: float64(n - 1 - i), Label: l}
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = columns, rows
	p.X.Tick.Length, p.Y.Tick.Length = 8, 4+widest/4 // empty room instead of marks, into which a wider font than ours may reach
	p.X.Tick.LineStyle.Width, p.Y.Tick.LineStyle.Width = 0, 0
	p.X.LineStyle.Width, p.Y.LineStyle.Width = 0, 0
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(n)-0.5, -0.5, float64(n)-0.5
	cell := vg.Length(max(12, 56-2*n))
	side := max(240, cell*vg.Length(n))
	below := vg.Length(70)
	if widest > side/vg.Length(n) { // labels would run into each other: they hang from the matrix
		p.X.Tick.Label.Rotation = -math.Pi / 2
		p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = text.XLeft, text.YCenter
		p.X.Label.Padding += widest / 6
		below += widest
	}
	return save(path, side+50+widest+widest/4, side+below, p.Draw)
}

// width is about how wide a text becomes in a viewer's own font, which may be wider than ours, and has characters that ours lacks.
func width(s text.Style, label string) vg.Length {
	w := s.Width(label) * 1.15
	for _, r := range label {
		if r >= 0x1100 {
			w += s.Font.Size / 2
		}
	}
	return w
}

// short cuts a label to 24 characters, to leave room for the matrix.
func short(s string) string {
	const most = 24
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// cells draws the matrix itself.
type cells struct {
	matrix [][]int
	style  text.Style
}

// Plot implements plot.Plotter.
func (m *cells) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	n := len(m.matrix)
	for i, row := range m.matrix {
		sum := 0
		for _, v := range row {
			sum += v
		}
		for j, v := range row {
			share := 0.0
			if sum > 0 {
				share = float64(v) / float64(sum)
			}
			left, bottom := float64(j)-0.5, float64(n-1-i)-0.5
			c.FillPolygon(shade(share), []vg.Point{{X: x(left), Y: y(bottom)}, {X: x(left + 1), Y: y(bottom)},
				{X: x(left + 1), Y: y(bottom + 1)}, {X: x(left), Y: y(bottom + 1)}})
			if n > maxNumbered {
				continue
			}
			style := m.style
			style.Color = color.Black
			if share > 0.5 {
				style.Color = color.White
			}
			c.FillText(style, vg.Point{X: x(float64(j)), Y: y(float64(n - 1 - i))}, strconv.Itoa(v))
		}
	}
}

// shade gives the colour of a cell: from nearly white for 0 to blue for 1.
func shade(share float64) color.Color {
	mix := func(from, to float64) uint8 { return uint8(math.Round(from + float64((to-from)*share))) }
	return color.RGBA{mix(0xf4, 0x08), mix(0xf7, 0x45), mix(0xfb, 0x94), 0xff}
}
