package stream

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// File is a file that was read to its end, as manifests name it.
type File struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Hasher counts and hashes the bytes that are read through it.
type Hasher struct {
	in    io.Reader
	sum   hash.Hash
	bytes int64
	total *int64
}

// NewHasher reads through to an input. What is read is also added to total, unless that is nil.
func NewHasher(in io.Reader, total *int64) *Hasher { return &Hasher{in, sha256.New(), 0, total} }

func (h *Hasher) Read(p []byte) (int, error) {
	n, err := h.in.Read(p)
	h.bytes += int64(n)
	if h.total != nil {
		*h.total += int64(n)
	}
	h.sum.Write(p[:n])
	return n, err
}

// File reads what is left, and says what the whole input was. Of the path, only errors and the result are made.
func (h *Hasher) File(path string) (File, error) {
	if _, err := io.Copy(io.Discard, h); err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return File{path, h.bytes, hex.EncodeToString(h.sum.Sum(nil))}, nil
}

// HashFile reads a file and says what it is.
func HashFile(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	return NewHasher(f, nil).File(path)
}
