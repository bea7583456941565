package corpus

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

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
	Files, Documents, Sentences, Words, Bytes int64
	InvalidUTF8                               int64 // bytes replaced
	Empty                                     int64 // documents without text, dropped
	Cut                                       int64 // documents so long that they were cut
}

// maxDocument is the length at which a document is cut, in bytes: no book of prose has as much in one chapter, and some hundred of
// them may be in memory at once.
const maxDocument = 2 << 20

// maxLine bounds a line, and with it a row of JSONL.
const maxLine = 64 << 20

// maxJSON bounds a file that is one JSON value, which must be held whole.
const maxJSON = 1 << 30

// reader is the state of one pass over inputs.
type reader struct {
	ctx    context.Context
	o      ReadOptions
	counts *Counts
	yield  func(Document, error) bool
	done   bool            // the consumer wants no more
	seen   map[uint64]bool // passages of SQuAD and RACE already given
}

// errDone ends a pass early.
var errDone = errors.New("done")

// Documents yields the documents of inputs, in order: files, directories (their files by byte order of path), "-" for stdin. After an
// error, which names the file and the place, nothing follows. counts may be nil.
func Documents(ctx context.Context, inputs []string, o ReadOptions, counts *Counts) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		if counts == nil {
			counts = new(Counts)
		}
		r := &reader{ctx: ctx, o: o, counts: counts, yield: yield, seen: map[uint64]bool{}}
		if len(inputs) == 0 {
			inputs = []string{"-"}
		}
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
		return r.stream("stdin", in)
	}
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return r.file(path)
	}
	if r.o.GoDoc {
		return r.goTree(path)
	}
	files, err := listFiles(path)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no files there", path)
	}
	for _, f := range files {
		if err := r.file(f); err != nil {
			return err
		}
	}
	return nil
}

// listFiles lists a directory's regular files, by byte order of their paths; hidden ones are left out.
func listFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") && path != dir {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

func (r *reader) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r.counts.Files++
	head := make([]byte, 4)
	n, _ := io.ReadFull(f, head)
	if string(head[:n]) == "PAR1" {
		return r.parquet(path, f)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return r.stream(path, io.MultiReader(bytes.NewReader(head[:n]), f)) // a pipe
	}
	return r.stream(path, f)
}

// stream reads one input, unpacking what is packed.
func (r *reader) stream(name string, in io.Reader) error {
	br := bufio.NewReaderSize(in, 1<<18)
	head, err := br.Peek(512)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("%s: gzip: %w", name, err)
		}
		defer z.Close()
		return r.stream(name, z)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return fmt.Errorf("%s: zstd: %w", name, err)
		}
		defer z.Close()
		return r.stream(name, z)
	case len(head) > 262 && string(head[257:262]) == "ustar":
		t := tar.NewReader(br)
		for {
			h, err := t.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: tar: %w", name, err)
			}
			if h.Typeflag != tar.TypeReg || h.Size == 0 || strings.HasPrefix(filepath.Base(h.Name), ".") {
				continue
			}
			if err := r.stream(name+":"+h.Name, t); err != nil {
				return err
			}
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return fmt.Errorf("%s: a binary file, not text (a zero byte in its first %d)", name, len(head))
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		br.Discard(3)
		head = head[3:]
	}
	if t := bytes.TrimLeft(head, " \t\r\n"); len(t) > 0 && t[0] == '{' {
		return r.json(name, br)
	}
	return r.text(name, br)
}

// line reads a line without its end, invalid UTF-8 replaced and counted. The error is io.EOF after the last one.
func (r *reader) line(br *bufio.Reader, name string, number int) (string, error) {
	var b []byte
	for {
		part, err := br.ReadSlice('\n')
		b = append(b, part...)
		if err == bufio.ErrBufferFull {
			if len(b) > maxLine {
				return "", fmt.Errorf("%s:%d: a line of more than %d MiB", name, number, maxLine>>20)
			}
			continue
		}
		if err != nil && (err != io.EOF || len(b) == 0) {
			if err == io.EOF {
				return "", err
			}
			return "", fmt.Errorf("%s:%d: %w", name, number, err)
		}
		break
	}
	r.counts.Bytes += int64(len(b))
	b = bytes.TrimRight(b, "\r\n")
	if bytes.IndexByte(b, 0) >= 0 {
		return "", fmt.Errorf("%s:%d: a zero byte: not text", name, number)
	}
	if utf8.Valid(b) {
		return string(b), nil
	}
	return r.repair(b), nil
}

// repair replaces each invalid byte.
func (r *reader) repair(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n == 1 {
			r.counts.InvalidUTF8++
		}
		s.WriteRune(c)
		b = b[n:]
	}
	return s.String()
}

// text yields the documents of plain text.
func (r *reader) text(name string, br *bufio.Reader) error {
	var lines []string
	size := 0
	flush := func() error {
		err := r.document(name, lines)
		lines, size = lines[:0], 0
		return err
	}
	for n := 1; ; n++ {
		l, err := r.line(br, name, n)
		if err == io.EOF {
			return flush()
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(l) == "" {
			if len(lines) > 0 {
				if err := flush(); err != nil {
					return err
				}
			}
			continue
		}
		lines = append(lines, l)
		if size += len(l); size > maxDocument {
			r.counts.Cut++
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

// document yields the document of some lines.
func (r *reader) document(name string, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	d := Document{Name: name}
	if r.o.Sentences == SentencesLines {
		for _, l := range lines {
			if t := strings.TrimSpace(l); t != "" {
				d.Sentences = append(d.Sentences, t)
			}
		}
	} else {
		for _, p := range paragraphs(lines) {
			d.Sentences = append(d.Sentences, Split(p)...)
		}
	}
	return r.give(d)
}

// passage yields a document of a JSON or Parquet file; its blank lines part paragraphs.
func (r *reader) passage(name, text string) error {
	if !utf8.ValidString(text) {
		text = r.repair([]byte(text))
	}
	d := Document{Name: name}
	for len(text) > 0 {
		part := text
		if len(part) > maxDocument {
			cut := strings.LastIndexAny(part[:maxDocument], "\n ") + 1
			if cut == 0 {
				cut = maxDocument
				for !utf8.RuneStart(part[cut]) {
					cut--
				}
			}
			part = part[:cut]
			r.counts.Cut++
		}
		text = text[len(part):]
		var block []string
		end := func() {
			if len(block) == 0 {
				return
			}
			if r.o.Sentences == SentencesLines {
				d.Sentences = append(d.Sentences, block...)
			} else {
				for _, p := range paragraphs(block) {
					d.Sentences = append(d.Sentences, Split(p)...)
				}
			}
			block = nil
		}
		for l := range strings.SplitSeq(part, "\n") {
			if l = strings.TrimSpace(l); l == "" {
				end()
				continue
			}
			block = append(block, l)
		}
		end()
		if err := r.give(d); err != nil {
			return err
		}
		d.Sentences = nil
	}
	return nil
}

func (r *reader) give(d Document) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if len(d.Sentences) == 0 {
		r.counts.Empty++
		return nil
	}
	r.counts.Documents++
	r.counts.Sentences += int64(len(d.Sentences))
	for _, s := range d.Sentences {
		r.counts.Words += int64(strings.Count(s, " ")) + 1
	}
	if !r.yield(d, nil) {
		return errDone
	}
	return nil
}

// squad is what is read of a SQuAD file, race of a RACE passage.
type squad struct {
	Data []struct {
		Paragraphs []struct {
			Context string `json:"context"`
		} `json:"paragraphs"`
	} `json:"data"`
}

// json reads SQuAD (one object with "data"), RACE (objects with "article") and JSONL.
func (r *reader) json(name string, br *bufio.Reader) error {
	first, err := r.line(br, name, 1)
	if err != nil {
		return err
	}
	var row map[string]json.RawMessage
	if json.Unmarshal([]byte(first), &row) != nil || row["data"] != nil {
		// Not a row: the first line of a value that goes on, or all of it.
		rest, err := io.ReadAll(io.LimitReader(br, maxJSON))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if len(rest) == maxJSON {
			return fmt.Errorf("%s: one JSON value of more than %d MiB", name, maxJSON>>20)
		}
		r.counts.Bytes += int64(len(rest))
		return r.wholeJSON(name, append(append([]byte(first), '\n'), rest...))
	}
	for n := 1; ; n++ {
		line := first
		if n > 1 {
			if line, err = r.line(br, name, n); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		row = nil
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return fmt.Errorf("%s:%d: broken JSON: %w", name, n, err)
		}
		if err := r.row(fmt.Sprintf("%s:%d", name, n), row); err != nil {
			return err
		}
	}
}

// row yields the text of a JSON row.
func (r *reader) row(place string, row map[string]json.RawMessage) error {
	column := r.o.TextColumn
	if column == "" {
		column = "text"
		if row["article"] != nil && row["questions"] != nil {
			column = "article"
		}
	}
	raw, ok := row[column]
	if !ok {
		return fmt.Errorf("%s: no column %q; there are %s: choose with --text-column", place, column, columnList(row))
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("%s: column %q is not a string", place, column)
	}
	if column == "article" && !r.fresh(text) {
		return nil
	}
	return r.passage(place, text)
}

func columnList(row map[string]json.RawMessage) string {
	var names []string
	for n := range row {
		names = append(names, fmt.Sprintf("%q", n))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (r *reader) wholeJSON(name string, data []byte) error {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(data, &row); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at := min(int(syntax.Offset), len(data))
			return fmt.Errorf("%s:%d: broken JSON: %w", name, 1+bytes.Count(data[:at], []byte{'\n'}), err)
		}
		return fmt.Errorf("%s: broken JSON: %w", name, err)
	}
	if row["data"] == nil {
		return r.row(name, row)
	}
	var q squad
	if err := json.Unmarshal(data, &q); err != nil {
		return fmt.Errorf("%s: not in SQuAD's form: %w", name, err)
	}
	for i, a := range q.Data {
		for j, p := range a.Paragraphs {
			if !r.fresh(p.Context) {
				continue
			}
			if err := r.passage(fmt.Sprintf("%s: data[%d].paragraphs[%d]", name, i, j), p.Context); err != nil {
				return err
			}
		}
	}
	return nil
}

// fresh tells whether a passage has not been given yet.
func (r *reader) fresh(text string) bool {
	h := hashText(text)
	if r.seen[h] {
		return false
	}
	r.seen[h] = true
	return true
}
