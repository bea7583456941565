package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"albert/internal/files/jsonobject"
	"albert/internal/files/stream"
	"albert/internal/formats"
	"albert/internal/text/corpus"
	"albert/internal/wire"
	"albert/tokenizer"
)

// TokenizerCmd trains and applies tokenizers.
type TokenizerCmd struct {
	Train  TokenizerTrainCmd  `cmd:"" help:"Train a tokenizer on text."`
	Encode TokenizerEncodeCmd `cmd:"" help:"Turn each line of text into pieces or their ids."`
	Decode TokenizerDecodeCmd `cmd:"" help:"Turn lines of ids into text."`
	Info   TokenizerInfoCmd   `cmd:"" help:"Show a tokenizer's size, kind and hash."`
}

// TokenizerEncodeCmd cuts text into pieces.
type TokenizerEncodeCmd struct {
	Model        string `required:"" help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	Format       string `default:"ids" enum:"ids,pieces,jsonl" help:"ids, pieces or jsonl."`
	Cleanup      string `enum:",none,albert" default:"" help:"What is done to text first: none (SentencePiece alone; default for a .model file) or albert (spaces, quotes, accents, lower case; default for a directory)." placeholder:"NAME"`
	Special      bool   `negatable:"" help:"Add [CLS] and [SEP]."`
	MaxSeqLength int    `help:"Pieces of a line at most, special ones included (0: all)." placeholder:"N"`
	sideFlag
	InputFormat string   `default:"text" enum:"text,auto" help:"text, or auto, which also reads JSON: lines that start with {, lists, objects."`
	NBest       int      `name:"nbest" help:"Give the N likeliest ways to cut each line, a line for each (jsonl: with scores)." placeholder:"N"`
	Input       []string `arg:"" optional:"" help:"Files and directories; without any, standard input."`
	More        []string `name:"input" sep:"none" help:"The same as an argument; may be repeated." placeholder:"PATH"`
	allFlags
}

// openTokenizer opens a tokenizer for one of the tokenizer commands.
func openTokenizer(path, cleanup string) (*tokenizer.Tokenizer, error) {
	t, err := formats.OpenTokenizer(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, tokenizer.ErrNone) {
		return nil, fmt.Errorf("--model: %w (give a .model file, or a model directory with %s)", err, tokenizer.ModelFile)
	}
	if err != nil {
		return nil, fmt.Errorf("--model: %w", err)
	}
	if cleanup != "" && tokenizer.Cleanup(cleanup) != t.Cleanup {
		if t.Cleanup == tokenizer.CleanupBert {
			return nil, usagef("--cleanup: a WordPiece tokenizer has its own")
		}
		o := t.Options
		if o.Cleanup == tokenizer.CleanupNone {
			o = tokenizer.DefaultOptions
			o.TruncationSide = t.TruncationSide
		}
		o.Cleanup = tokenizer.Cleanup(cleanup)
		t = t.With(o)
	}
	return t, nil
}

// eachInput calls f for files, for all files in directories by byte order of path, or for stdin. Each is unpacked; errors name it.
func eachInput(paths []string, f func(text *bufio.Reader, name string) error) error {
	if len(paths) == 0 {
		paths = []string{"-"}
	}
	read := func(r io.Reader, name string) error {
		text, err := stream.Reader(r)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return f(text, name)
	}
	for _, path := range paths {
		if path == "-" {
			if err := read(os.Stdin, stdin); err != nil {
				return err
			}
			continue
		}
		files := []string{path}
		if isDir(path) {
			var err error
			if files, err = corpus.ListFiles(path, nil); err != nil {
				return err
			}
		}
		for _, name := range files {
			file, err := os.Open(name)
			if errors.Is(err, fs.ErrNotExist) && !looksLikeFile(name) {
				return fmt.Errorf("%w; texts and ids come from files or stdin: echo \"...\" | albert tokenizer ...", err)
			}
			if err != nil {
				return err
			}
			err = read(file, name)
			file.Close()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// stdin is what errors call it.
const stdin = "stdin"

// eachLine calls f for every line of the inputs. Only '\n' ends a line. Errors name the line.
func eachLine(paths []string, f func(line string) error) error {
	return eachInput(paths, func(text *bufio.Reader, name string) error { return linesOf(text, name, f) })
}

// linesOf calls f for the lines of a text. Errors name the line.
func linesOf(text *bufio.Reader, name string, f func(line string) error) error {
	lines := stream.NewLines(text)
	for {
		line, err := lines.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = f(string(line))
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, lines.Number, err)
		}
	}
}

// Run encodes.
func (c *TokenizerEncodeCmd) Run() error {
	defer c.limit()()
	t, err := openTokenizer(c.Model, c.Cleanup)
	if err != nil {
		return err
	}
	if c.Special && (t.CLS < 0 || t.SEP < 0) {
		return usagef("--special: the tokenizer has no pieces [CLS] and [SEP]")
	}
	if c.NBest != 0 && (c.NBest < 1 || c.NBest > tokenizer.MaxNBest) {
		return usagef("--nbest %d: want 1 to %d", c.NBest, tokenizer.MaxNBest)
	}
	t = t.CutAt(c.TruncationSide)
	if c.MaxSeqLength < 0 || c.Special && c.MaxSeqLength > 0 && c.MaxSeqLength < 3 {
		return usagef("--max-seq-length %d: want at least 1, with --special 3, or 0 for all", c.MaxSeqLength)
	}
	if c.NBest != 0 && (c.InputFormat != "text" || c.Special || c.MaxSeqLength > 0 || t.Cleanup != tokenizer.CleanupNone) {
		return usagef("--nbest is SentencePiece's own: it needs --cleanup none and plain text, adds no special pieces and cuts nothing off")
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	if c.InputFormat == "auto" {
		err = c.items(t, out)
	} else {
		err = c.lines(t, out)
	}
	return errors.Join(err, out.Flush())
}

// lines encodes every line as it is.
func (c *TokenizerEncodeCmd) lines(t *tokenizer.Tokenizer, out *bufio.Writer) error {
	invalid := int64(0)
	err := eachLine(append(c.Input, c.More...), func(line string) error {
		if !utf8.ValidString(line) {
			invalid++
		}
		if c.NBest == 0 {
			return c.write(out, c.encode(t, line, nil))
		}
		for _, path := range t.NBest(line, c.NBest) {
			if err := c.write(out, encoded{tokens: path.Tokens, score: &path.Score}); err != nil {
				return err
			}
		}
		return nil
	})
	warnCount(invalid, "lines are not all UTF-8: U+FFFD stands for each byte that is not")
	return err
}

// items encodes what fill, embed and predict read as questions.
func (c *TokenizerEncodeCmd) items(t *tokenizer.Tokenizer, out *bufio.Writer) error {
	failed := 0
	err := eachInput(append(c.Input, c.More...), func(text *bufio.Reader, name string) error {
		if name == stdin {
			name = ""
		}
		for it := range wire.Lines(text, name) {
			e, err := c.encodeItem(t, it)
			if err != nil {
				failed++
				err = writeLine(out, it.Failure(err))
			} else {
				err = c.write(out, e)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d lines could not be read: see their \"error\"", failed)
	}
	return err
}

// encoded is what comes of a line.
type encoded struct {
	tokens    []tokenizer.Token
	types     []int // of the pieces, for a pair
	id        json.RawMessage
	score     *float32
	truncated bool
}

// pieces cuts one text.
func (c *TokenizerEncodeCmd) pieces(t *tokenizer.Tokenizer, text string) (tokens []tokenizer.Token) {
	if c.Format != "ids" {
		return t.EncodeWithOffsets(text)
	}
	for _, id := range t.Encode(text) {
		tokens = append(tokens, tokenizer.Token{ID: id})
	}
	return tokens
}

// encode encodes a text or a pair, of which no more pieces are kept than there may be: [CLS] A [SEP] or [CLS] A [SEP] B [SEP] with --special.
// Places are those of each text.
func (c *TokenizerEncodeCmd) encode(t *tokenizer.Tokenizer, text string, pair *string) (e encoded) {
	var a, b []tokenizer.Token
	a, specials := c.pieces(t, text), 2
	if pair != nil {
		b, specials = c.pieces(t, *pair), 3
	}
	if !c.Special {
		specials = 0
	}
	if room := c.MaxSeqLength - specials; c.MaxSeqLength > 0 && len(a)+len(b) > room {
		na, nb := max(0, room), 0
		if pair != nil {
			na, nb = tokenizer.Shares(len(a), len(b), max(0, room))
		}
		from, to := t.TruncationSide.Keep(len(a), na)
		a = a[from:to]
		from, to = t.TruncationSide.Keep(len(b), nb)
		b, e.truncated = b[from:to], true
	}
	special := func(id int32, text string) {
		if c.Special {
			e.tokens = append(e.tokens, tokenizer.Token{ID: id, Begin: len(text), End: len(text), Piece: t.Piece(id)})
		}
	}
	special(t.CLS, "")
	e.tokens = append(e.tokens, a...)
	special(t.SEP, text)
	if pair == nil {
		return e
	}
	first := len(e.tokens)
	e.tokens = append(e.tokens, b...)
	special(t.SEP, *pair)
	e.types = make([]int, len(e.tokens))
	for i := first; i < len(e.types); i++ {
		e.types[i] = 1
	}
	return e
}

// encodeItem encodes what a JSON line says: a text, a pair, or pieces given by their ids.
func (c *TokenizerEncodeCmd) encodeItem(t *tokenizer.Tokenizer, it *wire.Item) (e encoded, err error) {
	switch {
	case it.Err != nil:
		return e, it.Err
	case it.List:
		return e, errors.New(`"input_ids" is a list of lists, which only choices are`)
	case it.Pieces == nil:
		e = c.encode(t, it.Text, it.Pair)
	case c.MaxSeqLength > 0 && len(it.Pieces[0].IDs) > c.MaxSeqLength:
		return e, fmt.Errorf("%d input_ids, --max-seq-length is %d: pieces that are given are not cut", len(it.Pieces[0].IDs), c.MaxSeqLength)
	default:
		for i, id := range it.Pieces[0].IDs {
			if id < 0 || int(id) >= t.VocabSize() {
				return e, fmt.Errorf("input_ids[%d] is %d, the vocabulary has %d pieces", i, id, t.VocabSize())
			}
			e.tokens = append(e.tokens, tokenizer.Token{ID: id, Begin: i, End: i + 1, Piece: t.Piece(id)})
		}
	}
	e.id = it.ID
	return e, nil
}

// write writes the line of a text.
func (c *TokenizerEncodeCmd) write(out *bufio.Writer, e encoded) error {
	if c.Format == "jsonl" {
		ids, pieces, offsets := make([]int32, len(e.tokens)), make([]string, len(e.tokens)), make([][2]int, len(e.tokens))
		for i, k := range e.tokens {
			ids[i], pieces[i], offsets[i] = k.ID, k.Piece, [2]int{k.Begin, k.End}
		}
		object := jsonobject.Fields{{Name: "ids", Value: ids}, {Name: "pieces", Value: pieces}, {Name: "offsets", Value: offsets}}
		if e.types != nil {
			object = append(object, jsonobject.Field{Name: "token_type_ids", Value: e.types})
		}
		if e.score != nil {
			object = append(object, jsonobject.Field{Name: "score", Value: *e.score})
		}
		if e.truncated {
			object = slices.Insert(object, 0, jsonobject.Field{Name: "truncated", Value: true})
		}
		if e.id != nil {
			object = slices.Insert(object, 0, jsonobject.Field{Name: "id", Value: e.id})
		}
		return writeLine(out, object)
	}
	for i, k := range e.tokens {
		if i > 0 {
			out.WriteByte(' ')
		}
		if c.Format == "ids" {
			out.Write(strconv.AppendInt(out.AvailableBuffer(), int64(k.ID), 10))
		} else {
			out.WriteString(k.Piece)
		}
	}
	return out.WriteByte('\n')
}

// writeLine writes a value as a line of JSON.
func writeLine(w io.Writer, v any) error {
	text, err := jsonobject.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// TokenizerDecodeCmd makes text of ids.
type TokenizerDecodeCmd struct {
	Model string   `required:"" help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	Input []string `arg:"" optional:"" help:"Files and directories; without any, standard input."`
	More  []string `name:"input" sep:"none" help:"The same as an argument; may be repeated." placeholder:"PATH"`
	allFlags
}

// Run decodes.
func (c *TokenizerDecodeCmd) Run() error {
	defer c.limit()()
	t, err := openTokenizer(c.Model, "")
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	var ids []int32
	err = eachLine(append(c.Input, c.More...), func(line string) error {
		ids = ids[:0]
		for _, f := range strings.Fields(line) {
			id, err := strconv.ParseInt(f, 10, 32)
			if err != nil || id < 0 || int(id) >= t.VocabSize() {
				return fmt.Errorf("%q is no id: want numbers from 0 to %d, with spaces between", f, t.VocabSize()-1)
			}
			ids = append(ids, int32(id))
		}
		out.WriteString(t.Decode(ids))
		return out.WriteByte('\n')
	})
	return errors.Join(err, out.Flush())
}

// TokenizerInfoCmd says what a tokenizer is.
type TokenizerInfoCmd struct {
	Model string `required:"" help:"A .model file or a model directory." placeholder:"FILE|DIR"`
	JSON  bool   `name:"json" negatable:"" help:"Give one JSON object."`
	allFlags
}

// tokenizerInfo is the answer of "tokenizer info".
type tokenizerInfo struct {
	VocabSize    int              `json:"vocab_size"`
	ModelType    string           `json:"model_type"`
	Normalizer   string           `json:"normalizer"`
	SHA256       string           `json:"sha256"`
	Pieces       map[string]int   `json:"pieces"` // counts by type
	Specials     map[string]int32 `json:"special_pieces"`
	ByteFallback bool             `json:"byte_fallback"`
	DummyPrefix  bool             `json:"add_dummy_prefix"`
	Whitespaces  bool             `json:"remove_extra_whitespaces"`
	Cleanup      string           `json:"cleanup"`
	Lower        bool             `json:"do_lower_case"`
	Accents      bool             `json:"keep_accents"`
	RemoveSpace  bool             `json:"remove_space"`
}

// Run prints.
func (c *TokenizerInfoCmd) Run() error {
	t, err := openTokenizer(c.Model, "")
	if err != nil {
		return err
	}
	m := t.Model()
	info := tokenizerInfo{VocabSize: t.VocabSize(), ModelType: t.Type(), Normalizer: m.Normalizer.Name, SHA256: t.SHA256(),
		Pieces: map[string]int{}, Specials: map[string]int32{}, ByteFallback: m.ByteFallback, DummyPrefix: m.Normalizer.AddDummyPrefix,
		Whitespaces: m.Normalizer.RemoveExtraWhitespaces, Cleanup: string(t.Cleanup), Lower: t.Lower, Accents: t.KeepAccents, RemoveSpace: t.RemoveSpace}
	for i, p := range m.Pieces {
		info.Pieces[p.Type.String()]++
		if p.Type == tokenizer.Control || p.Type == tokenizer.Unknown {
			info.Specials[p.Text] = int32(i)
		}
	}
	if c.JSON {
		return writeLine(os.Stdout, info)
	}
	fmt.Printf("%d pieces, %s, normalizer %s, clean-up %s\nsha256 %s\n", info.VocabSize, info.ModelType, info.Normalizer, info.Cleanup, info.SHA256)
	return nil
}
