package stream

import (
	"archive/tar"
	"io"
)

// IsTar tells by the beginning of data whether it is a tar archive, as all are that were written since 1988. A header has 512 bytes.
func IsTar(head []byte) bool { return len(head) > 262 && string(head[257:262]) == "ustar" }

// Tar calls each for the members of an archive in order, directories and links included. What each leaves of a member is skipped. An
// error of each ends it and comes back as it is; damage to the archive is an error that says so.
func Tar(in io.Reader, each func(h *tar.Header, member io.Reader) error) error {
	from := &source{in: in}
	t := tar.NewReader(from)
	member := &contents{in: t, from: from, format: "tar"}
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return member.explain(err)
		}
		if err := each(h, member); err != nil {
			return err
		}
	}
}

// MemberBuffer is the size of the buffer to read a member of an archive with: its own size, where that is small.
func MemberBuffer(size int64) int { return int(min(BufferSize, max(512, size))) }
