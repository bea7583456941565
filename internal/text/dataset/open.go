package dataset

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"albert/internal/files/parquetfile"
	"albert/internal/files/stream"
)

// input is a file, unpacked, from its first character on.
type input struct {
	*bufio.Reader
	name string // as given
	kind string // the name's ending in lower case, without .gz and .zst: ".tsv"
	head []byte // its first bytes, by which its form is recognised
}

// open reads a file with read and notes its hash.
func (r *reader) open(path string, read func(*input) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return fmt.Errorf("%s: a directory: name the files in it", path)
	}
	h := stream.NewHasher(f, nil)
	if err := r.unpack(path, h, stream.BufferSize, read); err != nil {
		return err
	}
	return r.hashed(path, h)
}

// hashed reads what is left of a file and notes its hash.
func (r *reader) hashed(path string, h *stream.Hasher) error {
	f, err := h.File(path)
	r.set.Files = append(r.set.Files, f)
	return err
}

// unpack calls read with the unpacked content of an input. buffer is the size of the buffer: the many small members of archives get small ones.
func (r *reader) unpack(name string, in io.Reader, buffer int, read func(*input) error) error {
	br, err := stream.ReaderSize(in, buffer)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	peek := func() []byte {
		head, e := br.Peek(br.Size())
		if err == nil && e != io.EOF {
			err = e
		}
		return head
	}
	head := peek()
	if err == nil {
		err = stream.CheckText(head)
	}
	if err == nil {
		err = parquetfile.CheckStream(head)
	}
	if err == nil && !stream.IsTar(head) {
		if br, err = stream.Text(br); err == nil {
			head = peek()
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	kind := ending(strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst"))
	return read(&input{Reader: br, name: name, kind: kind, head: head})
}

// ending is a name's extension in lower case.
func ending(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return strings.ToLower(name[i:])
	}
	return ""
}

// lines reads a text line by line. A "\r" before a line's end is left out.
type lines struct {
	*stream.Lines
	name string
}

func linesOf(in *input) *lines { return &lines{stream.NewLines(in.Reader), in.name} }

// next gives a line, or io.EOF.
func (l *lines) next() (string, error) {
	line, err := l.Next()
	if err == io.EOF {
		return "", io.EOF
	}
	text := string(bytes.TrimSuffix(line, []byte("\r")))
	if err == nil {
		err = checkText(text)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", place(l.name, l.Number), err)
	}
	return text, nil
}
