package corpus

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"runtime"

	"albert/internal/engine/numeric"
	"albert/internal/files/disk"
	"albert/internal/files/stream"
)

// Tokenizer is what preparing needs of one. It is safe for concurrent use.
type Tokenizer interface {
	Encode(text string) []int32
	VocabSize() int
	SHA256() string
	// Files are the tokenizer's files, which go beside the shards.
	Files() map[string][]byte
}

// PrepareOptions of [Prepare].
type PrepareOptions struct {
	Output      string
	Tokenizer   Tokenizer
	Cleanup     string // the tokenizer's clean-up in a word, to be held against when going on
	Inputs      []string
	Read        ReadOptions
	Documents   iter.Seq2[Document, error] // instead of Inputs
	Threads     int                        // 0: GOMAXPROCS
	ShardPieces int                        // a shard ends when it has as many; 0: 64 MiB of them
	Progress    func(c Counts, pieces int64)
}

// defaultShardBytes is what the pieces of a shard take: little to do again after a kill, few files all the same.
const defaultShardBytes = 64 << 20

const shardPrefix = "shard-"

// Prepare writes the documents of inputs as shards into a directory: the same files for any number of threads. If it is interrupted,
// the same call goes on after the last whole shard; if the shards are there already, it does nothing. Other settings or other text than
// those of the shards in the directory are refused. After an error nothing is left but whole shards, and without those nothing.
func Prepare(ctx context.Context, o PrepareOptions) (Meta, error) {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Read.Sentences == "" {
		o.Read.Sentences = SentencesAuto
	}
	if len(o.Inputs) == 0 {
		o.Inputs = []string{"-"}
	}
	meta := Meta{Version: shardVersion, Numerics: numeric.Version,
		VocabSize: o.Tokenizer.VocabSize(), TokenizerSHA256: o.Tokenizer.SHA256(), TokenizerFiles: map[string]string{},
		Settings: Settings{Inputs: o.Inputs, Sentences: o.Read.Sentences, TextColumn: o.Read.TextColumn, GoDoc: o.Read.GoDoc, Cleanup: o.Cleanup}}
	for name, data := range o.Tokenizer.Files() {
		meta.TokenizerFiles[name] = fmt.Sprintf("%x", sha256.Sum256(data))
	}
	if o.Output == "" {
		return meta, errors.New("no output directory given")
	}
	for _, in := range o.Inputs {
		if o.Documents == nil && IsShards(in) {
			return meta, fmt.Errorf("%s holds shards, not text: give one directory of shards alone, or the texts that they were made of", in)
		}
	}
	head, err := headOf(&meta)
	if err != nil {
		return meta, err
	}
	if o.ShardPieces <= 0 {
		o.ShardPieces = defaultShardBytes / head.width
	}
	p, done, err := resume(&o, &meta)
	if err != nil || done {
		return p.Meta, err
	}
	undo, err := disk.MakeDir(o.Output)
	if err != nil {
		return meta, err
	}
	// Written before the first shard, so that a later call knows what is in the directory.
	if err = disk.WriteJSON(filepath.Join(o.Output, progressFile), p); err == nil {
		err = writeShards(ctx, &o, head, &p)
	}
	if err != nil {
		if len(p.Shards) == 0 {
			disk.Remove(filepath.Join(o.Output, progressFile))
			undo()
		}
		return p.Meta, err
	}
	for name, data := range o.Tokenizer.Files() {
		if err := disk.WriteFile(filepath.Join(o.Output, name), data); err != nil {
			return p.Meta, err
		}
	}
	if err := disk.WriteJSON(filepath.Join(o.Output, metaFile), p.Meta); err != nil {
		return p.Meta, err
	}
	return p.Meta, disk.Remove(filepath.Join(o.Output, progressFile))
}

// writeShards writes the shards after those that p has; p grows with each.
func writeShards(ctx context.Context, o *PrepareOptions, head shardHead, p *progress) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pipe := startPipeline(ctx, o, p)
	b, err := pipe.next()
	for err == nil && b != nil {
		m := ShardMeta{File: shardName(len(p.Shards))}
		var last *batch
		err = disk.Atomically(filepath.Join(o.Output, m.File), func(w io.Writer) error {
			sum := stream.NewSum()
			s := newShardWriter(io.MultiWriter(w, sum), head)
			for b != nil && s.pieces < o.ShardPieces {
				if err := b.addTo(s); err != nil {
					return err
				}
				if o.Progress != nil {
					o.Progress(b.counts, p.Pieces+int64(s.pieces))
				}
				last = b
				if b, err = pipe.next(); err != nil {
					return err
				}
			}
			m.Documents, m.Sentences, m.Pieces = s.documents(), len(s.ends), s.pieces
			err := s.finish()
			f := sum.File(m.File)
			m.Bytes, m.SHA256 = f.Bytes, f.SHA256
			return err
		})
		if pipe.err != nil { // its own words, without those of the file that was being written
			return pipe.err
		}
		if err != nil {
			return err
		}
		p.Shards = append(p.Shards, m)
		p.Documents += int64(m.Documents)
		p.Sentences += int64(m.Sentences)
		p.Pieces += int64(m.Pieces)
		p.Files, p.Counts, p.Read, p.Text = last.files, last.counts, last.read, last.text
		err = disk.WriteJSON(filepath.Join(o.Output, progressFile), p)
	}
	if err != nil {
		return err
	}
	if p.Documents == 0 {
		return errors.New("the corpus is empty: no document with text in the inputs")
	}
	p.Files, p.Counts = pipe.files, *pipe.counts
	// A document whose sentences all became nothing is empty too.
	p.Counts.Empty += p.Counts.Documents - p.Documents
	p.Counts.Documents, p.Counts.Sentences = p.Documents, p.Sentences
	return nil
}

// startPipeline reads documents, passes over those that p has, and encodes the others.
func startPipeline(ctx context.Context, o *PrepareOptions, p *progress) *pipeline {
	q := &pipeline{ctx: ctx, o: o, began: *p, counts: new(Counts),
		queue: make(chan *batch, maxTokens), tasks: make(chan *batch, maxTokens), tokens: make(chan struct{}, maxTokens)}
	docs := o.Documents
	if docs == nil {
		read := o.Read
		read.file = q.fileRead
		docs = Documents(ctx, o.Inputs, read, q.counts)
	}
	go q.read(docs)
	for range o.Threads {
		go q.encode()
	}
	return q
}

// fileRead is called after each input file; a file that was read before must be the same again.
func (q *pipeline) fileRead(f File) error {
	if i := len(q.files); i < len(q.began.Files) && q.began.Files[i] != f {
		was := q.began.Files[i]
		if was.Path != f.Path {
			return &Mismatch{q.o.Output, fmt.Sprintf("other text: where %s was is %s", was.Path, f.Path)}
		}
		return &Mismatch{q.o.Output, fmt.Sprintf("other text: %s has changed", f.Path)}
	}
	q.files = append(q.files, f)
	return nil
}
