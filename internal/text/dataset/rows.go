package dataset

import (
	"bytes"
	"encoding/json"
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

// row is a row of a table or an object of JSON. A cell is nil, a string, a json.Number, a bool, a []any, in JSON a map[string]any, or in
// Parquet an error that says why it is not read.
type row struct {
	file  string
	line  int
	cells map[string]any
	flat  bool     // the row is from TSV or CSV, where every cell is a string
	used  []string // names of cells that the example has something of
}

func (w *row) fail(format string, args ...any) error {
	return fmt.Errorf("%s: %s", place(w.file, w.line), fmt.Sprintf(format, args...))
}

func (w *row) place() string { return place(w.file, w.line) }

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
	first := true
	noted := func(w *row) error {
		w.used = w.used[:0]
		err := each(w)
		if first && err == nil {
			first = false
			r.noteUnused(w)
		}
		return err
	}
	if parquetfile.Is(f) {
		return r.parquet(path, f, noted)
	}
	return r.open(path, func(in *input) error { return r.table(in, noted) })
}

// noteUnused names the columns of a file that its examples have nothing of.
func (r *reader) noteUnused(w *row) {
	if k := r.set.Task.Kind; k == model.Answer || k == model.Tag {
		return
	}
	var unused []string
	for _, n := range slices.Sorted(maps.Keys(w.cells)) {
		if !slices.Contains(w.used, n) {
			unused = append(unused, n)
		}
	}
	if len(unused) > 0 && len(w.used) > 0 {
		r.note("%s: %d of %d columns are not used: %s", w.file, len(unused), len(w.cells), list(unused))
	}
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
		case bytes.ContainsAny(first, delimiters) || r.o.Delimiter != "":
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
	case k == model.Answer:
		return fmt.Errorf("%s: %s data is JSON or Parquet, not %s", in.name, k, strings.TrimPrefix(form, "."))
	case form == ".csv" || form == ".tsv":
		return r.tableRows(in, form, each)
	}
	return fmt.Errorf("%s: columns of words are for the task tag", in.name)
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
