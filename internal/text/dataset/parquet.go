package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"albert/internal/files/parquetfile"
	"albert/internal/files/stream"
)

// parquetBatch is how many rows are read at a time.
const parquetBatch = 64

// leaf is a column of values, or of lists of them.
type leaf struct {
	name  string // "label"; a field of a record is "answers.text"
	list  bool
	names []string // of the classes whose indices the values are; nil: the values are no indices
	skip  bool     // a list of lists, which is not read
}

// parquet reads a file row by row.
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
	buf := make([]parquet.Row, parquetBatch)
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		for {
			n, end := 0, false
			err := parquetfile.Guard(func() error {
				got, err := rows.ReadRows(buf)
				n, end = got, errors.Is(err, io.EOF)
				if end {
					return nil
				}
				if err == nil && got == 0 {
					return io.ErrNoProgress
				}
				return err
			})
			if err != nil {
				rows.Close()
				return fmt.Errorf("%s: Parquet: %w", place(path, w.line+1), err)
			}
			for _, values := range buf[:n] {
				w.line++
				if err := w.parquet(leaves, values); err != nil {
					rows.Close()
					return err
				}
				if err := each(w); err != nil {
					rows.Close()
					return err
				}
			}
			if end {
				break
			}
		}
		if err := rows.Close(); err != nil {
			return fmt.Errorf("%s: Parquet: %w", path, err)
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

// parquet fills a row's cells with values.
func (w *row) parquet(leaves []leaf, values parquet.Row) error {
	clear(w.cells)
	for _, v := range values {
		i := v.Column()
		if i < 0 || i >= len(leaves) || leaves[i].skip {
			continue
		}
		l := &leaves[i]
		x, err := l.cell(v)
		if err != nil {
			return w.fail("column %q: %v", l.name, err)
		}
		if !l.list {
			w.cells[l.name] = x
			continue
		}
		items, _ := w.cells[l.name].([]any)
		if items == nil {
			items = []any{}
		}
		if !v.IsNull() || v.RepetitionLevel() > 0 { // else an empty list
			items = append(items, x)
		}
		w.cells[l.name] = items
	}
	return nil
}

func (l *leaf) cell(v parquet.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean(), nil
	case parquet.Int32, parquet.Int64:
		n := v.Int64()
		if v.Kind() == parquet.Int32 {
			n = int64(v.Int32())
		}
		if l.names != nil && n >= 0 && n < int64(len(l.names)) {
			return l.names[n], nil
		}
		return json.Number(strconv.FormatInt(n, 10)), nil
	case parquet.Float:
		return json.Number(strconv.FormatFloat(float64(v.Float()), 'g', -1, 32)), nil
	case parquet.Double:
		return json.Number(strconv.FormatFloat(v.Double(), 'g', -1, 64)), nil
	case parquet.ByteArray, parquet.FixedLenByteArray:
		s := string(slices.Clone(v.ByteArray()))
		return s, checkText(s)
	}
	return nil, nil // a type that no example has
}
