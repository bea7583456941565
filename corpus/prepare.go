package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"

	"albert/numeric"
	"albert/weights"
)

// Tokenizer is what preparing needs of one. It is safe for concurrent use.
type Tokenizer interface {
	Encode(text string) []int32
	VocabSize() int
	SHA256() string
	// Files are the tokenizer's files, which go beside the shards.
	Files() map[string][]byte
}

// Settings are what decides the shards' content beside the text.
type Settings struct {
	Inputs     []string  `json:"inputs"`
	Sentences  Sentences `json:"sentences"`
	TextColumn string    `json:"text_column"`
	GoDoc      bool      `json:"go_doc"`
	Cleanup    string    `json:"cleanup"`
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
	ShardPieces int                        // 0: 64 M
	Progress    func(c Counts, pieces int64)
}

// progressFile tells which shards of an unfinished run are whole.
const progressFile = "progress.json"

// defaultShardPieces: 128 MB a file with pieces of two bytes.
const defaultShardPieces = 64 << 20

// encoded is a document's pieces.
type encoded struct {
	pieces, ends []int32
}

// work is a document on its way through the pipeline.
type work struct {
	doc    Document
	counts Counts // after it
	result chan encoded
}

// Prepare writes the documents of inputs as shards into a directory: the same files for any number of threads. If it is
// interrupted, the same call goes on after the last whole shard.
func Prepare(ctx context.Context, o PrepareOptions) (Meta, error) {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.ShardPieces <= 0 {
		o.ShardPieces = defaultShardPieces
	}
	if o.Read.Sentences == "" {
		o.Read.Sentences = SentencesAuto
	}
	meta := Meta{Version: shardVersion, Numerics: numeric.Version, VocabSize: o.Tokenizer.VocabSize(), TokenizerSHA256: o.Tokenizer.SHA256(),
		Settings: Settings{Inputs: o.Inputs, Sentences: o.Read.Sentences, TextColumn: o.Read.TextColumn, GoDoc: o.Read.GoDoc, Cleanup: o.Cleanup}}
	if o.Output == "" {
		return meta, errors.New("no output directory given")
	}
	if err := os.MkdirAll(o.Output, 0o777); err != nil {
		return meta, err
	}
	skip, done, err := goOn(o.Output, &meta)
	if err != nil || done {
		return meta, err
	}
	for name, data := range o.Tokenizer.Files() {
		if err := weights.WriteFile(filepath.Join(o.Output, name), data); err != nil {
			return meta, err
		}
	}
	if err := writeShards(ctx, o, &meta, skip); err != nil {
		return meta, err
	}
	if meta.Documents == 0 {
		return meta, errors.Join(errors.New("the corpus is empty: no document with text in the inputs"), clean(o.Output, o.Tokenizer))
	}
	if err := writeJSON(filepath.Join(o.Output, metaFile), meta); err != nil {
		return meta, err
	}
	return meta, os.Remove(filepath.Join(o.Output, progressFile))
}

// clean removes what a run without documents wrote.
func clean(dir string, t Tokenizer) error {
	err := os.Remove(filepath.Join(dir, progressFile))
	for name := range t.Files() {
		err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
	}
	os.Remove(dir) // if nothing else is in it
	return err
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return weights.WriteFile(path, append(text, '\n'))
}

// goOn reads how far an earlier call came. skip is how many documents its shards hold; done: it was finished.
func goOn(dir string, meta *Meta) (skip int64, done bool, err error) {
	for _, name := range []string{metaFile, progressFile} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, false, err
		}
		var old Meta
		if err := json.Unmarshal(text, &old); err != nil {
			return 0, false, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
		if what := changed(&old, meta); what != "" {
			return 0, false, fmt.Errorf("%s holds shards made with another %s: give the same, or another --output", dir, what)
		}
		*meta = old
		return old.Documents, name == metaFile, nil
	}
	return 0, false, nil
}

// changed names a setting that differs.
func changed(old, now *Meta) string {
	was, is := old.Settings, now.Settings
	switch {
	case old.Numerics != now.Numerics:
		return fmt.Sprintf("numerics (%d, this program has %d)", old.Numerics, now.Numerics)
	case old.TokenizerSHA256 != now.TokenizerSHA256:
		return "tokenizer"
	case was.Cleanup != is.Cleanup:
		return fmt.Sprintf("clean-up (%s, now %s)", was.Cleanup, is.Cleanup)
	case was.Sentences != is.Sentences:
		return fmt.Sprintf("--sentences (%s, now %s)", was.Sentences, is.Sentences)
	case was.TextColumn != is.TextColumn:
		return fmt.Sprintf("--text-column (%q, now %q)", was.TextColumn, is.TextColumn)
	case was.GoDoc != is.GoDoc:
		return "--go-doc"
	case fmt.Sprintf("%q", was.Inputs) != fmt.Sprintf("%q", is.Inputs):
		return fmt.Sprintf("input (%q, now %q)", was.Inputs, is.Inputs)
	}
	return ""
}

// writeShards runs the pipeline: one goroutine reads, o.Threads encode, this one writes in the order of the input.
func writeShards(ctx context.Context, o PrepareOptions, meta *Meta, skip int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	docs := o.Documents
	counts := new(Counts)
	if docs == nil {
		docs = Documents(ctx, o.Inputs, o.Read, counts)
	}
	// The queue holds few documents, each of bounded size.
	queue := make(chan *work, 2*o.Threads)
	tasks := make(chan *work, 2*o.Threads)
	readErr := make(chan error, 1)
	go func() {
		defer close(queue)
		defer close(tasks)
		n := int64(0)
		for d, err := range docs {
			if err != nil {
				readErr <- err
				return
			}
			if n++; n <= skip {
				continue
			}
			w := &work{doc: d, counts: *counts, result: make(chan encoded, 1)}
			select {
			case queue <- w:
			case <-ctx.Done():
				return
			}
			select {
			case tasks <- w:
			case <-ctx.Done():
				return
			}
		}
	}()
	for range o.Threads {
		go func() {
			for w := range tasks {
				w.result <- encode(o.Tokenizer, w.doc.Sentences)
			}
		}()
	}
	out := &shardWriter{width: 2}
	if meta.VocabSize > 1<<16 {
		out.width = 4
	}
	out.reset()
	flush := func() error {
		if out.documents() == 0 {
			return nil
		}
		name := shardName(len(meta.Shards))
		m := ShardMeta{File: name}
		err := weights.Atomically(filepath.Join(o.Output, name), func(w io.Writer) error {
			h := sha256.New()
			n := new(byteCounter)
			err := out.writeTo(io.MultiWriter(w, h, n))
			m.Bytes, m.SHA256 = int64(*n), hex.EncodeToString(h.Sum(nil))
			return err
		})
		if err != nil {
			return err
		}
		meta.Shards = append(meta.Shards, m)
		meta.Documents += int64(out.documents())
		meta.Sentences += int64(len(out.ends))
		meta.Pieces += int64(out.count)
		out.reset()
		return writeJSON(filepath.Join(o.Output, progressFile), meta)
	}
	if err := writeJSON(filepath.Join(o.Output, progressFile), meta); err != nil {
		return err
	}
	for w := range queue {
		var e encoded
		select {
		case e = <-w.result:
		case <-ctx.Done():
			return ctx.Err()
		}
		if len(e.ends) == 0 {
			// A document whose sentences all became nothing keeps its number, as one unknown piece would; but there is none.
			e = encoded{pieces: []int32{0}, ends: []int32{1}}
		}
		meta.Counts = w.counts
		out.add(e.pieces, e.ends)
		if out.count >= o.ShardPieces {
			if err := flush(); err != nil {
				return err
			}
		}
		if o.Progress != nil {
			o.Progress(w.counts, meta.Pieces+int64(out.count))
		}
	}
	select {
	case err := <-readErr:
		return err
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	meta.Counts = *counts
	return flush()
}

type byteCounter int64

func (c *byteCounter) Write(b []byte) (int, error) {
	*c += byteCounter(len(b))
	return len(b), nil
}

// encode makes pieces of sentences; a sentence that becomes nothing is left out.
func encode(t Tokenizer, sentences []string) encoded {
	var e encoded
	for _, s := range sentences {
		e.pieces = append(e.pieces, t.Encode(s)...)
		if n := int32(len(e.pieces)); len(e.ends) == 0 && n > 0 || len(e.ends) > 0 && n > e.ends[len(e.ends)-1] {
			e.ends = append(e.ends, n)
		}
	}
	return e
}
