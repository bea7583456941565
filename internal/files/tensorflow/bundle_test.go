package tensorflow

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"albert/internal/files/safetensors"
)

// item is an entry of an index to be made.
type item struct{ key, value string }

// makeTable writes items as a table, in the order given.
func makeTable(items ...item) []byte {
	var w tableWriter
	for _, i := range items {
		w.add(i.key, []byte(i.value))
	}
	return w.finish()
}

// message is an entry of type dtype (1: float) at an offset of the first data file.
func message(dtype uint64, offset, size uint64, shape ...int) string {
	e := entry{dtype: dtype, shape: shape, offset: offset, size: size}
	return string(e.appendTo(nil))
}

func number(num protowire.Number, v uint64) string { return string(appendNumber(nil, num, v)) }

func nested(num protowire.Number, s string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), s))
}

// packed is a table whose first block is body, as compressed.
func packed(kind byte, body []byte) []byte {
	var w tableWriter
	h := handle{0, uint64(len(body))}
	w.out = append(append(w.out, body...), kind)
	w.out = binary.LittleEndian.AppendUint32(w.out, checksum(w.out))
	w.ended = &h
	return w.finish()
}

func block(items ...item) []byte {
	var w blockWriter
	for _, i := range items {
		w.add(i.key, []byte(i.value), restartInterval)
	}
	return w.finish()
}

var head = item{"", string(headerMessage)}

func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 4
	return b
}

// Indexes that are refused, by what the error says; the data file beside them has 16 bytes.
var malformed = map[string][]byte{
	"0 bytes: too short":              {},
	"does not end as one":             make([]byte, 100),
	"block at byte 0 has another":     flip(makeTable(head), 2),
	"unknown compression 7":           packed(7, block(head)),
	"snappy: s2: corrupt":             packed(snappyBlock, []byte{8, 1, 2, 3}),
	"snappy: 6 bytes claim to":        packed(snappyBlock, []byte{0xff, 0xff, 0xff, 0x7f, 0, 0}),
	"footer: the place of a block":    append(bytes.Repeat([]byte{255}, 40), makeTable()[len(makeTable())-8:]...),
	"truncated: a block of":           makeTable(head)[20:],
	"a block's entries are damaged":   packed(plainBlock, []byte{9, 9, 9, 1, 0, 0, 0}),
	"entries are damaged":             packed(plainBlock, []byte{5, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}),
	"a name of 1025 bytes":            makeTable(head, item{strings.Repeat("a", maxName+1), ""}),
	"no header":                       makeTable(item{"a", message(1, 0, 4, 1)}),
	"index: no header":                makeTable(),
	"header: damaged":                 makeTable(item{"", "\xff"}),
	"header: 0 data files":            makeTable(item{"", ""}),
	"header: 100000 data files":       makeTable(item{"", number(1, 100000)}),
	"big-endian":                      makeTable(item{"", number(1, 1) + number(2, 1)}),
	"a reader of version 2":           makeTable(item{"", number(1, 1) + nested(3, number(2, 2))}),
	"tensor a appears twice":          makeTable(head, item{"a", message(1, 0, 4, 1)}, item{"a", message(1, 4, 4, 1)}),
	"tensor a comes after b":          makeTable(head, item{"b", message(1, 0, 4, 1)}, item{"a", message(1, 4, 4, 1)}),
	"tensor a: damaged":               makeTable(head, item{"a", "\x08"}),
	"tensor a: field 5 appears twice": makeTable(head, item{"a", message(1, 0, 4, 1) + number(5, 4)}),
	"tensor a: field 4 has another":   makeTable(head, item{"a", nested(4, "x")}),
	"tensor a: field 6 has another":   makeTable(head, item{"a", number(6, 1)}),
	"a negative dimension":            makeTable(head, item{"a", nested(2, nested(2, number(1, 1<<64-1)))}),
	"a shape that is not known":       makeTable(head, item{"a", nested(2, number(3, 1))}),
	"more than 254 dimensions":        makeTable(head, item{"a", message(1, 0, 4, make([]int, 255)...)}),
	"does not fit its 8 bytes":        makeTable(head, item{"a", message(1, 0, 8, 1, 1)}),
	"does not fit any file":           makeTable(head, item{"a", message(1, 0, 0, 1<<30, 1<<30, 1<<30)}),
	"in data file 1, there are 1":     makeTable(head, item{"a", message(1, 0, 4, 1) + number(3, 1)}),
	"tensor b overlaps":               makeTable(head, item{"a", message(1, 0, 8, 2)}, item{"b", message(1, 4, 4, 1)}),
	"overlaps the one before it":      makeTable(head, item{"a", message(7, 0, 9, 2)}, item{"b", message(1, 8, 4, 1)}),
	"tensor a has 20 bytes at":        makeTable(head, item{"a", message(1, 0, 20, 5)}),
	"bytes at byte 184467440737095":   makeTable(head, item{"a", message(1, 1<<64-1, 4, 1)}),
	"00000-of-00002: no such file":    makeTable(item{"", number(1, 2)}, item{"a", message(1, 0, 4, 1)}),
}

// Each malformed index is refused with one line that names the file.
func TestMalformed(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(prefix+".data-00000-of-00001", make([]byte, 16), 0o666); err != nil {
		t.Fatal(err)
	}
	for want, index := range malformed {
		if err := os.WriteFile(prefix+".index", index, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(prefix)
		if err == nil || !strings.HasPrefix(err.Error(), prefix+".") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", want, err)
		}
	}
	if _, err := Open(prefix + "2"); err == nil || !strings.Contains(err.Error(), "x2.index: no such file") {
		t.Error(err)
	}
}

// copyOf puts a checkpoint of testdata elsewhere.
func copyOf(t *testing.T, name string) (prefix string, index, data []byte) {
	t.Helper()
	prefix = filepath.Join(t.TempDir(), "x")
	for _, f := range []struct {
		suffix string
		to     *[]byte
	}{{".index", &index}, {".data-00000-of-00001", &data}} {
		b, err := os.ReadFile("testdata/" + name + f.suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(prefix+f.suffix, b, 0o666); err != nil {
			t.Fatal(err)
		}
		*f.to = b
	}
	return prefix, index, data
}

// memory opens a checkpoint of one data file that is not on disk.
func memory(index, data []byte) (*File, error) {
	f := &File{prefix: "x"}
	if err := f.parse(index); err != nil {
		return nil, err
	}
	return f, f.check(func(string) ([]byte, func() error, error) { return data, func() error { return nil }, nil })
}

// A checkpoint that ends early, at whatever byte of either file, is refused; one with a bit changed is refused or, if the bit is in
// a tensor, that tensor is.
func TestDamage(t *testing.T) {
	_, index, data := copyOf(t, "hub")
	good, err := memory(index, data)
	if err != nil {
		t.Fatal(err)
	}
	want := all(t, good)
	for n := range index {
		if _, err := memory(index[:n], data); err == nil {
			t.Fatalf("%d of %d bytes of the index are accepted", n, len(index))
		}
		f, err := memory(flip(index, n), data)
		if err == nil && n < len(index)-footerSize {
			t.Errorf("bit of byte %d of the index changed: accepted", n)
		}
		if err == nil && !slices.EqualFunc(all(t, f), want, func(a, b safetensors.Tensor) bool { return a.Name == b.Name && bytes.Equal(a.Data, b.Data) }) {
			t.Errorf("bit of byte %d of the index changed: other tensors", n)
		}
	}
	for n := range data {
		if _, err := memory(index, data[:n]); err == nil || !strings.Contains(err.Error(), "truncated: tensor ") {
			t.Fatalf("%d of %d bytes of the data: %v", n, len(data), err)
		}
	}
	for n := range data {
		f, err := memory(index, flip(data, n))
		if err != nil {
			t.Fatal(err)
		}
		bad := 0
		for _, name := range f.Names() {
			if _, err := f.Tensor(name); err != nil {
				if !strings.Contains(err.Error(), "damaged: tensor "+name) {
					t.Error(err)
				}
				bad++
			}
		}
		if bad != 1 {
			t.Fatalf("bit of byte %d of the data changed: %d tensors are refused", n, bad)
		}
	}
}

// Blocks compressed with snappy are read.
func TestSnappy(t *testing.T) {
	index := packed(snappyBlock, snappy.Encode(nil, block(head, item{"a", message(1, 0, 4, 1)}, item{"b", message(1, 4, 4, 1)})))
	f, err := memory(index, make([]byte, 8))
	if err != nil || strings.Join(f.Names(), " ") != "a b" {
		t.Fatal(f, err)
	}
}

// A checkpoint is found by its prefix and by the name of either file.
func TestPrefix(t *testing.T) {
	for _, p := range []string{"x", "x.index", "x.data-00000-of-00001"} {
		if Prefix(p) != "x" {
			t.Errorf("%s: %s", p, Prefix(p))
		}
	}
	for p, want := range map[string]bool{"plain": true, "plain.index": true, "plain.data-00000-of-00001": true, "plain.safetensors": false, "none": false, "": false} {
		if got := IsCheckpoint("testdata/" + p); got != want {
			t.Errorf("%s: %v", p, got)
		}
	}
	open(t, "testdata/beam.data-00001-of-00002")
}

// An index of several blocks is read as it was written.
func TestManyTensors(t *testing.T) {
	var tensors []safetensors.Tensor
	for i := range 8000 {
		tensors = append(tensors, safetensors.Float32Tensor(strings.Repeat("n", 40)+string(rune('a'+i%7))+strings.Repeat("x", i/7), []int{1}, []float32{float32(i)}))
		if len(tensors[i].Name) > maxName {
			tensors = tensors[:i]
			break
		}
	}
	prefix := filepath.Join(t.TempDir(), "x")
	if err := Write(prefix, tensors); err != nil {
		t.Fatal(err)
	}
	f := open(t, prefix)
	if st, _ := os.Stat(prefix + ".index"); st.Size() < blockSize {
		t.Errorf("%d bytes are one block", st.Size())
	}
	for _, x := range tensors {
		got, err := f.Tensor(x.Name)
		if err != nil || !bytes.Equal(got.Data, x.Data) {
			t.Fatal(x.Name, err)
		}
	}
}

// What could not be read back is not written, and nothing is left of the attempt.
func TestRefusedTensors(t *testing.T) {
	dir := t.TempDir()
	prefix := filepath.Join(dir, "x")
	one := safetensors.Float32Tensor("a", []int{1}, []float32{1})
	for want, list := range map[string][]safetensors.Tensor{
		"tensor \"\": not a name": {{DType: "F32"}},
		"given twice":             {one, one},
		"unknown dtype F31":       {{Name: "a", DType: "F31"}},
		"does not fit its 8":      {{Name: "a", DType: "F32", Shape: []int{3}, Data: make([]byte, 8)}},
		"negative dimension":      {{Name: "a", DType: "F32", Shape: []int{-1, -1}, Data: make([]byte, 4)}},
	} {
		if err := Write(prefix, list); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "writing "+prefix) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if err := os.Mkdir(prefix+".index", 0o777); err != nil { // what cannot be replaced
		t.Fatal(err)
	}
	if err := Write(prefix, []safetensors.Tensor{one}); err == nil {
		t.Error("a directory is replaced")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func FuzzOpen(f *testing.F) {
	for _, index := range malformed {
		f.Add(index, make([]byte, 16))
	}
	for _, name := range append([]string{"types"}, cases...) {
		index, err := os.ReadFile("testdata/" + name + ".index")
		if err != nil {
			f.Fatal(err)
		}
		data, _ := os.ReadFile("testdata/" + name + ".data-00000-of-00001")
		f.Add(index, data)
	}
	f.Fuzz(func(t *testing.T, index, data []byte) {
		// Few changes keep the checksums right: once as it is, once as the content of a block.
		for _, index := range [][]byte{index, packed(plainBlock, index), packed(snappyBlock, index)} {
			file, err := memory(index, data)
			if err != nil {
				continue
			}
			var read []safetensors.Tensor
			for _, n := range file.Names() {
				if x, err := file.Tensor(n); err == nil {
					read = append(read, x)
				}
				_, _, _ = file.Float32(n)
			}
			if m, _, err := Model(file); err == nil {
				for _, n := range m.Names() {
					_, _, _ = m.Float32(n)
				}
			}
			again, err := makeIndex(read)
			if err != nil {
				continue // names that are not UTF-8
			}
			var body []byte
			for _, x := range read {
				body = append(body, x.Data...)
			}
			if back, err := memory(again, body); err != nil || len(back.Names()) != len(read) {
				t.Fatal("what was read and written cannot be read", err)
			}
		}
	})
}
