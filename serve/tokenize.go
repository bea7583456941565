package serve

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"albert/internal/infer"
)

type tokenizeRequest struct {
	Inputs     stringOrList `json:"inputs"`
	AddSpecial *bool        `json:"add_special_tokens,omitempty"`
	PromptName *string      `json:"prompt_name,omitempty"`
}

// stringOrList is a text or a list of texts.
type stringOrList []string

func (t *stringOrList) UnmarshalJSON(raw []byte) error {
	var text string
	var list []string
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &text) == nil:
		*t = stringOrList{text}
		return nil
	case json.Unmarshal(raw, &list) == nil && !hasNull(raw):
		*t = list
		return nil
	}
	return invalid("inputs", "want a text or a list of texts")
}

type token struct {
	ID      int32  `json:"id"`
	Text    string `json:"text"`
	Special bool   `json:"special"`
	Start   *int   `json:"start"`
	Stop    *int   `json:"stop"`
}

func (q *request) tokenizeRoute(b *tokenizeRequest) error {
	tok := q.model.Tokenizer
	if tok == nil {
		return infer.ErrNoTokenizer
	}
	prompt := ""
	if name := value(b.PromptName); name != "" {
		var err error
		if prompt, err = q.model.prompt(name); err != nil {
			return err
		}
	}
	out := make([][]token, len(b.Inputs))
	for i, text := range b.Inputs {
		text = prompt + text
		cut, runes := tok.Cut(text), []rune(text)
		list := []token{}
		special := func(id int32) {
			if id >= 0 && (b.AddSpecial == nil || *b.AddSpecial) {
				list = append(list, token{ID: id, Text: tok.Piece(id), Special: true})
			}
		}
		special(tok.CLS)
		for k, id := range cut.IDs {
			from, to := cut.Offsets[k][0], cut.Offsets[k][1]
			list = append(list, token{id, string(runes[from:to]), tok.IsSpecial(id), &cut.Offsets[k][0], &cut.Offsets[k][1]})
		}
		special(tok.SEP)
		out[i] = list
	}
	return q.json(out)
}

// prompt is one of the model's prompts. tei-client reads their names out of the error.
func (o *opened) prompt(name string) (string, error) {
	var prompts map[string]string
	if o.Sentence != nil {
		prompts = o.Sentence.Prompts
	}
	text, ok := prompts[name]
	if !ok {
		names, _ := json.Marshal(append([]string{}, slices.Sorted(maps.Keys(prompts))...))
		return "", invalid("prompt_name", fmt.Sprintf("Prompt name %q not found. Available prompts: %s", name, names))
	}
	return text, nil
}

// idLists are ids, or lists of them.
type idLists [][]int32

func (t *idLists) UnmarshalJSON(raw []byte) error {
	var list []int32
	var lists [][]int32
	switch {
	case string(raw) == "null" || hasNull(raw):
	case json.Unmarshal(raw, &list) == nil && len(list) > 0:
		*t = idLists{list}
		return nil
	case json.Unmarshal(raw, &lists) == nil:
		*t = lists
		return nil
	}
	return invalid("ids", "want a list of ids, or a list of such lists")
}

type decodeRequest struct {
	IDs         idLists `json:"ids"`
	SkipSpecial *bool   `json:"skip_special_tokens,omitempty"`
}

func (q *request) decodeRoute(b *decodeRequest) error {
	tok := q.model.Tokenizer
	if tok == nil {
		return infer.ErrNoTokenizer
	}
	out := make([]string, len(b.IDs))
	for i, ids := range b.IDs {
		ids = slices.Clone(ids)
		for _, id := range ids {
			if id < 0 || int(id) >= tok.VocabSize() {
				return invalid("ids", fmt.Sprintf("the id %d is none of the %d pieces", id, tok.VocabSize()))
			}
		}
		if b.SkipSpecial == nil || *b.SkipSpecial {
			ids = slices.DeleteFunc(ids, tok.IsSpecial)
		}
		out[i] = tok.Decode(ids)
	}
	return q.json(out)
}
