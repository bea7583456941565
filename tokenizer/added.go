package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"albert/internal/files/jsonobject"
	"albert/internal/text/pystring"
)

// Added tokens are found in text before it is cut into pieces, as PreTrainedTokenizer.tokenize of transformers 4.57 finds them: the special
// pieces, and what users have added to a tokenizer. Some are pieces of the vocabulary, the others get the ids after it.

// addedToken is a token that is found in text, as files describe it: by its id under added_tokens_decoder of tokenizer_config.json, with
// its id under added_tokens of tokenizer.json, or by its text alone under additional_special_tokens.
type addedToken struct {
	ID         *int32 `json:"id,omitempty"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // not found beside anything but a space
	LStrip     bool   `json:"lstrip"`      // the white space before it belongs to it
	RStrip     bool   `json:"rstrip"`      // that after it does
	Normalized bool   `json:"normalized"`  // of one that is not special: it is found as it is written, not in lower case
	Special    bool   `json:"special"`

	id    int32 // -1: not known from the files
	plain bool  // the files give the text only
	own   bool  // [CLS], [SEP], [MASK], the padding or the unknown piece
	named bool  // it is among the special tokens, which are found as they are written
}

func (a *addedToken) UnmarshalJSON(text []byte) error {
	a.id = -1
	if a.plain = text[0] == '"'; a.plain {
		return json.Unmarshal(text, &a.Content)
	}
	type fields addedToken
	f := struct {
		*fields
		Normalized *bool `json:"normalized"`
	}{fields: (*fields)(a)}
	err := json.Unmarshal(text, &f)
	if a.Normalized = or(f.Normalized, !a.Special); a.ID != nil {
		a.id = *a.ID
	}
	return err
}

// tokenNames is what tokenizer_config.json and special_tokens_map.json say of special tokens.
type tokenNames struct {
	CLS        *addedToken  `json:"cls_token"`
	SEP        *addedToken  `json:"sep_token"`
	Mask       *addedToken  `json:"mask_token"`
	PAD        *addedToken  `json:"pad_token"`
	UNK        *addedToken  `json:"unk_token"`
	Additional []addedToken `json:"additional_special_tokens"`
}

// of lists the tokens that have a name.
func (n *tokenNames) of() (list []addedToken) {
	for _, a := range []*addedToken{n.CLS, n.SEP, n.Mask, n.PAD, n.UNK} {
		if a != nil {
			list = append(list, *a)
		}
	}
	return list
}

// additions is what a tokenizer's files say of added tokens.
type additions struct {
	tokenNames
	tokens []addedToken // in the order of the file
}

// parseAdditions reads added_tokens_decoder of the text of tokenizer_config.json, and what added_tokens.json has beside it (transformers does
// not look there then, and would cut such a token into pieces). Without it, as older files are, tokens come from special_tokens_map.json,
// added_tokens.json and tokenizer.json. read gives the other files. An error names the file.
func parseAdditions(config []byte, read func(name string) ([]byte, error)) (x additions, err error) {
	var c struct {
		Decoder *jsonobject.Fields `json:"added_tokens_decoder"`
	}
	if len(config) > 0 {
		if err := errors.Join(json.Unmarshal(config, &c), json.Unmarshal(config, &x.tokenNames)); err != nil {
			return x, fmt.Errorf("%s: %w", ConfigFile, err)
		}
	}
	if c.Decoder != nil {
		for _, f := range *c.Decoder {
			a := addedToken{}
			id, err := strconv.ParseInt(f.Name, 10, 32)
			if err == nil {
				err = json.Unmarshal(f.Value.(json.RawMessage), &a)
			}
			if err != nil {
				return x, fmt.Errorf("%s: added_tokens_decoder: %q: %w", ConfigFile, f.Name, err)
			}
			a.id, a.ID = int32(id), nil
			x.tokens = append(x.tokens, a)
		}
	}
	var ids jsonobject.Fields
	var j struct {
		Added []addedToken `json:"added_tokens"`
	}
	for _, f := range []struct {
		name string
		to   any
	}{{addedFile, &ids}, {mapFile, &x.tokenNames}, {JSONFile, &j}} {
		if c.Decoder != nil && f.name != addedFile {
			break
		}
		text, err := read(f.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			if err = json.Unmarshal(text, f.to); err != nil {
				err = fmt.Errorf("%s: %w", f.name, err)
			}
		}
		if err != nil {
			return x, err
		}
	}
	for _, f := range ids {
		a := addedToken{Content: f.Name, plain: true}
		if err := json.Unmarshal(f.Value.(json.RawMessage), &a.id); err != nil {
			return x, fmt.Errorf("%s: %q: %w", addedFile, f.Name, err)
		}
		if slices.ContainsFunc(x.tokens, func(b addedToken) bool { return a.id == b.id || a.Content == b.Content }) {
			continue // as added_tokens_decoder has it
		}
		names := slices.Concat(x.Additional, x.of())
		a.Special = slices.ContainsFunc(names, func(s addedToken) bool { return s.Content == f.Name })
		a.Normalized = !a.Special
		x.tokens = append(x.tokens, a)
	}
	if len(j.Added) > 0 {
		x.before(j.Added)
	}
	return x, nil
}

// before puts the tokens of a tokenizer.json before those of other files, of which those with the same id are left out.
func (x *additions) before(tokens []addedToken) {
	for i := range tokens {
		tokens[i].ID = nil
	}
	x.tokens = append(slices.Clone(tokens), slices.DeleteFunc(slices.Clone(x.tokens), func(a addedToken) bool {
		return slices.ContainsFunc(tokens, func(b addedToken) bool { return a.id == b.id })
	})...)
}

// addTokens appends the added tokens that the vocabulary lacks to its pieces, and gives all tokens that are found in text: the special ones
// first. The ids of pieces are in t.ids.
func (t *Tokenizer) addTokens(x additions) error {
	find := func(list []addedToken, text string) *addedToken {
		if i := slices.IndexFunc(list, func(a addedToken) bool { return a.Content == text }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for _, s := range x.Additional {
		s.Special, s.named = true, true
		switch a := find(x.tokens, s.Content); {
		case a == nil:
			x.tokens = append(x.tokens, s)
		case s.plain:
			a.named = true
		default:
			s.id = a.id
			*a = s
		}
	}
	for _, a := range slices.SortedStableFunc(slices.Values(x.tokens), func(a, b addedToken) int { return cmp.Compare(uint32(a.id), uint32(b.id)) }) {
		n := int32(len(t.model.Pieces))
		known, there := t.ids[a.Content]
		if a.id < 0 {
			if a.id = n; there {
				a.id = known
			}
			find(x.tokens, a.Content).id = a.id
		}
		switch {
		case a.Content == "" || strings.IndexByte(a.Content, 0) >= 0:
			return fmt.Errorf("added token %d: %q is no text", a.id, a.Content)
		case a.id > n || n == maxPieces:
			return fmt.Errorf("added token %q has the id %d where there are %d pieces", a.Content, a.id, n)
		case a.id < n && t.model.Pieces[a.id].Text != a.Content:
			return fmt.Errorf("added token %q has the id %d, which is %q's", a.Content, a.id, t.model.Pieces[a.id].Text)
		case a.id == n && there:
			return fmt.Errorf("added token %q has the id %d and, in the vocabulary, %d", a.Content, a.id, known)
		case a.id == n:
			typ := UserDefined
			if a.Special {
				typ = Control
			}
			t.model.Pieces = append(t.model.Pieces, Piece{Text: a.Content, Type: typ})
		}
		t.ids[a.Content] = a.id
	}
	for i, name := range []*addedToken{x.CLS, x.SEP, x.Mask, x.PAD, x.UNK} {
		text := specialTexts[t.model.wordPiece][i]
		id, ok := t.ids[text]
		if !ok {
			continue
		}
		masks := text == "[MASK]" && !t.model.wordPiece // AlbertTokenizer lets it take in the spaces before it
		own := addedToken{Content: text, LStrip: masks, Special: true}
		switch a := find(x.tokens, text); {
		case a != nil && !a.plain && (name != nil || !masks):
			own = *a
		case name != nil && !name.plain && name.Content == text:
			own = *name
			own.Special = true
		}
		own.id, own.own, own.named = id, true, true
		t.added = append(t.added, own)
	}
	for _, a := range x.tokens {
		if find(t.added, a.Content) == nil {
			t.added = append(t.added, a)
		}
	}
	return nil
}

// extra gives the added tokens but the special pieces that every tokenizer knows.
func (t *Tokenizer) extra() []addedToken {
	i := slices.IndexFunc(t.added, func(a addedToken) bool { return !a.own })
	if i < 0 {
		return nil
	}
	return t.added[i:]
}

// tokenOf gives the added token with an id, nil for another piece.
func (t *Tokenizer) tokenOf(id int32) *addedToken {
	if i := slices.IndexFunc(t.added, func(a addedToken) bool { return a.id == id }); i >= 0 {
		return &t.added[i]
	}
	return nil
}

// finder finds added tokens in text.
type finder struct {
	tokens map[string]*addedToken
	trie   doubleArray
	kept   []string  // found as they are written, in the order in which they are tried
	first  [256]bool // the bytes that a token begins with
}

func newFinder(tokens []addedToken) *finder {
	f := &finder{tokens: map[string]*addedToken{}}
	var texts []trieKey
	var normalized []string
	for i := range tokens {
		a := &tokens[i]
		if f.tokens[a.Content] == nil {
			texts = append(texts, newTrieKey(a.Content, 0))
		}
		f.tokens[a.Content], f.first[a.Content[0]] = a, true
		if a.named {
			f.kept = append(f.kept, a.Content)
		} else if !a.Special && a.Normalized {
			normalized = append(normalized, a.Content)
		}
	}
	f.kept = append(f.kept, normalized...)
	f.trie = must(newDoubleArray(texts, false))
	return f
}

// keptAt gives the token that s begins with and that lower-casing leaves as it is.
func (f *finder) keptAt(s string) string {
	if f != nil && f.first[s[0]] {
		for _, k := range f.kept {
			if strings.HasPrefix(s, k) {
				return k
			}
		}
	}
	return ""
}

// part is a part of a text, in bytes.
type part struct{ from, to int }

// partial is the beginning of a token, found at a byte of a text: where in the trie it leads to.
type partial struct {
	start    int
	at, unit uint32
	failed   bool
}

// ends tells whether a token ends there.
func (p *partial) ends() bool { return p.unit&unitHasKey != 0 }

// follow goes on by a character; it stays where it is if no token goes on so.
func (f *finder) follow(p *partial, char []byte) bool {
	next := *p
	for _, b := range char {
		var ok bool
		if next.at, next.unit, ok = f.trie.step(next.at, next.unit, b); !ok {
			return false
		}
	}
	*p = next
	return true
}

// split cuts a text before and after each token. Of tokens that overlap it takes the first, and of those the longest; but where one of them
// ends, an earlier one that has just failed is tried once more, past the character at which it failed. (Trie.split of transformers.)
// The result is appended to parts.
func (f *finder) split(text []byte, parts []part) []part {
	from := 0
	cut := func(to int) {
		if to > from {
			parts = append(parts, part{from, to})
			from = to
		}
	}
	charAt := func(i int) []byte {
		_, n := utf8.DecodeRune(text[i:])
		return text[i : i+n]
	}
	var open []partial // in the order of their starts
	skip := 0
	for i, n := 0, 0; i < len(text); i += n {
		if n = 1; text[i] < utf8.RuneSelf && len(open) == 0 && !f.first[text[i]] {
			continue
		}
		char := charAt(i)
		if n = len(char); i < skip || len(open) == 0 && !f.first[text[i]] {
			continue
		}
		found := slices.IndexFunc(open, func(p partial) bool { return p.ends() })
		for k := range open[:max(found, 0)] {
			open[k].failed = !f.follow(&open[k], char)
		}
		if found >= 0 {
			start, end := open[found].start, i
			for k := 0; k <= found && open[k].start <= start; k++ {
				p, at := open[k], i
				if k < found {
					at += n
				}
				for more := true; more; {
					if p.ends() {
						start, end, skip = p.start, at, at
					}
					if more = at < len(text) && f.follow(&p, charAt(at)); more {
						at += len(charAt(at))
					}
				}
			}
			cut(start)
			cut(end)
			open = open[:0]
		} else {
			for k := range open {
				open[k].failed = !f.follow(&open[k], char)
			}
			open = slices.DeleteFunc(open, func(p partial) bool { return p.failed })
		}
		if p := (partial{start: i, unit: f.trie[0]}); i >= skip && f.follow(&p, char) {
			open = append(open, p)
		}
	}
	if k := slices.IndexFunc(open, func(p partial) bool { return p.ends() }); k >= 0 {
		cut(open[k].start)
	}
	cut(len(text))
	return parts
}

// each calls do in turn for each token in c.lower and, with nil, for the text between them, with bytes of c.lower.text. Text is taken out where
// a token that does not stand alone goes together with what is beyond white space that belongs to it.
func (f *finder) each(c *cleaner, do func(a *addedToken, from, to int)) {
	text := &c.lower
	c.parts = f.split(text.text, c.parts[:0])
	parts := c.parts
	of := func(p part) []byte { return text.text[p.from:p.to] }
	join := func(k int) { // parts k and k+1, without what is between them
		from, to := parts[k].to, parts[k+1].from
		text.text = slices.Delete(text.text, from, to)
		if text.aligned {
			text.from = slices.Delete(text.from, from, to)
		}
		for i := k + 1; i < len(parts); i++ {
			parts[i] = part{parts[i].from - to + from, parts[i].to - to + from}
		}
	}
	for i := range parts {
		a := f.tokens[string(of(parts[i]))]
		if a == nil {
			continue
		}
		var left, right []byte // as they are before white space is taken off
		if i > 0 {
			left = of(parts[i-1])
		}
		if i+1 < len(parts) {
			right = of(parts[i+1])
		}
		besideLeft := a.SingleWord && len(left) > 0 && left[len(left)-1] != ' '
		besideRight := a.SingleWord && len(right) > 0 && right[0] != ' '
		if a.RStrip && len(right) > 0 {
			parts[i+1].from += len(right) - len(bytes.TrimLeftFunc(right, pystring.IsSpace))
		}
		if a.LStrip && len(left) > 0 {
			parts[i-1].to = parts[i-1].from + len(bytes.TrimRightFunc(left, pystring.IsSpace))
		}
		switch {
		case besideLeft:
			join(i - 1)
			parts[i-1].to, parts[i].from = parts[i].to, parts[i].to
		case besideRight:
			join(i)
			parts[i+1].from, parts[i].to = parts[i].from, parts[i].from
		}
	}
	for _, p := range parts {
		if p.from < p.to {
			do(f.tokens[string(of(p))], p.from, p.to)
		}
	}
}
