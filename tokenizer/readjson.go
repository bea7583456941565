package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"albert/internal/files/protobuf"
)

// FromJSON makes a tokenizer from a tokenizer.json (Hugging Face tokenizers) with a Unigram or a WordPiece model. It encodes as
// transformers' slow tokenizer does: pieces that end with a digit and a comma get back the score that the file lowered, and are split;
// pieces with the score 0 are user-defined. Added tokens are found in text, but for those that are user-defined pieces. What is not
// supported is an error that names the field.
func FromJSON(data []byte) (*Tokenizer, error) { return fromJSON(data, additions{}) }

// fromJSON also takes added tokens of other files.
func fromJSON(data []byte, x additions) (*Tokenizer, error) {
	if len(data) > maxModelBytes {
		return nil, fmt.Errorf("larger than %d MiB", maxModelBytes>>20)
	}
	var j tokenizerJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, err
	}
	if x.Mask == nil {
		x.Mask = &addedToken{plain: true} // its flags are the file's
	}
	kind := j.Model.Type
	if kind == "" { // older files
		switch {
		case j.Model.Merges != nil:
			kind = "BPE"
		case strings.HasPrefix(string(j.Model.Vocab), "["):
			kind = "Unigram"
		case j.Model.MaxChars != nil:
			kind = "WordPiece"
		}
	}
	switch kind {
	case "Unigram":
		return fromUnigram(&j, x)
	case "WordPiece":
		return fromWordPiece(&j, x)
	case "":
		return nil, errors.New("model.type is missing: not a tokenizer.json of Hugging Face tokenizers")
	}
	return nil, fmt.Errorf("model.type is %s: only Unigram and WordPiece can be read", kind)
}

// vocabEntry is a piece of a Unigram model: a list of its text and its score.
type vocabEntry struct {
	text  string
	score float64
}

func (v *vocabEntry) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
		return fmt.Errorf("model.vocab: %.40s is no pair of text and score", b)
	}
	if err := json.Unmarshal(pair[0], &v.text); err != nil {
		return fmt.Errorf("model.vocab: %w", err)
	}
	if err := json.Unmarshal(pair[1], &v.score); err != nil {
		return fmt.Errorf("model.vocab: %q: %w", v.text, err)
	}
	return nil
}

func fromUnigram(j *tokenizerJSON, x additions) (*Tokenizer, error) {
	var vocab []vocabEntry
	if err := json.Unmarshal(j.Model.Vocab, &vocab); err != nil {
		return nil, err
	}
	if len(vocab) > maxPieces {
		return nil, fmt.Errorf("model.vocab: more than %d pieces", maxPieces)
	}
	m := &Model{ByteFallback: or(j.Model.ByteFallback, false), Normalizer: Normalizer{EscapeWhitespaces: true}}
	o, err := j.settings(m)
	if err != nil {
		return nil, err
	}
	unknown := int32(-1)
	if j.Model.UnkID != nil {
		if unknown = *j.Model.UnkID; unknown < 0 || int(unknown) >= len(vocab) {
			return nil, fmt.Errorf("model.unk_id is %d, there are %d pieces", unknown, len(vocab))
		}
	}
	restore := o.Cleanup == CleanupAlbert && penalised(vocab)
	for i, v := range vocab {
		p := Piece{Text: v.text, Type: Normal}
		if restore && endsInDigitComma(v.text) {
			v.score += commaPenalty
		}
		p.Score = float32(v.score)
		switch {
		case int32(i) == unknown:
			p.Type = Unknown
		case m.ByteFallback && byteOf(v.text) >= 0:
			p.Type = Byte
		case slices.Contains(specialTexts[false], v.text):
			p.Type = Control
		case p.Score == 0:
			p.Type = UserDefined
		}
		m.Pieces = append(m.Pieces, p)
	}
	if err := j.addTokens(m, unknown, &x); err != nil {
		return nil, err
	}
	m.Trainer = trainerOf(m, unknown)
	if err := m.check(); err != nil {
		return nil, err
	}
	return newUnigram(m.Marshal(), o, x)
}

// penalised tells whether the scores of the pieces that end with a digit and a comma were lowered by commaPenalty: all of them are below
// every other score, and at most -commaPenalty.
func penalised(vocab []vocabEntry) bool {
	high, low := math.Inf(-1), 0.0 // the highest score of those pieces, the lowest of the others
	for _, v := range vocab {
		if endsInDigitComma(v.text) {
			high = max(high, v.score)
		} else {
			low = min(low, v.score)
		}
	}
	return high < low && high <= -commaPenalty
}

// addTokens gives the added tokens that are pieces of the vocabulary their types, and puts those that are found in text before those of
// other files.
func (j *tokenizerJSON) addTokens(m *Model, unknown int32, x *additions) error {
	var found []addedToken
	for _, a := range j.Added {
		switch n := int32(len(m.Pieces)); {
		case a.id < 0 || a.id > n+int32(len(j.Added)) || n == maxPieces:
			return fmt.Errorf("added_tokens: %q has the id %d where there are %d pieces", a.Content, a.id, n)
		case a.id >= n:
		case m.Pieces[a.id].Text != a.Content:
			return fmt.Errorf("added_tokens: %q has the id %d, which is %q's", a.Content, a.id, m.Pieces[a.id].Text)
		case m.Pieces[a.id].Type == UserDefined && !a.Special:
			continue
		case a.Special && a.id != unknown && m.Pieces[a.id].Type != Byte:
			m.Pieces[a.id].Type = Control
		}
		found = append(found, a)
	}
	x.before(found)
	return nil
}

// trainerOf makes the TrainerSpec of a model file for a model that was read from a tokenizer.json.
func trainerOf(m *Model, unknown int32) []byte {
	number := func(b []byte, num protobuf.Number, v int32) []byte {
		return protobuf.AppendVarint(b, num, uint64(int64(v)))
	}
	b := number(nil, 3, 1) // model_type: unigram
	b = number(b, 4, int32(len(m.Pieces)))
	if m.ByteFallback {
		b = number(b, 35, 1)
	}
	b = number(number(number(b, 40, unknown), 41, -1), 42, -1) // unk_id, bos_id, eos_id
	for i, p := range m.Pieces {
		if p.Text == specialTexts[false][3] && p.Type == Control {
			b = protobuf.AppendBytes(number(b, 43, int32(i)), 48, p.Text) // pad_id, pad_piece
		}
	}
	if unknown >= 0 {
		b = protobuf.AppendBytes(b, 45, m.Pieces[unknown].Text) // unk_piece
	}
	return b
}

// settings reads the normalizer and the pre-tokenizer into the clean-up and the model's normalizer. Every step has to be one of those
// that transformers' converters write.
func (j *tokenizerJSON) settings(m *Model) (Options, error) {
	o := Options{Cleanup: CleanupNone, KeepAccents: true, RemoveSpace: true}
	var accents [2]bool // decomposed, taken off
	for i, s := range j.Normalizer.flat() {
		fail := func(what string) (Options, error) {
			return o, fmt.Errorf("normalizer: step %d, %s: %s", i+1, s.Type, what)
		}
		switch s.Type {
		case "Replace":
			if s.Content == nil || s.Pattern == nil {
				return fail("has no pattern or no content")
			}
			switch by := *s.Content; {
			case s.Pattern.String != nil && (*s.Pattern.String == "``" || *s.Pattern.String == "''") && by == `"`:
				o.Cleanup = CleanupAlbert
			case s.Pattern.Regex != nil && *s.Pattern.Regex == " {2,}" && (by == " " || by == space):
				m.Normalizer.RemoveExtraWhitespaces = true
			default:
				return fail(fmt.Sprintf("only the replacing of quotes and of spaces is supported, not one by %q", by))
			}
		case "NFKD":
			accents[0] = true
		case "StripAccents":
			accents[1] = true
		case "Lowercase":
			o.Lower = true
		case "Strip":
			m.Normalizer.RemoveExtraWhitespaces = true
		case "Precompiled":
			if s.Map == nil || m.Normalizer.CharsMap != nil {
				return fail("has no charsmap, or is the second")
			}
			m.Normalizer.CharsMap = *s.Map
			if _, err := parseCharsMap(*s.Map); err != nil {
				return fail(err.Error())
			}
		default:
			return fail("a step of this type is not supported")
		}
	}
	o.KeepAccents = accents != [2]bool{true, true}
	if accents[0] != accents[1] || (o.Lower || accents[0]) && o.Cleanup != CleanupAlbert {
		return o, errors.New("normalizer: NFKD, StripAccents and Lowercase are supported only with ALBERT's replacing of quotes, " +
			"and the first two only together")
	}
	found := false
	for i, s := range j.PreTokenizer.flat() {
		switch s.Type {
		case "WhitespaceSplit":
			m.Normalizer.RemoveExtraWhitespaces = true
		case "Metaspace":
			found = true
			if s.Replacement != space {
				return o, fmt.Errorf("pre_tokenizer: step %d, Metaspace: the space is %q, not %q", i+1, s.Replacement, space)
			}
			m.Normalizer.AddDummyPrefix = s.Prepend != "never" && or(s.AddPrefix, true)
		default:
			return o, fmt.Errorf("pre_tokenizer: step %d, %s: a step of this type is not supported", i+1, s.Type)
		}
	}
	if !found {
		return o, errors.New("pre_tokenizer: no Metaspace, which a Unigram model from SentencePiece has")
	}
	return o, nil
}

// flat lists the steps of a normalizer or a pre-tokenizer.
func (s *stepJSON) flat() (out []*stepJSON) {
	switch {
	case s == nil:
		return nil
	case s.Type != "Sequence":
		return []*stepJSON{s}
	}
	for _, inner := range append(s.Normalizers, s.PreTokenizers...) {
		out = append(out, inner.flat()...)
	}
	return out
}

func fromWordPiece(j *tokenizerJSON, x additions) (*Tokenizer, error) {
	var ids map[string]int32
	if err := json.Unmarshal(j.Model.Vocab, &ids); err != nil {
		return nil, fmt.Errorf("model.vocab: %w", err)
	}
	for _, a := range j.Added {
		if id, ok := ids[a.Content]; ok && id != a.id {
			return nil, fmt.Errorf("added_tokens: %q has the id %d, in model.vocab %d", a.Content, a.id, id)
		}
	}
	x.before(j.Added)
	size := int32(0)
	for text, id := range ids {
		if id < 0 || id >= maxPieces {
			return nil, fmt.Errorf("model.vocab: %q has the id %d: want 0 to %d", text, id, maxPieces-1)
		}
		if strings.ContainsAny(text, "\r\n") {
			return nil, fmt.Errorf("model.vocab: %q has a line's end", text)
		}
		size = max(size, id+1)
	}
	if int(size) > len(ids)+len(ids)/2+1000 {
		return nil, fmt.Errorf("model.vocab: %d pieces, but ids to %d", len(ids), size-1)
	}
	lines := make([]string, size) // an id without piece is an empty line
	for text, id := range ids {
		if lines[id] != "" {
			return nil, fmt.Errorf("model.vocab: two pieces have the id %d", id)
		}
		lines[id] = text
	}
	if p := j.Model.Continuation; p != nil && *p != continuation {
		return nil, fmt.Errorf("model.continuing_subword_prefix is %q: only %q is known", *p, continuation)
	}
	if u := j.Model.UnkToken; u != nil && *u != "[UNK]" {
		return nil, fmt.Errorf("model.unk_token is %q: only [UNK] is known", *u)
	}
	if n := j.Model.MaxChars; n != nil && *n != maxWordRunes {
		return nil, fmt.Errorf("model.max_input_chars_per_word is %d: only %d is known", *n, maxWordRunes)
	}
	steps := j.Normalizer.flat()
	if len(steps) != 1 || steps[0].Type != "BertNormalizer" {
		return nil, errors.New("normalizer: only a BertNormalizer is known for WordPiece")
	}
	if p := j.PreTokenizer.flat(); len(p) != 1 || p[0].Type != "BertPreTokenizer" {
		return nil, errors.New("pre_tokenizer: only a BertPreTokenizer is known for WordPiece")
	}
	n := steps[0]
	if !or(n.CleanText, true) {
		return nil, errors.New("normalizer: clean_text is false: only true is known")
	}
	o := Options{Lower: or(n.Lower, true), RemoveSpace: true, JoinChinese: !or(n.Chinese, true)}
	o.KeepAccents = !or(n.StripAccents, o.Lower)
	return newWordPiece([]byte(strings.Join(lines, "\n")+"\n"), o, x)
}
