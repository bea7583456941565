package figure

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// readSVG reads a figure and holds it to be whole XML without a number that is none; it gives all its text.
func readSVG(t *testing.T, path string) (file []byte, words string) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(file))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if c, ok := token.(xml.CharData); ok {
			words += string(c) + " "
		}
	}
	for _, bad := range []string{"NaN", "Inf"} {
		if bytes.Contains(file, []byte(bad)) {
			t.Errorf("%s holds %s", path, bad)
		}
	}
	return file, words
}

func TestRunPlots(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	for i := 1; i <= 300; i++ {
		fmt.Fprintf(&log, `{"step":%d,"loss":%g,"mlm_loss":%g,"mlm_accuracy":0.1,"sop_loss":0.69,"learning_rate":%g,"tokens":999}`+"\n",
			i, 9/math.Sqrt(float64(i)), 8/math.Sqrt(float64(i)), float64(i)*1e-6)
		if i == 50 {
			log.WriteString(`{"step":50,"skipped":true,"loss":null,"examples":["a"]}` + "\n\n")
		}
		if i%100 == 0 {
			fmt.Fprintf(&log, `{"step":%d,"split":"dev","loss":%g,"mlm_accuracy":%g,"mlm_masked_count":77,"mnli":{"accuracy":0.5}}`+"\n", i, 5.0, float64(i)/400)
		}
	}
	log.WriteString(`{"step":301,"loss":1`) // being written
	if err := os.WriteFile(filepath.Join(dir, "log.jsonl"), []byte(log.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	var first [][]byte
	for range 3 {
		written, err := RunPlots(dir)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{filepath.Join(dir, "loss.svg"), filepath.Join(dir, "learning_rate.svg"), filepath.Join(dir, "dev.svg")}; !slices.Equal(written, want) {
			t.Fatalf("wrote %v, want %v", written, want)
		}
		var files [][]byte
		for i, want := range [][]string{{"loss", "mlm_loss", "sop_loss", "dev loss"}, {"learning rate"}, {"mlm_accuracy", "mnli accuracy"}} {
			file, words := readSVG(t, written[i])
			for _, w := range want {
				if !strings.Contains(words, w) {
					t.Errorf("%s lacks %q", written[i], w)
				}
			}
			if strings.Contains(words, "count") {
				t.Errorf("%s shows a count", written[i])
			}
			files = append(files, file)
		}
		if first == nil {
			first = files
		}
		if !slices.EqualFunc(first, files, bytes.Equal) {
			t.Error("the same log gives other bytes")
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 4 {
		t.Errorf("the run holds %v, %v", left, err)
	}
}

func TestRunPlotsWithoutEvaluations(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "log.jsonl"), []byte(`{"step":1,"loss":2}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	written, err := RunPlots(dir)
	if err != nil || len(written) != 1 {
		t.Error(written, err)
	}
}

func TestBadLogsAreNamed(t *testing.T) {
	dir := t.TempDir()
	if _, err := RunPlots(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	var many strings.Builder
	many.WriteString(`{"step":1`)
	for i := range maxCurves + 1 {
		fmt.Fprintf(&many, `,"f%d":1`, i)
	}
	many.WriteString("}\n")
	for log, want := range map[string]string{
		"{\"step\":1,\"loss\":2}\nnonsense\n{\"step\":2}\n": "log.jsonl: line 2: ",
		"[1]\n":       "log.jsonl: line 1: ",
		many.String(): "more than 256 different fields",
	} {
		if err := os.WriteFile(filepath.Join(dir, "log.jsonl"), []byte(log), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := RunPlots(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestThinningKeepsPeaks holds that a long curve is bounded, in order, and has its ends and its only peak and trough.
func TestThinningKeepsPeaks(t *testing.T) {
	for _, n := range []int{1, 2, 3, maxPoints, maxPoints + 1, 100000, 1 << 20} {
		var c curve
		for i := range n {
			y := math.Sin(float64(i) / 1e4)
			switch i {
			case n / 3:
				y = 7
			case n / 2:
				y = -7
			}
			c.add(Point{float64(i), y})
			if i%10 == 0 {
				c.add(Point{float64(i), math.NaN()})
			}
		}
		points := c.points()
		if len(points) > 2*maxPoints+2 {
			t.Errorf("%d of %d points are kept", len(points), n)
		}
		if !slices.IsSortedFunc(points, func(a, b Point) int { return int(a.X - b.X) }) {
			t.Errorf("%d points: out of order", n)
		}
		if points[0].X != 0 || points[len(points)-1].X != float64(n-1) {
			t.Errorf("%d points: ends are %v and %v", n, points[0], points[len(points)-1])
		}
		if n > 5 && (!slices.Contains(points, Point{float64(n / 3), 7}) || !slices.Contains(points, Point{float64(n / 2), -7})) {
			t.Errorf("%d points: the peak or the trough is lost", n)
		}
		if n == 3 && len(points) != 3 {
			t.Errorf("a short curve is changed: %v", points)
		}
	}
}

// drawPoints draws a curve of the points that can be drawn, and one without any.
func drawPoints(path, title string, points ...Point) error {
	curves := []curve{{name: "é\x1b"}, {name: "none"}}
	for _, p := range points {
		curves[0].add(p)
	}
	return lines(path, title, "x", "y", curves)
}

// TestLinesDrawsAnything holds that no values make a panic, an endless loop or a broken file.
func TestLinesDrawsAnything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.svg")
	for _, ys := range [][]float64{
		{0}, {1, 1, 1}, {1e100, -1e100}, {1e99, 1e99}, {5e-324, 0}, {1, 1 + 1e-16}, {1, math.Nextafter(1, 2)}, {1e-90, 3e-90}, {1e16, 1e16 + 2},
		{math.NaN(), math.Inf(1), 3, math.Inf(-1), 1e300}, {-1e-7, 1e-7}, {1e-95, 2e-95},
	} {
		var points []Point
		for i, y := range ys {
			points = append(points, Point{float64(i), y}, Point{y, float64(i)})
		}
		if err := drawPoints(path, "a\x00 <b> & \xff\n", points...); err != nil {
			t.Errorf("%v: %v", ys, err)
			continue
		}
		readSVG(t, path)
	}
	before, _ := os.ReadFile(path)
	if err := drawPoints(path, "", Point{1, math.NaN()}); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("a failed figure has changed the file")
	}
	if err := drawPoints(filepath.Join(path, "x.svg"), "", Point{1, 1}); err == nil {
		t.Error("a figure is written inside a file")
	}
}

func TestConfusion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.svg")
	if err := Confusion(path, []string{"contradiction", "a <label> & more", "neutral"}, [][]int{{90, 3, 7}, {0, 0, 0}, {5, 15, 2480}}); err != nil {
		t.Fatal(err)
	}
	file, words := readSVG(t, path)
	for _, w := range []string{"Confusion matrix: 2570 of 2600 right", "contradiction", "a <label> & more", "predicted", "true", "2480"} {
		if !strings.Contains(words, w) {
			t.Errorf("the figure lacks %q", w)
		}
	}
	if err := Confusion(path, []string{"contradiction", "a <label> & more", "neutral"}, [][]int{{90, 3, 7}, {0, 0, 0}, {5, 15, 2480}}); err != nil {
		t.Fatal(err)
	}
	if again, _ := readSVG(t, path); !bytes.Equal(file, again) {
		t.Error("the same matrix gives other bytes")
	}
	for _, n := range []int{1, 2, 26, maxClasses} {
		labels, m := make([]string, n), make([][]int, n)
		for i := range m {
			labels[i], m[i] = strings.Repeat("x", i), make([]int, n)
		}
		if err := Confusion(path, labels, m); err != nil {
			t.Error(err)
		}
		readSVG(t, path)
	}
	for _, bad := range [][][]int{{{1}}, {{1, 2}, {3}}, {{1, 2}, {3, -4}}} {
		if err := Confusion(path, []string{"a", "b"}, bad); err == nil {
			t.Errorf("%v is drawn", bad)
		}
	}
	if Confusion(path, nil, nil) == nil || Confusion(path, make([]string, maxClasses+1), nil) == nil {
		t.Error("no classes, or too many, are drawn")
	}
}

// Labels that are too wide for a column hang from the matrix: they begin below its edge and end on the page.
func TestLabelsOfColumnsAreWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.svg")
	labels := []string{"hardware and peripherals", "account", "x"}
	if err := Confusion(path, labels, [][]int{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	file, _ := readSVG(t, path)
	edge := math.Inf(1)
	for _, cell := range regexp.MustCompile(`<path d="M[\d.]+,([\d.]+)L[^"]*" style="fill:#084594`).FindAllSubmatch(file, -1) {
		y, _ := strconv.ParseFloat(string(cell[1]), 64)
		edge = min(edge, y)
	}
	hanging := regexp.MustCompile(`rotate\(-90\)[^<]*<text x="-([\d.]+)"[^>]*>([^<]*)<`).FindAllSubmatch(file, -1)
	if len(hanging) != len(labels) {
		t.Fatalf("%d labels hang", len(hanging))
	}
	for i, h := range hanging {
		top, _ := strconv.ParseFloat(string(h[1]), 64)
		if string(h[2]) != labels[i] || top >= edge || top < 5.5*float64(len(labels[i])) {
			t.Errorf("%s begins at %v; the matrix ends at %v", h[2], top, edge)
		}
	}
}

// Curves that cannot be read on one axis have an axis each; a quantity's evaluations stay with it.
func TestOnePlotForEachScale(t *testing.T) {
	curves := []curve{{name: "loss"}, {name: "mlm_loss"}, {name: "sop_loss"}, {name: "dev loss"}, {name: "dev sop_loss"}, {name: "none"}}
	for i, y := range []float64{9, 8, 0.69, 2, 0.1} {
		curves[i].add(Point{1, y})
	}
	var got []string
	for _, g := range byScale(curves) {
		names := ""
		for _, c := range g {
			names += c.name + ";"
		}
		got = append(got, names)
	}
	if want := []string{"loss;mlm_loss;dev loss;", "sop_loss;dev sop_loss;"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	path := filepath.Join(t.TempDir(), "l.svg")
	if err := lines(path, "Loss", "step", "loss", curves); err != nil {
		t.Fatal(err)
	}
	if _, words := readSVG(t, path); strings.Count(words, "step") != 2 || strings.Count(words, "Loss") != 1 {
		t.Errorf("%s", words)
	}
}

// FuzzLog holds that any log is read or refused, and that what is read is finite and bounded.
func FuzzLog(f *testing.F) {
	f.Add([]byte(`{"step":1,"loss":2,"learning_rate":1e-3}` + "\n" + `{"step":1,"split":"dev","accuracy":1e99,"x":{"f1":-3}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		log := logCurves{}
		if log.read(bytes.NewReader(data)) != nil {
			return
		}
		for name, c := range log {
			for _, p := range c.points() {
				if !drawable(p.X) || !drawable(p.Y) {
					t.Errorf("%q: %v", name, p)
				}
			}
		}
	})
}

// FuzzLines holds that any two points can be drawn, or are refused as none.
func FuzzLines(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, 4.0)
	f.Add(1e-90, 1e99, -1e100, 1e-90)
	f.Fuzz(func(t *testing.T, x, y, x2, y2 float64) {
		path := filepath.Join(t.TempDir(), "x.svg")
		err := drawPoints(path, "", Point{x, y}, Point{x2, y2})
		if none := !(drawable(x) && drawable(y)) && !(drawable(x2) && drawable(y2)); none != (err != nil) {
			t.Errorf("%v %v, %v %v: %v", x, y, x2, y2, err)
		}
		if err == nil {
			readSVG(t, path)
		}
	})
}

// Runs of one group have one colour and differ in their dashes; of many steps the mean alone is drawn.
func TestLossesOfGroups(t *testing.T) {
	dir := t.TempDir()
	var runs []Run
	for i := range 4 {
		r := Run{Name: fmt.Sprint("run-", i), Dir: filepath.Join(dir, fmt.Sprint(i)), Group: 1 + i/2}
		var log strings.Builder
		for step := range 300 {
			fmt.Fprintf(&log, "{\"step\": %d, \"loss\": %d}\n", step+1, 1+step%2)
		}
		if err := os.MkdirAll(r.Dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.Dir, "log.jsonl"), []byte(log.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	path := filepath.Join(dir, "losses.svg")
	if err := Losses(path, runs); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for colour, want := range map[string]int{"#0072B2": 4, "#D55E00": 4, "#009E73": 0, "stroke-dasharray": 4} { // each curve and its legend
		if n := strings.Count(string(text), colour); n != want {
			t.Errorf("%s: %d times, want %d", colour, n, want)
		}
	}
	c := curve{group: 1}
	for i := range 300 {
		c.add(Point{float64(i), float64(i % 2)})
	}
	for _, p := range c.means(groupPoints) {
		if p.Y != 0.5 {
			t.Errorf("a mean of %v", p)
		}
	}
}
