package stream

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// Text gives the text of an unpacked input (see [Reader]) as UTF-8 with lines that end in "\n" or "\r\n", whatever it was written as: UTF-16
// is recognised by its byte order mark or by its zero bytes, and where "\r" alone ends every line it becomes "\n". It waits for no more
// of the input than it needs, and holds no more than a buffer of it. Other encodings are not looked for: see [CheckUTF8].
func Text(br *bufio.Reader) (*bufio.Reader, error) {
	size := br.Size()
	if order, err := utf16Order(br); err != nil {
		return nil, err
	} else if order != nil {
		br = bufio.NewReaderSize(&utf16Reader{in: br, order: order}, size)
	}
	return bufio.NewReaderSize(&lineEnds{in: br, line: 1}, size), nil
}

// CheckUTF8 is an error for bytes that are not UTF-8; it says at which byte, and what to do.
func CheckUTF8(s string) error {
	if utf8.ValidString(s) {
		return nil
	}
	for i := 0; ; {
		c, n := utf8.DecodeRuneInString(s[i:])
		if c == utf8.RuneError && n == 1 {
			return fmt.Errorf("not UTF-8 (byte %d is 0x%02x; Latin-1?): convert the file: iconv -f latin1 -t utf-8", i, s[i])
		}
		i += n
	}
}

// ErrZero is the error for text with a zero byte in it.
var ErrZero = errors.New("a zero byte: not text, or UTF-16 without a byte order mark: iconv -f utf-16le -t utf-8")

// utf16Order is the byte order of UTF-16, whose mark is passed over; nil: the input is not UTF-16. Without a mark every other byte of the first
// two characters is zero, as of all text that begins in Latin letters.
func utf16Order(br *bufio.Reader) (binary.ByteOrder, error) {
	for order, mark := range map[binary.ByteOrder]string{binary.LittleEndian: "\xff\xfe", binary.BigEndian: "\xfe\xff"} {
		if begins(br, mark) {
			_, err := br.Discard(len(mark))
			return order, err
		}
	}
	first, _ := br.Peek(1)
	if len(first) == 0 || first[0] == '\n' { // a line that was typed, perhaps: what follows may come much later
		return nil, nil
	}
	if head, _ := br.Peek(2); len(head) < 2 || head[0] != 0 && head[1] != 0 {
		return nil, nil
	}
	head, _ := br.Peek(4)
	if len(head) != 2 && len(head) != 4 {
		return nil, nil
	}
	little, big := true, true
	for i := 0; i < len(head); i += 2 {
		little = little && head[i] != 0 && head[i+1] == 0
		big = big && head[i] == 0 && head[i+1] != 0
	}
	switch {
	case little:
		return binary.LittleEndian, nil
	case big:
		return binary.BigEndian, nil
	}
	return nil, nil
}

// utf16Reader makes UTF-8 of UTF-16.
type utf16Reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
	at    int64  // the offset of the next character
	out   []byte // to give
	err   error
}

func (r *utf16Reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// fill decodes what is buffered, at least a character.
func (r *utf16Reader) fill() {
	r.out = r.out[:0]
	for len(r.out) == 0 || r.in.Buffered() >= 4 {
		c, n, err := r.char()
		if err != nil {
			r.err = err
			return
		}
		r.out = utf8.AppendRune(r.out, c)
		r.at += int64(n)
		_, _ = r.in.Discard(n) // it was peeked
	}
}

// char decodes the next character and gives its length in bytes.
func (r *utf16Reader) char() (c rune, n int, err error) {
	b, err := r.in.Peek(2)
	switch {
	case len(b) == 0:
		return 0, 0, err
	case len(b) == 1 && err == io.EOF:
		return 0, 0, fmt.Errorf("UTF-16: the file ends in the middle of a character")
	case len(b) == 1:
		return 0, 0, err
	}
	c = rune(r.order.Uint16(b))
	if !utf16.IsSurrogate(c) {
		return c, 2, nil
	}
	if b, err = r.in.Peek(4); err != nil && err != io.EOF {
		return 0, 0, err
	}
	if len(b) == 4 {
		if c = utf16.DecodeRune(c, rune(r.order.Uint16(b[2:]))); c != utf8.RuneError {
			return c, 4, nil
		}
	}
	return 0, 0, fmt.Errorf("UTF-16: half a character (byte %d)", r.at)
}

// lineEnds makes "\n" of "\r" in an input whose only line ends are "\r". That is so where no "\n" follows the first "\r" within a
// buffer's length: until it is known, nothing behind that "\r" is given, which ends no line if a "\n" is still to come.
type lineEnds struct {
	in   *bufio.Reader
	form lineForm
	line int // of "\r" alone: the line that is read
}

type lineForm int

const (
	unknownEnds lineForm = iota
	newlines             // "\n", "\r\n"
	returns              // "\r"
)

func (r *lineEnds) Read(p []byte) (int, error) {
	if r.form == newlines || len(p) == 0 {
		return r.in.Read(p)
	}
	if _, err := r.in.Peek(1); err != nil {
		return 0, err
	}
	b, _ := r.in.Peek(r.in.Buffered())
	if r.form == unknownEnds {
		switch i := bytes.IndexAny(b, "\r\n"); {
		case i > 0:
			b = b[:i]
		case i == 0:
			r.form = newlines
			if b[0] == '\r' && r.onlyReturns() {
				r.form = returns
			}
			return r.Read(p)
		}
	}
	n := copy(p, b)
	_, _ = r.in.Discard(n)
	if r.form == returns {
		for i, c := range p[:n] {
			switch c {
			case '\n':
				return i, fmt.Errorf(`the lines before end in "\r" alone, line %d in "\n": make them all the same`, r.line)
			case '\r':
				p[i] = '\n'
				r.line++
			}
		}
	}
	return n, nil
}

// onlyReturns looks for a "\n" behind the "\r" that comes next.
func (r *lineEnds) onlyReturns() bool {
	for seen := 1; ; {
		b, err := r.in.Peek(max(seen+1, r.in.Buffered()))
		if bytes.IndexByte(b[min(seen, len(b)):], '\n') >= 0 {
			return false
		}
		if err != nil { // the end, or a full buffer
			return err == io.EOF || errors.Is(err, bufio.ErrBufferFull)
		}
		seen = len(b)
	}
}
