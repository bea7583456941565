package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"albert/internal/files/stream"
)

// jsonStream reads JSON value by value with bounded memory, and knows the line of each.
type jsonStream struct {
	dec   *json.Decoder
	meter *meter
}

func newJSON(in *input) *jsonStream {
	m := &meter{in: in.Reader, name: in.name}
	return &jsonStream{dec: json.NewDecoder(m), meter: m}
}

// token reads a brace, a bracket or a name; io.EOF at the end of the file.
func (j *jsonStream) token() (json.Token, error) {
	j.advance()
	t, err := j.dec.Token()
	return t, j.broken(err, false)
}

// value reads a whole value and gives the line that it begins in; io.EOF at the end of the file.
func (j *jsonStream) value() (json.RawMessage, int, error) {
	j.advance()
	j.dec.More() // to where the value begins, which an error names
	j.advance()
	var raw json.RawMessage
	if err := j.dec.Decode(&raw); err != nil {
		return nil, 0, j.broken(err, true)
	}
	line := j.meter.lineAt(j.dec.InputOffset() - int64(len(raw)))
	if !utf8.Valid(raw) {
		for i := 0; i < len(raw); {
			c, n := utf8.DecodeRune(raw[i:])
			if c == utf8.RuneError && n == 1 {
				at := j.meter.lineAt(j.dec.InputOffset() - int64(len(raw)-i))
				return nil, 0, fmt.Errorf("%s: %w", place(j.meter.name, at), stream.CheckUTF8(string(raw[i:])))
			}
			i += n
		}
	}
	return raw, line, nil
}

// more tells whether the list or object that is being read goes on. It does so for broken JSON, too: then the next call fails.
func (j *jsonStream) more() bool {
	j.advance()
	return j.dec.More()
}

// advance lets the meter give the bytes of one more value.
func (j *jsonStream) advance() {
	at := j.dec.InputOffset()
	j.meter.passed(at)
	j.meter.limit = at + stream.MaxLine
}

// line gives the line that has been reached.
func (j *jsonStream) line() int { return j.meter.lineAt(j.dec.InputOffset()) }

var errTruncated = errors.New("the file ends in the middle")

// truncated is the error for a file that ends inside a value.
func (j *jsonStream) truncated() error {
	return j.brokenAt(j.meter.offset, j.meter.offset, errTruncated)
}

// brokenAt makes the error for JSON that is found to be broken at an offset, in a value that begins at the offset begins. If these are in
// different lines it names both: in JSON lines the earlier one is at fault.
func (j *jsonStream) brokenAt(begins, offset int64, err error) error {
	first, line := j.meter.lineAt(begins), j.meter.lineAt(offset)
	if first == line {
		return fmt.Errorf("%s: broken JSON: %w", place(j.meter.name, line), err)
	}
	return fmt.Errorf("%s: broken JSON, seen in line %d: %w", place(j.meter.name, first), line, err)
}

// broken adds the file and line to an error of the decoder.
func (j *jsonStream) broken(err error, inValue bool) error {
	switch {
	case err == nil || err == io.EOF && j.meter.err == nil:
		return err
	case j.meter.err != nil:
		return j.meter.err
	}
	begins := j.dec.InputOffset()
	at := begins
	if inValue { // the decoder's own offset does not count what was read as tokens
		rest, _ := io.ReadAll(j.dec.Buffered())
		begins += int64(len(rest) - len(bytes.TrimLeft(rest, " \t\r\n,")))
		var syntax *json.SyntaxError
		var raw json.RawMessage
		if errors.As(json.Unmarshal(rest, &raw), &syntax) && syntax.Offset > 0 {
			at += syntax.Offset - 1
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		at, err = j.meter.offset, errTruncated
		if !inValue {
			begins = at
		}
	}
	return j.brokenAt(min(begins, at), at, err)
}

// meter is a reader that remembers where lines end and that fails at a limit, which bounds the size of a value.
type meter struct {
	in     io.Reader
	name   string
	offset int64 // how many bytes were read
	limit  int64 // reading on from this offset fails; 0: no limit
	lines  stream.LineIndex
	err    error // of the input or the limit; nil at the end of the input
}

func (m *meter) Read(p []byte) (int, error) {
	if m.limit > 0 && m.offset >= m.limit {
		m.err = fmt.Errorf("%s: a value of more than %d MB", place(m.name, m.lineAt(m.limit-stream.MaxLine)), stream.MaxLine>>20)
		return 0, m.err
	}
	n, err := m.in.Read(p)
	m.lines.Add(p[:n], m.offset)
	m.offset += int64(n)
	if err != nil && err != io.EOF {
		m.err = fmt.Errorf("%s: %w", place(m.name, m.lineAt(m.offset)), err)
		err = m.err
	}
	return n, err
}

// passed frees what is known of the lines before an offset: lineAt will not be asked about them.
func (m *meter) passed(offset int64) { m.lines.Pass(offset) }

// lineAt gives the line that an offset is in, from 1.
func (m *meter) lineAt(offset int64) int { return m.lines.Line(offset) }
