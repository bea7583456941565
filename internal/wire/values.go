package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"albert/internal/files/stream"
	"albert/internal/infer"
)

// form is how a text holds its items.
type form int

const (
	textLines   form = iota // one a line
	blankLine               // an item that is blank, after which the form is not known yet
	jsonList                // the elements of a list: texts and objects
	jsonObjects             // objects one after another, over any number of lines
)

// blanks may stand before JSON.
const blanks = " \t\r\n\v\f"

// formOf tells the form of a text by its first line that is not blank, or as much of it as the buffer holds, of which nothing is taken:
//
//   - a list, if the line is JSON, or the beginning of JSON, that begins with "["; or if it begins with a list's first object. So
//     "[MASK] is a town." is a text;
//   - objects, if it is the beginning of an object that is not complete, and the next line does not begin another one, which would leave this
//     one broken.
//
// Blank lines before are passed over if skip is set, else one is an item of its own: who types, or asks through a pipe, waits for its answer.
func formOf(br *bufio.Reader, skip bool) form {
	head, whole := peekLine(br, 0)
	if !skip && len(head) > 0 && len(bytes.Trim(head, blanks)) == 0 {
		return blankLine
	}
	for whole && len(bytes.Trim(head, blanks)) == 0 {
		n := len(head)
		if head, whole = peekLine(br, n); len(head) == n {
			return textLines // there is nothing else
		}
	}
	text := bytes.TrimLeft(head, blanks)
	if len(text) == 0 || text[0] != '[' && text[0] != '{' {
		return textLines
	}
	d := json.NewDecoder(bytes.NewReader(text))
	depth, second := 0, json.Token(nil)
	var err error
	for n := 0; ; n++ {
		var t json.Token
		if t, err = d.Token(); err != nil {
			break
		}
		if n == 1 {
			second = t
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 && n > 0 && len(bytes.Trim(text[d.InputOffset():], blanks)) > 0 {
			err = errors.New("more on the line")
			break
		}
	}
	begun := err == io.EOF || err == io.ErrUnexpectedEOF && !whole // no error so far
	switch {
	case text[0] == '[' && (begun || second == json.Delim('{')):
		return jsonList
	case text[0] == '{' && whole && begun && depth > 0:
		n := len(head)
		if head, _ = peekLine(br, n); !IsObject(string(head[n:])) {
			return jsonObjects
		}
	}
	return textLines
}

// peekLine gives what is to be read next, up to the first end of a line behind its first n bytes, or to the end of the text. If the buffer is too
// small for that it is not whole.
func peekLine(br *bufio.Reader, n int) (head []byte, whole bool) {
	for more := n + 1; ; more = max(len(head)+1, br.Buffered()) {
		var err error
		head, err = br.Peek(more)
		if i := bytes.IndexByte(head[min(n, len(head)):], '\n'); i >= 0 {
			return head[:n+i+1], true
		}
		if err != nil {
			return head, err != bufio.ErrBufferFull
		}
	}
}

// valueReader bounds what a decoder reads for one value, and knows the places of lines.
type valueReader struct {
	in    io.Reader
	at    int64 // how much is read
	left  int   // how much may still be read for the value
	lines stream.LineIndex
}

var (
	errLongValue = fmt.Errorf("an element is longer than %d MiB", stream.MaxLine>>20)
	maxValue     = stream.MaxLine // in bytes; less in a test
)

func (r *valueReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errLongValue
	}
	n, err := r.in.Read(p[:min(len(p), r.left)])
	r.lines.Add(p[:n], r.at)
	r.at, r.left = r.at+int64(n), r.left-n
	return n, err
}

// values gives the elements of a JSON list, or JSON objects one after another; no more than one is held at once. What cannot be read on is the
// last item's error. before is how many lines have been read already.
func values(in io.Reader, file string, before int, list bool, yield func(*Item) bool) {
	r := &valueReader{in: in, left: maxValue}
	d := json.NewDecoder(r)
	what := "JSON objects"
	line := func() int { // of what comes next
		rest, _ := io.ReadAll(d.Buffered())
		return before + r.lines.Line(d.InputOffset()+int64(len(rest)-len(bytes.TrimLeft(rest, blanks+","))))
	}
	fail := func(n int, err error) {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = errors.New("cut short: the file ends in the middle")
		}
		yield(&Item{Question: infer.Question{Err: fmt.Errorf("%s, element %d: %w", what, n, err)}, File: file, Line: line()})
	}
	if list {
		what = "JSON list"
		if _, err := d.Token(); err != nil {
			fail(1, err)
			return
		}
	}
	n := 1
	for ; !list || d.More(); n++ {
		r.left = maxValue
		var raw json.RawMessage
		err := d.Decode(&raw)
		if err == io.EOF && !list {
			return
		}
		if err != nil {
			fail(n, err)
			return
		}
		begin := d.InputOffset() - int64(len(raw))
		it := element(raw, file, before+r.lines.Line(begin))
		r.lines.Pass(begin)
		if !yield(it) {
			return
		}
	}
	r.left = maxValue
	if _, err := d.Token(); err != nil { // "]"
		fail(n, err)
		return
	}
	if _, err := d.Token(); err != io.EOF {
		yield(&Item{Question: infer.Question{Err: errors.New("text after the JSON list")}, File: file, Line: line()})
	}
}

// element is the item of an element: a text or an object.
func element(raw json.RawMessage, file string, line int) *Item {
	if raw[0] == '{' {
		return Parse(string(raw), file, line)
	}
	it := &Item{File: file, Line: line}
	if it.Err = checkUTF8(string(raw)); it.Err == nil && json.Unmarshal(raw, &it.Text) != nil || string(raw) == "null" {
		it.Err = errors.New(`an element of a JSON list is a text, or an object: want {"text": ...}`)
	}
	return it
}
