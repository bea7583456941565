// Command albert trains, evaluates and runs ALBERT language models: one static binary from raw text to answers.
//
// Commands are thin: flags in, one call into a package, results out. Text goes to stdout only where it is the result; progress and
// messages go to stderr. Exit status: 0 done, 1 failed, 2 bad usage, 75 stopped by a signal after saving.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"

	"albert/internal/engine/mpi"
	"albert/internal/learn/train"
	"albert/internal/run"

	"github.com/alecthomas/kong"
)

// CLI is the whole command line.
type CLI struct {
	Quickstart QuickstartCmd `cmd:"" help:"Pretrain a small model on the comments in Go's own source, fine-tune it, try it."`
	Tokenizer  TokenizerCmd  `cmd:"" help:"Train and apply SentencePiece tokenizers."`
	Prepare    PrepareCmd    `cmd:"" help:"Tokenise text into shards for albert pretrain."`
	Pretrain   PretrainCmd   `cmd:"" help:"Pretrain a model on text or shards."`
	Finetune   FinetuneCmd   `cmd:"" help:"Fine-tune a model: GLUE, SQuAD, RACE, or your own data."`
	Eval       EvalCmd       `cmd:"" help:"Measure a model on labelled data or held-out text; predict a test set."`
	Fill       FillCmd       `cmd:"" help:"Fill [MASK] in texts with the likeliest pieces."`
	Embed      EmbedCmd      `cmd:"" help:"Turn texts into vectors."`
	Search     SearchCmd     `cmd:"" help:"Find the texts or vectors nearest to queries, exactly."`
	Mine       MineCmd       `cmd:"" help:"Find hard negatives for pairs of texts, to learn vectors from."`
	Predict    PredictCmd    `cmd:"" help:"Classify, score, tag, answer, choose or rank with a fine-tuned model."`
	Serve      ServeCmd      `cmd:"" help:"Answer over HTTP: clients of TEI, OpenAI, Cohere, Hugging Face and KServe, and streams of JSON lines."`
	Convert    ConvertCmd    `cmd:"" help:"Write a model in another format: Hugging Face, PyTorch, TensorFlow, ONNX."`
	Inspect    InspectCmd    `cmd:"" help:"Show a model's or run's configuration, parameters, or a step's examples."`
	Verify     VerifyCmd     `cmd:"" help:"Do steps of a run again, and compare with what it has stored bit for bit."`
	Card       CardCmd       `cmd:"" help:"Fill in a reproducibility card from the files of a run."`
	Compare    CompareCmd    `cmd:"" help:"Show runs side by side: settings, results over seeds, curves in one plot."`
	Bench      BenchCmd      `cmd:"" help:"Measure the speed of this machine against its own peak."`
	Completion CompletionCmd `cmd:"" help:"Print a script that completes command lines in a shell."`
	Version    VersionCmd    `cmd:"" help:"Show the version and the kernels that this machine uses."`
}

// quietFlag is taken by every command.
type quietFlag struct {
	Quiet bool `negatable:"" help:"No progress and no hints; warnings are shown."`
}

// allFlags are taken by every command; those that train have them in [run.Common].
type allFlags struct {
	Threads int `range:"-" help:"Threads (0: all)."`
	quietFlag
}

// limit bounds the processors that a command uses which runs no model. The function that it gives takes that back.
func (f *allFlags) limit() func() {
	if f.Threads <= 0 {
		return func() {}
	}
	before := runtime.GOMAXPROCS(f.Threads)
	return func() { runtime.GOMAXPROCS(before) }
}

// usageError is an error of the command line itself: exit status 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usagef makes an error that ends the program with status 2.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// usage makes an error about a setting one of the command line.
func usage(err error) error {
	if field := (*run.FieldError)(nil); errors.As(err, &field) {
		return usageError{err}
	}
	return err
}

// messages is standard error for a library that names fields, which here are flags.
type messages struct{ *os.File }

func (m messages) Write(p []byte) (int, error) {
	if _, err := io.WriteString(m.File, run.Flags(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func main() { mpi.Exit(runCommand(os.Args[1:])) }

// runCommand parses args, runs the command and gives the exit status.
func runCommand(args []string) int {
	var cli CLI
	status := -1
	parser, err := kong.New(&cli,
		kong.Name("albert"),
		kong.Description("ALBERT in Go: tokenizer training, pretraining, fine-tuning, evaluation and prediction."),
		kong.UsageOnError(),
		kong.WithHyphenPrefixedParameters(true), // --null-threshold -1.5
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { status = code }),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "albert:", err)
		return 2
	}
	if len(args) == 0 {
		parser.Stdout = os.Stderr // no result of a command
	}
	typed := len(args)
	args = asked(args)
	if slices.Contains(args, "--overfit-one-batch") { // writes nothing
		for _, command := range parser.Model.Children {
			for _, f := range command.Flags {
				f.Required = f.Required && f.Name != "output"
			}
		}
	}
	kctx, err := parser.Parse(args)
	if typed == 0 {
		return 2
	}
	if status >= 0 { // --help
		return status
	}
	if err != nil {
		if err = refuse(args, err); errors.As(err, new(told)) {
			return 0
		}
		fmt.Fprintf(os.Stderr, "albert: %s\n", parseHint(args, err))
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals...)
	defer stop()
	kctx.BindTo(ctx, (*context.Context)(nil))
	if err := kctx.Run(); err != nil {
		message := err.Error()
		if field := (*run.FieldError)(nil); errors.As(err, &field) { // people gave a flag
			message = strings.Replace(message, field.Error(), field.Flag(), 1)
		}
		if errors.As(err, new(told)) {
			return 0
		}
		fmt.Fprintln(os.Stderr, "albert:", run.Flags(message))
		var bad usageError
		switch {
		case errors.Is(err, train.ErrStopped):
			return 75
		case errors.As(err, &bad):
			return 2
		}
		return 1
	}
	return 0
}
