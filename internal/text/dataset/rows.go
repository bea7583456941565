package dataset

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"albert/internal/files/parquetfile"
	"albert/internal/files/stream"
	"albert/internal/model"
)

// row is a row of a table or an object of JSON. A cell is nil, a string, a json.Number, a bool, a []any or, in JSON, a map[string]any.
type row struct {
	file  string
	line  int
	cells map[string]any
	flat  bool // the row is from TSV or CSV, where every cell is a string
}

func (w *row) fail(format string, args ...any) error {
	return fmt.Errorf("%s: %s", place(w.file, w.line), fmt.Sprintf(format, args...))
}

// columns lists the names of a row's columns, for messages.
func (w *row) columns() string { return list(slices.Sorted(maps.Keys(w.cells))) }

// find gives the first of these columns that the row has.
func (w *row) find(names ...string) (string, bool) {
	for _, n := range names {
		if _, ok := w.cells[n]; ok {
			return n, true
		}
	}
	return "", false
}

// rows reads a file of any form. The form is recognised by the file's name or, if its ending is not known, by its beginning.
func (r *reader) rows(path string, each func(*row) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if parquetfile.Is(f) {
		return r.parquet(path, f, each)
	}
	return r.open(path, func(in *input) error { return r.table(in, each) })
}

// table reads a file that is not Parquet.
func (r *reader) table(in *input, each func(*row) error) error {
	if len(bytes.TrimSpace(in.head)) == 0 && len(in.head) < stream.BufferSize {
		return fmt.Errorf("%s: %w", in.name, errEmpty)
	}
	form := in.kind
	switch form {
	case ".jsonl", ".json", ".ndjson", ".tsv", ".csv", ".conll", ".bio", ".iob":
	default:
		start := bytes.TrimLeft(in.head, " \t\r\n")
		first, _, _ := bytes.Cut(start, []byte("\n"))
		list := bytes.TrimLeft(bytes.TrimPrefix(start, []byte("[")), " \t\r\n")
		switch {
		case bytes.HasPrefix(list, []byte(`{"`)) || bytes.HasPrefix(list, []byte("{")) && r.set.Task.Kind != model.Tag:
			form = ".json"
		case r.set.Task.Kind == model.Tag:
			form = ".conll"
		case bytes.Contains(first, []byte("\t")):
			form = ".tsv"
		case bytes.Contains(first, []byte(",")):
			form = ".csv"
		default:
			return fmt.Errorf("%s: cannot tell what form this is: name it .tsv, .csv, .jsonl or .parquet", in.name)
		}
	}
	k := r.set.Task.Kind
	switch {
	case form == ".jsonl" || form == ".json" || form == ".ndjson":
		return r.jsonRows(in, each)
	case k == model.Tag:
		return r.conll(in)
	case k == model.Answer || k == model.Choice:
		return fmt.Errorf("%s: %s data is JSON or Parquet, not %s", in.name, k, strings.TrimPrefix(form, "."))
	case form == ".csv":
		return r.csvRows(in, each)
	case form == ".tsv":
		return r.tsvRows(in, each)
	}
	return fmt.Errorf("%s: columns of words are for the task tag", in.name)
}

// tsvRows reads tab-separated rows under a header. Quotes are characters like others.
func (r *reader) tsvRows(in *input, each func(*row) error) error {
	l := linesOf(in)
	w := &row{file: in.name, cells: map[string]any{}, flat: true}
	h := header{noHeader: r.noHeader()}
	for {
		line, err := l.next()
		if err != nil {
			return unlessEOF(err)
		}
		if line == "" {
			continue
		}
		f := strings.Split(line, "\t")
		w.line = l.Number
		if err := h.row(w, f, each); err != nil {
			return err
		}
	}
}

// noHeader tells whether columns are chosen by number, which means that there is no header.
func (r *reader) noHeader() bool {
	number := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return number(r.o.TextColumn) && (r.o.LabelColumn == "" || number(r.o.LabelColumn)) && (r.o.PairColumn == "" || number(r.o.PairColumn))
}

// header is the names of a table's columns, from its first line, or their numbers if noHeader.
type header struct {
	names    []string
	noHeader bool
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
	if len(f) != len(header) {
		return w.fail("%d columns, where there are %d in the first line: %s", len(f), len(header), list(header))
	}
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

// csvRows reads RFC 4180: commas, fields in double quotes where needed.
func (r *reader) csvRows(in *input, each func(*row) error) error {
	m := &meter{in: in.Reader, name: in.name}
	c := csv.NewReader(m)
	c.FieldsPerRecord = -1
	w := &row{file: in.name, cells: map[string]any{}, flat: true}
	h := header{noHeader: r.noHeader()}
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
			return fmt.Errorf("%s: CSV: %w (the row begins in line %d)", place(in.name, parse.Line), parse.Err, parse.StartLine)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		m.passed(c.InputOffset())
		w.line, _ = c.FieldPos(0)
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

// jsonRows reads objects one after the other, or a list of them, however they are laid out in lines; and SQuAD's nesting.
func (r *reader) jsonRows(in *input, each func(*row) error) error {
	j := newJSON(in)
	start := bytes.TrimLeft(in.head, " \t\r\n")
	inList := bytes.HasPrefix(start, []byte("["))
	switch {
	case inList:
		if _, err := j.token(); err != nil {
			return err
		}
	case r.set.Task.Kind == model.Answer:
		return r.squad(j)
	}
	for !inList || j.more() {
		raw, line, err := j.value()
		if err == io.EOF && !inList {
			return nil
		}
		if err == io.EOF {
			return j.truncated()
		}
		if err != nil {
			return err
		}
		w, err := objectOf(in.name, line, raw)
		if err != nil {
			return err
		}
		if err := each(w); err != nil {
			return err
		}
	}
	if _, err := j.token(); err == io.EOF {
		return j.truncated()
	} else if err != nil {
		return err
	}
	if _, line, err := j.value(); err == nil {
		return fmt.Errorf("%s: broken JSON: something follows the list", place(in.name, line))
	} else {
		return unlessEOF(err)
	}
}

// objectOf makes a row of an object.
func objectOf(file string, line int, raw json.RawMessage) (*row, error) {
	w := &row{file: file, line: line}
	if raw[0] != '{' {
		return nil, w.fail("%s, where an object is wanted", jsonKind(raw))
	}
	err := w.decode(raw, &w.cells)
	delete(w.cells, "")
	return w, err
}

// decode reads JSON of a row, its numbers as json.Number.
func (w *row) decode(raw json.RawMessage, to any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(to); err != nil {
		return w.fail("broken JSON: %v", err)
	}
	return nil
}

func jsonKind(raw []byte) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a truth value"
	case 'n':
		return "null"
	}
	return "a number"
}
