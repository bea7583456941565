package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"albert/internal/files/stream"
	"albert/internal/infer"
	"albert/internal/wire"
	"albert/tokenizer"
)

// items reads texts: arguments that name files (or "-"), line by line; other arguments are texts themselves; stdin without any.
func items(args []string) iter.Seq[*wire.Item] {
	return func(yield func(*wire.Item) bool) {
		if len(args) == 0 {
			sayStdin()
			args = []string{"-"}
		}
		for i, arg := range args {
			for it := range itemsOf(arg, i+1) {
				if !yield(it) {
					return
				}
			}
		}
	}
}

// itemsOf reads the items of one argument.
func itemsOf(arg string, n int) iter.Seq[*wire.Item] {
	return func(yield func(*wire.Item) bool) {
		failed := func(err error) { yield(&wire.Item{Question: infer.Question{Err: err}, File: arg}) }
		if arg == "-" {
			text, err := stream.Reader(os.Stdin)
			if err == nil {
				text, err = stream.Text(text)
			}
			if err != nil {
				yield(&wire.Item{Question: infer.Question{Err: err}})
			} else {
				wire.Lines(text, "")(yield)
			}
			return
		}
		st, err := os.Stat(arg)
		if err != nil {
			if looksLikeFile(arg) {
				fmt.Fprintf(os.Stderr, "warning: there is no file %s: it is taken as a text\n", arg)
			}
			yield(wire.Parse(arg, "", n))
			return
		}
		if st.IsDir() {
			failed(errors.New("is a directory: name the files in it"))
			return
		}
		f, err := os.Open(arg)
		if err != nil {
			failed(err)
			return
		}
		defer f.Close()
		text, err := textOf(f, arg)
		if err != nil {
			failed(err)
			return
		}
		wire.Lines(text, arg)(yield)
	}
}

// textOf unpacks a file. What is no text is refused: its lines would have answers, too.
func textOf(r io.Reader, file string) (*bufio.Reader, error) {
	text, err := stream.Reader(r)
	if err != nil {
		return nil, err
	}
	head, _ := text.Peek(512)
	if err := stream.CheckText(head); err != nil {
		return nil, err
	}
	if text, err = stream.Text(text); err != nil {
		return nil, err
	}
	head, _ = text.Peek(512)
	if bytes.IndexByte(head, 0) >= 0 {
		return nil, errors.New("is no text: want a text a line, or JSON lines")
	}
	if isTable(file) {
		fmt.Fprintf(os.Stderr, "warning: %s: every line is taken as one text, header and commas included; a table's rows are predicted by albert eval RUN --data %s --split test --output DIR\n", file, file)
	}
	return text, nil
}

// inputFlags say what a command that answers line by line reads, and with which model.
type inputFlags struct {
	Model    string   `arg:"" help:"Model directory, run directory or model file."`
	Input    []string `arg:"" optional:"" help:"Texts, or files with one text or JSON object in each line; without any, standard input."`
	More     []string `name:"input" sep:"none" help:"An input file; may be repeated." placeholder:"FILE"`
	Truncate bool     `default:"true" negatable:"" help:"Cut texts that are too long for the model; --no-truncate makes them errors."`
	precisionFlag
	sideFlag
	jsonFlag
	allFlags
}

// sideFlag is taken by commands that cut texts.
type sideFlag struct {
	TruncationSide tokenizer.Side `enum:",left,right" default:"" help:"The end at which a text that is too long is cut: left or right (default: the tokenizer's, usually right)." placeholder:"SIDE"`
}

// precisionFlag is of every command that runs a model.
type precisionFlag struct {
	Precision infer.Precision `enum:",fp32,bf16,bf16-tile,bf16-dot,int8" default:"" help:"Of matrix products: fp32 (the default, but of a model that was converted to int8), bf16 (by the rule that this CPU is fast at), bf16-tile, bf16-dot or int8." placeholder:"P"`
}

// trainable refuses a precision that nothing is trained in.
func trainable(command, precision string) error {
	if precision == string(infer.Int8) {
		return usagef("%s: --precision int8 is for inference; train in fp32, then give it to the commands that answer, or to albert convert", command)
	}
	return nil
}

// garbage is how many bytes of garbage may lie about before they are collected.
const garbage = 4 << 20

// boundGarbage gives back to the system what opening left behind, and has garbage collected from then on by its size: in percent of the
// weights of a large model it would be many times what answering makes.
func boundGarbage() {
	debug.FreeOSMemory()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	debug.SetGCPercent(max(2, int(min(100, 100*garbage/s.HeapAlloc))))
}

// open opens the model.
func (f *inputFlags) open(o infer.Options) (*infer.Model, error) {
	debug.SetGCPercent(-1) // what opening leaves behind is collected once, below
	o.Threads, o.Precision, o.TruncationSide = f.Threads, f.Precision, f.TruncationSide
	m, err := infer.Open(f.Model, o)
	boundGarbage()
	return m, noModel(f.Model, err)
}

// answer answers all items on stdout.
func answer[A any](ctx context.Context, f *inputFlags, ask func(iter.Seq[*infer.Question]) (iter.Seq2[A, error], error),
	form func(it *wire.Item, a A) (any, bool)) error {
	return answerTo(ctx, f, f.answers(), ask, form)
}

// answerTo answers all items into a sink.
func answerTo[A any](ctx context.Context, f *inputFlags, to wire.Sink, ask func(iter.Seq[*infer.Question]) (iter.Seq2[A, error], error),
	form func(it *wire.Item, a A) (any, bool)) error {
	r := newRest(time.Second / 10)
	defer r.timer.Stop()
	all := func(yield func(*wire.Item) bool) {
		for it := range items(append(f.Input, f.More...)) {
			it.Whole = !f.Truncate
			r.begin()
			if !yield(it) {
				return
			}
		}
	}
	return wire.Answer(ctx, resting{to, r}, all, ask, form)
}

// resting is a sink whose program rests when everything that was asked has been answered: a command at the end of a pipe may wait for hours.
type resting struct {
	wire.Sink
	r *rest
}

// Write implements [wire.Sink].
func (s resting) Write(it *wire.Item, value any, truncated bool, err error) error {
	defer s.r.end()
	return s.Sink.Write(it, value, truncated, err)
}
