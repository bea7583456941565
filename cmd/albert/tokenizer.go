package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"albert/tokenizer"
)

// TokenizerCmd trains and applies tokenizers.
type TokenizerCmd struct {
	Train  TokenizerTrainCmd  `cmd:"" help:"Train a SentencePiece unigram model."`
	Encode TokenizerEncodeCmd `cmd:"" help:"Cut text into pieces, line by line."`
	Decode TokenizerDecodeCmd `cmd:"" help:"Make text of lines of ids."`
	Info   TokenizerInfoCmd   `cmd:"" help:"Say what a tokenizer is."`
}

// TokenizerEncodeCmd cuts text into pieces.
type TokenizerEncodeCmd struct {
	Model       string   `required:"" help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	Format      string   `default:"ids" enum:"ids,pieces,jsonl" help:"ids, pieces or jsonl."`
	Cleanup     string   `enum:",none,albert" default:"" help:"none (default for a file: SentencePiece itself) or albert (default for a directory)."`
	Special     bool     `negatable:"" help:"Add [CLS] and [SEP]."`
	InputFormat string   `default:"text" enum:"text,auto" help:"text, or auto to read lines that start with { as JSON."`
	Input       []string `arg:"" optional:"" help:"Files; stdin without any."`
	More        []string `name:"input" sep:"none" help:"A file, again." placeholder:"FILE"`
}

func openTokenizer(path, cleanup string) (*tokenizer.Tokenizer, error) {
	t, err := tokenizer.Open(path)
	if err != nil {
		return nil, err
	}
	if cleanup != "" && tokenizer.Cleanup(cleanup) != t.Cleanup {
		o := t.Options
		if o.Cleanup == tokenizer.CleanupNone {
			o = tokenizer.DefaultOptions
		}
		o.Cleanup = tokenizer.Cleanup(cleanup)
		t = t.With(o)
	}
	return t, nil
}

// openInputs calls f for every file in turn, or for stdin.
func openInputs(files []string, f func(r io.Reader, name string) error) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		if name == "-" {
			if err := f(os.Stdin, "stdin"); err != nil {
				return err
			}
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		err = f(file, name)
		file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// Run encodes.
func (c *TokenizerEncodeCmd) Run() error {
	t, err := openTokenizer(c.Model, c.Cleanup)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	err = openInputs(append(c.Input, c.More...), func(r io.Reader, name string) error {
		br := bufio.NewReaderSize(r, 1<<16)
		for n := 1; ; n++ {
			line, err := readLine(br)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s:%d: %w", name, n, err)
			}
			if err := c.line(out, t, line); err != nil {
				return fmt.Errorf("%s:%d: %w", name, n, err)
			}
		}
	})
	return errors.Join(err, out.Flush())
}

func (c *TokenizerEncodeCmd) line(out *bufio.Writer, t *tokenizer.Tokenizer, line string) error {
	tokens := t.EncodeTokens(line)
	if c.InputFormat == "auto" && strings.HasPrefix(line, "{") {
		it := parseItem(line, "", 0)
		if it.Err != nil {
			return it.Err
		}
		tokens = t.EncodeTokens(it.Text)
		if it.HasPair {
			if c.Special {
				tokens = append(tokens, tokenizer.Token{ID: t.SEP})
			}
			tokens = append(tokens, t.EncodeTokens(it.Pair)...)
		}
	}
	if c.Special {
		if t.CLS < 0 || t.SEP < 0 {
			return errors.New("the tokenizer has no [CLS] and [SEP]")
		}
		tokens = append(append([]tokenizer.Token{{ID: t.CLS}}, tokens...), tokenizer.Token{ID: t.SEP})
	}
	if c.Format == "jsonl" {
		ids, pieces, offsets := make([]int32, 0, len(tokens)), make([]string, 0, len(tokens)), make([][2]int32, 0, len(tokens))
		for _, k := range tokens {
			ids, pieces, offsets = append(ids, k.ID), append(pieces, t.PieceOf(k)), append(offsets, [2]int32{k.Begin, k.End})
		}
		return writeJSON(out, []field{{"ids", ids}, {"pieces", pieces}, {"offsets", offsets}})
	}
	for i, k := range tokens {
		if i > 0 {
			out.WriteByte(' ')
		}
		if c.Format == "ids" {
			out.WriteString(strconv.Itoa(int(k.ID)))
		} else {
			out.WriteString(t.PieceOf(k))
		}
	}
	return out.WriteByte('\n')
}

// TokenizerDecodeCmd makes text of ids.
type TokenizerDecodeCmd struct {
	Model string   `required:"" help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	Input []string `arg:"" optional:"" help:"Files; stdin without any."`
}

// Run decodes.
func (c *TokenizerDecodeCmd) Run() error {
	t, err := tokenizer.Open(c.Model)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	err = openInputs(c.Input, func(r io.Reader, name string) error {
		br := bufio.NewReaderSize(r, 1<<16)
		for n := 1; ; n++ {
			line, err := readLine(br)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s:%d: %w", name, n, err)
			}
			var ids []int32
			for _, f := range strings.Fields(line) {
				id, err := strconv.ParseInt(f, 10, 32)
				if err != nil || id < 0 || int(id) >= t.VocabSize() {
					return fmt.Errorf("%s:%d: %q is no id of a vocabulary of %d", name, n, f, t.VocabSize())
				}
				ids = append(ids, int32(id))
			}
			out.WriteString(t.Decode(ids))
			if err := out.WriteByte('\n'); err != nil {
				return err
			}
		}
	})
	return errors.Join(err, out.Flush())
}

// TokenizerInfoCmd says what a tokenizer is.
type TokenizerInfoCmd struct {
	Model string `required:"" help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	JSON  bool   `name:"json" help:"Give one JSON object."`
}

// Run prints.
func (c *TokenizerInfoCmd) Run() error {
	t, err := tokenizer.Open(c.Model)
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for _, p := range t.Model().Pieces {
		counts[p.Type.String()]++
	}
	info := struct {
		VocabSize  int            `json:"vocab_size"`
		ModelType  string         `json:"model_type"`
		Normalizer string         `json:"normalizer"`
		SHA256     string         `json:"sha256"`
		Pieces     map[string]int `json:"pieces"`
		Cleanup    string         `json:"cleanup"`
		Lower      bool           `json:"do_lower_case"`
		Accents    bool           `json:"keep_accents"`
	}{t.VocabSize(), "unigram", t.Model().Normalizer.Name, t.SHA256(), counts, string(t.Cleanup), t.Lower, t.KeepAccents}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(info)
	}
	fmt.Printf("%d pieces, %s, normalizer %s, clean-up %s\nsha256 %s\n", info.VocabSize, info.ModelType, info.Normalizer, info.Cleanup, info.SHA256)
	return nil
}
