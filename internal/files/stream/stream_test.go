package stream

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func zstded(s string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func tarred(files ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644, Typeflag: tar.TypeReg})
		io.WriteString(w, files[i+1])
	}
	w.Close()
	return b.String()
}

// readAll reads an input in two ways: at once, and a byte at a time. Both give the same. It goes no further than 1 MiB and takes no window
// of zstd above 8 MiB: a few bytes of fuzzing are enough to ask for 2 GiB, and a few thousand unpack to that.
func readAll(t *testing.T, in string) (string, error) {
	t.Helper()
	var texts [2]string
	var errs [2]error
	for i, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
		br, err := reader(r, 512, 8<<20)
		if err == nil {
			var b []byte
			b, err = io.ReadAll(io.LimitReader(br, 1<<20))
			texts[i] = string(b)
		}
		errs[i] = err
	}
	if texts[0] != texts[1] || (errs[0] == nil) != (errs[1] == nil) {
		t.Errorf("%.20q: %q, %v at once; %q, %v byte by byte", in, texts[0], errs[0], texts[1], errs[1])
	}
	return texts[0], errs[0]
}

// However an input is packed, its text is the same.
func TestReader(t *testing.T) {
	const text = "Größe\r\nand more\n"
	for name, in := range map[string]string{"plain": text, "mark": "\ufeff" + text, "gzip": gzipped(text), "zstd": zstded(text),
		"mark in gzip": gzipped("\ufeff" + text), "gzip in zstd": zstded(gzipped(text)), "two members": gzipped(text[:5]) + gzipped(text[5:]),
		"four times": gzipped(gzipped(zstded("\ufeff" + text)))} {
		if got, err := readAll(t, in); got != text || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, in := range []string{"", "a", "\x1f", "\x1fa", "\x28\xb5", "\xef\xbb", "\n"} {
		if got, err := readAll(t, in); got != in || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestDamagedInput(t *testing.T) {
	text := strings.Repeat("Some text that is here. ", 1000)
	for want, in := range map[string]string{
		"gzip: cut short: the file ends in the middle": gzipped(text)[:100],
		"gzip: cut short":                       gzipped(text)[:5],
		"gzip: damaged: gzip: invalid checksum": gzipped(text)[:len(gzipped(text))-8] + "12345678",
		"gzip: damaged: gzip: invalid header":   "\x1f\x8b999999999999",
		"zstd: cut short":                       zstded(text)[:30],
		"zstd: damaged":                         zstded(text)[:6] + "abcdef" + zstded(text)[12:],
		"packed more than 4 times":              gzipped(gzipped(gzipped(gzipped(gzipped("a"))))),
	} {
		if _, err := readAll(t, in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	// What is wrong inside is not put down to the packing around it, nor is an input that fails.
	if _, err := readAll(t, zstded(gzipped(text)[:100])); err == nil || !strings.HasPrefix(err.Error(), "gzip: cut short") {
		t.Errorf("gzip that was cut short, in zstd: %v", err)
	}
	broken := errors.New("the cable is out")
	br, err := Reader(io.MultiReader(strings.NewReader(gzipped(text)[:100]), iotest.ErrReader(broken)))
	if err == nil {
		_, err = io.ReadAll(br)
	}
	if err != broken {
		t.Errorf("an input that fails: %v", err)
	}
}

// The first line of a slow input is there as soon as it is written, however short it is.
func TestReaderWaitsForNoMore(t *testing.T) {
	for _, line := range []string{"\n", "a\n", "\xef\n"} {
		in, out := io.Pipe()
		defer out.Close()
		got := make(chan string)
		go func() {
			br, _ := Reader(in)
			text, _ := NewLines(br).Next()
			got <- string(text) + "\n"
		}()
		io.WriteString(out, line)
		select {
		case text := <-got:
			if text != line {
				t.Errorf("%q of %q", text, line)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q: waits for more", line)
		}
	}
}

// An input that has ended is not asked again: at a terminal every question has to be answered by Ctrl-D.
func TestReaderEndsOnce(t *testing.T) {
	ends := 0
	br, err := Reader(readerFunc(func([]byte) (int, error) {
		ends++
		return 0, io.EOF
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewLines(br).Next(); err != io.EOF || ends != 1 {
		t.Errorf("%v; asked %d times", err, ends)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestCheckText(t *testing.T) {
	if err := CheckText([]byte("PK\x03\x04...")); err == nil || err.Error() != "not text but a zip archive: unpack it" {
		t.Error(err)
	}
	for _, text := range []string{"", "P", "text"} {
		if err := CheckText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTar(t *testing.T) {
	in := tarred("a", "one", "b/c", strings.Repeat("two", 1000), "d", "")
	if !IsTar([]byte(in)) || IsTar([]byte(in[:262])) {
		t.Error("not told by the beginning")
	}
	read := func(in string) (got []string, err error) {
		for m, err := range Tar(strings.NewReader(in)) {
			if err != nil {
				return got, err
			}
			b, err := io.ReadAll(m)
			if err != nil {
				return got, err
			}
			got = append(got, m.Name, string(b))
		}
		return got, nil
	}
	if got, err := read(in); err != nil || strings.Join(got, " ") != "a one b/c "+strings.Repeat("two", 1000)+" d " {
		t.Errorf("%q, %v", got, err)
	}
	for _, n := range []int{100, 513, 1200} {
		if _, err := read(in[:n]); err == nil || err.Error() != "tar: cut short: the file ends in the middle" {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for range Tar(strings.NewReader(in)) {
		break
	}
}

// lines reads all lines; a line that is too long is "<long>", one without an end has "<open>" behind it.
func lines(t *testing.T, l *Lines, in string) (out []string) {
	t.Helper()
	for {
		line, err := l.Next()
		if err == io.EOF {
			return out
		}
		text := string(line)
		if err != nil {
			if err != ErrLongLine {
				t.Fatal(err)
			}
			text = "<long>"
		} else if !l.Ended {
			text += "<open>"
		}
		if err == nil && !strings.HasSuffix(in[:l.End], strings.TrimSuffix(text, "<open>")+map[bool]string{true: "\n"}[l.Ended]) {
			t.Errorf("%q does not end at %d of %q", text, l.End, in)
		}
		if out = append(out, text); l.Number != len(out) {
			t.Errorf("line %d is called %d", len(out), l.Number)
		}
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 99)
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"\n", ""}, {"a", "a<open>"}, {"a\nb\n", "a|b"}, {"a\r\n\n\vb\u2028c", "a\r||\vb\u2028c<open>"},
		{long + "\n" + long + "x\nb\n" + long + long, long + "|<long>|b|<long>"}, {long + "y", long + "y<open>"}, {"a\n" + long + "yz", "a|<long>"},
	} {
		for _, size := range []int{16, 64, 4096} {
			l := NewLines(bufio.NewReaderSize(strings.NewReader(c.in), size))
			l.most = 100
			if got := strings.Join(lines(t, l, c.in), "|"); got != c.want {
				t.Errorf("%q: %q, want %q", c.in, got, c.want)
			}
		}
	}
	broken := errors.New("the cable is out")
	l := NewLines(io.MultiReader(strings.NewReader("a\nbc"), iotest.ErrReader(broken)))
	l.Next()
	if line, err := l.Next(); err != broken || line != nil || l.Number != 2 {
		t.Errorf("%q, %v in line %d", line, err, l.Number)
	}
}

func TestLineIndex(t *testing.T) {
	const text = "a\nbc\n\nd\ne"
	for size := 1; size <= len(text); size++ {
		var x LineIndex
		for at := 0; at < len(text); at += size {
			x.Add([]byte(text[at:min(at+size, len(text))]), int64(at))
			for place := at; place < min(at+size, len(text)); place++ {
				if got, want := x.Line(int64(place)), 1+strings.Count(text[:place], "\n"); got != want {
					t.Errorf("parts of %d: place %d is in line %d, want %d", size, place, got, want)
				}
			}
			x.Pass(int64(at))
		}
	}
}

func TestHasher(t *testing.T) {
	total := int64(1)
	h := NewHasher(strings.NewReader("abc"), &total)
	io.ReadFull(h, make([]byte, 1))
	f, err := h.File("x")
	if want := (File{"x", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}); f != want || err != nil || total != 4 {
		t.Errorf("%+v, %v, %d", f, err, total)
	}
}

// Arbitrary bytes give bytes or an error, never a panic, and the same however they come.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"text\n", "\ufefftext", gzipped("a"), zstded("a"), zstded(gzipped("\ufeffa")), "\x1f\x8b", "\x28\xb5\x2f\xfd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) { readAll(t, in) })
}
