package tensorflow

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// member is a file of an archive to be made.
type member struct {
	name, content string
	kind          byte
}

func makeTar(members ...member) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.content)), Typeflag: m.kind}
		if m.kind == tar.TypeSymlink || m.kind == tar.TypeLink {
			h.Linkname, h.Size = m.content, 0
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(m.content)); err != nil {
				panic(err)
			}
		}
	}
	w.Close()
	return out.Bytes()
}

// asZip makes a zip archive of members.
func asZip(t testing.TB, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		h.SetMode(0o644)
		if m.kind == tar.TypeSymlink {
			h.SetMode(0o644 | os.ModeSymlink)
		}
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = f.Write([]byte(m.content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A zip archive, in which Google released BERT, is unpacked as a tar is; what leaves it, links and damage are refused, and nothing stays.
func TestZip(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	path := filepath.Join(t.TempDir(), "uncased_L-2_H-2_A-2.zip")
	var members []member
	for _, m := range released(t) {
		if m.kind != tar.TypeDir {
			members = append(members, m)
		}
	}
	open := func(data []byte) (*Archive, error) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return OpenTar(path)
	}
	good := asZip(t, members...)
	a, err := open(good)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(a.Checkpoint)
	if err != nil || a.Config == "" {
		t.Fatal(err, a.Files)
	}
	f.Close()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	turned := bytes.Clone(good)
	for i := 100; i < len(turned)/2; i += 7 {
		turned[i] ^= 0x55
	}
	for want, data := range map[string][]byte{"not a path inside the archive": asZip(t, member{name: "../out.model", content: "x"}),
		"a link":        asZip(t, member{name: "a/b.model", content: "/etc/passwd", kind: tar.TypeSymlink}),
		"twice":         asZip(t, member{name: "a.model", content: "x"}, member{name: "a.model", content: "x"}),
		"no checkpoint": asZip(t, member{name: "a.model", content: "x"}), "zip: ": good[:len(good)-30], filepath.Base(path): turned} {
		a, err := open(data)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", want, err)
		}
		if err == nil {
			a.Close()
		}
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	w.Close()
	return out.Bytes()
}

// released is an archive laid out as those of the released models.
func released(t testing.TB) []member {
	read := func(name string) string {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return []member{
		{name: "albert_base/", kind: tar.TypeDir},
		{name: "albert_base/30k-clean.vocab", content: "<pad>\t0\n"},
		{name: "albert_base/albert_config.json", content: `{"hidden_size": 6}`},
		{name: "albert_base/30k-clean.model", content: "model"},
		{name: "albert_base/model.ckpt-best.meta", content: strings.Repeat("graph", 1000)},
		{name: "albert_base/._model.ckpt-best.index", content: "of macOS"},
		{name: "albert_base/model.ckpt-best.index", content: read("plain.index")},
		{name: "albert_base/model.ckpt-best.data-00000-of-00001", content: read("plain.data-00000-of-00001")},
	}
}

// put writes an archive into an own directory, which is where temporary directories are made too.
func put(t *testing.T, data []byte) (path, tmp string) {
	t.Helper()
	tmp = t.TempDir()
	t.Setenv("TMPDIR", tmp)
	path = filepath.Join(t.TempDir(), "a.tar.gz")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path, tmp
}

// An archive of a released model, compressed or not, gives its parts, and nothing is left of it afterwards.
func TestOpenTar(t *testing.T) {
	archive := makeTar(released(t)...)
	for _, data := range [][]byte{archive, zipped(archive)} {
		path, tmp := put(t, data)
		a, err := OpenTar(path)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(a.Config); err != nil || string(b) != `{"hidden_size": 6}` {
			t.Errorf("%q %v", b, err)
		}
		if b, err := os.ReadFile(a.SentencePiece); err != nil || string(b) != "model" || a.Vocab != "" {
			t.Errorf("%q %v", b, err)
		}
		f, err := Open(a.Checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Names()) != 32 {
			t.Errorf("%d variables", len(f.Names()))
		}
		beside, err := Beside(a.Checkpoint + ".index")
		if err != nil || beside != a.Files {
			t.Errorf("%v %v, want %v", beside, err, a.Files)
		}
		files, _ := filepath.Glob(filepath.Dir(a.Checkpoint) + "/*")
		if len(files) != 4 {
			t.Errorf("unpacked: %v", files)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(tmp); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	}
}

var index = member{name: "x.index", content: "i"}

// Archives that are refused, by what the error says.
func badTars() map[string][]byte {
	header := makeTar(member{name: "x.index", content: "1"})[:512]
	huge := bytes.Clone(header)
	copy(huge[124:], "77777777777\x00") // 8 GiB, with a checksum that fits
	copy(huge[148:], "        ")
	sum := 0
	for _, c := range huge {
		sum += int(c)
	}
	copy(huge[148:], fmt.Sprintf("%06o\x00 ", sum))
	good := zipped(makeTar(index))
	return map[string][]byte{
		"no checkpoint":                                 makeTar(member{name: "a.json"}),
		"no checkpoint (*.index) in it":                 {},
		"tar: damaged: archive/tar: invalid tar header": bytes.Repeat([]byte("text "), 200),
		"tar: cut short: the file ends in the middle":   zipped(header[:200]),
		"member x.index: tar: cut short":                makeTar(index)[:512],
		"gzip: cut short":                               good[:len(good)-3],
		"gzip: invalid checksum":                        flip(good, -7),
		"gzip: invalid header":                          {0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9},
		"member ../x.index: not a path inside":          makeTar(member{name: "../x.index"}),
		"member a/../../x: not a path inside":           makeTar(member{name: "a/../../x"}),
		"member /x.index: not a path inside":            makeTar(member{name: "/x.index"}),
		`member "a\\..\\x.index": not a path`:           makeTar(member{name: `a\..\x.index`}),
		"member x.index: a link, which":                 makeTar(member{name: "x.index", content: "/etc/passwd", kind: tar.TypeSymlink}),
		"member y.index: a link, which":                 makeTar(index, member{name: "y.index", content: "x.index", kind: tar.TypeLink}),
		"neither a file nor a directory":                makeTar(member{name: "x.index", kind: tar.TypeFifo}),
		"member x.index appears twice":                  makeTar(index, index),
		"member a/x.meta appears twice":                 makeTar(member{name: "a/x.meta"}, member{name: "./a//x.meta"}),
		"several checkpoints: x.index and y.index":      makeTar(index, member{name: "y.index"}),
		"several configurations: a/config.json and":     makeTar(index, member{name: "a/config.json"}, member{name: "b/config.json"}),
		"several SentencePiece models":                  makeTar(index, member{name: "a.model"}, member{name: "b.model"}),
		"with it 8589934591 bytes, the limit":           huge,
	}
}

// Each bad archive is refused with one line that names it, and nothing of it is left.
func TestBadTars(t *testing.T) {
	for want, data := range badTars() {
		path, tmp := put(t, data)
		_, err := OpenTar(path)
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", want, err)
		}
		if left, _ := os.ReadDir(tmp); len(left) != 0 {
			t.Errorf("%q: left: %v", want, left)
		}
	}
}

// Unpacking stops at the limit, whether the bytes are asked for or not, and whether they stand before the archive's end or after it.
func TestBombs(t *testing.T) {
	many := make([]member, maxMembers+1)
	for i := range many {
		many[i].name = fmt.Sprint(i)
	}
	zeros := strings.Repeat("\x00", 1<<20)
	for want, data := range map[string][]byte{
		"with it 2097152 bytes": makeTar(member{name: "a.index", content: zeros}, member{name: "b.index", content: zeros}),
		"with it 3145728 bytes": makeTar(member{name: "a", content: zeros}, member{name: "b", content: zeros + zeros}),
		"unpacks to more than":  append(makeTar(index), zeros+zeros...),
		"more than 10000":       makeTar(many...),
	} {
		dir := t.TempDir()
		_, err := unpack(bytes.NewReader(zipped(data)), dir, 3<<19)
		if want == "more than 10000" {
			_, err = unpack(bytes.NewReader(data), dir, maxUnpacked)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func FuzzTar(f *testing.F) {
	for _, data := range badTars() {
		if len(data) < 1<<16 {
			f.Add(data)
		}
	}
	good := makeTar(member{name: "a/", kind: tar.TypeDir}, index, member{name: "a/albert_config.json", content: "{}"})
	f.Add(good)
	f.Add(zipped(good))
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		outside := filepath.Join(root, fmt.Sprint(rand.Uint64()))
		dir := filepath.Join(outside, "inside")
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(outside)
		members, err := unpack(bytes.NewReader(data), dir, 1<<20)
		if left, _ := os.ReadDir(outside); len(left) != 1 {
			t.Fatal("something was written outside")
		}
		if err != nil {
			return
		}
		for _, m := range members {
			if st, err := os.Lstat(filepath.Join(dir, m)); err != nil || !st.Mode().IsRegular() {
				t.Fatal(m, err)
			}
		}
		_, _ = choose(members)
	})
}

func FuzzZip(f *testing.F) {
	f.Add(asZip(f, member{name: "a/albert_config.json", content: "{}"}, member{name: "a/model.ckpt.index", content: "x"}))
	f.Add(asZip(f, member{name: "../a.model", content: "x"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := unpackZip(bytes.NewReader(data), int64(len(data)), t.TempDir(), 1<<20)
		if err == nil {
			_, _ = choose(members)
		}
	})
}
