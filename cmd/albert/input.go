package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert"
)

// maxLine bounds one line of input; longer ones are an error of that line, not of the program.
const maxLine = 64 << 20

// item is one example of the commands that answer line by line.
type item struct {
	Text, Pair string
	HasPair    bool            // {"question", "context"} is such a pair too
	Question   bool            // it is {"question", "context"}, with choices or without
	Choices    []string        // of a question; nil: none were given
	IDs, Types [][]int32       // pieces instead of texts: one list, or one for each choice
	Lists      bool            // the pieces were given as a list of lists
	ID         json.RawMessage // comes back with the answer
	File       string          // "" for stdin and the command line
	Line       int             // from 1; of a text of the command line the number of the argument
	Err        error
}

// rawItem is an item's JSON form.
type rawItem struct {
	Text     *string         `json:"text"`
	TextPair *string         `json:"text_pair"`
	Question *string         `json:"question"`
	Context  *string         `json:"context"`
	Choices  json.RawMessage `json:"choices"`
	IDs      json.RawMessage `json:"input_ids"`
	Types    json.RawMessage `json:"token_type_ids"`
	ID       json.RawMessage `json:"id"`
}

// items reads texts: arguments that name files (or "-"), line by line; other arguments are texts themselves; stdin without any.
func items(args []string) iter.Seq[item] {
	return func(yield func(item) bool) {
		if len(args) == 0 {
			sayStdin()
			lines(os.Stdin, "", yield)
			return
		}
		for i, a := range args {
			if a == "-" {
				if !lines(os.Stdin, "", yield) {
					return
				}
				continue
			}
			st, err := os.Stat(a)
			if err != nil {
				if looksLikeFile(a) {
					fmt.Fprintf(os.Stderr, "warning: there is no file %s: it is taken as a text\n", a)
				}
				if !yield(parseItem(a, "", i+1)) {
					return
				}
				continue
			}
			if st.IsDir() {
				if !yield(item{File: a, Err: errors.New("is a directory: name the files in it")}) {
					return
				}
				continue
			}
			f, err := os.Open(a)
			if err != nil {
				if !yield(item{File: a, Err: err}) {
					return
				}
				continue
			}
			more := lines(f, a, yield)
			f.Close()
			if !more {
				return
			}
		}
	}
}

// lines yields a reader's lines; it reports whether to go on.
func lines(r io.Reader, file string, yield func(item) bool) bool {
	br, err := textOf(r, file)
	if err != nil {
		return yield(item{File: file, Err: err})
	}
	for n := 1; ; n++ {
		line, err := readLine(br)
		if err == io.EOF {
			return true
		}
		it := item{File: file, Line: n, Err: err}
		if err == nil {
			it = parseItem(line, file, n)
		}
		if !yield(it) {
			return false
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return true
		}
	}
}

// textOf reads text, unpacked if it is gzip, without a byte order mark. What is no text is refused: its lines would have answers, too.
func textOf(r io.Reader, file string) (*bufio.Reader, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	if head, _ := br.Peek(2); string(head) == "\x1f\x8b" {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, err
		}
		br = bufio.NewReaderSize(z, 1<<16)
	}
	if head, _ := br.Peek(3); string(head) == "\ufeff" {
		_, _ = br.Discard(3)
	}
	if file == "" { // stdin may be slow, and is what it is
		return br, nil
	}
	if head, _ := br.Peek(512); bytes.IndexByte(head, 0) >= 0 {
		return nil, errors.New("is no text: want a text a line, or JSON lines")
	}
	if ext := strings.ToLower(filepath.Ext(file)); ext == ".csv" || ext == ".tsv" {
		fmt.Fprintf(os.Stderr, "warning: %s: every line is taken as one text, header and commas included; columns are read by albert eval --data, and as JSON lines {\"text\": ...}\n", file)
	}
	return br, nil
}

var errLongLine = fmt.Errorf("the line is longer than %d MiB", maxLine>>20)

// readLine reads up to '\n', which it leaves out. The last line may lack it.
func readLine(br *bufio.Reader) (string, error) {
	var b []byte
	long := false
	for {
		part, err := br.ReadSlice('\n')
		if len(b)+len(part) > maxLine {
			long, b = true, b[:0]
		} else {
			b = append(b, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(b) == 0 && !long:
			return "", io.EOF
		case err != nil && err != io.EOF:
			return "", err
		}
		if long {
			return "", errLongLine
		}
		return string(bytes.TrimSuffix(b, []byte{'\n'})), nil
	}
}

// parseItem reads one text; one that starts with "{" is JSON.
func parseItem(text, file string, line int) item {
	it := item{File: file, Line: line}
	if !strings.HasPrefix(text, "{") {
		it.Text = text
		return it
	}
	var raw rawItem
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&raw); err != nil {
		it.Err = fmt.Errorf("broken JSON: %w", err)
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) && te.Field != "" {
			it.Err = fmt.Errorf("%q is a %s, want a text", te.Field, te.Value)
			it.ID = raw.ID // what was read before and after it is there
		}
		return it
	}
	if _, err := dec.Token(); err != io.EOF {
		it.Err = errors.New("broken JSON: text after the object")
		return it
	}
	it.ID = raw.ID
	if raw.Choices != nil {
		if err := json.Unmarshal(raw.Choices, &it.Choices); err != nil {
			it.Err = errors.New(`"choices" is not a list of texts`)
			return it
		}
		it.Choices = append([]string{}, it.Choices...)
	}
	switch {
	case raw.IDs != nil:
		it.Err = it.pieces(raw.IDs, raw.Types)
	case raw.Text != nil:
		it.Text = *raw.Text
		if raw.TextPair != nil {
			it.Pair, it.HasPair = *raw.TextPair, true
		}
	case raw.Question != nil && raw.Context != nil:
		it.Text, it.Pair, it.HasPair, it.Question = *raw.Question, *raw.Context, true, true
	case raw.Choices != nil && raw.Context != nil: // the choices go on where the context ends
		it.Pair, it.HasPair, it.Question = *raw.Context, true, true
	case raw.Question != nil:
		it.Err = errors.New(`"question" without "context"`)
	default:
		it.Err = errors.New(`no field "text" or "input_ids": want {"text": ...}`)
	}
	return it
}

// pieces reads input_ids and token_type_ids: lists of numbers, or lists of such lists.
func (it *item) pieces(ids, types json.RawMessage) error {
	read := func(name string, raw json.RawMessage) ([][]int32, error) {
		if it.Lists = bytes.HasPrefix(bytes.TrimSpace(raw[1:]), []byte("[")); it.Lists {
			var lists [][]int32
			if err := json.Unmarshal(raw, &lists); err != nil {
				return nil, fmt.Errorf("%q is not a list of lists of whole numbers", name)
			}
			return lists, nil
		}
		var list []int32
		if err := json.Unmarshal(raw, &list); err != nil || list == nil {
			return nil, fmt.Errorf("%q is not a list of whole numbers", name)
		}
		return [][]int32{list}, nil
	}
	var err error
	if types != nil && string(types) != "null" {
		if it.Types, err = read("token_type_ids", types); err != nil {
			return err
		}
	}
	lists := it.Lists
	if it.IDs, err = read("input_ids", ids); err != nil {
		return err
	}
	if it.Types == nil {
		for _, list := range it.IDs {
			it.Types = append(it.Types, make([]int32, len(list)))
		}
		return nil
	}
	if lists != it.Lists || len(it.Types) != len(it.IDs) {
		return errors.New(`"token_type_ids" has another shape than "input_ids"`)
	}
	return nil
}

// given is the item's pieces where they were given as such: one input, or with lists one for each choice.
func (it *item) given(m *albert.Model) ([]albert.Input, error) {
	var inputs []albert.Input
	for i, ids := range it.IDs {
		in := albert.Input{IDs: ids, Types: it.Types[i]}
		if err := m.Check(in); err != nil {
			if it.Lists {
				err = fmt.Errorf("choice %d: %w", i, err)
			}
			return nil, err
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// encode makes the item's pieces as one input.
func (it *item) encode(m *albert.Model) ([]albert.Input, error) {
	if it.Lists {
		return nil, errors.New(`"input_ids" is a list of lists, which only choices are`)
	}
	if it.IDs != nil {
		return it.given(m)
	}
	var in albert.Input
	var err error
	if it.HasPair {
		in, err = m.EncodePair(it.Text, it.Pair)
	} else {
		in, err = m.Encode(it.Text)
	}
	return []albert.Input{in}, err
}

// encodeLong makes the item's pieces as so many inputs that nothing is cut off.
func (it *item) encodeLong(m *albert.Model) ([]albert.Input, error) {
	switch {
	case it.IDs != nil:
		return it.encode(m)
	case it.HasPair:
		return m.EncodeLong(it.Text, &it.Pair)
	}
	return m.EncodeLong(it.Text, nil)
}

// answer is what a command says to one item.
type answer struct {
	value     any // marshalled to one line
	truncated bool
	err       error
}

// field is a name and a value of a JSON object whose order is kept.
type field struct {
	name  string
	value any
}

// object marshals fields in order.
func object(fields ...field) (json.RawMessage, error) {
	var b bytes.Buffer
	for i, f := range fields {
		v, err := marshal(f.value)
		if err != nil {
			return nil, err
		}
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		fmt.Fprintf(&b, "%q:%s", f.name, v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// marshal is json.Marshal without HTML escapes.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// writeAnswer writes one line of JSON: an object gets the id and "truncated" beside its fields, a list becomes "result" of an object
// if there is something to say beside it.
func writeAnswer(w io.Writer, it *item, a answer) error {
	var fields []field
	if it.ID != nil {
		fields = append(fields, field{"id", it.ID})
	}
	if a.err != nil {
		fields = append(fields, field{"error", a.err.Error()}, field{"line", max(1, it.Line)})
		if it.File != "" {
			fields = append(fields, field{"file", it.File})
		}
		return writeJSON(w, fields)
	}
	v, err := marshal(a.value)
	if err != nil {
		return err
	}
	if a.truncated {
		fields = append(fields, field{"truncated", true})
	}
	switch {
	case len(fields) == 0:
		_, err = fmt.Fprintf(w, "%s\n", v)
		return err
	case v[0] == '{':
		rest, err := object(fields...)
		if err != nil {
			return err
		}
		if len(v) > 2 {
			rest = append(append(rest[:len(rest)-1], ','), v[1:]...)
		}
		_, err = fmt.Fprintf(w, "%s\n", rest)
		return err
	}
	return writeJSON(w, append(fields, field{"result", json.RawMessage(v)}))
}

func writeJSON(w io.Writer, fields []field) error {
	v, err := object(fields...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", v)
	return err
}

// maxBatchPieces bounds the pieces of one forward pass over lines of input: enough to fill the kernels, little memory.
const maxBatchPieces = 4096

// lineOptions say how answerLines works.
type lineOptions struct {
	truncate bool // cut texts that are too long; else they are errors
	// encode makes an item's inputs.
	encode func(it *item) ([]albert.Input, error)
	// answer answers items, of which inputs holds what encode made.
	answer func(items []*item, inputs [][]albert.Input) ([]answer, error)
}

// answerLines reads items, answers them in batches and writes a line for each, in order. It returns an error if any line could not
// be answered.
func answerLines(m *albert.Model, args []string, o lineOptions) error {
	out := bufio.NewWriter(os.Stdout)
	failed := 0
	var first error // that failed
	var batch []*item
	var inputs [][]albert.Input
	pieces := 0
	flush := func() error {
		var good []*item
		var given [][]albert.Input
		for i, it := range batch {
			if it.Err == nil {
				good, given = append(good, it), append(given, inputs[i])
			}
		}
		var answers []answer
		if len(good) > 0 {
			var err error
			if answers, err = o.answer(good, given); err != nil {
				return err
			}
		}
		for i, it := range batch {
			a := answer{err: it.Err}
			if it.Err == nil {
				a, answers = answers[0], answers[1:]
				a.truncated = truncated(inputs[i])
			}
			if a.err != nil {
				failed++
				if first == nil {
					first = a.err
				}
			}
			if err := writeAnswer(out, it, a); err != nil {
				return err
			}
		}
		batch, inputs, pieces = batch[:0], inputs[:0], 0
		return out.Flush()
	}
	for it := range items(args) {
		var in []albert.Input
		if it.Err == nil {
			in, it.Err = o.encode(&it)
		}
		if it.Err == nil && truncated(in) && !o.truncate {
			it.Err = fmt.Errorf("the text is %w (%d pieces)", albert.ErrTooLong, m.MaxPieces())
		}
		batch, inputs = append(batch, &it), append(inputs, in)
		for _, x := range in {
			pieces += len(x.IDs)
		}
		if pieces >= maxBatchPieces || len(batch) >= 256 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if failed > 0 {
		if failed == 1 {
			return fmt.Errorf("one text could not be answered: %w", first)
		}
		return fmt.Errorf("%d texts could not be answered: see their \"error\"; the first: %w", failed, first)
	}
	return nil
}

func truncated(inputs []albert.Input) bool {
	return slices.ContainsFunc(inputs, func(in albert.Input) bool { return in.Truncated })
}

// flat joins the inputs of items for one pass.
func flat(inputs [][]albert.Input) []albert.Input { return slices.Concat(inputs...) }
