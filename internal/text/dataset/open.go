package dataset

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"albert/internal/text/corpus"
)

// input is a file, unpacked, from its first character on.
type input struct {
	*bufio.Reader
	name string // as given
	kind string // the name's ending without that of packing, in lower case: ".tsv"
	head []byte // its beginning, to tell what it is
}

const (
	bufferSize = 64 << 10
	maxWindow  = 1 << 30 // of zstd
)

// notText are the beginnings of files that are mistaken for text, and what they are.
var notText = []struct{ head, what string }{
	{"PK\x03\x04", "a zip archive: unpack it"}, {"BZh", "packed with bzip2: unpack it"}, {"\xfd7zXZ\x00", "packed with xz: unpack it"},
	{"%PDF-", "a PDF"}, {"\xff\xfe", "UTF-16: convert it to UTF-8"}, {"\xfe\xff", "UTF-16: convert it to UTF-8"},
	{"\xd0\xcf\x11\xe0", "an Excel or Word file: save it as CSV"}, {parquetMagic, "Parquet, which is read unpacked"},
}

// open reads a file with read and notes its hash.
func (r *reader) open(path string, read func(*input) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return fmt.Errorf("%s: a directory: name the files in it", path)
	}
	raw := &rawReader{in: f, sum: sha256.New()}
	if err := r.unpack(path, raw, bufferSize, read); err != nil {
		return err
	}
	return r.hashed(path, raw)
}

// hashed notes a file, whose rest is read.
func (r *reader) hashed(path string, raw *rawReader) error {
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.set.Files = append(r.set.Files, corpus.File{Path: path, Bytes: raw.bytes, SHA256: hex.EncodeToString(raw.sum.Sum(nil))})
	return nil
}

// rawReader counts and hashes what passes.
type rawReader struct {
	in    io.Reader
	sum   hash.Hash
	bytes int64
}

func (c *rawReader) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.bytes += int64(n)
	c.sum.Write(p[:n])
	return n, err
}

// unpack calls read with what a stream holds, which is read through a buffer of a size of its own: archives have many small members.
func (r *reader) unpack(name string, in io.Reader, buffer int, read func(*input) error) error {
	br := bufio.NewReaderSize(in, buffer)
	head, err := br.Peek(4)
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", name, err)
	}
	base := name
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("%s: gzip: %w", name, packedError(err))
		}
		defer z.Close()
		br = bufio.NewReaderSize(&packed{z, "gzip"}, bufferSize)
		base = strings.TrimSuffix(base, ".gz")
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return fmt.Errorf("%s: zstd: %w", name, packedError(err))
		}
		defer z.Close()
		br = bufio.NewReaderSize(&packed{z, "zstd"}, bufferSize)
		base = strings.TrimSuffix(base, ".zst")
	}
	if bom, _ := br.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		br.Discard(3)
	}
	head, err = br.Peek(br.Size())
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, k := range notText {
		if bytes.HasPrefix(head, []byte(k.head)) {
			return fmt.Errorf("%s: not text but %s", name, k.what)
		}
	}
	return read(&input{Reader: br, name: name, kind: ending(base), head: head})
}

// ending is a name's extension in lower case.
func ending(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return strings.ToLower(name[i:])
	}
	return ""
}

// packed names the kind of packing in what goes wrong.
type packed struct {
	in   io.Reader
	kind string
}

func (p *packed) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	if err != nil && err != io.EOF {
		return n, fmt.Errorf("%s: %w", p.kind, packedError(err))
	}
	return n, err
}

func packedError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return errors.New("cut short: the file ends in the middle")
	}
	return fmt.Errorf("damaged: %w", err)
}

// maxLine bounds a line of text, and a value of JSON that is read at once.
const maxLine = 64 << 20

// lines reads a text line by line. Only "\n" ends one; a "\r" before it is left out.
type lines struct {
	in  *input
	n   int // of the line last given, from 1
	buf []byte
}

// next gives a line, or io.EOF.
func (l *lines) next() (string, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		l.buf = append(l.buf, part...)
		if len(l.buf) > maxLine {
			return "", fmt.Errorf("%s: a line of more than %d MB", place(l.in.name, l.n+1), maxLine>>20)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && err != io.EOF {
			return "", fmt.Errorf("%s: %w", place(l.in.name, l.n+1), err)
		}
		if err == io.EOF && len(l.buf) == 0 {
			return "", io.EOF
		}
		l.n++
		line := string(bytes.TrimSuffix(bytes.TrimSuffix(l.buf, []byte("\n")), []byte("\r")))
		if err := checkText(line); err != nil {
			return "", fmt.Errorf("%s: %w", place(l.in.name, l.n), err)
		}
		return line, nil
	}
}
