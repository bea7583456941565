package pytorch

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
)

// claim is a pickle of one tensor w.
type claim struct {
	class, key    string
	count, offset int
	shape, stride []int
	tail          string // what stands in place of requires_grad and backward_hooks
}

// of2 is a claim that holds: storage 0 of two float32, as zipped has it.
func of2(shape, stride []int) claim {
	return claim{class: "torch.FloatStorage", key: "0", count: 2, shape: shape, stride: stride}
}

func (c claim) program() string {
	p := &program{memo: map[string]byte{}}
	p.WriteString("\x80\x02}")
	p.text("w")
	p.global(rebuildTensor)
	p.WriteString("((")
	p.text("storage")
	p.global(c.class)
	p.text(c.key)
	p.text("cpu")
	p.integer(c.count)
	p.WriteString("tQ")
	p.integer(c.offset)
	p.integers(c.shape)
	p.integers(c.stride)
	if c.tail == "" {
		c.tail = "\x89}"
	}
	p.WriteString(c.tail + "tRs.")
	return p.String()
}

// A tensor must lie within its storage, and what is asked for must be in proportion to the file.
func TestClaims(t *testing.T) {
	f, err := parse(zipped(of2([]int{2}, []int{1}).program()))
	if err != nil {
		t.Fatal(err)
	}
	if x := all(t, f); len(x) != 1 || !bytes.Equal(x[0].Data, []byte("\x00\x00\x80\x3f\x00\x00\x00\x40")) {
		t.Fatal(x)
	}
	huge := math.MaxInt
	with := func(c claim, change func(*claim)) claim { change(&c); return c }
	two := of2([]int{2}, []int{1})
	for _, c := range []struct {
		claim
		want string
	}{
		{of2([]int{3}, []int{1}), "lies outside the 2 values of storage 0"},
		{of2([]int{2}, []int{2}), "lies outside"},
		{of2([]int{2}, []int{huge}), "lies outside"},
		{of2([]int{2, 2, 2}, []int{huge, huge, huge}), "lies outside"},
		{of2([]int{2, 2}, []int{1, 1}), "lies outside"},
		{with(two, func(c *claim) { c.offset = 1 }), "lies outside"},
		{with(two, func(c *claim) { c.offset = huge }), "lies outside"},
		{with(of2(nil, nil), func(c *claim) { c.offset = 2 }), "lies outside"},
		{of2([]int{1 << 40}, []int{0}), "which a file of this size may not ask for"},
		{of2([]int{1 << 32, 1 << 32}, []int{0, 0}), "which a file of this size may not ask for"},
		{of2([]int{0, huge, huge}, []int{1, 1, 1}), "which a file of this size may not ask for"},
		{of2([]int{2}, []int{1, 1}), "of the wrong type"},
		{of2(make([]int, 65), make([]int, 65)), "of the wrong type"},
		{with(two, func(c *claim) { c.count = 3 }), "3 values of F32 do not fit its 8 bytes"},
		{with(two, func(c *claim) { c.count = huge }), "which a file of this size cannot hold"},
		{with(two, func(c *claim) { c.class = "torch.DoubleStorage" }), "2 values of F64 do not fit its 8 bytes"},
		{with(two, func(c *claim) { c.class = orderedDict }), "collections.OrderedDict is not a type of storage"},
		{with(two, func(c *claim) { c.class = "torch.ComplexDoubleStorage" }), "refuses to call torch.ComplexDoubleStorage"},
		{with(two, func(c *claim) { c.key = "1" }), "storage 1 is not in the file"},
		{with(two, func(c *claim) { c.key = "../version" }), "storage ../version is not in the file"},
		{with(two, func(c *claim) { c.tail = "\x89}}" + "X\x04\x00\x00\x00conj\x88s" }), "a tensor with metadata"},
		{with(two, func(c *claim) { c.tail = "\x89" }), "bad arguments for torch._utils._rebuild_tensor_v2"},
	} {
		refused(t, c.want, zipped(c.program()), c.want)
	}
	minus := strings.Replace(two.program(), "K\x01t", "J\xff\xff\xff\xfft", 1)
	refused(t, "negative stride", zipped(minus), "of the wrong type")
	text := strings.Replace(two.program(), "K\x00(", "X\x00\x00\x00\x00(", 1)
	refused(t, "offset a string", zipped(text), "of the wrong type")
	name := strings.Replace(two.program(), "\x00w", "\x00\xff", 1)
	refused(t, "name", zipped(name), "a tensor's name is not a string of UTF-8")
	number := strings.Replace(two.program(), "X\x01\x00\x00\x00w", "K\x01", 1)
	refused(t, "number", zipped(number), "a tensor's name is not a string of UTF-8")
	twice := strings.TrimSuffix(two.program(), ".") + "0" + two.program()[2:]
	if _, err := parse(zipped(twice)); err != nil {
		t.Error(err)
	}
	types := strings.Replace(twice, "torch\nFloatStorage", "torch\nIntStorage", 1)
	refused(t, "two types", zipped(types), "storage 0 has two types or")
	again := strings.TrimSuffix(two.program(), "s.") + two.program()[3:]
	again = strings.Replace(again, "}", "}(", 1)
	again = strings.TrimSuffix(again, "s.") + "u."
	refused(t, "name twice", zipped(again), "tensor w appears twice")
	refused(t, "after", zipped(two.program()+"."), "1 bytes after the pickle")
	refused(t, "no end", zipped(strings.TrimSuffix(two.program(), ".")), "truncated: the pickle has no end")
	refused(t, "module", zipped("\x80\x02X\x06\x00\x00\x00moduleNN\x87Q."), "a whole model, not its state dict")
	refused(t, "id", zipped("\x80\x02X\x01\x00\x00\x000Q."), "a persistent id that is no storage")
	refused(t, "protocol", zipped("\x80\x06N."), "pickle protocol 6")
	refused(t, "nothing", zipped("\x80\x02}."), "no tensors in it")
	refused(t, "too long", zipped("\x80\x02"+strings.Repeat("N0", maxPickle/2)+"."), "a pickle of 16777219 bytes")
	refused(t, "operations", zipped("\x80\x02"+strings.Repeat("N0", maxOps/2)+"."), "more than 4194304 operations")
	refused(t, "stack", zipped("\x80\x02"+strings.Repeat("N", maxStack+1)+"."), "more than 1048576 values on its stack")
	refused(t, "memo", zipped("\x80\x04N"+strings.Repeat("\x94", maxMemo+1)+"."), "remembers more than 2097152")
	for _, p := range []string{"0", "1", "t", "\x85", "a", "e", "s", "u", "R", "b", "Q", "\x93", "q\x00", "h\x00", "(K\x01d", "N)R", "Iseven\n", "g9\n", "gx\n", "V\n", "\x95\xff\xff\xff\xff\xff\xff\xff\xff", ""} {
		refused(t, p, zipped("\x80\x04"+p+"."), "")
	}
}

// The tensors of inner dicts are read, too: once each, however often a dict is named, and whatever an optimizer keeps under numbers.
func TestInnerDicts(t *testing.T) {
	text := func(s string) string { return "X" + string([]byte{byte(len(s)), 0, 0, 0}) + s }
	one := of2([]int{2}, []int{1}).program()
	one = strings.TrimSuffix(strings.TrimPrefix(one, "\x80\x02}X\x01\x00\x00\x00w"), "s.") // the tensor alone
	one += "q\x500"                                                                        // remembered, and off the stack again
	tensor, inner := "h\x50", "}"+text("w")+"h\x50s"
	for program, want := range map[string][]string{
		"}" + text("model_state_dict") + inner + "s" + text("epoch") + "K\x03s.":                                                                      {"model_state_dict.w"},
		"}" + text("loss") + tensor + "s" + text("model") + inner + "s.":                                                                              {"loss", "model.w"},
		"}" + text("a") + "}" + text("b") + inner + "ss.":                                                                                             {"a.b.w"},
		"}" + text("a") + inner + "q\x51s" + text("b") + "h\x51s.":                                                                                    {"a.w"},
		"}q\x52" + text("a") + "h\x52s" + text("w") + tensor + "s.":                                                                                   {"w"},
		"}" + text("model") + inner + "s" + text("optimizer") + "}" + text("state") + "}K\x00}K\x01" + tensor + "ssss.":                               {"model.w"},
		"}" + text(strings.Repeat("x", 200)) + "}" + text(strings.Repeat("y", 50)) + "}" + text("longer") + inner + "sss" + text("w") + tensor + "s.": {"w"},
	} {
		f, err := parse(zipped("\x80\x02" + one + program))
		if err != nil || !slices.Equal(f.Names(), want) {
			t.Errorf("%q: %v, want %q", program, err, want)
			if err == nil {
				t.Error(f.Names())
			}
		}
	}
}

// Tensors may not ask together for more than the file's size allows.
func TestSharedStorages(t *testing.T) {
	p := &program{memo: map[string]byte{}}
	one := claim{class: "torch.ByteStorage", key: "0", count: 1 << 16, shape: []int{1 << 16}, stride: []int{1}}.program()
	one = strings.TrimSuffix(strings.TrimPrefix(one, "\x80\x02}X\x01\x00\x00\x00w"), "s.") + "q\xff"
	p.WriteString("\x80\x02}(X\x01\x00\x00\x00w" + one)
	for i := range 100 {
		p.text(strings.Repeat("x", i+1))
		p.WriteString("h\xff")
	}
	p.WriteString("u.")
	refused(t, "shared", archive(part{"x/data.pkl", p.String()}, part{"x/data/0", strings.Repeat("v", 1<<16)}, part{"x/version", "3"}), "the tensors take more than")
}

func TestZip(t *testing.T) {
	good := of2([]int{2}, []int{1}).program()
	data, version, values := part{"x/data.pkl", good}, part{"x/version", "3\n"}, part{"x/data/0", "12345678"}
	if _, err := parse(archive(data, version, values, part{"x/", ""}, part{"x/.data/serialization_id", "1"})); err != nil {
		t.Error(err)
	}
	for want, file := range map[string][]byte{
		"not one of torch.save":                archive(part{"x", "y"}),
		"two data.pkl":                         archive(data, part{"y/data.pkl", good}, version, values),
		`x/version is "", known are 1 to 10`:   archive(data, values),
		"x/version is 11":                      archive(data, part{"x/version", "11"}, values),
		"byteorder is big":                     archive(data, version, values, part{"x/byteorder", "big"}),
		"a TorchScript model":                  archive(data, version, values, part{"x/constants.pkl", ""}),
		"entry x/data/0 appears twice":         archive(data, version, values, values),
		"entry ../data/0: not a path":          archive(data, version, values, part{"../data/0", ""}),
		"entry /x: not a path":                 archive(data, version, values, part{"/x", ""}),
		`entry "x\\y": not a path`:             archive(data, version, values, part{`x\y`, ""}),
		"storage 0 is not in the file":         archive(data, version),
		"do not fit its 7 bytes":               archive(data, version, part{"x/data/0", "1234567"}),
		"truncated or not a zip file":          archive(data, version, values)[:200],
		"neither a zip file nor a pickle":      []byte("hello"),
		"neither a zip file nor a pickle of t": {},
		"a tar file":                           append(append(make([]byte, 257), "ustar"...), make([]byte, 250)...),
	} {
		refused(t, want, file, want)
	}

	whole := archive(data, part{"x/byteorder", "little"}, version, values)
	for n := range whole {
		if _, err := parse(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(whole))
		}
	}
	// A flipped bit in what an entry holds is seen when it is read.
	for _, text := range []string{"12345678", "3\n", "little", "FloatStorage"} {
		flipped := bytes.Clone(whole)
		flipped[bytes.Index(flipped, []byte(text))+1] ^= 4
		refused(t, "flipped "+text, flipped, "damaged: its checksum differs")
	}

	// Entries that lie over each other, leave the file, or contradict themselves, by what the directory at the end says of them.
	entry := func(name string, change func(header []byte)) []byte {
		file := bytes.Clone(whole)
		for at := bytes.Index(file, []byte("PK\x01\x02")); ; at++ {
			if bytes.HasPrefix(file[at:], []byte("PK\x01\x02")) && bytes.HasPrefix(file[at+46:], []byte(name)) {
				change(file[at:])
				return file
			}
		}
	}
	put := func(at int, v uint32) func(header []byte) {
		return func(header []byte) { binary.LittleEndian.PutUint32(header[at:], v) }
	}
	first := bytes.Index(whole, []byte("x/data.pkl")) - 30
	refused(t, "overlap", entry("x/version", put(42, uint32(first))), "overlaps the one before it")
	refused(t, "no header", entry("x/version", put(42, uint32(first+1))), "entry x/version: zip: not a valid zip file")
	refused(t, "outside", entry("x/data/0", func(h []byte) { put(20, 1<<30)(h); put(24, 1<<30)(h) }), "lies outside the file")
	refused(t, "beyond", entry("x/data/0", put(42, 1<<31)), "entry x/data/0: ")
	refused(t, "sizes", entry("x/data/0", put(24, 9)), "entry x/data/0: its sizes do not fit")
	refused(t, "encrypted", entry("x/data/0", func(h []byte) { h[8] |= 1 }), "entry x/data/0 is encrypted")
	refused(t, "method", entry("x/data/0", func(h []byte) { h[10] = 12 }), "unknown compression 12")
	refused(t, "inflating", entry("x/data/0", func(h []byte) { h[10] = 8 }), "x/data/0: inflating: ")
}

// A compressed storage inflates to just what the tensors need, and to no more than is in proportion to the file.
func TestBombs(t *testing.T) {
	make := func(count int, promised int, data []byte) []byte {
		var packed, out bytes.Buffer
		w, _ := flate.NewWriter(&packed, 9)
		w.Write(data)
		w.Close()
		z := zip.NewWriter(&out)
		c := claim{class: "torch.ByteStorage", key: "0", count: count, shape: []int{1}, stride: []int{1}}
		for _, p := range []part{{"x/data.pkl", c.program()}, {"x/version", "3"}} {
			e, _ := z.CreateHeader(&zip.FileHeader{Name: p.name})
			e.Write([]byte(p.content))
		}
		e, err := z.CreateRaw(&zip.FileHeader{Name: "x/data/0", Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(data), CompressedSize64: uint64(packed.Len()), UncompressedSize64: uint64(promised)})
		if err != nil {
			t.Fatal(err)
		}
		e.Write(packed.Bytes())
		z.Close()
		return out.Bytes()
	}
	zeros := bytes.Repeat([]byte{0}, 1<<21)
	f, err := parse(make(1<<20, 1<<20, zeros[:1<<20]))
	if err != nil {
		t.Fatal(err)
	}
	if x := all(t, f)[0]; len(x.Data) != 1 {
		t.Error(len(x.Data))
	}
	refused(t, "bomb", make(1<<21, 1<<21, zeros), "which a file of this size cannot hold")
	refused(t, "more than it says", make(1<<19, 1<<19, zeros), "inflates to more than its 524288 bytes")
	refused(t, "less than it says", make(1<<19, 1<<19, zeros[:9]), "inflating: unexpected EOF")
	many := strings.Repeat("x", 1<<12)
	refused(t, "pickle", archive(part{"x/data.pkl", many + strings.Repeat("N", maxPickle)}, part{"x/version", "3"}), "a pickle of 16781312 bytes")
}

func TestLegacy(t *testing.T) {
	good := legacyHead + of2([]int{2}, []int{1}).program() + legacyTail
	if f, err := parse([]byte(good)); err != nil || len(all(t, f)) != 1 {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := parse([]byte(good[:n])); err == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(good))
		}
	}
	swap := func(old, now string) []byte {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not there", old)
		}
		return []byte(strings.Replace(good, old, now, 1))
	}
	keys := "]X\x01\x00\x00\x000a."
	for want, file := range map[string][]byte{
		"its magic number is missing":            swap("\x8a\x0al", "\x8a\x0am"),
		"not protocol 1001":                      swap("M\xe9\x03", "M\xe8\x03"),
		"written on a big-endian machine":        swap("\x88s.", "\x89s."),
		"does not describe a system":             swap("}X\x0d\x00\x00\x00little_endian\x88s.", "]."),
		"does not list storages":                 swap(keys, "}."),
		"storage 0 is listed twice, or not us":   swap(keys, "](X\x01\x00\x00\x000X\x01\x00\x00\x000e."),
		"storage 1 is listed twice, or not":      swap(keys, "]X\x01\x00\x00\x001a."),
		`storage "" is listed twice, or not`:     swap(keys, "]Na."),
		"storage 0 is not in the file":           swap(keys, "]."),
		"3 values where 2 are expected":          swap("\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80", "\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80"),
		"1 bytes after the last storage":         []byte(good + "x"),
		"storage 0: a part that is not":          swap("K\x02tQ", "K\x02X\x01\x00\x00\x00vK\x01K\x02\x87tQ"),
		"truncated: storage 0 goes on after":     []byte(good[:len(good)-1]),
		"truncated: storage 0 is missing":        []byte(good[:len(good)-9]),
		"lies outside the 1 values of storage 0": swap("K\x02tQ", "K\x02X\x01\x00\x00\x00vK\x01K\x01\x87tQ"),
	} {
		refused(t, want, file, want)
	}
	// A storage that is a part of another begins inside it.
	part := strings.Replace(string(swap("K\x02tQ", "K\x02X\x01\x00\x00\x00vK\x01K\x01\x87tQ")), "(K\x02t(K\x01t", "(K\x01t(K\x01t", 1)
	f, err := parse([]byte(part))
	if err != nil {
		t.Fatal(err)
	}
	if x := all(t, f)[0]; !bytes.Equal(x.Data, []byte("\x00\x00\x00\x40")) {
		t.Errorf("% x", x.Data)
	}
}
