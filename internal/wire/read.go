// Package wire is the JSON forms of questions and answers, read and written as streams of lines, for the command line and for servers alike.
//
//	out := wire.NewWriter(os.Stdout)
//	err := wire.Answer(ctx, out, wire.Lines(os.Stdin, ""), func(q iter.Seq[*infer.Question]) (iter.Seq2[infer.Embedded, error], error) {
//		return m.Embed(ctx, q, infer.EmbedOptions{})
//	}, wire.Embedding)
package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"albert/internal/files/stream"
	"albert/internal/infer"
	"albert/tokenizer"
)

// Item is a question as it came in.
type Item struct {
	infer.Question                 // its Err says why it could not be read
	ID             json.RawMessage // comes back with the answer; nil: there is none
	File           string          // "" for stdin and the command line
	Line           int             // from 1; of a text of the command line the number of the argument
}

// item is its JSON form.
type item struct {
	Text     *string         `json:"text"`
	TextPair *string         `json:"text_pair"`
	Question *string         `json:"question"`
	Context  *string         `json:"context"`
	Choices  json.RawMessage `json:"choices"`
	Query    json.RawMessage `json:"query"`
	Texts    json.RawMessage `json:"texts"`
	IDs      json.RawMessage `json:"input_ids"`
	Types    json.RawMessage `json:"token_type_ids"`
	ID       json.RawMessage `json:"id"`
}

// Lines gives the items of a text: one a line, or those of a JSON list or of JSON objects over several lines (see [formOf]). An error of reading is
// the last item's.
func Lines(r io.Reader, file string) iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		br, ok := r.(*bufio.Reader)
		if !ok {
			br = bufio.NewReaderSize(r, stream.BufferSize)
		}
		lines := stream.NewLines(br)
		for begun := false; ; {
			if !begun {
				form := formOf(br, file != "")
				if begun = form != blankLine; form == jsonList || form == jsonObjects {
					values(br, file, lines.Number, form == jsonList, yield)
					return
				}
			}
			line, err := lines.Next()
			if err == io.EOF {
				return
			}
			var it *Item
			if err == nil {
				it = Parse(string(line), file, lines.Number)
			} else {
				it = &Item{Question: infer.Question{Err: err}, File: file, Line: max(1, lines.Number)}
			}
			if !yield(it) || err != nil && !errors.Is(err, stream.ErrLongLine) {
				return
			}
		}
	}
}

// IsObject tells whether a line is JSON: its first character that is no blank is "{".
func IsObject(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, blanks), "{") }

// Parse reads one item: a text or, if it is an object ([IsObject]), JSON. Bytes that are not UTF-8 are an error: their text is not known.
func Parse(text, file string, line int) *Item {
	it := &Item{File: file, Line: line}
	if IsObject(text) {
		it.parse(text)
	} else {
		it.Text = text
	}
	if err := checkUTF8(text); err != nil {
		it.Err = err
	}
	return it
}

// checkUTF8 names the first byte that is not UTF-8.
func checkUTF8(text string) error {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return fmt.Errorf("not UTF-8: byte 0x%02X after %d characters (of a file in another encoding: convert it to UTF-8)", text[i], utf8.RuneCountInString(text[:i]))
		}
	}
	return nil
}

// parse reads an object.
func (it *Item) parse(text string) {
	var raw item
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&raw); err != nil {
		it.Err = fmt.Errorf("broken JSON: %w", err)
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) && te.Field != "" {
			it.Err = fmt.Errorf("%q is a %s, want a text", te.Field, te.Value)
			it.ID = raw.ID // what was read before and after it is there
		}
		return
	}
	if _, err := dec.Token(); err != io.EOF {
		it.Err = errors.New("broken JSON: text after the object")
		return
	}
	it.ID = raw.ID
	if raw.Choices != nil {
		if err := json.Unmarshal(raw.Choices, &it.Choices); err != nil {
			it.Err = errors.New(`"choices" is not a list of texts`)
			return
		}
		it.Choices = append([]string{}, it.Choices...)
	}
	switch {
	case raw.IDs != nil:
		it.Err = it.pieces(raw.IDs, raw.Types)
	case raw.Text != nil:
		it.Text, it.Pair = *raw.Text, raw.TextPair
	case raw.Question != nil && raw.Context != nil:
		it.Text, it.Pair = *raw.Question, raw.Context
	case raw.Choices != nil && raw.Context != nil: // the choices go on where the context ends
		it.Pair = raw.Context
	case raw.Query != nil || raw.Texts != nil:
		it.Err = it.ranking(raw.Query, raw.Texts)
	case raw.Question != nil:
		it.Err = errors.New(`"question" without "context"`)
	default:
		it.Err = errors.New(`no field "text" or "input_ids": want {"text": ...}`)
	}
}

// ranking reads a query and the texts that are to be ranked.
func (it *Item) ranking(query, texts json.RawMessage) error {
	var text *string
	var list []*string
	switch {
	case query == nil:
		return errors.New(`"texts" without "query"`)
	case texts == nil:
		return errors.New(`"query" without "texts"`)
	case json.Unmarshal(query, &text) != nil || text == nil:
		return errors.New(`"query" is not a text`)
	case json.Unmarshal(texts, &list) != nil || list == nil:
		return errors.New(`"texts" is not a list of texts`)
	case len(list) == 0:
		return errors.New(`"texts" is empty: there is nothing to rank`)
	}
	it.Text, it.Texts = *text, make([]string, len(list))
	for i, text := range list {
		if text == nil {
			return fmt.Errorf(`"texts" is not a list of texts: element %d is null`, i)
		}
		it.Texts[i] = *text
	}
	return nil
}

// pieces reads input_ids and token_type_ids: lists of numbers, or lists of such lists.
func (it *Item) pieces(ids, types json.RawMessage) error {
	list, nested, err := numberLists("input_ids", ids)
	if err != nil {
		return err
	}
	it.List, it.Pieces = nested, make([]tokenizer.Encoding, len(list))
	for i, ids := range list {
		it.Pieces[i] = tokenizer.Encoding{IDs: ids, Types: make([]int32, len(ids))}
	}
	if types == nil || string(types) == "null" {
		return nil
	}
	typeLists, typesNested, err := numberLists("token_type_ids", types)
	if err == nil && (nested != typesNested || len(typeLists) != len(list)) {
		err = errors.New(`"token_type_ids" has another shape than "input_ids"`)
	}
	for i := range min(len(typeLists), len(list)) {
		it.Pieces[i].Types = typeLists[i]
	}
	return err
}

// numberLists reads a list of whole numbers, or a list of such lists.
func numberLists(name string, raw json.RawMessage) (lists [][]int32, nested bool, err error) {
	if nested = bytes.HasPrefix(bytes.TrimSpace(raw[1:]), []byte("[")); nested {
		if err := json.Unmarshal(raw, &lists); err != nil {
			return nil, true, fmt.Errorf("%q is not a list of lists of whole numbers", name)
		}
		return lists, true, nil
	}
	var list []int32
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, false, fmt.Errorf("%q is not a list of whole numbers", name)
	}
	return [][]int32{list}, false, nil
}
