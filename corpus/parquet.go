package corpus

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

func hashText(s string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, s)
	return h.Sum64()
}

// parquet yields a document for every row, read some rows at a time.
func (r *reader) parquet(name string, f *os.File) (err error) {
	defer func() {
		if p := recover(); p != nil { // the library's answer to some damaged files
			err = fmt.Errorf("%s: damaged Parquet file: %v", name, p)
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, st.Size())
	if err != nil {
		return fmt.Errorf("%s: Parquet: %w", name, err)
	}
	column := r.o.TextColumn
	if column == "" {
		column = "text"
	}
	at := -1
	var names []string
	for i, path := range file.Schema().Columns() {
		if n := strings.Join(path, "."); n == column {
			at = i
		} else {
			names = append(names, fmt.Sprintf("%q", n))
		}
	}
	if at < 0 {
		slices.Sort(names)
		return fmt.Errorf("%s: no column %q; there are %s: choose with --text-column", name, column, strings.Join(names, ", "))
	}
	row := 0
	for _, group := range file.RowGroups() {
		pages := group.ColumnChunks()[at].Pages()
		for {
			page, err := pages.ReadPage()
			if err == io.EOF {
				break
			}
			if err != nil {
				pages.Close()
				return fmt.Errorf("%s: row %d: %w", name, row, err)
			}
			values := make([]parquet.Value, page.NumValues())
			n, err := page.Values().ReadValues(values)
			if err != nil && err != io.EOF {
				pages.Close()
				return fmt.Errorf("%s: row %d: %w", name, row, err)
			}
			for _, v := range values[:n] {
				row++
				if v.IsNull() {
					r.counts.Empty++
					continue
				}
				if v.Kind() != parquet.ByteArray && v.Kind() != parquet.FixedLenByteArray {
					pages.Close()
					return fmt.Errorf("%s: column %q holds no text", name, column)
				}
				text := string(v.ByteArray())
				r.counts.Bytes += int64(len(text))
				if err := r.passage(fmt.Sprintf("%s: row %d", name, row-1), text); err != nil {
					pages.Close()
					return err
				}
			}
			parquet.Release(page)
		}
		pages.Close()
	}
	return nil
}
