package corpus

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"albert/internal/files/parquetfile"
	"albert/internal/files/stream"
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

	file func(File) error // called after each input file, an error ends the pass; nil: nobody asks
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
type File = stream.File

// maxDocument is the length at which a document is cut, in bytes of text: longer than any chapter of prose, and short enough for some
// of them to be in memory at once.
const maxDocument = 2 << 20

// maxNesting is how deep archives may lie in archives.
const maxNesting = 4

// stdinName is the name of standard input in errors and among the files that were read.
const stdinName = "stdin"

// reader is the state of one pass over inputs.
type reader struct {
	ctx    context.Context
	o      ReadOptions
	counts *Counts
	yield  func(Document, error) bool
	given  map[uint64]bool // passages and sentences already given, where repeats are left out
}

// errDone ends a pass whose consumer wants no more.
var errDone = errors.New("done")

// Documents yields the documents of inputs, in order: files, directories (their files by byte order of path), "-" for stdin. After an
// error, which names the file and the line, nothing follows. counts grows meanwhile; it may be nil.
func Documents(ctx context.Context, inputs []string, o ReadOptions, counts *Counts) iter.Seq2[Document, error] {
	if counts == nil {
		counts = new(Counts)
	}
	if len(inputs) == 0 {
		inputs = []string{"-"}
	}
	return func(yield func(Document, error) bool) {
		r := &reader{ctx: ctx, o: o, counts: counts, yield: yield, given: map[uint64]bool{}}
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
	files, isDir, err := r.o.files(path)
	switch {
	case err != nil:
		return err
	case r.o.GoDoc && (isDir || strings.HasSuffix(path, ".go")):
		return r.goTree(path, files)
	case len(files) == 0:
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
	if parquetfile.Is(f) {
		return r.whole(path, f, func(name string, in io.Reader) error {
			// The file is read from front to back for its hash, and then as Parquet, here and there.
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
	h := stream.NewHasher(in, &r.counts.Read)
	if err := read(name, h); err != nil {
		return err
	}
	f, err := h.File(name) // with what unpacking leaves: the end of an archive
	if err != nil || r.o.file == nil {
		return err
	}
	return r.o.file(f)
}

// stream reads one input, unpacking what is packed.
func (r *reader) stream(name string, in io.Reader) error {
	return r.unpack(name, in, stream.BufferSize, maxNesting)
}

// unpack reads an input through a buffer of a size. The beginning that the buffer holds tells text from archives and binary data.
func (r *reader) unpack(name string, in io.Reader, buffer, depth int) error {
	br, err := stream.ReaderSize(in, buffer)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	head, err := br.Peek(br.Size())
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", name, err)
	}
	if stream.IsTar(head) {
		return r.archive(name, br, depth)
	}
	for _, check := range []func([]byte) error{stream.CheckText, parquetfile.CheckStream} {
		if err := check(head); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if br, err = stream.Text(br); err == nil {
		if head, err = br.Peek(br.Size()); err == io.EOF {
			err = nil
		}
	}
	if err == nil {
		err = checkText(head)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	text := newTextReader(name, br, br.Size(), r.counts)
	if isJSON(head) {
		return r.json(text)
	}
	return r.text(text)
}

// archive reads the files of a tar archive.
func (r *reader) archive(name string, in io.Reader, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%s: more than %d archives in each other", name, maxNesting)
	}
	for m, err := range stream.Tar(in) {
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if m.Typeflag != tar.TypeReg || m.Size == 0 || strings.HasPrefix(filepath.Base(m.Name), ".") {
			continue
		}
		if err := r.unpack(name+":"+m.Name, m, stream.MemberBuffer(m.Size), depth-1); err != nil {
			return err
		}
	}
	return nil
}
