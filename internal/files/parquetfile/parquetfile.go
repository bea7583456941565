// Package parquetfile opens Parquet files, and makes errors of the panics with which the library that reads them answers some damage.
//
//	if parquetfile.Is(f) {
//		file, err := parquetfile.Open(f, size)
//		...
//		err = parquetfile.Guard(func() error { n, err = rows.ReadRows(buf); return err })
package parquetfile

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// Magic is what a Parquet file begins with.
const Magic = "PAR1"

// Is tells by its beginning whether a file is Parquet. A pipe, which cannot be read at a place, is not.
func Is(f io.ReaderAt) bool {
	head := make([]byte, len(Magic))
	n, _ := f.ReadAt(head, 0)
	return string(head[:n]) == Magic
}

// Open reads what a file of so many bytes says of its columns and row groups.
func Open(f io.ReaderAt, size int64) (file *parquet.File, err error) {
	err = Guard(func() error {
		file, err = parquet.OpenFile(f, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
		return err
	})
	return file, err
}

// Guard calls f, which calls the library. A panic becomes an error.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged: %v", p)
		}
	}()
	return f()
}
