package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"albert/internal/files/disk"
	"albert/internal/files/stream"
	"albert/pretrain"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"albert/internal/text/corpus"
	"albert/tokenizer"
	"albert/tokenizer/spmtrain"
)

// TokenizerTrainCmd trains a SentencePiece unigram model. Flags have spm_train's names, with dashes or, for its command lines,
// underscores; defaults are those of ALBERT's training command.
type TokenizerTrainCmd struct {
	Input       []string `sep:"none" help:"Text in any form that albert prepare reads; may be repeated; without any, standard input." placeholder:"PATH"`
	More        []string `arg:"" name:"input" optional:"" help:"The same as --input." placeholder:"PATH"`
	ModelPrefix string   `required:"" help:"Write P.model and P.vocab." placeholder:"P"`
	VocabSize   int      `default:"30000" help:"Pieces, special ones included."`
	ModelType   string   `default:"unigram" help:"unigram: no other is trained."`
	InputFormat string   `default:"text" help:"text: no other is read."`

	CharacterCoverage         float64 `default:"0.99995" help:"Share of the text's characters that get a piece of their own."`
	InputSentenceSize         int     `default:"10000000" help:"Sentences used at most (0: all)."`
	ShuffleInputSentence      bool    `default:"true" negatable:"" help:"Sample them at random; else the first ones are used."`
	SeedSentencepieceSize     int     `default:"1000000" help:"Candidates at the start (0: by the vocabulary's size)."`
	ShrinkingFactor           float64 `default:"0.75" help:"Share of the candidates kept in each round."`
	NumSubIterations          int     `default:"2" help:"EM steps in each round."`
	MaxSentencepieceLength    int     `default:"16" help:"Characters of a piece at most."`
	MaxSentenceLength         int     `default:"4192" help:"Bytes of a sentence at most; longer ones are left out."`
	SplitByUnicodeScript      bool    `default:"true" negatable:"" help:"No piece has characters of two scripts."`
	SplitByNumber             bool    `default:"true" negatable:"" help:"No piece has digits and letters."`
	SplitByWhitespace         bool    `default:"true" negatable:"" help:"No piece goes across a space."`
	SplitDigits               bool    `negatable:"" help:"Every digit is a piece."`
	TreatWhitespaceAsSuffix   bool    `negatable:"" help:"Spaces end words instead of beginning them."`
	AllowWhitespaceOnlyPieces bool    `negatable:"" help:"Pieces may have spaces alone."`
	PretokenizationDelimiter  string  `help:"Text that no piece goes across." placeholder:"TEXT"`

	NormalizationRuleName  string `default:"nmt_nfkc" help:"nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf or identity."`
	NormalizationRuleTsv   string `help:"Your own rules: hexadecimal code points, a tab, what they become." placeholder:"FILE"`
	DenormalizationRuleTsv string `help:"Rules for decoded text." placeholder:"FILE"`
	AddDummyPrefix         bool   `default:"true" negatable:"" help:"Treat the start of a text like a space."`
	RemoveExtraWhitespaces bool   `default:"true" negatable:"" help:"Make one space of several."`

	ByteFallback           bool    `negatable:"" help:"Unknown characters become bytes."`
	HardVocabLimit         bool    `default:"true" negatable:"" help:"A text too small for the vocabulary is an error."`
	RequiredChars          string  `help:"Characters that get a piece in any case."`
	RequiredCharsFile      string  `help:"More of them, from a file." placeholder:"FILE"`
	ControlSymbols         string  `default:"[CLS],[SEP],[MASK]" help:"A list with commas and CSV quotes."`
	ControlSymbolsFile     string  `help:"More of them, one a line." placeholder:"FILE"`
	UserDefinedSymbols     string  `default:"(,),\"\"\"\",-,.,–,£,€" help:"A list with commas and CSV quotes."`
	UserDefinedSymbolsFile string  `help:"More of them, one a line." placeholder:"FILE"`
	PadID                  pieceID `name:"pad-id" default:"0" help:"Id of the padding piece (-1: none)."`
	UnkID                  pieceID `name:"unk-id" default:"1" help:"Id of the unknown piece."`
	BosID                  pieceID `name:"bos-id" default:"-1" help:"Id of the piece for a beginning (-1: none)."`
	EosID                  pieceID `name:"eos-id" default:"-1" help:"Id of the piece for an end (-1: none)."`
	PadPiece               string  `default:"<pad>" help:"Text of the padding piece."`
	UnkPiece               string  `default:"<unk>" help:"Text of the unknown piece."`
	BosPiece               string  `default:"<s>" help:"Text of the piece for a beginning."`
	EosPiece               string  `default:"</s>" help:"Text of the piece for an end."`
	UnkSurface             string  `default:" \u2047 " help:"What an unknown piece is decoded to."`

	VocabularyOutputPieceScore bool `default:"true" negatable:"" help:"Write the scores into P.vocab, too."`
	TrainExtremelyLargeCorpus  bool `negatable:"" hidden:"" help:"Without effect, as in spm_train today."`

	Seed    uint64 `aliases:"random-seed" default:"12345" help:"Seed of the sampling."`
	Threads int    `aliases:"num-threads" help:"Threads (0: all); changes no bits."`
	quietFlag
	Sentences  corpus.Sentences `default:"lines" enum:"auto,lines" help:"lines takes each line as a sentence, as spm_train does; auto finds the sentences of prose."`
	TextColumn string           `help:"Column of JSONL and Parquet that holds the text (default: text)." placeholder:"NAME"`
	GoDoc      bool             `negatable:"" help:"Directories are Go source trees: their comments are read."`
	pretrain.Cleaning
}

// pieceID is the id of a piece, -1 for none: spm_train's command lines have --bos_id -1, with a space, too.
type pieceID int

// Decode reads the next argument, even if it begins with a dash.
func (p *pieceID) Decode(ctx *kong.DecodeContext) error {
	id, err := strconv.Atoi(ctx.Scan.Pop().String())
	if err != nil {
		return errors.New("want the id of a piece, or -1 for none")
	}
	*p = pieceID(id)
	return nil
}

// symbolList reads a list with commas and CSV quotes.
func symbolList(flag, s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	r := csv.NewReader(strings.NewReader(s))
	list, err := r.Read()
	if err == nil {
		if _, more := r.Read(); more != io.EOF {
			err = errors.New("more than one line")
		}
	}
	if err != nil {
		return nil, usagef(`--%s %s: not a list with commas and CSV quotes (a quote itself is written """"): %v`, flag, s, err)
	}
	return list, nil
}

// fileLines are the lines of a small file; none for no file.
func fileLines(flag, path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	defer f.Close()
	var list []string
	text, err := stream.Reader(f)
	if err != nil {
		return nil, fmt.Errorf("--%s: %s: %w", flag, path, err)
	}
	err = linesOf(text, path, func(line string) error {
		list = append(list, strings.TrimSuffix(line, "\r"))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return list, nil
}

// charsMapOf compiles a file of normalisation rules; nil for no file.
func charsMapOf(flag, path string) ([]byte, error) {
	lines, err := fileLines(flag, path)
	if path == "" || err != nil {
		return nil, err
	}
	rules := map[string]string{}
	for i, line := range lines {
		from, rest, _ := strings.Cut(line, "\t")
		to, _, _ := strings.Cut(rest, "\t")
		var texts [2]string
		for j, codes := range []string{from, to} {
			for _, code := range strings.Fields(codes) {
				r, err := strconv.ParseUint(code, 16, 32)
				if err != nil || string(rune(r)) == "\uFFFD" && r != 0xFFFD {
					return nil, fmt.Errorf("--%s: %s:%d: %q is no code point in hexadecimal", flag, path, i+1, code)
				}
				texts[j] += string(rune(r))
			}
		}
		if texts[0] == "" {
			return nil, fmt.Errorf("--%s: %s:%d: no code points before the tab", flag, path, i+1)
		}
		rules[texts[0]] = texts[1]
	}
	charsMap, err := tokenizer.BuildCharsMap(rules)
	if err != nil {
		return nil, fmt.Errorf("--%s: %s: %w", flag, path, err)
	}
	return charsMap, nil
}

func (c *TokenizerTrainCmd) options() (o spmtrain.Options, err error) {
	switch {
	case c.ModelType != "unigram":
		return o, usagef("--model-type %s: only unigram models are trained", c.ModelType)
	case c.InputFormat != "text" && c.InputFormat != "":
		return o, usagef("--input-format %s: only text is read (JSONL and Parquet are known by their content)", c.InputFormat)
	}
	o = spmtrain.Options{VocabSize: c.VocabSize, CharacterCoverage: c.CharacterCoverage, InputSentenceSize: c.InputSentenceSize,
		ShuffleInputSentence: c.ShuffleInputSentence, SeedSentencepieceSize: c.SeedSentencepieceSize, ShrinkingFactor: c.ShrinkingFactor,
		NumSubIterations: c.NumSubIterations, MaxSentencepieceLength: c.MaxSentencepieceLength, MaxSentenceLength: c.MaxSentenceLength,
		NormalizationRuleName: c.NormalizationRuleName, AddDummyPrefix: c.AddDummyPrefix, RemoveExtraWhitespaces: c.RemoveExtraWhitespaces,
		SplitByUnicodeScript: c.SplitByUnicodeScript, SplitByNumber: c.SplitByNumber, SplitByWhitespace: c.SplitByWhitespace,
		SplitDigits: c.SplitDigits, TreatWhitespaceAsSuffix: c.TreatWhitespaceAsSuffix, AllowWhitespaceOnlyPieces: c.AllowWhitespaceOnlyPieces,
		PretokenizationDelimiter: c.PretokenizationDelimiter, ByteFallback: c.ByteFallback, HardVocabLimit: c.HardVocabLimit,
		RequiredChars: c.RequiredChars, UnkID: int(c.UnkID), BosID: int(c.BosID), EosID: int(c.EosID), PadID: int(c.PadID), UnkPiece: c.UnkPiece,
		BosPiece: c.BosPiece, EosPiece: c.EosPiece, PadPiece: c.PadPiece, UnkSurface: c.UnkSurface, Seed: c.Seed, Threads: c.Threads}
	for _, l := range []struct {
		flag, list, file string
		to               *[]string
	}{{"control-symbols", c.ControlSymbols, c.ControlSymbolsFile, &o.ControlSymbols}, {"user-defined-symbols", c.UserDefinedSymbols, c.UserDefinedSymbolsFile, &o.UserDefinedSymbols}} {
		if *l.to, err = symbolList(l.flag, l.list); err != nil {
			return o, err
		}
		more, err := fileLines(l.flag+"-file", l.file)
		if err != nil {
			return o, err
		}
		*l.to = append(*l.to, more...)
	}
	more, err := fileLines("required-chars-file", c.RequiredCharsFile)
	if err != nil {
		return o, err
	}
	o.RequiredChars += strings.Join(more, "")
	if o.CharsMap, err = charsMapOf("normalization-rule-tsv", c.NormalizationRuleTsv); err != nil {
		return o, err
	}
	if o.DenormalizerCharsMap, err = charsMapOf("denormalization-rule-tsv", c.DenormalizationRuleTsv); err != nil {
		return o, err
	}
	if err := o.Check(); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// sentences gives the inputs' sentences, cleaned.
func (c *TokenizerTrainCmd) sentences(ctx context.Context, n *corpus.Counts) iter.Seq2[string, error] {
	read := corpus.ReadOptions{Sentences: c.Sentences, TextColumn: c.TextColumn, GoDoc: c.GoDoc}
	clean := func(s string) string { return s }
	if c.Cleanup == tokenizer.CleanupAlbert {
		o := tokenizer.DefaultOptions
		o.Lower, o.KeepAccents = !c.Cased, c.KeepAccents
		clean = o.Clean
	}
	return func(yield func(string, error) bool) {
		for d, err := range corpus.Documents(ctx, append(c.Input, c.More...), read, n) {
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

// trainProgress shows how far training is: one line that changes on a terminal, else a line for each phase and one now and then.
type trainProgress struct {
	out      *os.File
	terminal bool
	phase    string
	shown    time.Time
}

func (p *trainProgress) show(phase string, done, of int) {
	every := 5 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	now := time.Now()
	if phase == p.phase && now.Sub(p.shown) < every {
		return
	}
	p.phase, p.shown = phase, now
	line := phase
	switch {
	case of > 0:
		line = fmt.Sprintf("%s: %d of %d", phase, done, of)
	case done > 0:
		line = fmt.Sprintf("%s: %d", phase, done)
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(p.out, line)
}

func (p *trainProgress) end() {
	if p.terminal && p.phase != "" {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// Run trains.
func (c *TokenizerTrainCmd) Run(ctx context.Context) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	if dir := filepath.Dir(c.ModelPrefix); !isDir(dir) {
		return usagef("--model-prefix %s: there is no directory %s", c.ModelPrefix, dir)
	}
	p := &trainProgress{out: os.Stderr, terminal: term.IsTerminal(int(os.Stderr.Fd()))}
	if !c.Quiet {
		o.Progress = p.show
	}
	warnTables(append(c.Input, c.More...)...)
	start := time.Now()
	var n corpus.Counts
	m, stats, err := spmtrain.Train(ctx, c.sentences(ctx, &n), o)
	p.end()
	if ctx.Err() != nil {
		return errors.New("stopped; nothing is written")
	}
	if err != nil {
		return err
	}
	warnCount(stats.TooLong, fmt.Sprintf("sentences longer than %d bytes are left out (--max-sentence-length)", c.MaxSentenceLength))
	warnCount(stats.Reserved, "sentences with the reserved character U+2585 are left out")
	warnCount(n.InvalidUTF8, "bytes were not UTF-8 and are replaced")
	var vocab strings.Builder
	for _, p := range m.Pieces {
		vocab.WriteString(p.Text)
		if c.VocabularyOutputPieceScore {
			fmt.Fprintf(&vocab, "\t%.6g", p.Score)
		}
		vocab.WriteByte('\n')
	}
	if err := disk.WriteFile(c.ModelPrefix+".vocab", []byte(vocab.String())); err != nil {
		return err
	}
	if err := disk.WriteFile(c.ModelPrefix+".model", m.Marshal()); err != nil {
		return err
	}
	if !c.Quiet {
		fmt.Fprintf(os.Stderr, "%s.model: %d pieces from %d of %d sentences, %d characters, %d distinct words, in %.1f s\n", c.ModelPrefix, len(m.Pieces),
			stats.Used, stats.Sentences, stats.Characters, stats.Words, time.Since(start).Seconds())
	}
	return nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
