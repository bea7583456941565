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
	values := make([]parquet.Value, parquetBatch)
	row := int64(0)
	for _, group := range file.RowGroups() {
		pages := group.ColumnChunks()[i].Pages()
		for {
			var page parquet.Page
			err := parquetfile.Guard(func() (err error) {
				page, err = pages.ReadPage()
				return err
			})
			if err == io.EOF {
				break
			}
			if err != nil {
				pages.Close()
				return fmt.Errorf("%s: Parquet: row %d: %w", name, row, err)
			}
			err = r.page(name, column, repeats, page, values, &row)
			parquet.Release(page)
			if err != nil {
				pages.Close()
				return err
			}
		}
		if err := pages.Close(); err != nil {
			return fail(err)
		}
	}
	return nil
}

// page yields the rows of a page.
func (r *reader) page(name, column string, repeats bool, page parquet.Page, values []parquet.Value, row *int64) error {
	in := page.Values()
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
