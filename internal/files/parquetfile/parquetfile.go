// Package parquetfile opens Parquet files, and makes errors of the panics with which the library that reads them answers some damage.
package parquetfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// magic is what a Parquet file begins with.
const magic = "PAR1"

// CheckStream is an error if an input that is read from front to back is Parquet, by its beginning: Parquet has to be read here and
// there.
func CheckStream(head []byte) error {
	if bytes.HasPrefix(head, []byte(magic)) {
		return errors.New("not text but Parquet, which is read unpacked and from a file of its own")
	}
	return nil
}

// Is tells by its beginning whether a file is Parquet. A pipe, which cannot be read at a place, is not.
func Is(f io.ReaderAt) bool {
	head := make([]byte, len(magic))
	n, _ := f.ReadAt(head, 0)
	return string(head[:n]) == magic
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
