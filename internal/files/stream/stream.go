// Package stream reads files from front to back, in the states in which people have them: compressed or plain, with a byte order mark
// or without, line by line, and archives member by member. It looks at the content, never at a file's name.
//
//	text, err := stream.Reader(os.Stdin)
//	...
//	lines := stream.NewLines(text)
//	for {
//		line, err := lines.Next() // io.EOF after the last one
//		...
//	}
package stream

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"albert/internal/files/disk"
)

// BufferSize is the size in bytes of the buffer that [Reader] reads through.
const BufferSize = 64 << 10

// maxLayers is how often an input may be compressed. It ends archives that unpack to themselves.
const maxLayers = 4

// maxWindow bounds the memory that unpacking zstd takes, in bytes: its longest window, which archives of whole web sites use.
const maxWindow = 2 << 30

// Reader gives what an input holds: unpacked if it is gzip or zstd, and without a UTF-8 byte order mark. It waits for no more of the
// input than it needs to tell: of a line that is typed, the first byte. Errors say what is wrong with compressed data; those of the
// input itself come back as they are. There is nothing to close.
func Reader(in io.Reader) (*bufio.Reader, error) { return ReaderSize(in, BufferSize) }

// ReaderSize is [Reader] with a buffer of so many bytes for an input that is not compressed: archives have many small members.
func ReaderSize(in io.Reader, size int) (*bufio.Reader, error) { return reader(in, size, maxWindow) }

// reader is [ReaderSize] with the longest window of zstd that it takes, in bytes.
func reader(in io.Reader, size int, window uint64) (*bufio.Reader, error) {
	for range maxLayers {
		from := &source{in: in}
		br := bufio.NewReaderSize(from, size)
		var decoder io.Reader
		var err error
		format := ""
		switch {
		case begins(br, "\x1f\x8b"):
			format = "gzip"
			decoder, err = gzip.NewReader(br)
		case begins(br, "\x28\xb5\x2f\xfd"):
			format = "zstd"
			decoder, err = zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
		case begins(br, disk.PointerHead):
			return nil, disk.ErrPointer
		case begins(br, "\ufeff"):
			_, err = br.Discard(len("\ufeff"))
			return br, err
		default:
			return br, nil
		}
		unpacked := &contents{in: decoder, from: from, format: format}
		if err != nil {
			return nil, unpacked.explain(err)
		}
		in, size = unpacked, BufferSize
	}
	return nil, fmt.Errorf("packed more than %d times", maxLayers)
}

// begins tells whether an input begins with a text. It reads on only while what it has seen agrees.
func begins(br *bufio.Reader, text string) bool {
	for n := 1; n <= len(text); n++ {
		if head, _ := br.Peek(n); len(head) < n || head[n-1] != text[n-1] {
			return false
		}
	}
	return true
}

// source is an input that keeps its error or end: a terminal would have to be ended anew for every further read.
type source struct {
	in  io.Reader
	err error
}

func (s *source) Read(p []byte) (n int, err error) {
	if s.err == nil {
		n, s.err = s.in.Read(p)
	}
	return n, s.err
}

// contents is what a decoder of some format makes of a source.
type contents struct {
	in     io.Reader
	from   *source
	format string
}

func (c *contents) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if err != nil && err != io.EOF {
		err = c.explain(err)
	}
	return n, err
}

// explain makes of a decoder's error one that says what is wrong with the file.
func (c *contents) explain(err error) error {
	switch {
	case c.from.err != nil && c.from.err != io.EOF:
		return c.from.err
	case errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF:
		return fmt.Errorf("%s: cut short: the file ends in the middle", c.format)
	}
	return fmt.Errorf("%s: damaged: %w", c.format, err)
}

// notText are the beginnings of files that people take for text, what they are and what to do.
var notText = []struct{ head, what string }{
	{"PK\x03\x04", "a zip archive: unpack it"},
	{"BZh", "packed with bzip2: unpack it"},
	{"\xfd7zXZ\x00", "packed with xz: unpack it"},
	{"%PDF-", "a PDF: extract its text"},
	{"\xd0\xcf\x11\xe0", "an Excel or Word file: save it as CSV or as text"},
}

// CheckText is an error if data is, by its beginning, of a kind that people take for text: it says what it is and what to do.
func CheckText(head []byte) error {
	for _, k := range notText {
		if len(head) >= len(k.head) && string(head[:len(k.head)]) == k.head {
			return fmt.Errorf("not text but %s", k.what)
		}
	}
	return nil
}
