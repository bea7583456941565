package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unicode"

	"albert/internal/files/jsonobject"
	"albert/internal/wire"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// jsonFlag is taken by commands that show tables on a terminal.
type jsonFlag struct {
	JSON bool `name:"json" negatable:"" help:"Print JSON on a terminal, too, instead of a table."`
}

// forPerson tells whether a person reads the results: stdout is a terminal, and JSON is not asked for.
func (f *jsonFlag) forPerson() bool { return !f.JSON && term.IsTerminal(int(os.Stdout.Fd())) }

// answers is where the answers to questions go: a table for a person, else a line of JSON each.
func (f *jsonFlag) answers() wire.Sink {
	if f.forPerson() {
		return newTable()
	}
	return wire.NewWriter(os.Stdout)
}

// table shows results to a person: a row for each answer that is an object, a table of its own for each that is a list. It is a [wire.Sink].
type table struct {
	out     *bufio.Writer
	width   int // of the terminal
	colour  bool
	columns string // the names of the columns of the rows that are being shown
	widths  []int  // and their widths: what is wider widens them for the rows that follow
}

// newTable shows on stdout, a terminal.
func newTable() *table {
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	t := tableTo(os.Stdout, width)
	t.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && (runtime.GOOS != "windows" || os.Getenv("WT_SESSION") != "")
	return t
}

func tableTo(w io.Writer, width int) *table { return &table{out: bufio.NewWriter(w), width: width} }

// Escape sequences of terminals.
const (
	bold = "\x1b[1m"
	dim  = "\x1b[2m"
	red  = "\x1b[31m"
)

func (t *table) styled(style, text string) string {
	if !t.colour || style == "" || text == "" {
		return text
	}
	return style + text + "\x1b[0m"
}

func (t *table) Flush() error { return t.out.Flush() }

// Write shows the answer to an item, or why there is none.
func (t *table) Write(it *wire.Item, value any, truncated bool, failed error) error {
	if failed != nil {
		fmt.Fprintf(t.out, "%s %s: %s\n", t.styled(red, "error"), plain(placeOf(it)), plain(failed.Error()))
		return t.Flush()
	}
	text, err := jsonobject.Marshal(value)
	if err != nil {
		return err
	}
	question := questionOf(it, truncated)
	if lists, ok := listsOf(text); ok {
		fmt.Fprintln(t.out, t.styled(bold, clip(plain(question), t.width)))
		for i, rows := range lists {
			if len(lists) > 1 {
				fmt.Fprintf(t.out, "  [MASK] %d\n", i+1)
			}
			t.rows(withTexts(rows, it.Texts), 2)
		}
		return t.Flush()
	}
	var r jsonobject.Fields
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	t.row(append(r, jsonobject.Field{Name: "text", Value: question}))
	return t.Flush()
}

// placeOf is where an item stands.
func placeOf(it *wire.Item) string {
	if it.File != "" {
		return it.File + ":" + strconv.Itoa(max(1, it.Line))
	}
	return fmt.Sprintf("line %d", max(1, it.Line))
}

// questionOf is what an item asks, in a line.
func questionOf(it *wire.Item, truncated bool) string {
	s := it.Text
	switch {
	case it.Pieces != nil:
		s = "input_ids"
	case it.Pair != nil && s != "":
		s += " | " + *it.Pair
	case it.Pair != nil:
		s = *it.Pair
	}
	if it.ID != nil {
		s = string(it.ID) + ": " + s
	}
	if truncated {
		s = "(cut) " + s
	}
	return s
}

// listsOf gives the rows of an answer that is a list of objects, one list or several, or an object with nothing but such a list.
func listsOf(text []byte) (lists [][]jsonobject.Fields, ok bool) {
	var one []jsonobject.Fields
	if json.Unmarshal(text, &one) == nil {
		return [][]jsonobject.Fields{one}, true
	}
	if json.Unmarshal(text, &lists) == nil {
		return lists, true
	}
	var object jsonobject.Fields
	if json.Unmarshal(text, &object) == nil && len(object) == 1 && json.Unmarshal(object[0].Value.(json.RawMessage), &one) == nil {
		return [][]jsonobject.Fields{one}, true
	}
	return nil, false
}

// withTexts puts what was ranked beside its rank.
func withTexts(rows []jsonobject.Fields, texts []string) []jsonobject.Fields {
	for i, r := range rows {
		var at int
		if raw, ok := r.Get("index").(json.RawMessage); ok && texts != nil && json.Unmarshal(raw, &at) == nil {
			rows[i] = append(r, jsonobject.Field{Name: "text", Value: texts[at]})
		}
	}
	return rows
}

// rows shows a table.
func (t *table) rows(list []jsonobject.Fields, indent int) {
	t.columns = ""
	if len(list) == 0 {
		fmt.Fprintf(t.out, "%*snone\n", indent, "")
		return
	}
	var widths []int
	for _, r := range list {
		widths = t.fit(widths, r)
	}
	t.line(heads(list[0]), widths, indent, dim)
	for _, r := range list {
		t.line(cells(r), widths, indent, "")
	}
}

// row shows a row, after the names of its columns where they are not those of the row before.
func (t *table) row(r jsonobject.Fields) {
	columns := ""
	for _, f := range r {
		columns += f.Name + "\n"
	}
	first := columns != t.columns
	if first {
		t.columns, t.widths = columns, nil
	}
	if t.widths = t.fit(t.widths, r); first {
		t.line(heads(r), t.widths, 0, dim)
	}
	t.line(cells(r), t.widths, 0, "")
}

// fit widens the columns to what a row needs, but none to more than half of the terminal.
func (t *table) fit(widths []int, r jsonobject.Fields) []int {
	for i, c := range cells(r) {
		if i == len(widths) {
			widths = append(widths, uniseg.StringWidth(r[i].Name))
		}
		if i < len(widths) { // a row may have more fields than the first
			widths[i] = max(widths[i], min(uniseg.StringWidth(c.text), t.width/2))
		}
	}
	return widths
}

// line shows cells. The last one has the rest of the terminal's width.
func (t *table) line(list []tableCell, widths []int, indent int, style string) {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", indent))
	left := t.width - indent
	for i, c := range list {
		if i == len(list)-1 {
			b.WriteString(clip(c.text, max(left, 10)))
			break
		}
		text := clip(c.text, widths[i])
		fill := strings.Repeat(" ", widths[i]-uniseg.StringWidth(text))
		if c.number {
			text = fill + text
		} else {
			text += fill
		}
		b.WriteString(text + "  ")
		left -= widths[i] + 2
	}
	fmt.Fprintln(t.out, t.styled(style, strings.TrimRight(b.String(), " ")))
}

// tableCell is a value as it is shown. Numbers are shown at the right.
type tableCell struct {
	text   string
	number bool
}

// heads are the names of a row's columns.
func heads(r jsonobject.Fields) []tableCell {
	list := cells(r)
	for i := range list {
		list[i].text = strings.ToUpper(plain(r[i].Name))
	}
	return list
}

func cells(r jsonobject.Fields) []tableCell {
	list := make([]tableCell, len(r))
	for i, f := range r {
		list[i] = cellOf(f.Value)
	}
	return list
}

// cellOf shows a value: numbers with four digits behind the point, of long lists of them the first and how many there are.
func cellOf(v any) tableCell {
	switch v := v.(type) {
	case string:
		return tableCell{plain(v), false}
	case float64:
		return tableCell{number(v), true}
	case json.RawMessage:
		var x any
		d := json.NewDecoder(bytes.NewReader(v))
		d.UseNumber()
		if d.Decode(&x) == nil {
			return cellOf(x)
		}
	case json.Number:
		if x, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return tableCell{number(x), true}
		}
		return tableCell{v.String(), true}
	case []any:
		const shown = 6
		var b strings.Builder
		for i, x := range v {
			if rows, ok := x.([]any); ok {
				return tableCell{fmt.Sprintf("%d rows of %d values", len(v), len(rows)), false}
			}
			if i == shown && len(v) > shown+2 {
				fmt.Fprintf(&b, " ... (%d values)", len(v))
				break
			}
			b.WriteString(strings.Repeat(" ", min(i, 1)) + cellOf(x).text)
		}
		return tableCell{b.String(), false}
	case nil:
		return tableCell{}
	}
	text, err := json.Marshal(v)
	return tableCell{plain(string(text)), err == nil && (text[0] == '-' || text[0] >= '0' && text[0] <= '9')}
}

// number shows a number with four digits behind the point, or with four digits where it is very large or small. A large whole one counts something.
func number(x float64) string {
	if x > 100 && x == math.Trunc(x) && x < 1e15 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	if abs := math.Abs(x); abs != 0 && (abs < 1e-4 || abs >= 1e6) {
		return strconv.FormatFloat(x, 'g', 4, 64)
	}
	return strconv.FormatFloat(x, 'f', 4, 64)
}

// plain is a text on one line, without what would move a terminal's cursor.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, s)
}

// clip shortens a text to a width in columns.
func clip(s string, width int) string {
	if len(s) <= width || uniseg.StringWidth(s) <= width {
		return s
	}
	used, end := 0, 0
	for rest, state := s, -1; rest != ""; {
		var cluster string
		var w int
		if cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state); used+w > width-1 {
			break
		}
		used, end = used+w, end+len(cluster)
	}
	return s[:end] + "\u2026"
}
