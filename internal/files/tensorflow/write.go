package tensorflow

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"albert/internal/files/disk"
	"albert/internal/files/safetensors"
)

// The writer's sizes are TensorFlow's own, so that an index has the same bytes.
const (
	blockSize       = 256 << 10
	restartInterval = 16
)

// Write writes tensors as a checkpoint of one data file: PREFIX.index and PREFIX.data-00000-of-00001, in byte order of their names.
// The data file is put in place first and the index, without which it is no checkpoint, right after it; on an error neither is left
// behind. Where an older checkpoint of the same prefix is replaced, the checksums tell a reader that comes in between.
func Write(prefix string, tensors []safetensors.Tensor) error {
	tensors = slices.Clone(tensors)
	slices.SortFunc(tensors, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	index, err := makeIndex(tensors)
	if err != nil {
		return fmt.Errorf("writing %s.index: %w", prefix, err)
	}
	path := dataPath(prefix, 0, 1)
	_, err = os.Lstat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	written := false
	err = disk.Atomically(prefix+".index", func(w io.Writer) error {
		if _, err := w.Write(index); err != nil {
			return err
		}
		err := disk.Atomically(path, func(w io.Writer) error {
			b := bufio.NewWriterSize(w, 1<<20)
			for _, t := range tensors {
				if _, err := b.Write(t.Data); err != nil {
					return err
				}
			}
			return b.Flush()
		})
		written = err == nil
		return err
	})
	if err != nil && written && isNew {
		disk.Remove(path)
		_ = disk.SyncDir(filepath.Dir(path)) // the first error is the one to tell
	}
	return err
}

// makeIndex gives the index of a data file that holds the tensors one after another.
func makeIndex(tensors []safetensors.Tensor) ([]byte, error) {
	if len(tensors) > maxEntries {
		return nil, fmt.Errorf("more than %d tensors", maxEntries)
	}
	numbers := map[safetensors.DType]uint64{}
	for n, t := range dtypes {
		numbers[t] = n
	}
	var w tableWriter
	w.add("", headerMessage)
	var at uint64
	for i, t := range tensors {
		e := entry{dtype: numbers[t.DType], shape: t.Shape, offset: at, size: uint64(len(t.Data)), sum: checksum(t.Data)}
		at += e.size
		var err error
		switch {
		case t.Name == "" || t.Name[0] == 0 || len(t.Name) > maxName || !utf8.ValidString(t.Name):
			err = errors.New("not a name for a tensor")
		case i > 0 && t.Name == tensors[i-1].Name:
			err = errors.New("given twice")
		case e.dtype == 0:
			err = fmt.Errorf("unknown dtype %s", safetensors.Quote(string(t.DType)))
		case len(t.Shape) > maxRank:
			err = fmt.Errorf("more than %d dimensions", maxRank)
		case slices.ContainsFunc(t.Shape, func(d int) bool { return d < 0 }):
			err = fmt.Errorf("negative dimension in shape %v", t.Shape)
		default:
			err = e.check()
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", safetensors.Quote(t.Name), err)
		}
		w.add(t.Name, e.appendTo(nil))
	}
	index := w.finish()
	if len(index) > maxIndex {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(index), maxIndex)
	}
	return index, nil
}

// tableWriter writes a LevelDB table in memory. Keys are added in ascending order.
type tableWriter struct {
	out   []byte
	block blockWriter
	index blockWriter
	ended *handle // a block whose index entry waits for the next key
	last  string
}

func (w *tableWriter) add(key string, value []byte) {
	if w.ended != nil {
		w.index.add(separator(w.last, key), w.ended.append(nil), 1)
		w.ended = nil
	}
	w.block.add(key, value, restartInterval)
	w.last = key
	if w.block.size() >= blockSize {
		w.endBlock()
	}
}

func (w *tableWriter) endBlock() {
	h := w.put(w.block.finish())
	w.ended, w.block = &h, blockWriter{}
}

// put adds a block with its trailer.
func (w *tableWriter) put(block []byte) handle {
	h := handle{uint64(len(w.out)), uint64(len(block))}
	w.out = append(w.out, block...)
	w.out = append(w.out, plainBlock)
	w.out = binary.LittleEndian.AppendUint32(w.out, checksum(w.out[h.offset:]))
	return h
}

func (w *tableWriter) finish() []byte {
	if len(w.block.buf) > 0 {
		w.endBlock()
	}
	var empty blockWriter
	meta := w.put(empty.finish())
	if w.ended != nil {
		w.index.add(successor(w.last), w.ended.append(nil), 1)
	}
	index := w.put(w.index.finish())
	footer := index.append(meta.append(nil))
	footer = append(footer, make([]byte, footerSize-8-len(footer))...)
	w.out = append(w.out, footer...)
	return binary.LittleEndian.AppendUint64(w.out, tableMagic)
}

func (h handle) append(b []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, h.offset), h.size)
}

// common is how many bytes a and b begin with alike.
func common(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// separator is the shortest key from a up to but not including b that keeps to a's first bytes; a is less than b.
func separator(a, b string) string {
	n := common(a, b)
	if n < min(len(a), len(b)) && a[n] < 0xff && a[n]+1 < b[n] {
		return a[:n] + string([]byte{a[n] + 1})
	}
	return a
}

// successor is a short key that is not less than a.
func successor(a string) string {
	for i := range len(a) {
		if a[i] != 0xff {
			return a[:i] + string([]byte{a[i] + 1})
		}
	}
	return a
}

// blockWriter collects the entries of a block.
type blockWriter struct {
	buf      []byte
	restarts []uint32
	count    int // entries since the last restart
	last     string
}

func (w *blockWriter) add(key string, value []byte, interval int) {
	shared := 0
	if len(w.restarts) == 0 || w.count == interval {
		w.restarts, w.count = append(w.restarts, uint32(len(w.buf))), 0
	} else {
		shared = common(key, w.last)
	}
	for _, n := range []int{shared, len(key) - shared, len(value)} {
		w.buf = binary.AppendUvarint(w.buf, uint64(n))
	}
	w.buf = append(append(w.buf, key[shared:]...), value...)
	w.count++
	w.last = key
}

func (w *blockWriter) size() int { return len(w.buf) + 4*len(w.restarts) + 4 }

func (w *blockWriter) finish() []byte {
	if len(w.restarts) == 0 {
		w.restarts = []uint32{0}
	}
	for _, r := range w.restarts {
		w.buf = binary.LittleEndian.AppendUint32(w.buf, r)
	}
	return binary.LittleEndian.AppendUint32(w.buf, uint32(len(w.restarts)))
}
