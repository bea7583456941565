package corpus

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"

	"albert/internal/files/parquetfile"
)

// parquetBatch is how many rows are taken from a page at a time.
const parquetBatch = 256

// parquet yields a document for every row; the file is read page by page.
func (r *reader) parquet(name string, f *os.File) error {
	fail := func(err error) error { return fmt.Errorf("%s: Parquet: %w", name, err) }
	st, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquetfile.Open(f, st.Size())
	if err != nil {
		return fail(err)
	}
	at := map[string]int{}
	var names []string
	for i, path := range file.Schema().Columns() {
		n := strings.Join(path, ".")
		at[n] = i
		names = append(names, n)
	}
	column, repeats := r.o.columnOf(func(n string) bool { _, ok := at[n]; return ok })
	i, ok := at[column]
	if !ok {
		return noColumn(name, column, names)
	}
	row := int64(0)
	for _, group := range file.RowGroups() {
		in := parquet.NewColumnChunkValueReader(group.ColumnChunks()[i])
		err := r.rows(name, column, repeats, in, &row)
		if e := in.Close(); err == nil && e != nil {
			err = fail(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rows yields the rows of a row group.
func (r *reader) rows(name, column string, repeats bool, in parquet.ValueReader, row *int64) error {
	values := make([]parquet.Value, parquetBatch)
	for {
		n := 0
		err := parquetfile.Guard(func() (err error) {
			n, err = in.ReadValues(values)
			return err
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: Parquet: row %d: %w", name, *row, err)
		}
		for _, v := range values[:n] {
			place := fmt.Sprintf("%s: row %d", name, *row)
			*row++
			if v.IsNull() {
				r.counts.Empty++
				continue
			}
			if v.Kind() != parquet.ByteArray && v.Kind() != parquet.FixedLenByteArray {
				return fmt.Errorf("%s: column %q is not a string", place, column)
			}
			text := r.utf8(v.ByteArray())
			r.counts.Bytes += int64(len(text))
			if repeats && !r.isNew(text) {
				continue
			}
			if err := r.passage(place, text); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}
