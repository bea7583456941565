package weights

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// WriteTo writes tensors as a safetensors file. The bytes depend on the tensors and the metadata alone: tensors stand in byte order of
// their names, the header is filled up with spaces to a multiple of eight bytes.
func WriteTo(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	tensors = slices.Clone(tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	var header bytes.Buffer
	header.WriteByte('{')
	if len(metadata) > 0 {
		m, err := json.Marshal(metadata)
		if err != nil {
			return err
		}
		fmt.Fprintf(&header, `"__metadata__":%s`, m)
	}
	at := 0
	for i, t := range tensors {
		if i > 0 && t.Name == tensors[i-1].Name {
			return fmt.Errorf("tensor %s given twice", t.Name)
		}
		if header.Len() > 1 {
			header.WriteByte(',')
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return err
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		dims, err := json.Marshal(shape)
		if err != nil {
			return err
		}
		fmt.Fprintf(&header, `%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, t.DType, dims, at, at+len(t.Data))
		at += len(t.Data)
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 {
		header.WriteByte(' ')
	}
	b := bufio.NewWriterSize(w, 1<<20)
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(header.Len()))
	b.Write(length[:])
	b.Write(header.Bytes())
	for _, t := range tensors {
		if _, err := b.Write(t.Data); err != nil {
			return err
		}
	}
	return b.Flush()
}

// Write writes tensors to a file, whole or not at all.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	return Atomically(path, func(w io.Writer) error { return WriteTo(w, tensors, metadata) })
}

// WriteFile writes data to a file, whole or not at all.
func WriteFile(path string, data []byte) error {
	return Atomically(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Atomically writes a file aside, syncs it and renames it into place, so that path holds the old content or all of the new. On an
// error nothing is left behind.
func Atomically(path string, write func(w io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// SyncDir makes renames in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
