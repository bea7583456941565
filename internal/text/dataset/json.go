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

// jsonStream reads JSON value by value with bounded memory, and knows the lines.
type jsonStream struct {
	dec *json.Decoder
	m   *meter
}

func newJSON(in *input) *jsonStream {
	m := &meter{in: in.Reader, name: in.name}
	return &jsonStream{dec: json.NewDecoder(m), m: m}
}

// token reads a brace, a bracket or a name; io.EOF where the file ends.
func (j *jsonStream) token() (json.Token, error) {
	j.advance()
	t, err := j.dec.Token()
	return t, j.broken(err, false)
}

// value reads a whole value and tells the line that it begins in; io.EOF where the file ends.
func (j *jsonStream) value() (json.RawMessage, int, error) {
	j.advance()
	j.dec.More() // to where the value begins, which an error names
	j.advance()
	var raw json.RawMessage
	if err := j.dec.Decode(&raw); err != nil {
		return nil, 0, j.broken(err, true)
	}
	line := j.m.lineAt(j.dec.InputOffset() - int64(len(raw)))
	if !utf8.Valid(raw) {
		for i := 0; i < len(raw); {
			c, n := utf8.DecodeRune(raw[i:])
			if c == utf8.RuneError && n == 1 {
				at := j.m.lineAt(j.dec.InputOffset() - int64(len(raw)-i))
				return nil, 0, fmt.Errorf("%s: not UTF-8 (a byte 0x%02x): convert the file", place(j.m.name, at), raw[i])
			}
			i += n
		}
	}
	return raw, line, nil
}

// more tells whether the list or object that is being read goes on. Where it is broken it says so too: the next call fails.
func (j *jsonStream) more() bool {
	j.advance()
	return j.dec.More()
}

// advance allows for one more value.
func (j *jsonStream) advance() {
	at := j.dec.InputOffset()
	j.m.passed(at)
	j.m.limit = at + stream.MaxLine
}

// line is where the stream stands.
func (j *jsonStream) line() int { return j.m.lineAt(j.dec.InputOffset()) }

var errCut = errors.New("the file ends in the middle")

func (j *jsonStream) cut() error { return j.brokenAt(j.m.offset, j.m.offset, errCut) }

// brokenAt says where JSON is broken, in a value that begins at begins: where that is an earlier line both, since in JSON lines it is
// the one at fault.
func (j *jsonStream) brokenAt(begins, offset int64, err error) error {
	first, line := j.m.lineAt(begins), j.m.lineAt(offset)
	if first == line {
		return fmt.Errorf("%s: broken JSON: %w", place(j.m.name, line), err)
	}
	return fmt.Errorf("%s: broken JSON, seen in line %d: %w", place(j.m.name, first), line, err)
}

// broken gives an error its line.
func (j *jsonStream) broken(err error, inValue bool) error {
	switch {
	case err == nil || err == io.EOF && j.m.err == nil:
		return err
	case j.m.err != nil:
		return j.m.err
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
		at, err = j.m.offset, errCut
		if !inValue {
			begins = at
		}
	}
	return j.brokenAt(min(begins, at), at, err)
}

// meter gives what it reads, remembers where lines end and stops at a limit.
type meter struct {
	in     io.Reader
	name   string
	offset int64 // of the end of what was given
	limit  int64 // nothing from here on is given; 0: no limit
	lines  stream.LineIndex
	err    error // the input's own, but its end
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

// passed says that nobody will ask for the line of a place before offset.
func (m *meter) passed(offset int64) { m.lines.Pass(offset) }

// lineAt is the line that a place is in, from 1.
func (m *meter) lineAt(offset int64) int { return m.lines.Line(offset) }
