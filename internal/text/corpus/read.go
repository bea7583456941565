package corpus

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Document is a text with its sentences.
type Document struct {
	Name      string // where it comes from
	Sentences []string
}

// Sentences says how text is cut into sentences.
type Sentences string

// SentencesAuto finds sentences in prose; SentencesLines takes one sentence a line.
const (
	SentencesAuto  Sentences = "auto"
	SentencesLines Sentences = "lines"
)

// ReadOptions say how inputs are read.
type ReadOptions struct {
	Sentences  Sentences // "": auto
	TextColumn string    // of JSONL and Parquet; "": text
	GoDoc      bool      // directories are Go source trees
	Stdin      io.Reader // what "-" means; nil: os.Stdin
}

// Counts is what was seen of the inputs.
type Counts struct {
	Files       int64 `json:"files"`
	Documents   int64 `json:"documents"`
	Sentences   int64 `json:"sentences"`
	Words       int64 `json:"words"`
	Bytes       int64 `json:"bytes"`        // of text, unpacked
	Read        int64 `json:"read"`         // bytes of the input files, as they lie there
	InvalidUTF8 int64 `json:"invalid_utf8"` // bytes replaced
	Empty       int64 `json:"empty"`        // documents without text, dropped
	Cut         int64 `json:"cut"`          // cuts in documents that were too long
}

// File is an input file that was read to its end.
type File struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// maxDocument is the length at which a document is cut, in bytes of text: longer than any chapter of prose, and short enough for some
// of them to be in memory at once.
const maxDocument = 2 << 20

// maxNesting is how often an input may be packed: a .tar.gz of .gz files is packed three times.
const maxNesting = 4

// maxWindow bounds the memory that unpacking zstd takes: its longest window, as archives of whole sites use it.
const maxWindow = 2 << 30

// stdinName is how standard input is called where a file's path would stand.
const stdinName = "stdin"

// reader is the state of one pass over inputs.
type reader struct {
	ctx    context.Context
	o      ReadOptions
	counts *Counts
	yield  func(Document, error) bool
	file   func(File) error // called after each file; nil: nobody asks
	given  map[uint64]bool  // passages and sentences already given, where repeats are left out
}

// errDone ends a pass whose consumer wants no more.
var errDone = errors.New("done")

// Documents yields the documents of inputs, in order: files, directories (their files by byte order of path), "-" for stdin. After an
// error, which names the file and the place, nothing follows. counts grows meanwhile; it may be nil.
func Documents(ctx context.Context, inputs []string, o ReadOptions, counts *Counts) iter.Seq2[Document, error] {
	return documents(ctx, inputs, o, counts, nil)
}

// documents also calls file after each input file; an error from there ends the pass.
func documents(ctx context.Context, inputs []string, o ReadOptions, counts *Counts, file func(File) error) iter.Seq2[Document, error] {
	if counts == nil {
		counts = new(Counts)
	}
	if len(inputs) == 0 {
		inputs = []string{"-"}
	}
	return func(yield func(Document, error) bool) {
		r := &reader{ctx: ctx, o: o, counts: counts, yield: yield, file: file, given: map[uint64]bool{}}
		for _, in := range inputs {
			if err := r.input(in); err != nil {
				if !errors.Is(err, errDone) {
					yield(Document{}, err)
				}
				return
			}
		}
	}
}

func (r *reader) input(path string) error {
	if path == "-" {
		in := r.o.Stdin
		if in == nil {
			in = os.Stdin
		}
		return r.whole(stdinName, in, r.stream)
	}
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if r.o.GoDoc && (st.IsDir() || strings.HasSuffix(path, ".go")) {
		return r.goTree(path)
	}
	if !st.IsDir() {
		return r.open(path)
	}
	files, err := listFiles(path, nil)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no files there", path)
	}
	for _, f := range files {
		if err := r.open(f); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) open(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 4)
	if n, _ := f.ReadAt(head, 0); string(head[:n]) == parquetMagic { // a pipe has no ReadAt, and is not Parquet
		return r.whole(path, f, func(name string, in io.Reader) error {
			// Parquet is read here and there; the hash wants it front to back.
			if _, err := io.Copy(io.Discard, in); err != nil {
				return err
			}
			return r.parquet(name, f)
		})
	}
	return r.whole(path, f, r.stream)
}

// whole reads an input file with read, counting and hashing all its bytes.
func (r *reader) whole(name string, in io.Reader, read func(name string, in io.Reader) error) error {
	r.counts.Files++
	c := &rawReader{in: in, total: &r.counts.Read}
	if r.file != nil {
		c.sum = sha256.New()
	}
	if err := read(name, c); err != nil {
		return err
	}
	// What unpacking leaves: the fill of an archive.
	if _, err := io.Copy(io.Discard, c); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if r.file == nil {
		return nil
	}
	return r.file(File{Path: name, Bytes: c.bytes, SHA256: hex.EncodeToString(c.sum.Sum(nil))})
}

// rawReader counts and hashes what passes.
type rawReader struct {
	in    io.Reader
	sum   hash.Hash // or nil
	bytes int64
	total *int64
}

func (c *rawReader) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.bytes += int64(n)
	*c.total += int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	return n, err
}

// notText are the beginnings of files that people mistake for text, and what they are.
var notText = []struct{ head, what string }{
	{"PK\x03\x04", "a zip archive: unpack it"}, {"BZh", "packed with bzip2: unpack it"}, {"\xfd7zXZ\x00", "packed with xz: unpack it"},
	{"%PDF-", "a PDF: extract its text"}, {"\xff\xfe", "UTF-16: convert it to UTF-8"}, {"\xfe\xff", "UTF-16: convert it to UTF-8"},
	{parquetMagic, "Parquet, which is read from a file of its own, not from a pipe or an archive"},
}

// maxBuffer is how much of an input is looked at to tell text from binary data, and how much is read at a time. An archive's member
// gets a buffer of its own size where that is smaller: archives of passages have tens of thousands.
const (
	maxBuffer = 64 << 10
	minBuffer = 512 // a header of tar, which is looked for
)

// stream reads one input, unpacking what is packed.
func (r *reader) stream(name string, in io.Reader) error {
	return r.unpack(name, in, maxBuffer, maxNesting)
}

func (r *reader) unpack(name string, in io.Reader, buffer, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%s: packed more than %d times", name, maxNesting)
	}
	br := bufio.NewReaderSize(in, buffer)
	head, err := br.Peek(buffer)
	if err != nil && err != io.EOF {
		return readError(name, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("%s: gzip: %w", name, err)
		}
		defer z.Close()
		return r.unpack(name, &packed{in: z, kind: "gzip"}, maxBuffer, depth-1)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return fmt.Errorf("%s: zstd: %w", name, err)
		}
		defer z.Close()
		return r.unpack(name, &packed{in: z, kind: "zstd"}, maxBuffer, depth-1)
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return r.tar(name, br, depth)
	}
	for _, k := range notText {
		if bytes.HasPrefix(head, []byte(k.head)) {
			return fmt.Errorf("%s: not text but %s", name, k.what)
		}
	}
	if err := checkText(head); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		if _, err := br.Discard(3); err != nil {
			return readError(name, err)
		}
		head = head[3:]
	}
	text := newTextReader(name, br, buffer, r.counts)
	if isJSON(head) {
		return r.json(text)
	}
	return r.text(text)
}

func (r *reader) tar(name string, in io.Reader, depth int) error {
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: tar: %w", name, tarError(err))
		}
		if h.Typeflag != tar.TypeReg || h.Size == 0 || strings.HasPrefix(filepath.Base(h.Name), ".") {
			continue
		}
		if err := r.unpack(name+":"+h.Name, &packed{in: t, kind: "tar"}, int(min(maxBuffer, max(minBuffer, h.Size))), depth-1); err != nil {
			return err
		}
	}
}

func tarError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("cut short: the file ends in the middle")
	}
	return err
}

// packed names the kind of packing in what goes wrong.
type packed struct {
	in   io.Reader
	kind string
}

func (p *packed) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	if err != nil && err != io.EOF {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return n, fmt.Errorf("%s: cut short: the file ends in the middle", p.kind)
		}
		return n, fmt.Errorf("%s: damaged: %w", p.kind, err)
	}
	return n, err
}

func readError(name string, err error) error { return fmt.Errorf("%s: %w", name, err) }
