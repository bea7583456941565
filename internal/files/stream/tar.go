package stream

import (
	"archive/tar"
	"io"
	"iter"
)

// IsTar tells by the beginning of data whether it is a tar archive, as all are that were written since 1988. A header has 512 bytes.
func IsTar(head []byte) bool { return len(head) > 262 && string(head[257:262]) == "ustar" }

// Member is a member of an archive, a directory or a link too. Its content is read from it.
type Member struct {
	*tar.Header
	io.Reader
}

// Tar gives the members of an archive in order. What is not read of a member is skipped. Damage to the archive is an error that says
// so, after which nothing comes; errors of the input come back as they are.
func Tar(in io.Reader) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		from := &source{in: in}
		t := tar.NewReader(from)
		content := &contents{in: t, from: from, format: "tar"}
		for {
			h, err := t.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(Member{}, content.explain(err))
				return
			}
			if !yield(Member{h, content}, nil) {
				return
			}
		}
	}
}

// MemberBuffer is the size of the buffer to read a member of an archive with: its own size, where that is small.
func MemberBuffer(size int64) int { return int(min(BufferSize, max(512, size))) }
