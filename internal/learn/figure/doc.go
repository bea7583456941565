// Package figure draws what a run did as SVG files: curves of the loss, the learning rate and the evaluations, and confusion matrices.
//
//	written, err := figure.RunPlots("run") // run/loss.svg, run/learning_rate.svg, run/dev.svg from run/log.jsonl
//
// The same input gives the same bytes. Long curves are thinned to the width of the page without losing a peak, and logs are read in bounded
// memory. A file is written whole or not at all.
package figure

import (
	"bytes"
	"fmt"
	"image/color"
	"strings"
	"unicode"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"albert/internal/files/disk"
)

// newPlot gives an empty page with the titles set, everything in one sans-serif face.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = clean(title), clean(x), clean(y)
	p.Title.Padding = vg.Points(6)
	for _, s := range []struct {
		style *text.Style
		size  vg.Length
	}{
		{&p.Title.TextStyle, 13}, {&p.X.Label.TextStyle, 11}, {&p.Y.Label.TextStyle, 11}, {&p.X.Tick.Label, 9}, {&p.Y.Tick.Label, 9},
		{&p.Legend.TextStyle, 10},
	} {
		s.style.Font.Variant = "Sans"
		s.style.Font.Size = s.size
	}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Color = color.Gray{0x80}
		a.Tick.LineStyle.Color = color.Gray{0x80}
	}
	return p
}

// clean removes characters that XML does not allow, and writes a space for a line feed or a tab.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == unicode.ReplacementChar || unicode.IsControl(r) || r == 0xfffe || r == 0xffff:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// save draws a page into an SVG file.
func save(path string, width, height vg.Length, paint func(page draw.Canvas)) error {
	c := vgsvg.New(width, height)
	page := draw.New(c)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	paint(draw.Crop(page, margin, -margin, margin, -margin))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return disk.WriteFile(path, b.Bytes())
}

// margin is left empty around a page, in points.
const margin = 8
