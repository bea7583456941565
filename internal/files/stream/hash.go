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

// Sum counts and hashes the bytes that are written to it.
type Sum struct {
	hash  hash.Hash
	bytes int64
}

// NewSum is a sum of no bytes yet.
func NewSum() *Sum { return &Sum{hash: sha256.New()} }

func (s *Sum) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	return s.hash.Write(p)
}

// File says what was written, as the content of a file of that path.
func (s *Sum) File(path string) File { return File{path, s.bytes, hex.EncodeToString(s.hash.Sum(nil))} }

// Hasher counts and hashes the bytes that are read through it.
type Hasher struct {
	in    io.Reader
	sum   *Sum
	total *int64
}

// NewHasher reads through to an input. The number of bytes read is also added to total, unless that is nil.
func NewHasher(in io.Reader, total *int64) *Hasher { return &Hasher{in, NewSum(), total} }

func (h *Hasher) Read(p []byte) (int, error) {
	n, err := h.in.Read(p)
	h.sum.Write(p[:n])
	if h.total != nil {
		*h.total += int64(n)
	}
	return n, err
}

// File reads what is left and says what the whole input was, as the content of a file of that path.
func (h *Hasher) File(path string) (File, error) {
	if _, err := io.Copy(io.Discard, h); err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return h.sum.File(path), nil
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
