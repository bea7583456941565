package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"albert/internal/files/disk"
	"albert/internal/files/stream"
)

// metaFile is written last: a directory that has it holds whole shards. Until then there is progressFile.
const (
	metaFile     = "shards.json"
	progressFile = "progress.json"
)

// Settings are what decides the shards' content beside the text.
type Settings struct {
	Inputs     []string  `json:"inputs"`
	Sentences  Sentences `json:"sentences"`
	TextColumn string    `json:"text_column"`
	GoDoc      bool      `json:"go_doc"`
	Cleanup    string    `json:"cleanup"`
}

// Meta says what shards hold and how they came about. It is the file shards.json.
type Meta struct {
	Version         int               `json:"version"`
	Numerics        int               `json:"numerics"`
	VocabSize       int               `json:"vocab_size"`
	TokenizerSHA256 string            `json:"tokenizer_sha256"`
	TokenizerFiles  map[string]string `json:"tokenizer_files"` // beside the shards: name and SHA-256
	Settings        Settings          `json:"settings"`
	Files           []File            `json:"files"` // the text, in order
	Shards          []ShardMeta       `json:"shards"`
	Documents       int64             `json:"documents"`
	Sentences       int64             `json:"sentences"`
	Pieces          int64             `json:"pieces"`
	Counts          Counts            `json:"counts"`
}

// ShardMeta names a shard file.
type ShardMeta struct {
	File      string `json:"file"`
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"`
	Documents int    `json:"documents"`
	Sentences int    `json:"sentences"`
	Pieces    int    `json:"pieces"`
}

// Shards is tokenised text, mapped into memory. It is safe for concurrent use.
type Shards struct {
	dir    string
	meta   Meta
	shards []*shard
	before []int // documents before each shard, and in all
}

// IsShards tells whether dir holds shards.
func IsShards(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, metaFile))
	return err == nil
}

// OpenShards opens the shards in dir and verifies all of them: every byte goes into a checksum, so that reading them afterwards cannot
// fail. An error names the file and what is wrong with it.
func OpenShards(dir string) (*Shards, error) {
	path := filepath.Join(dir, metaFile)
	text, err := disk.ReadFile(path, 1<<30)
	if errors.Is(err, fs.ErrNotExist) {
		if _, e := os.Stat(filepath.Join(dir, progressFile)); e == nil {
			return nil, fmt.Errorf("%s: the shards are not finished: run the same command again to go on", dir)
		}
		return nil, fmt.Errorf("%s: no shards there (no %s)", dir, metaFile)
	}
	if err != nil {
		return nil, err
	}
	s := &Shards{dir: dir, before: []int{0}}
	if err := json.Unmarshal(text, &s.meta); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Shards) open() error {
	path := filepath.Join(s.dir, metaFile)
	head, err := headOf(&s.meta)
	if err != nil {
		return fmt.Errorf("%s: damaged: %w", path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.meta.TokenizerFiles)) {
		if name != filepath.Base(name) {
			return fmt.Errorf("%s: %q is not a file of this directory", path, name)
		}
		f, err := stream.HashFile(filepath.Join(s.dir, name))
		if err != nil {
			return err
		}
		if f.SHA256 != s.meta.TokenizerFiles[name] {
			return fmt.Errorf("%s: not the file that the shards were made with (%s)", filepath.Join(s.dir, name), metaFile)
		}
	}
	var total Meta
	for _, m := range s.meta.Shards {
		if m.File != filepath.Base(m.File) {
			return fmt.Errorf("%s: %q is not a file of this directory", path, m.File)
		}
		file := filepath.Join(s.dir, m.File)
		sh, err := openShard(file, m)
		if err != nil {
			return err
		}
		s.shards = append(s.shards, sh)
		s.before = append(s.before, s.before[len(s.before)-1]+sh.documents)
		if sh.shardHead != head || sh.documents != m.Documents || sh.sentences != m.Sentences || sh.pieces != m.Pieces {
			return fmt.Errorf("%s: not the shard that %s describes (tokenizer %.8s..., clean-up %s, %d documents)",
				file, metaFile, sh.tokenizer, sh.cleanup, sh.documents)
		}
		total.Documents += int64(sh.documents)
		total.Sentences += int64(sh.sentences)
		total.Pieces += int64(sh.pieces)
	}
	if m := s.meta; total.Documents != m.Documents || total.Sentences != m.Sentences || total.Pieces != m.Pieces {
		return fmt.Errorf("%s: damaged: %d documents, %d sentences, %d pieces; the shards have %d, %d, %d", path,
			m.Documents, m.Sentences, m.Pieces, total.Documents, total.Sentences, total.Pieces)
	}
	return nil
}

func openShard(path string, m ShardMeta) (*shard, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Unwrap(err))
	}
	defer f.Close()
	return disk.Open(path, func(data []byte) (*shard, error) {
		if int64(len(data)) != m.Bytes {
			return nil, fmt.Errorf("cut short or damaged: %d bytes, %s says %d", len(data), metaFile, m.Bytes)
		}
		return parseShard(data, f)
	})
}

// Close gives the memory back. Nothing that [Shards.Ends] gave may be used afterwards.
func (s *Shards) Close() error {
	var errs []error
	for _, sh := range s.shards {
		errs = append(errs, sh.Close())
	}
	s.shards = nil
	return errors.Join(errs...)
}

// Meta is what the shards hold.
func (s *Shards) Meta() Meta { return s.meta }

// Dir is where the shards are, and their tokenizer.
func (s *Shards) Dir() string { return s.dir }

// Documents is how many there are, numbered from 0 in the order of the input.
func (s *Shards) Documents() int { return s.before[len(s.before)-1] }

func (s *Shards) find(doc int) (*shard, int) {
	i := sort.Search(len(s.shards), func(i int) bool { return s.before[i+1] > doc })
	return s.shards[i], doc - s.before[i]
}

// Ends gives where each sentence of a document ends, in pieces from its start, without touching the pieces. The result is either
// always the shard's own memory, not to be written to, or always buf, made longer where needed.
func (s *Shards) Ends(doc int, buf []int32) []int32 {
	sh, d := s.find(doc)
	return sh.endsOf(d, buf)
}

// Pieces gives pieces [from, to) of a document, in buf, made longer where needed.
func (s *Shards) Pieces(doc, from, to int, buf []int32) []int32 {
	sh, d := s.find(doc)
	return sh.piecesOf(d, from, to, buf)
}
