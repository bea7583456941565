package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"albert/internal/files/stream"
	"albert/internal/model"
)

// delimiters are those that are looked for, in this order, where the one of the file's name does not part its header.
const delimiters = ",\t;|"

// Delimiter reads a delimiter as people name it: a character, or tab, comma, semicolon, pipe.
func Delimiter(name string) (rune, error) {
	switch strings.ToLower(name) {
	case "tab", "\\t":
		return '\t', nil
	case "comma":
		return ',', nil
	case "semicolon":
		return ';', nil
	case "pipe", "bar":
		return '|', nil
	}
	c, n := utf8.DecodeRuneInString(name)
	if n == 0 || n < len(name) || c == utf8.RuneError || c == '"' || c == '\r' || c == '\n' {
		return 0, fmt.Errorf("the delimiter %q is not a character that can part columns: tab, comma, semicolon, pipe, or the character itself", name)
	}
	return c, nil
}

// Quotes say what double quotes around a table's fields are. [QuotesAuto]: as in CSV, but where tabs part columns only if every field that begins
// with one is well-formed.
const (
	QuotesAuto = ""
	QuotesCSV  = "csv"
	QuotesNone = "none" // characters like others
)

// tableRows reads rows under a header, or without one where columns are chosen by number.
func (r *reader) tableRows(in *input, form string, each func(*row) error) error {
	skipped, err := skipSep(in)
	if err != nil {
		return err
	}
	h := &header{noHeader: r.noHeader()}
	if h.delimiter, err = r.delimiter(in, form, skipped); err != nil {
		return err
	}
	quotes := r.o.Quotes
	if quotes == QuotesAuto && r.set.Task.Kind == model.Embed && bytes.HasPrefix(in.head, []byte(stsbHeader)) {
		quotes = QuotesNone
	}
	if quotes == QuotesAuto && h.delimiter != '\t' {
		quotes = QuotesCSV
	}
	if quotes != QuotesAuto {
		if quotes == QuotesCSV {
			return r.csvRows(in, h, len(skipped), each)
		}
		return r.plainRows(in, h, len(skipped), false, each)
	}
	q := r.scanQuotes(in, len(skipped))
	switch {
	case q.inLines():
		r.note("%s: %d fields in double quotes are read as in CSV (--quotes none keeps the quotes)", in.name, q.quoted)
	case q.overLines:
		r.note("%s: double quotes are read as in CSV: fields go over several lines (--quotes none keeps the quotes)", in.name)
		return r.csvRows(in, h, len(skipped), each)
	case q.doubled:
		r.note("%s: double quotes are kept as characters, since that in line %d is not closed as in CSV (--quotes csv reads all as CSV)", in.name, q.malformed)
	}
	return r.plainRows(in, h, len(skipped), q.inLines(), each)
}

// skipSep passes over the line "sep=;" that spreadsheets write, and gives what it names as a list of one line; nil: there is none.
func skipSep(in *input) (sep []string, err error) {
	line, rest, _ := bytes.Cut(in.head, []byte("\n"))
	name, ok := strings.CutPrefix(strings.ToLower(strings.Trim(string(line), "\"\r")), "sep=")
	if !ok || utf8.RuneCountInString(name) != 1 {
		return nil, nil
	}
	_, err = in.Discard(len(in.head) - len(rest))
	in.head = rest
	return []string{name}, err
}

// delimiter is what parts a table's columns: what is given, or what the line "sep=" names; else the first by which the header has a column
// that is asked for or well known; else the first that the header has.
func (r *reader) delimiter(in *input, form string, sep []string) (rune, error) {
	if r.o.Delimiter != "" {
		return Delimiter(r.o.Delimiter)
	}
	if sep != nil {
		return Delimiter(sep[0])
	}
	usual := ','
	if form == ".tsv" {
		usual = '\t'
	}
	first := rune(0)
	line, _, _ := bytes.Cut(bytes.TrimLeft(in.head, "\r\n"), []byte("\n"))
	for _, c := range string(usual) + delimiters {
		reader := csv.NewReader(bytes.NewReader(line))
		reader.Comma, reader.LazyQuotes = c, true
		names, err := reader.Read()
		if err != nil || len(names) < 2 {
			continue
		}
		if first == 0 {
			first = c
		}
		if r.noHeader() || slices.ContainsFunc(names, func(n string) bool { return r.isNamed(strings.TrimSpace(n)) }) {
			return c, nil
		}
	}
	if first == 0 {
		first = usual
	}
	return first, nil
}

// plainRows reads a row a line.
func (r *reader) plainRows(in *input, h *header, skipped int, quoted bool, each func(*row) error) error {
	l := linesOf(in)
	l.Number = skipped
	w := &row{file: in.name, cells: map[string]any{}, flat: true}
	for {
		line, err := l.next()
		if err != nil {
			return unlessEOF(err)
		}
		if line == "" {
			continue
		}
		f := strings.Split(line, string(h.delimiter))
		if quoted {
			for i := range f {
				f[i], _ = unquote(f[i])
			}
		}
		w.line = l.Number
		if err := h.row(w, f, each); err != nil {
			return err
		}
	}
}

// unquote takes the quotes from a field that begins with one. ok is false where it is not well-formed: does not end with one, or has single ones
// inside.
func unquote(f string) (text string, ok bool) {
	if !strings.HasPrefix(f, `"`) {
		return f, true
	}
	if len(f) < 2 || f[len(f)-1] != '"' {
		return f, false
	}
	inner := strings.ReplaceAll(f[1:len(f)-1], `""`, "\x00")
	if strings.Contains(inner, `"`) {
		return f, false
	}
	return strings.ReplaceAll(inner, "\x00", `"`), true
}

// quoting is what a look at a whole file of tab-separated rows finds of quotes.
type quoting struct {
	quoted    int  // fields that are well-formed in their line
	doubled   bool // one of them has quotes inside
	malformed int  // the first line with a field that begins with a quote and is not well-formed; 0: none
	ragged    bool // lines have different numbers of fields
	overLines bool // read as CSV, with fields over several lines, every row has as many fields as the first
}

// inLines tells whether every field that begins with a quote is well-formed in its line.
func (q *quoting) inLines() bool { return q.quoted > 0 && q.malformed == 0 && !q.ragged }

// scanQuotes reads a file once for its quotes; of a pipe only the beginning. Whatever is wrong with the file is found when it is read.
func (r *reader) scanQuotes(in *input, skipped int) (q quoting) {
	again := func(read func(*input) error) {
		f, err := os.Open(in.name)
		if err == nil {
			defer f.Close()
			var st os.FileInfo
			if st, err = f.Stat(); err == nil && st.Mode().IsRegular() {
				_ = r.unpack(in.name, f, stream.BufferSize, func(in *input) error {
					_, _ = skipSep(in)
					return read(in)
				})
				return
			}
		}
		head := in.head
		if len(head) >= in.Size() {
			head = head[:bytes.LastIndexByte(head, '\n')+1]
		}
		_ = r.unpack(in.name, bytes.NewReader(head), stream.BufferSize, read)
	}
	columns := 0
	again(func(in *input) error {
		l := linesOf(in)
		for {
			line, err := l.next()
			if err != nil {
				return err
			}
			if line == "" {
				continue
			}
			n := strings.Count(line, "\t") + 1
			if columns == 0 {
				columns = n
			}
			q.ragged = q.ragged || n != columns
			if line[0] != '"' && !strings.Contains(line, "\t\"") {
				continue
			}
			for f := range strings.SplitSeq(line, "\t") {
				_, ok := unquote(f)
				switch {
				case !ok && q.malformed == 0:
					q.malformed = skipped + l.Number
				case ok && strings.HasPrefix(f, `"`):
					q.quoted++
					q.doubled = q.doubled || strings.Contains(f[1:len(f)-1], `""`)
				}
			}
		}
	})
	if q.ragged && q.malformed > 0 {
		again(func(in *input) error {
			c := csv.NewReader(&meter{in: in.Reader, name: in.name, limit: 1 << 62})
			c.Comma, c.ReuseRecord = '\t', true
			var err error
			for err == nil {
				_, err = c.Read()
			}
			q.overLines = err == io.EOF
			return nil
		})
	}
	return q
}

// noHeader tells whether columns are chosen by number, which means that there is no header.
func (r *reader) noHeader() bool {
	number := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return number(r.o.TextColumn) && (r.o.LabelColumn == "" || number(r.o.LabelColumn)) && (r.o.PairColumn == "" || number(r.o.PairColumn))
}

// header is the names of a table's columns, from its first line, or their numbers if noHeader.
type header struct {
	names     []string
	noHeader  bool
	delimiter rune
}

// row calls each with a line's fields, unless they are the header.
func (h *header) row(w *row, f []string, each func(*row) error) (err error) {
	switch {
	case h.names == nil && !h.noHeader:
		h.names, err = headerOf(w, f)
		return err
	case h.names == nil:
		for i := range f {
			h.names = append(h.names, fmt.Sprint(i+1))
		}
	}
	if len(f) != len(h.names) {
		return w.fail("%d columns, where there are %d in the first line: %s, parted by %s (--delimiter names another)", len(f), len(h.names),
			list(h.names), strconv.QuoteRune(h.delimiter))
	}
	if err := w.fill(h.names, f); err != nil {
		return err
	}
	return each(w)
}

func headerOf(w *row, f []string) ([]string, error) {
	header := make([]string, len(f))
	for i, n := range f {
		header[i] = strings.TrimSpace(n)
		if header[i] != "" && slices.Contains(header[:i], header[i]) {
			return nil, w.fail("two columns are called %q", short(header[i]))
		}
	}
	return header, nil
}

func (w *row) fill(header, f []string) error {
	for i, n := range header {
		if len(f[i]) > maxField {
			return w.fail("column %q has %.1f MB; the limit is %d MB: is this one example?", short(n), float64(len(f[i]))/(1<<20), maxField>>20)
		}
		if n != "" { // a column without a name cannot be chosen
			w.cells[n] = f[i]
		}
	}
	return nil
}

// csvRows reads RFC 4180: fields in double quotes where needed.
func (r *reader) csvRows(in *input, h *header, skipped int, each func(*row) error) error {
	m := &meter{in: in.Reader, name: in.name}
	c := csv.NewReader(m)
	c.Comma, c.FieldsPerRecord = h.delimiter, -1
	w := &row{file: in.name, cells: map[string]any{}, flat: true}
	for {
		m.limit = c.InputOffset() + stream.MaxLine
		f, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if m.err != nil {
			return fmt.Errorf("%w: is a quote not closed?", m.err)
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			return fmt.Errorf("%s: CSV: %w (the row begins in line %d)", place(in.name, skipped+parse.Line), parse.Err, skipped+parse.StartLine)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		m.passed(c.InputOffset())
		w.line, _ = c.FieldPos(0)
		w.line += skipped
		for _, s := range f {
			if err := checkText(s); err != nil {
				return w.fail("%v", err)
			}
		}
		if err := h.row(w, f, each); err != nil {
			return err
		}
	}
}
