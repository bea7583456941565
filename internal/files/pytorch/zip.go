package pytorch

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"albert/internal/files/safetensors"
)

// record is an entry of a zip file.
type record struct {
	name  string
	data  []byte // as it is in the file
	size  int    // bytes once inflated
	crc   uint32 // 0 if PyTorch was told not to compute it
	plain bool   // stored, not compressed
}

// content gives a record's bytes, inflated if need be, after comparing their checksum.
func (r *record) content() ([]byte, error) {
	b := r.data
	if !r.plain {
		b = make([]byte, r.size)
		in := flate.NewReader(bytes.NewReader(r.data))
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, fmt.Errorf("%s: inflating: %w", safetensors.Quote(r.name), err)
		}
		if n, err := in.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			return nil, fmt.Errorf("%s: inflates to more than its %d bytes", safetensors.Quote(r.name), r.size)
		}
	}
	if r.crc != 0 && crc32.ChecksumIEEE(b) != r.crc {
		return nil, fmt.Errorf("%s: damaged: its checksum differs", safetensors.Quote(r.name))
	}
	return b, nil
}

// readZip reads PREFIX/data.pkl of a zip file, whose storages are the entries PREFIX/data/KEY.
func readZip(data []byte, b *builder) (any, error) {
	records, err := directory(data)
	if err != nil {
		return nil, err
	}
	prefix := ""
	for name := range records {
		if p, ok := strings.CutSuffix(name, "/data.pkl"); ok && !strings.Contains(p, "/") {
			if prefix != "" {
				return nil, errors.New("two data.pkl in the zip file")
			}
			prefix = p + "/"
		}
	}
	if prefix == "" {
		return nil, errors.New("a zip file without data.pkl: not one of torch.save")
	}
	if records[prefix+"constants.pkl"] != nil {
		return nil, errors.New("a TorchScript model, not a state dict: save model.state_dict() instead")
	}
	readSmall := func(name string) (string, error) {
		r := records[prefix+name]
		if r == nil || r.size > 20 {
			return "", nil
		}
		text, err := r.content()
		return strings.TrimSpace(string(text)), err
	}
	version, err := readSmall("version")
	order, other := readSmall("byteorder")
	if err := cmp.Or(err, other); err != nil {
		return nil, err
	}
	if v, err := strconv.Atoi(version); err != nil || v < 1 || v > 10 {
		return nil, fmt.Errorf("%sversion is %s, known are 1 to 10", safetensors.Quote(prefix), safetensors.Quote(version))
	}
	if records[prefix+"byteorder"] != nil && order != "little" {
		return nil, fmt.Errorf("byteorder is %s: only little-endian files are read", safetensors.Quote(order))
	}
	program := records[prefix+"data.pkl"]
	if program.size > maxPickle {
		return nil, fmt.Errorf("a pickle of %d bytes, the limit is %d", program.size, maxPickle)
	}
	text, err := program.content()
	if err != nil {
		return nil, err
	}
	object, n, err := unpickle(text, b)
	if err != nil {
		return nil, err
	}
	if n != len(text) {
		return nil, fmt.Errorf("%d bytes after the pickle", len(text)-n)
	}
	inflated := 0
	for _, key := range slices.Sorted(maps.Keys(b.storages)) {
		s := b.storages[key]
		r := records[prefix+"data/"+key]
		if r == nil {
			return nil, fmt.Errorf("storage %s is not in the file", safetensors.Quote(key))
		}
		if r.size != s.bytes() {
			return nil, fmt.Errorf("storage %s: %d values of %s do not fit its %d bytes", safetensors.Quote(key), s.count, s.dtype, r.size)
		}
		if !r.plain {
			if inflated += r.size; inflated > b.limit {
				return nil, fmt.Errorf("storage %s: with it the compressed storages take more than %d bytes, which a file of %d may not ask for",
					safetensors.Quote(key), b.limit, len(data))
			}
		}
		s.load = sync.OnceValues(r.content)
	}
	return object, nil
}

// directory reads the list of a zip file's entries: each name once, none leading out of the archive, no entry over another.
func directory(data []byte) (map[string]*record, error) {
	z, err := zip.NewReader(&bounded{bytes.NewReader(data), maxDirectory}, int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("truncated or not a zip file: %w", err)
	}
	records := map[string]*record{}
	type span struct {
		name       string
		begin, end int
	}
	var spans []span
	for _, f := range z.File {
		name := f.Name
		switch {
		case records[name] != nil:
			return nil, fmt.Errorf("entry %s appears twice in the zip file", safetensors.Quote(name))
		case name == "" || name[0] == '/' || strings.ContainsAny(name, "\\\x00") || slices.Contains(strings.Split(name, "/"), ".."):
			return nil, fmt.Errorf("entry %s: not a path inside an archive", safetensors.Quote(name))
		case f.Flags&1 != 0:
			return nil, fmt.Errorf("entry %s is encrypted", safetensors.Quote(name))
		case f.Method != zip.Store && f.Method != zip.Deflate:
			return nil, fmt.Errorf("entry %s: unknown compression %d", safetensors.Quote(name), f.Method)
		}
		at, err := f.DataOffset()
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", safetensors.Quote(name), err)
		}
		if at > int64(len(data)) || f.CompressedSize64 > uint64(len(data))-uint64(at) {
			return nil, fmt.Errorf("truncated: entry %s lies outside the file", safetensors.Quote(name))
		}
		if f.Method == zip.Store && f.CompressedSize64 != f.UncompressedSize64 || f.UncompressedSize64 > math.MaxInt/2 {
			return nil, fmt.Errorf("entry %s: its sizes do not fit", safetensors.Quote(name))
		}
		end := int(at) + int(f.CompressedSize64)
		records[name] = &record{name: name, data: data[at:end:end], size: int(f.UncompressedSize64), crc: f.CRC32, plain: f.Method == zip.Store}
		spans = append(spans, span{name, int(at) - localHeader - len(name), end})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.begin-b.begin, a.end-b.end) })
	for i := 1; i < len(spans); i++ {
		if spans[i].begin < spans[i-1].end {
			return nil, fmt.Errorf("entry %s overlaps the one before it", safetensors.Quote(spans[i].name))
		}
	}
	return records, nil
}

// localHeader is the length in bytes of the header before an entry's name.
const localHeader = 30

// bounded reads at most so many bytes in all.
type bounded struct {
	in   io.ReaderAt
	left int
}

func (b *bounded) ReadAt(p []byte, at int64) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("a directory of more than %d bytes", maxDirectory)
	}
	return b.in.ReadAt(p, at)
}
