package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"albert/corpus"
	"albert/tokenizer"
	"albert/tokenizer/spmtrain"
	"albert/weights"
)

// TokenizerTrainCmd trains a SentencePiece unigram model. Flags have spm_train's names; defaults are those of ALBERT's training command.
type TokenizerTrainCmd struct {
	Input       []string `sep:"none" help:"Text: what albert prepare reads; again for more. Stdin without any." placeholder:"PATH"`
	More        []string `arg:"" optional:"" help:"Text, as --input."`
	ModelPrefix string   `required:"" help:"Writes P.model and P.vocab." placeholder:"P"`
	VocabSize   int      `default:"30000" help:"Pieces, special ones included."`
	ModelType   string   `default:"unigram" help:"unigram is the only one."`

	CharacterCoverage      float64 `default:"0.99995" help:"Share of characters that get a piece of their own."`
	InputSentenceSize      int     `default:"10000000" help:"Sentences used at most, sampled at random (0: all)."`
	ShuffleInputSentence   bool    `default:"true" negatable:"" help:"Sample at random; else the first ones."`
	SeedSentencepieceSize  int     `default:"1000000" help:"Candidates at the start."`
	ShrinkingFactor        float64 `default:"0.75" help:"Share of pieces kept in each round."`
	NumSubIterations       int     `default:"2" help:"EM iterations in each round."`
	MaxSentencepieceLength int     `default:"16" help:"Characters of a piece at most."`
	MaxSentenceLength      int     `default:"4192" help:"Bytes of a sentence at most; longer ones are left out."`
	NormalizationRuleName  string  `default:"nmt_nfkc" help:"nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf or identity."`
	AddDummyPrefix         bool    `default:"true" negatable:"" help:"Treat the start of a text like a space."`
	RemoveExtraWhitespaces bool    `default:"true" negatable:"" help:"Make one space of several."`
	SplitByUnicodeScript   bool    `default:"true" negatable:"" help:"No piece has characters of two scripts."`
	SplitByNumber          bool    `default:"true" negatable:"" help:"No piece has digits and letters."`
	SplitByWhitespace      bool    `default:"true" negatable:"" help:"No piece crosses a space."`
	SplitDigits            bool    `negatable:"" help:"Every digit is a piece."`
	ByteFallback           bool    `negatable:"" help:"Unknown characters become bytes."`
	HardVocabLimit         bool    `default:"true" negatable:"" help:"A text too small for the vocabulary is an error."`
	RequiredChars          string  `help:"Characters that get a piece in any case."`
	ControlSymbols         string  `default:"[CLS],[SEP],[MASK]" help:"A list with commas and CSV quotes."`
	UserDefinedSymbols     string  `default:"(,),\"\"\"\",-,.,–,£,€" help:"A list with commas and CSV quotes."`
	PadID                  int     `name:"pad-id" default:"0" help:"Id of the padding piece (-1: none)."`
	UnkID                  int     `name:"unk-id" default:"1" help:"Id of the unknown piece."`
	BosID                  int     `name:"bos-id" default:"-1" help:"Id of the begin piece (-1: none)."`
	EosID                  int     `name:"eos-id" default:"-1" help:"Id of the end piece (-1: none)."`
	PadPiece               string  `default:"<pad>" help:"Text of the padding piece."`
	UnkPiece               string  `default:"<unk>" help:"Text of the unknown piece."`
	BosPiece               string  `default:"<s>" help:"Text of the begin piece."`
	EosPiece               string  `default:"</s>" help:"Text of the end piece."`
	Seed                   uint64  `default:"12345" help:"Seed of the sampling."`
	Threads                int     `aliases:"num-threads" help:"Threads (0: all); changes no bits."`
	Quiet                  bool    `help:"No progress."`
	Sentences              string  `default:"lines" enum:"auto,lines" help:"lines takes one sentence a line, as spm_train; auto finds sentences in prose."`
	TextColumn             string  `default:"text" help:"Column of JSONL and Parquet that holds the text."`
	GoDoc                  bool    `negatable:"" help:"Directories are Go source trees: their comments are read."`
	cleanupFlags
}

// symbolList reads a list with commas and CSV quotes.
func symbolList(flag, s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	r := csv.NewReader(strings.NewReader(s))
	r.LazyQuotes = false
	list, err := r.Read()
	if err == nil {
		if _, more := r.Read(); more != io.EOF {
			err = errors.New("more than one line")
		}
	}
	if err != nil {
		return nil, usagef("--%s %s: not a list with commas and CSV quotes: %v", flag, s, err)
	}
	return list, nil
}

func (c *TokenizerTrainCmd) options() (spmtrain.Options, error) {
	if c.ModelType != "unigram" {
		return spmtrain.Options{}, usagef("--model-type %s: only unigram models are trained", c.ModelType)
	}
	control, err := symbolList("control-symbols", c.ControlSymbols)
	if err != nil {
		return spmtrain.Options{}, err
	}
	user, err := symbolList("user-defined-symbols", c.UserDefinedSymbols)
	if err != nil {
		return spmtrain.Options{}, err
	}
	o := spmtrain.DefaultOptions()
	o.VocabSize, o.CharacterCoverage, o.InputSentenceSize, o.ShuffleInputSentence = c.VocabSize, c.CharacterCoverage, c.InputSentenceSize, c.ShuffleInputSentence
	o.SeedSentencepieceSize, o.ShrinkingFactor, o.NumSubIterations = c.SeedSentencepieceSize, c.ShrinkingFactor, c.NumSubIterations
	o.MaxSentencepieceLen, o.MaxSentenceLength, o.NormalizationRule = c.MaxSentencepieceLength, c.MaxSentenceLength, c.NormalizationRuleName
	o.AddDummyPrefix, o.RemoveExtraWhitespace = c.AddDummyPrefix, c.RemoveExtraWhitespaces
	o.SplitByUnicodeScript, o.SplitByNumber, o.SplitByWhitespace, o.SplitDigits = c.SplitByUnicodeScript, c.SplitByNumber, c.SplitByWhitespace, c.SplitDigits
	o.ByteFallback, o.HardVocabLimit, o.RequiredChars = c.ByteFallback, c.HardVocabLimit, c.RequiredChars
	o.ControlSymbols, o.UserDefinedSymbols = control, user
	o.PadID, o.UnkID, o.BosID, o.EosID = c.PadID, c.UnkID, c.BosID, c.EosID
	o.PadPiece, o.UnkPiece, o.BosPiece, o.EosPiece = c.PadPiece, c.UnkPiece, c.BosPiece, c.EosPiece
	o.Seed, o.Threads = c.Seed, c.Threads
	if !c.Quiet {
		last := time.Now()
		o.Progress = func(phase string, done, of int) {
			if time.Since(last) < 2*time.Second {
				return
			}
			last = time.Now()
			if of > 0 {
				fmt.Fprintf(os.Stderr, "%s: %d of %d\n", phase, done, of)
			} else {
				fmt.Fprintf(os.Stderr, "%s: %d\n", phase, done)
			}
		}
	}
	return o, nil
}

// sentencesOf gives the cleaned sentences of inputs.
func (c *TokenizerTrainCmd) sentencesOf(ctx context.Context) iter.Seq2[string, error] {
	read := corpus.ReadOptions{Sentences: corpus.Sentences(c.Sentences), GoDoc: c.GoDoc}
	if c.TextColumn != "text" {
		read.TextColumn = c.TextColumn
	}
	clean := func(s string) string { return s }
	if c.Cleanup == tokenizer.CleanupAlbert {
		o := tokenizer.DefaultOptions
		o.Lower, o.KeepAccents = !c.Cased, c.KeepAccents
		clean = o.Clean
	}
	return func(yield func(string, error) bool) {
		for d, err := range corpus.Documents(ctx, append(c.Input, c.More...), read, nil) {
			if err != nil {
				yield("", err)
				return
			}
			for _, s := range d.Sentences {
				if !yield(clean(s), nil) {
					return
				}
			}
		}
	}
}

// Run trains.
func (c *TokenizerTrainCmd) Run(ctx context.Context) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	start := time.Now()
	m, stats, err := spmtrain.Train(ctx, c.sentencesOf(ctx), o)
	if err != nil {
		return err
	}
	if stats.TooLong > 0 {
		fmt.Fprintf(os.Stderr, "warning: %d sentences longer than %d bytes left out (--max-sentence-length)\n", stats.TooLong, c.MaxSentenceLength)
	}
	if stats.InvalidUTF8 > 0 {
		fmt.Fprintf(os.Stderr, "warning: %d sentences with invalid UTF-8, replaced\n", stats.InvalidUTF8)
	}
	if err := weights.WriteFile(c.ModelPrefix+".model", m.Marshal()); err != nil {
		return err
	}
	var vocab strings.Builder
	for _, p := range m.Pieces {
		fmt.Fprintf(&vocab, "%s\t%g\n", p.Text, p.Score)
	}
	if err := weights.WriteFile(c.ModelPrefix+".vocab", []byte(vocab.String())); err != nil {
		return err
	}
	if !c.Quiet {
		fmt.Fprintf(os.Stderr, "%s.model: %d pieces from %d sentences (%d read), %d distinct words, %.1f s\n", c.ModelPrefix, len(m.Pieces), stats.Used, stats.Sentences, stats.Words, time.Since(start).Seconds())
	}
	return nil
}
