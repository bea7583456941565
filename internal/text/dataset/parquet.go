package dataset

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"albert/internal/files/parquetfile"
	"albert/internal/files/stream"
	"albert/internal/model"
)

// leaf is a column of values, or of lists of them.
type leaf struct {
	name  string // "label"; a field of a record is "answers.text"
	list  bool
	names []string // of the classes whose indices the values are; nil: the values are no indices
	skip  bool     // it is not read: nobody asks for it, or it is a list of lists
}

var errNotRead = errors.New("a column that is not read (a list of lists, or one that nobody asks for)")

// errNoClass stands for the label -1 in a column whose classes have names: the hub's sign for pairs without a gold label, as SNLI has them.
var errNoClass = errors.New("-1, where the classes have names")

// parquet reads a file row by row, and of it the columns that examples may have something of.
func (r *reader) parquet(path string, f *os.File, each func(*row) error) error {
	if err := r.hashed(path, stream.NewHasher(f, nil)); err != nil {
		return err
	}
	var leaves []leaf
	file, err := parquetfile.Open(f, r.set.Files[len(r.set.Files)-1].Bytes)
	if err == nil {
		err = parquetfile.Guard(func() error {
			leaves = leavesOf(file)
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("%s: Parquet: %w", path, err)
	}
	w := &row{file: path, cells: map[string]any{}}
	for i := range leaves {
		l := &leaves[i]
		l.skip = l.skip || r.set.Task.Kind != model.Answer && !r.isNamed(l.name)
		if l.skip && l.name != "" {
			w.cells[l.name] = errNotRead
		}
	}
	for _, group := range file.RowGroups() {
		if err := r.rowGroup(w, leaves, group, each); err != nil {
			return err
		}
	}
	return nil
}

// rowGroup reads the rows of a part of the file.
func (r *reader) rowGroup(w *row, leaves []leaf, group parquet.RowGroup, each func(*row) error) (err error) {
	columns := make([]*parquetfile.Column, len(leaves))
	defer func() {
		for _, c := range columns {
			if c != nil {
				err = cmp.Or(err, c.Close())
			}
		}
	}()
	fail := func(err error) error { return fmt.Errorf("%s: Parquet: %w", place(w.file, w.line+1), err) }
	err = parquetfile.Guard(func() error {
		for i := range leaves {
			if !leaves[i].skip {
				columns[i] = parquetfile.OpenColumn(group, i)
			}
		}
		return nil
	})
	if err != nil {
		return fail(err)
	}
	for range group.NumRows() {
		for i, c := range columns {
			if c == nil {
				continue
			}
			values, unreadable, err := c.Row()
			if err != nil {
				return fail(err)
			}
			w.cells[leaves[i].name] = leaves[i].cell(values, unreadable)
		}
		w.line++
		if err := each(w); err != nil {
			return err
		}
	}
	return nil
}

// leavesOf lists the columns, with the classes' names that Hugging Face's files carry.
func leavesOf(file *parquet.File) []leaf {
	var about struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if text, ok := file.Lookup("huggingface"); ok {
		_ = json.Unmarshal([]byte(text), &about) // columns whose description is not understood have no class names
	}
	var leaves []leaf
	for _, path := range file.Schema().Columns() {
		var l leaf
		if column, ok := file.Schema().Lookup(path...); ok {
			l.list = column.MaxRepetitionLevel > 0
			l.skip = column.MaxRepetitionLevel > 1
		}
		if n := len(path); n > 2 && l.list && (path[n-2] == "list" || path[n-2] == "bag") {
			path = path[:n-2]
		}
		l.name = strings.Join(path, ".")
		l.skip = l.skip || l.name == ""
		var feature struct {
			Names   []string `json:"names"`
			Feature struct {
				Names []string `json:"names"`
			} `json:"feature"`
		}
		if raw, ok := about.Info.Features[l.name]; ok && json.Unmarshal(raw, &feature) == nil {
			l.names = feature.Names
			if l.list {
				l.names = feature.Feature.Names
			}
		}
		leaves = append(leaves, l)
	}
	return leaves
}

// cell makes a cell of a row's value or values.
func (l *leaf) cell(values []any, unreadable error) any {
	for i, v := range values {
		switch v := v.(type) {
		case string:
			if err := checkText(v); err != nil && unreadable == nil {
				unreadable = err
			}
		case json.Number:
			n, err := strconv.ParseInt(string(v), 10, 32)
			switch {
			case err == nil && n >= 0 && int(n) < len(l.names):
				values[i] = l.names[n]
			case n == -1 && l.names != nil && !l.list:
				return errNoClass
			}
		}
	}
	switch {
	case unreadable != nil:
		return unreadable
	case !l.list:
		return values[0]
	case len(values) == 1 && values[0] == nil:
		return []any{} // no list, or an empty one
	}
	return values
}
