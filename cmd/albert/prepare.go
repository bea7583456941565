package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"albert/internal/learn/train"
	"albert/internal/text/corpus"
	"albert/pretrain"
	"albert/tokenizer"
)

// openCleaning opens a tokenizer for training on text, and warns of a clean-up that contradicts it.
func openCleaning(c *pretrain.Cleaning, path string) (*tokenizer.Tokenizer, error) {
	t, warning, err := c.OpenTokenizer(path)
	if warning != "" {
		fmt.Fprintln(os.Stderr, "warning:", warning)
	}
	return t, usage(err)
}

// PrepareCmd makes shards of text.
type PrepareCmd struct {
	Tokenizer string   `required:"" help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	Output    string   `required:"" help:"Directory for the shards." placeholder:"DIR"`
	Input     []string `arg:"" optional:"" help:"Files and directories; without any, standard input."`
	More      []string `name:"input" sep:"none" help:"The same as an argument; may be repeated." placeholder:"PATH"`
	allFlags
	pretrain.Reading
	pretrain.Cleaning
}

// Run prepares.
func (c *PrepareCmd) Run(ctx context.Context) error {
	t, err := openCleaning(&c.Cleaning, c.Tokenizer)
	if err != nil {
		return err
	}
	o := corpus.PrepareOptions{Output: c.Output, Tokenizer: t, Cleanup: pretrain.CleanupName(t), Inputs: append(c.Input, c.More...), Read: c.Reading.Options(), Threads: c.Threads}
	warnTables(o.Inputs...)
	p := &prepareProgress{out: os.Stderr}
	if !c.Quiet {
		p.begin(o.Inputs, o.Read)
		o.Progress = p.show
	}
	made := !corpus.IsShards(c.Output)
	m, err := corpus.Prepare(ctx, o)
	p.end()
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", c.Output, train.ErrStopped)
	}
	if err != nil {
		return err
	}
	if !made && !c.Quiet {
		fmt.Fprintf(os.Stderr, "%s: the shards of these inputs are there already\n", c.Output)
	}
	n := m.Counts
	if !c.Quiet {
		fmt.Fprintf(os.Stderr, "%s: %d documents, %d sentences, %d words, %d pieces in %d files\n",
			c.Output, m.Documents, m.Sentences, n.Words, m.Pieces, len(m.Shards))
	}
	warnCount(n.InvalidUTF8, "bytes were not UTF-8 and are replaced")
	warnCount(n.Empty, "documents without text are dropped")
	warnCount(n.Cut, "cuts in documents that are too long to be held as one")
	return nil
}

// warnCount warns of so many of something, unless there are none.
func warnCount(n int64, what string) {
	if n > 0 {
		fmt.Fprintf(os.Stderr, "warning: %d %s\n", n, what)
	}
}

// prepareLines is how often progress gets a line where it is not a bar.
const prepareLines = 5 * time.Second

// prepareProgress shows how much of the input is read: a bar on a terminal, else a line now and then.
type prepareProgress struct {
	out          *os.File
	bar          *progressbar.ProgressBar
	total        int64 // bytes of input; 0: not known
	began, shown time.Time
	first        corpus.Counts // when it began: an earlier call may have done that much
}

func (p *prepareProgress) begin(inputs []string, o corpus.ReadOptions) {
	p.total, _ = corpus.InputBytes(inputs, o)
	if !term.IsTerminal(int(p.out.Fd())) {
		return
	}
	size := p.total
	if size == 0 {
		size = -1 // a spinner
	}
	p.bar = progressbar.NewOptions64(size, progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(20), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
}

func (p *prepareProgress) show(n corpus.Counts, pieces int64) {
	now := time.Now()
	if p.began.IsZero() {
		p.began, p.shown, p.first = now, now, n
		return
	}
	every := prepareLines
	if p.bar != nil {
		every = 100 * time.Millisecond
	}
	if now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	since := now.Sub(p.began)
	line := fmt.Sprintf("%.1f MB of text, %.1f MB/s, %.1f M pieces", float64(n.Bytes)/1e6, float64(n.Bytes-p.first.Bytes)/1e6/since.Seconds(), float64(pieces)/1e6)
	if done := n.Read - p.first.Read; p.total > 0 && done > 0 {
		left := time.Duration(float64(since) * float64(max(0, p.total-n.Read)) / float64(done))
		line = fmt.Sprintf("%.0f %%, %s to go, %s", 100*float64(n.Read)/float64(p.total), left.Round(time.Second), line)
	}
	if p.bar == nil {
		fmt.Fprintln(p.out, line)
		return
	}
	p.bar.Describe(line)
	_ = p.bar.Set64(n.Read) // what a terminal shows is no reason to fail
}

func (p *prepareProgress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
