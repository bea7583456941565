package tensorflow

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/safetensors"
)

// File is an open checkpoint: its index read, its data files memory-mapped where the system can. It is a [safetensors.Reader].
type File struct {
	prefix  string
	entries map[string]entry
	names   []string
	of      uint64           // how many data files there are
	shards  map[uint64]shard // those that hold tensors
}

// shard is a data file.
type shard struct {
	data  []byte
	unmap func() error
}

var dataSuffix = regexp.MustCompile(`\.data-[0-9]{5}-of-[0-9]{5}$`)

// Prefix is the name that a checkpoint's files have in common, of that name itself or of one of the files: x of x, x.index and
// x.data-00000-of-00001.
func Prefix(path string) string {
	if p, ok := strings.CutSuffix(path, ".index"); ok {
		return p
	}
	return path[:len(path)-len(dataSuffix.FindString(path))]
}

// IsCheckpoint tells whether a path names a checkpoint, in one of the ways that [Prefix] knows.
func IsCheckpoint(path string) bool {
	st, err := os.Stat(Prefix(path) + ".index")
	return err == nil && st.Mode().IsRegular()
}

// Open opens a checkpoint by its prefix, or by the name of one of its files, and checks its index: checksums, shapes, that the
// tensors lie inside their files and apart from each other. A tensor's own checksum is checked whenever it is read.
func Open(path string) (*File, error) {
	prefix := Prefix(path)
	index, err := disk.ReadFile(prefix+".index", maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s.index: no such file: not a TensorFlow checkpoint's prefix?", prefix)
	}
	if err != nil {
		return nil, err
	}
	f := &File{prefix: prefix}
	if err := f.parse(index); err != nil {
		return nil, fmt.Errorf("%s.index: %w", prefix, err)
	}
	if err := f.check(disk.MapFile); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// dataPath is the name of data file n of so many.
func dataPath(prefix string, n, of uint64) string {
	return fmt.Sprintf("%s.data-%05d-of-%05d", prefix, n, of)
}

func (f *File) dataPath(e entry) string { return dataPath(f.prefix, e.shard, f.of) }

// parse reads an index.
func (f *File) parse(index []byte) error {
	f.entries = map[string]entry{}
	err := scanTable(index, func(key string, value []byte) (err error) {
		if f.of == 0 { // the header's key is "", the first there can be
			if key != "" {
				return errors.New("no header")
			}
			if f.of, err = parseHeader(value); err != nil {
				return fmt.Errorf("header: %w", err)
			}
			return nil
		}
		if len(f.entries) == maxEntries {
			return fmt.Errorf("more than %d tensors", maxEntries)
		}
		e, err := parseEntry(value)
		if err == nil {
			err = e.check()
		}
		if err == nil && e.shard >= f.of {
			err = fmt.Errorf("in data file %d, there are %d", e.shard, f.of)
		}
		if err != nil {
			return fmt.Errorf("tensor %s: %w", safetensors.Quote(key), err)
		}
		f.entries[key] = e
		if key[0] != 0 { // else a part of a partitioned variable
			f.names = append(f.names, key)
		}
		return nil
	})
	if err == nil && f.of == 0 {
		err = errors.New("no header")
	}
	return err
}

// check opens the data files that hold tensors and checks the tensors' places in them.
func (f *File) check(open func(path string) (data []byte, unmap func() error, err error)) error {
	type span struct {
		name string
		entry
	}
	var spans []span
	for n, e := range f.entries {
		if e.size > 0 {
			spans = append(spans, span{n, e})
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.shard, b.shard), cmp.Compare(a.offset, b.offset), cmp.Compare(a.name, b.name))
	})
	f.shards = map[uint64]shard{}
	var at uint64
	for i, s := range spans {
		if i == 0 || s.shard != spans[i-1].shard {
			data, unmap, err := open(f.dataPath(s.entry))
			if err != nil {
				return fmt.Errorf("%s.index: %w", f.prefix, err)
			}
			f.shards[s.shard], at = shard{data, unmap}, 0
		}
		if n := uint64(len(f.shards[s.shard].data)); s.offset > n || s.size > n-s.offset {
			return fmt.Errorf("%s: truncated: tensor %s has %d bytes at byte %d of %d",
				f.dataPath(s.entry), safetensors.Quote(s.name), s.size, s.offset, n)
		}
		if s.offset < at {
			return fmt.Errorf("%s.index: tensor %s overlaps the one before it", f.prefix, safetensors.Quote(s.name))
		}
		at = s.offset + s.size
	}
	return nil
}

// Names lists the tensors in byte order.
func (f *File) Names() []string { return f.names }

// Tensor gives a tensor as it is in the file, its checksum checked.
func (f *File) Tensor(name string) (safetensors.Tensor, error) {
	e, ok := f.entries[name]
	if !ok {
		return safetensors.Tensor{}, fmt.Errorf("%s.index: no tensor %s", f.prefix, safetensors.Quote(name))
	}
	t, known := dtypes[e.dtype]
	if !known {
		return safetensors.Tensor{}, fmt.Errorf("%s.index: tensor %s: values of type %s cannot be read",
			f.prefix, safetensors.Quote(name), typeName(e.dtype))
	}
	if e.sliced {
		return safetensors.Tensor{}, fmt.Errorf("%s.index: tensor %s: a partitioned variable, which cannot be read", f.prefix, safetensors.Quote(name))
	}
	var data []byte
	if e.size > 0 {
		data = f.shards[e.shard].data[e.offset : e.offset+e.size]
	}
	if checksum(data) != e.sum {
		return safetensors.Tensor{}, fmt.Errorf("%s: damaged: tensor %s has another checksum than in %s.index",
			f.dataPath(e), safetensors.Quote(name), f.prefix)
	}
	return safetensors.Tensor{Name: name, DType: t, Shape: e.shape, Data: data}, nil
}

// Float32 gives a tensor's values as float32: DT_FLOAT as it is, DT_HALF and DT_BFLOAT16 exactly, DT_DOUBLE rounded. They must not be
// changed.
func (f *File) Float32(name string) ([]float32, []int, error) {
	return safetensors.Values(f, name, f.prefix+".index")
}

// Close gives the files' memory back; values that point into it must not be used any more.
func (f *File) Close() error {
	var errs []error
	for _, s := range f.shards {
		errs = append(errs, s.unmap())
	}
	return errors.Join(errs...)
}
