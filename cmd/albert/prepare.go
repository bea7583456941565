package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"albert/corpus"
	"albert/pretrain"
	"albert/tokenizer"
)

// readFlags say how text is read.
type readFlags struct {
	Sentences  corpus.Sentences `default:"auto" enum:"auto,lines" help:"auto finds sentences in prose; lines takes one a line."`
	TextColumn string           `default:"text" help:"Column of JSONL and Parquet that holds the text."`
	GoDoc      bool             `negatable:"" help:"Directories are Go source trees: their comments are read."`
}

func (f *readFlags) options() corpus.ReadOptions {
	o := corpus.ReadOptions{Sentences: f.Sentences, GoDoc: f.GoDoc}
	if f.TextColumn != "text" {
		o.TextColumn = f.TextColumn
	}
	return o
}

// cleanupFlags say what happens to text before SentencePiece sees it.
type cleanupFlags struct {
	Cleanup     tokenizer.Cleanup `enum:"albert,none," default:"" help:"albert (spaces, quotes, accents, lower case) or none."`
	Cased       bool              `negatable:"" help:"Keep capital letters."`
	KeepAccents bool              `negatable:"" help:"Keep accents."`
}

// open opens a tokenizer for training on text: ALBERT's clean-up unless its directory or a flag says otherwise.
func (f *cleanupFlags) open(path string) (*tokenizer.Tokenizer, error) {
	t, err := tokenizer.Open(path)
	if err != nil {
		return nil, err
	}
	o := t.Options
	if st, err := os.Stat(path); err == nil && !st.IsDir() {
		o = tokenizer.DefaultOptions
	}
	if f.Cleanup != "" {
		o.Cleanup = f.Cleanup
	}
	if f.Cased {
		o.Lower = false
	}
	if f.KeepAccents {
		o.KeepAccents = true
	}
	t = t.With(o)
	if w := t.Contradiction(); w != "" {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	return t, nil
}

// PrepareCmd makes shards of text.
type PrepareCmd struct {
	Tokenizer string   `required:"" help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	Output    string   `required:"" help:"Directory for the shards." placeholder:"DIR"`
	Input     []string `arg:"" optional:"" help:"Files and directories; stdin without any."`
	More      []string `name:"input" sep:"none" help:"A file or directory, again." placeholder:"PATH"`
	Threads   int      `help:"Threads (0: all)."`
	Quiet     bool     `help:"No progress."`
	readFlags
	cleanupFlags
}

// Run prepares.
func (c *PrepareCmd) Run(ctx context.Context) error {
	t, err := c.open(c.Tokenizer)
	if err != nil {
		return err
	}
	o := corpus.PrepareOptions{Output: c.Output, Tokenizer: t, Cleanup: pretrain.CleanupName(t), Inputs: append(c.Input, c.More...), Read: c.options(), Threads: c.Threads}
	start, last := time.Now(), time.Now()
	if !c.Quiet {
		o.Progress = func(n corpus.Counts, pieces int64) {
			if time.Since(last) > 5*time.Second {
				last = time.Now()
				fmt.Fprintf(os.Stderr, "%d documents, %d sentences, %.1f M pieces, %.1f MB/s\n", n.Documents, n.Sentences, float64(pieces)/1e6, float64(n.Bytes)/1e6/time.Since(start).Seconds())
			}
		}
	}
	m, err := corpus.Prepare(ctx, o)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", c.Output, errStopped)
	}
	if err != nil {
		return err
	}
	n := m.Counts
	fmt.Fprintf(os.Stderr, "%s: %d documents, %d sentences, %d pieces in %d files\n", c.Output, m.Documents, m.Sentences, m.Pieces, len(m.Shards))
	for _, x := range []struct {
		n    int64
		text string
	}{{n.InvalidUTF8, "invalid bytes of UTF-8 replaced"}, {n.Empty, "documents without text dropped"}, {n.Cut, "documents cut because of their length"}} {
		if x.n > 0 {
			fmt.Fprintf(os.Stderr, "warning: %d %s\n", x.n, x.text)
		}
	}
	return nil
}
