package safetensors

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
)

// WriteTo writes tensors as a safetensors file. The bytes depend on the tensors and the metadata alone, and are those that the Python
// library writes: tensors are sorted by type, the widest first, then in byte order of their names; the header is filled up with spaces to a
// multiple of eight bytes. To hash what is written, let w be an io.MultiWriter.
func WriteTo(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	tensors = slices.Clone(tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(slices.Index(dtypes, a.DType), slices.Index(dtypes, b.DType)), strings.Compare(a.Name, b.Name))
	})
	header, err := writeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<20)
	b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header))))
	b.Write(header)
	for _, t := range tensors {
		if _, err := b.Write(t.Data); err != nil {
			return err
		}
	}
	return b.Flush()
}

// writeHeader gives the header of a file that holds the tensors in the order given.
func writeHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var fields jsonobject.Fields
	if len(metadata) > 0 {
		fields = append(fields, jsonobject.Field{Name: metadataKey, Value: metadata})
	}
	seen := make(map[string]bool, len(tensors))
	at := 0
	for _, t := range tensors {
		err := t.Fits()
		if t.Name == metadataKey || !utf8.ValidString(t.Name) {
			err = errors.New("not a name for a tensor")
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", Quote(t.Name), err)
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %s given twice", Quote(t.Name))
		}
		seen[t.Name] = true
		e := headerEntry{DType: t.DType, Shape: append([]int{}, t.Shape...), Offsets: []int{at, at + len(t.Data)}}
		fields = append(fields, jsonobject.Field{Name: t.Name, Value: e})
		at += len(t.Data)
	}
	header, err := jsonobject.Marshal(fields)
	if err != nil {
		return nil, err
	}
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if len(header) > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes, the format's limit is %d", len(header), maxHeader)
	}
	return header, nil
}

// Fits tells why a tensor's bytes are not those of its type and shape.
func (t *Tensor) Fits() error {
	size, err := dataSize(t.DType, t.Shape, len(t.Data))
	if err == nil && size != len(t.Data) {
		err = fmt.Errorf("%d bytes do not fit %s%v", len(t.Data), t.DType, t.Shape)
	}
	return err
}

// Write writes tensors to a file, whole or not at all.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	return disk.Atomically(path, func(w io.Writer) error { return WriteTo(w, tensors, metadata) })
}
