package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	"albert/finetune"
	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
	"albert/internal/infer"
	"albert/internal/run"
	"albert/internal/text/dataset"
)

// MineCmd finds hard negatives.
type MineCmd struct {
	Model        string        `arg:"" help:"Model directory, run directory or model file."`
	Train        []string      `required:"" sep:"none" help:"A file of pairs: anchor and positive, query and document, or sentence1 and sentence2; may be repeated." placeholder:"FILE"`
	Negatives    int           `default:"1" range:"[1,)" help:"How many negatives for each pair."`
	Skip         int           `help:"Pass over so many of the nearest: they may be answers that nobody marked."`
	Margin       *float64      `range:"-" help:"A negative's score is at least this far below the positive's, such as 0.05 (default: it may be above it)." placeholder:"X"`
	Output       string        `help:"Write into this file instead of stdout, when all pairs have their negatives." placeholder:"FILE.jsonl"`
	Pooling      infer.Pooling `default:"" enum:",mean,cls,pooler,max" help:"How one vector is made of a text: mean, cls, pooler or max (default: as a directory of sentence-transformers says, else mean)." placeholder:"POOLING"`
	MaxSeqLength int           `range:"[0,)" help:"Cut texts to so many pieces (default: as the directory says, else all that the model takes)." placeholder:"N"`
	TextColumn   string        `help:"The column of the anchor." placeholder:"NAME"`
	PairColumn   string        `help:"The column of the positive." placeholder:"NAME"`
	Delimiter    string        `help:"TSV and CSV: what stands between columns: tab, comma, semicolon, pipe, or a character (default: found in the file)." placeholder:"CHAR"`
	Quotes       string        `enum:",csv,none" default:"" help:"TSV and CSV: csv (double quotes enclose fields) or none (they are characters like others); default: found in the file." placeholder:"QUOTES"`
	precisionFlag
	sideFlag
	allFlags
}

// Run writes the pairs with their negatives, a line of JSON each.
func (c *MineCmd) Run(ctx context.Context) error {
	source := finetune.Source{PairColumn: c.PairColumn, Delimiter: c.Delimiter, Quotes: c.Quotes}
	t, err := taskNamed("embed")
	if err != nil {
		return err
	}
	if err := run.Check(c); err != nil {
		return usage(err)
	}
	if err := source.Fits(t, c.TextColumn); err != nil {
		return usage(err)
	}
	if c.Output == "" {
		return c.mine(ctx, source.Options(c.TextColumn), os.Stdout)
	}
	return disk.Atomically(c.Output, func(w io.Writer) error { return c.mine(ctx, source.Options(c.TextColumn), w) })
}

func (c *MineCmd) mine(ctx context.Context, options dataset.Options, to io.Writer) error {
	var shown *progress
	stage := ""
	w := bufio.NewWriterSize(to, 1<<16)
	mined, err := finetune.Mine(ctx, finetune.Mining{Model: c.Model, Train: c.Train, Options: options,
		Infer:     infer.Options{Threads: c.Threads, Precision: c.Precision, TruncationSide: c.TruncationSide},
		Embed:     infer.EmbedOptions{Pooling: c.Pooling, Layer: -1, MaxSeqLength: c.MaxSeqLength},
		Negatives: c.Negatives, Skip: c.Skip, Margin: c.Margin,
		Progress: func(what string, done, total int) {
			if what != stage {
				if shown != nil {
					shown.end()
				}
				shown, stage = newProgress(what, total, c.Quiet), what
			}
			shown.show(done)
		}}, func(row jsonobject.Fields) error {
		text, err := row.MarshalJSON()
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	})
	if shown != nil {
		shown.end()
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return noModel(c.Model, err)
	}
	for _, n := range mined.Notes {
		fmt.Fprintln(os.Stderr, n)
	}
	if mined.Fewer > 0 {
		fmt.Fprintf(os.Stderr, "warning: %d of %d pairs got fewer than %d negatives: there are no other texts, or --skip or --margin leaves none\n", mined.Fewer, mined.Pairs, c.Negatives)
	}
	return nil
}
