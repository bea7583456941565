package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"strings"
	"unicode/utf8"

	"albert/internal/files/stream"
)

// maxInvalid is the share of invalid bytes above which data is not text with some damage but something else.
const maxInvalid = 0.3

// checkText looks at the beginning of an input.
func checkText(head []byte) error {
	if i := bytes.IndexByte(head, 0); i >= 0 {
		return fmt.Errorf("a binary file, not text (byte %d is zero), or UTF-16 without a byte order mark: iconv -f utf-16le -t utf-8", i)
	}
	invalid, controls := 0, 0
	for b := head; len(b) > 0; {
		c, n := utf8.DecodeRune(b)
		switch {
		case c == utf8.RuneError && n == 1 && len(b) >= utf8.UTFMax: // not a character that the head cuts
			invalid++
		case c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\v':
			controls++
		}
		b = b[n:]
	}
	switch total := float64(len(head)); {
	case float64(invalid) > maxInvalid*total:
		return fmt.Errorf("not text in UTF-8 (%.0f %% of its first %d bytes are invalid; Latin-1?): convert it: iconv -f latin1 -t utf-8", 100*float64(invalid)/total, len(head))
	case float64(controls) > maxInvalid*total:
		return fmt.Errorf("a binary file, not text (%.0f %% control characters)", 100*float64(controls)/total)
	}
	return nil
}

// textReader gives an input's text: bytes that are not UTF-8 are replaced by U+FFFD and counted, a zero byte is an error, lines are
// counted.
type textReader struct {
	*bufio.Reader
	name   string
	in     io.Reader
	counts *Counts
	buf    []byte // read but not looked at: at most the beginning of a character
	out    []byte // to give
	repair []byte // memory of out where something was replaced
	offset int64  // of the end of out in what was given or will be
	lines  stream.LineIndex
	keep   int64 // no line before here will be asked for
	limit  int64 // no more than up to here is given; 0: no limit
	err    error
}

func newTextReader(name string, in io.Reader, buffer int, counts *Counts) *textReader {
	t := &textReader{name: name, in: in, counts: counts, buf: make([]byte, 0, buffer)}
	t.Reader = bufio.NewReaderSize(readerFunc(t.read), buffer)
	return t
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (t *textReader) read(p []byte) (int, error) {
	for len(t.out) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		t.fill()
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// fill makes the next text to give of the next bytes of the input.
func (t *textReader) fill() {
	n, err := t.in.Read(t.buf[len(t.buf):cap(t.buf)])
	t.buf = t.buf[:len(t.buf)+n]
	t.counts.Bytes += int64(n)
	t.err = err
	if err != nil && err != io.EOF {
		t.err = fmt.Errorf("%s: after line %d: %w", t.name, t.lines.Line(t.offset)-1, err)
		return
	}
	whole := len(t.buf)
	if err == nil { // leave the beginning of a character for the next time
		for i := 1; i < utf8.UTFMax && i <= whole; i++ {
			if b := t.buf[whole-i]; utf8.RuneStart(b) {
				if !utf8.FullRune(t.buf[whole-i:]) {
					whole -= i
				}
				break
			}
		}
	}
	b := t.buf[:whole]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		t.err = fmt.Errorf("%s:%d: a zero byte: not text", t.name, t.lines.Line(t.offset)+bytes.Count(b[:i], []byte{'\n'}))
		return
	}
	b = t.repaired(b)
	t.lines.Add(b, t.offset)
	t.offset += int64(len(b))
	t.out = b
	t.buf = append(t.buf[:0], t.buf[whole:]...)
	if t.limit > 0 && t.offset > t.limit {
		t.err = fmt.Errorf("%s:%d: a value of more than %d MiB", t.name, t.lines.Line(t.keep), maxValue>>20)
	}
}

// repaired gives a copy of text in which bytes that are not UTF-8 are replaced and counted.
func (t *textReader) repaired(b []byte) []byte {
	t.repair = t.repair[:0]
	if utf8.Valid(b) {
		t.repair, b = append(t.repair, b...), nil
	}
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n == 1 {
			t.counts.InvalidUTF8++
		}
		t.repair = utf8.AppendRune(t.repair, c)
		b = b[n:]
	}
	return t.repair
}

// utf8 makes a string of bytes from elsewhere than a text file.
func (r *reader) utf8(b []byte) string {
	t := textReader{counts: r.counts}
	return string(t.repaired(b))
}

// passed says that nobody will ask for the line of a place before an offset.
func (t *textReader) passed(offset int64) {
	t.lines.Pass(offset)
	t.keep = offset
}

// text yields the documents of plain text: a blank line ends one.
func (r *reader) text(t *textReader) error {
	var lines []string
	size := 0
	flush := func() error {
		if len(lines) == 0 {
			return nil
		}
		err := r.give(Document{Name: t.name, Sentences: r.sentences(nil, lines)})
		lines, size = lines[:0], 0
		return err
	}
	var line []byte // the current one, as far as it was read
	at := int64(0)
	for {
		part, err := t.ReadSlice('\n')
		line = append(line, part...)
		at += int64(len(part))
		t.passed(at)
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		var s string
		switch {
		case !errors.Is(err, bufio.ErrBufferFull):
			s = string(bytes.TrimRight(line, "\r\n"))
			line = line[:0]
		case len(line) > maxDocument: // longer than a document may be
			n := cutPlace(string(line), maxDocument)
			s = string(line[:n])
			line = append(line[:0], line[n:]...)
		default:
			continue
		}
		if strings.TrimSpace(s) == "" {
			if err := flush(); err != nil {
				return err
			}
		} else {
			if size > 0 && size+len(s) > maxDocument {
				r.counts.Cut++
				if err := flush(); err != nil {
					return err
				}
			}
			lines = append(lines, s)
			size += len(s)
		}
		if err == io.EOF {
			return flush()
		}
	}
}

// sentences appends the sentences of some lines.
func (r *reader) sentences(to, lines []string) []string {
	if r.o.Sentences == SentencesLines {
		for _, l := range lines {
			if l = strings.TrimSpace(l); l != "" {
				to = append(to, l)
			}
		}
		return to
	}
	for _, p := range paragraphs(lines) {
		to = append(to, Split(p)...)
	}
	return to
}

// passage yields the document of a row of JSON or Parquet; its blank lines part paragraphs.
func (r *reader) passage(name, text string) error {
	if strings.TrimSpace(text) == "" {
		r.counts.Empty++
		return nil
	}
	for len(text) > 0 {
		part := text
		if len(part) > maxDocument {
			part = part[:cutPlace(part, maxDocument)]
			r.counts.Cut++
		}
		text = text[len(part):]
		d := Document{Name: name}
		var lines []string
		for l := range strings.SplitSeq(part, "\n") {
			if strings.TrimSpace(l) != "" {
				lines = append(lines, l)
				continue
			}
			d.Sentences = r.sentences(d.Sentences, lines)
			lines = lines[:0]
		}
		d.Sentences = r.sentences(d.Sentences, lines)
		if err := r.give(d); err != nil {
			return err
		}
	}
	return nil
}

// cutPlace is where to cut a text that is longer than n bytes: after the last line or word of them.
func cutPlace(text string, n int) int {
	if i := strings.LastIndexByte(text[:n], '\n'); i > n/2 {
		return i + 1
	}
	if i := strings.LastIndexAny(text[:n], " \t\n"); i > 0 {
		return i + 1
	}
	for n > 1 && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}

// give yields a document.
func (r *reader) give(d Document) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if len(d.Sentences) == 0 {
		r.counts.Empty++
		return nil
	}
	r.counts.add(&d)
	if !r.yield(d, nil) {
		return errDone
	}
	return nil
}

func (c *Counts) add(d *Document) {
	c.Documents++
	c.Sentences += int64(len(d.Sentences))
	for _, s := range d.Sentences {
		c.Words += int64(strings.Count(s, " ")) + 1
	}
}

// isNew tells whether a text has not been given yet.
func (r *reader) isNew(text string) bool {
	h := crc64.Checksum([]byte(text), ecma)
	if r.given[h] {
		return false
	}
	r.given[h] = true
	return true
}
