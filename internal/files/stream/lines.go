package stream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// MaxLine bounds a line in bytes: a book has 1 MB, so what is longer is no text of lines.
const MaxLine = 64 << 20

// ErrLongLine is the error for a line that is longer than MaxLine.
var ErrLongLine = fmt.Errorf("the line is longer than %d MiB", MaxLine>>20)

// Lines reads text line by line. Only "\n" ends a line. Of the line that [Lines.Next] gave last, or failed to give:
type Lines struct {
	Number int   // counting from 1
	End    int64 // the offset behind it, in bytes from where reading began
	Ended  bool  // whether a "\n" ends it, which a file's last line may lack

	in   *bufio.Reader
	most int
	buf  []byte
}

// NewLines reads the lines of an input, which is not unpacked: see [Reader].
func NewLines(in io.Reader) *Lines {
	br, ok := in.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(in, BufferSize)
	}
	return &Lines{in: br, most: MaxLine}
}

// Next gives a line without its "\n". It is valid until the next call. After the last line the error is io.EOF. A line that is too long
// is passed over, with [ErrLongLine]: the next call gives the line after it.
func (l *Lines) Next() ([]byte, error) {
	l.buf, l.Ended = l.buf[:0], false
	begin := l.End
	for {
		part, err := l.in.ReadSlice('\n')
		l.End += int64(len(part))
		long := l.End-begin > int64(l.most)
		if err == bufio.ErrBufferFull {
			if long {
				l.buf = nil
			} else {
				l.buf = append(l.buf, part...)
			}
			continue
		}
		if err == io.EOF && l.End == begin {
			return nil, io.EOF
		}
		l.Number++
		switch {
		case err != nil && err != io.EOF:
			return nil, err
		case long:
			return nil, ErrLongLine
		}
		if len(l.buf) > 0 {
			l.buf = append(l.buf, part...)
			part = l.buf
		}
		if l.Ended = err == nil; l.Ended {
			part = part[:len(part)-1]
		}
		return part, nil
	}
}

// LineIndex tells in which line of an input a place is, for input that is not read by lines. Places are offsets in bytes.
type LineIndex struct {
	lines  int     // line breaks before all places that are still asked for
	breaks []int64 // the places behind the line breaks after these
	passed int     // breaks that are counted in lines
}

// Add takes account of a part of the input, which begins at an offset. Parts come one after another.
func (x *LineIndex) Add(part []byte, offset int64) {
	if x.passed > 0 {
		x.breaks = append(x.breaks[:0], x.breaks[x.passed:]...)
		x.passed = 0
	}
	for i := 0; ; {
		n := bytes.IndexByte(part[i:], '\n')
		if n < 0 {
			return
		}
		i += n + 1
		x.breaks = append(x.breaks, offset+int64(i))
	}
}

// Pass says that no line of a place before offset will be asked for.
func (x *LineIndex) Pass(offset int64) {
	for x.passed < len(x.breaks) && x.breaks[x.passed] <= offset {
		x.passed++
		x.lines++
	}
}

// Line is the number of the line that a place is in, counting from 1.
func (x *LineIndex) Line(offset int64) int {
	n := x.lines + 1
	for _, b := range x.breaks[x.passed:] {
		if b > offset {
			break
		}
		n++
	}
	return n
}
