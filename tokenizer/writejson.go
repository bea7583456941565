package tokenizer

import (
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

	"albert/internal/files/jsonobject"
)

// The parts of a tokenizer.json (Hugging Face tokenizers, version 1.0) that are read and written.
type tokenizerJSON struct {
	Version       string       `json:"version"`
	Truncation    *struct{}    `json:"truncation"`
	Padding       *struct{}    `json:"padding"`
	Added         []addedToken `json:"added_tokens"`
	Normalizer    *stepJSON    `json:"normalizer"`
	PreTokenizer  *stepJSON    `json:"pre_tokenizer"`
	PostProcessor any          `json:"post_processor"`
	Decoder       any          `json:"decoder"`
	Model         modelJSON    `json:"model"`
}

// stepJSON is one step of the normalizer or of the pre-tokenizer, or a sequence of steps.
type stepJSON struct {
	Type          string      `json:"type"`
	Normalizers   []*stepJSON `json:"normalizers,omitempty"` // Sequence
	PreTokenizers []*stepJSON `json:"pretokenizers,omitempty"`

	Pattern *patternJSON `json:"pattern,omitempty"` // Replace
	Content *string      `json:"content,omitempty"`
	Map     *[]byte      `json:"precompiled_charsmap,omitempty"` // Precompiled

	// BertNormalizer.
	CleanText    *bool `json:"clean_text,omitempty"`
	Chinese      *bool `json:"handle_chinese_chars,omitempty"`
	StripAccents *bool `json:"strip_accents,omitempty"`
	Lower        *bool `json:"lowercase,omitempty"`

	// Metaspace, which is the decoder, too.
	Replacement string `json:"replacement,omitempty"`
	Prepend     string `json:"prepend_scheme,omitempty"`
	AddPrefix   *bool  `json:"add_prefix_space,omitempty"` // older files
	Split       *bool  `json:"split,omitempty"`
}

type patternJSON struct {
	String *string `json:"String,omitempty"`
	Regex  *string `json:"Regex,omitempty"`
}

type modelJSON struct {
	Type         string          `json:"type"`
	UnkID        *int32          `json:"unk_id,omitempty"`
	UnkToken     *string         `json:"unk_token,omitempty"`
	Continuation *string         `json:"continuing_subword_prefix,omitempty"`
	MaxChars     *int            `json:"max_input_chars_per_word,omitempty"`
	Merges       json.RawMessage `json:"merges,omitempty"` // BPE
	Vocab        json.RawMessage `json:"vocab"`
	ByteFallback *bool           `json:"byte_fallback,omitempty"`
}

// commaPenalty is what transformers' AlbertConverter takes off the score of a piece that ends with a digit and a comma, so that it is
// not chosen. (The slow tokenizer splits such pieces.)
const commaPenalty = 100

// specialNames are the special pieces by their names in tokenizer_config.json and special_tokens_map.json.
type specialNames struct {
	Additional []string `json:"additional_special_tokens,omitempty"`

	BOS  string `json:"bos_token,omitempty"`
	CLS  string `json:"cls_token,omitempty"`
	EOS  string `json:"eos_token,omitempty"`
	Mask any    `json:"mask_token,omitempty"`
	PAD  string `json:"pad_token,omitempty"`
	SEP  string `json:"sep_token,omitempty"`
	UNK  string `json:"unk_token,omitempty"`
}

func (t *Tokenizer) specialNames() specialNames {
	var n specialNames
	name := func(id int32) string {
		if id < 0 {
			return ""
		}
		return t.Piece(id)
	}
	n.CLS, n.SEP, n.PAD, n.UNK = name(t.CLS), name(t.SEP), name(t.PAD), name(t.UNK)
	if t.MASK >= 0 {
		n.Mask = t.Piece(t.MASK)
	}
	if !t.model.wordPiece {
		n.BOS, n.EOS = n.CLS, n.SEP
	}
	for _, a := range t.extra() {
		if a.named {
			n.Additional = append(n.Additional, a.Content)
		}
	}
	return n
}

// specialsMap gives the content of special_tokens_map.json.
func (t *Tokenizer) specialsMap() specialNames {
	n := t.specialNames()
	if t.MASK >= 0 && !t.model.wordPiece {
		n.Mask = map[string]any{"content": t.Piece(t.MASK), "lstrip": true, "normalized": false, "rstrip": false, "single_word": false}
	}
	return n
}

// addedTokens gives the added tokens and the control pieces in the order of their ids. User-defined pieces are not among them, unlike in what transformers 4.57 makes of a
// model file: there, what follows one of them in a word begins like a new word, "(b)" is "▁", "(", "▁b", ")". In the files that were
// published with ALBERT, and in transformers 5, they are pieces like others, too.
func (t *Tokenizer) addedTokens() []addedToken {
	out := []addedToken{}
	for id, p := range t.model.Pieces {
		a := t.tokenOf(int32(id))
		switch {
		case a != nil:
			out = append(out, *a)
		case p.Type == Control:
			out = append(out, addedToken{Content: p.Text, Special: true})
		default:
			continue
		}
		out[len(out)-1].ID = new(int32(id))
	}
	return out
}

// JSON gives the tokenizer as a tokenizer.json, which AlbertTokenizerFast (with WordPiece BertTokenizerFast) loads. It is an error if the
// file cannot describe the tokenizer: a space sign after words, pieces that are not UTF-8. In some cases the file's tokenizer differs: pieces
// that end with a digit and a comma are made unlikely instead of being split, and user-defined pieces are only likely, not certain.
func (t *Tokenizer) JSON() ([]byte, error) {
	m := t.model
	if slices.ContainsFunc(m.Pieces, func(p Piece) bool { return !utf8.ValidString(p.Text) }) {
		return nil, errors.New(JSONFile + ": a piece is no UTF-8")
	}
	j := tokenizerJSON{Version: "1.0", Added: t.addedTokens(), PostProcessor: t.template()}
	if t.NoBasic {
		return nil, errors.New(JSONFile + ": transformers' fast tokenizer always splits words (do_basic_tokenize)")
	}
	if m.wordPiece {
		t.wordPieceJSON(&j)
	} else if err := t.unigramJSON(&j); err != nil {
		return nil, err
	}
	text, err := jsonobject.Marshal(j)
	return append(text, '\n'), err
}

func (t *Tokenizer) unigramJSON(j *tokenizerJSON) error {
	m := t.model
	if m.whitespaceSuffix {
		return errors.New(JSONFile + ": has no place for a space sign after words")
	}
	replace := func(p patternJSON, by string) *stepJSON {
		return &stepJSON{Type: "Replace", Pattern: &p, Content: &by}
	}
	j.Normalizer = &stepJSON{Type: "Sequence"}
	add := func(n ...*stepJSON) { j.Normalizer.Normalizers = append(j.Normalizer.Normalizers, n...) }
	cleanup := t.Cleanup == CleanupAlbert
	if cleanup {
		add(replace(patternJSON{String: new("``")}, `"`), replace(patternJSON{String: new("''")}, `"`))
		if !t.KeepAccents {
			add(&stepJSON{Type: "NFKD"}, &stepJSON{Type: "StripAccents"})
		}
		if t.Lower {
			add(&stepJSON{Type: "Lowercase"})
		}
	}
	if len(m.Normalizer.CharsMap) > 0 {
		add(&stepJSON{Type: "Precompiled", Map: &m.Normalizer.CharsMap})
	}
	split := m.Normalizer.RemoveExtraWhitespaces || cleanup && t.RemoveSpace
	if split {
		add(replace(patternJSON{Regex: new(" {2,}")}, " "))
	}
	yes := true
	space := &stepJSON{Type: "Metaspace", Replacement: space, Prepend: "always", Split: &yes}
	j.PreTokenizer, j.Decoder = space, space
	if !m.Normalizer.AddDummyPrefix {
		space.Prepend = "never"
	} else if split {
		j.PreTokenizer = &stepJSON{Type: "Sequence", PreTokenizers: []*stepJSON{{Type: "WhitespaceSplit"}, space}}
	}
	vocab := make([][2]any, t.base)
	for i, p := range m.Pieces[:t.base] {
		score := float64(p.Score)
		if cleanup && endsInDigitComma(p.Text) {
			score -= commaPenalty
		}
		vocab[i] = [2]any{p.Text, score}
	}
	j.Model = modelJSON{Type: "Unigram", ByteFallback: &m.ByteFallback, Vocab: must(jsonobject.Marshal(vocab))}
	if t.unkID >= 0 {
		j.Model.UnkID = &t.unkID
	}
	return nil
}

func (t *Tokenizer) wordPieceJSON(j *tokenizerJSON) {
	yes, strip, chinese := true, !t.KeepAccents, !t.JoinChinese
	j.Normalizer = &stepJSON{Type: "BertNormalizer", CleanText: &yes, Chinese: &chinese, StripAccents: &strip, Lower: &t.Lower}
	j.PreTokenizer = &stepJSON{Type: "BertPreTokenizer"}
	j.Decoder = map[string]any{"type": "WordPiece", "prefix": continuation, "cleanup": true}
	var vocab jsonobject.Fields
	for i, p := range t.model.Pieces[:t.base] {
		if p.Type != Unused {
			vocab = append(vocab, jsonobject.Field{Name: p.Text, Value: i})
		}
	}
	unk, prefix, most := t.Piece(t.UNK), continuation, maxWordRunes
	j.Model = modelJSON{Type: "WordPiece", UnkToken: &unk, Continuation: &prefix, MaxChars: &most, Vocab: must(jsonobject.Marshal(vocab))}
}

// template gives the post-processor: [CLS] A [SEP], [CLS] A [SEP] B [SEP]. Without these pieces nothing is added.
func (t *Tokenizer) template() any {
	if t.CLS < 0 || t.SEP < 0 {
		return nil
	}
	type m = map[string]any
	special := func(text string, typ int) m { return m{"SpecialToken": m{"id": text, "type_id": typ}} }
	sequence := func(name string, typ int) m { return m{"Sequence": m{"id": name, "type_id": typ}} }
	cls, sep := t.Piece(t.CLS), t.Piece(t.SEP)
	single := []m{special(cls, 0), sequence("A", 0), special(sep, 0)}
	token := func(id int32, text string) m { return m{"id": text, "ids": []int32{id}, "tokens": []string{text}} }
	return m{"type": "TemplateProcessing", "single": single, "pair": append(single[:3:3], sequence("B", 1), special(sep, 1)),
		"special_tokens": m{cls: token(t.CLS, cls), sep: token(t.SEP, sep)}}
}
