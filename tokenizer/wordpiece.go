package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"albert/internal/text/pystring"
)

// continuation is the prefix of a piece that continues a word.
const continuation = "##"

// maxWordRunes is the longest word that is cut into pieces; a longer one is unknown. It is 100 as in transformers' WordpieceTokenizer;
// ALBERT's released code has 200.
const maxWordRunes = 100

// NewWordPiece makes a tokenizer of the bytes of a vocab.txt: one piece in each line, its id the number of the line, from 0. Text is cut as
// transformers' slow BertTokenizer cuts it: o.Lower is do_lower_case, o.KeepAccents is the opposite of strip_accents (which
// BertTokenizer, unless told, sets to do_lower_case), o.JoinChinese the opposite of tokenize_chinese_chars, o.NoBasic that of do_basic_tokenize.
func NewWordPiece(vocab []byte, o Options) (*Tokenizer, error) {
	return newWordPiece(vocab, o, additions{})
}

func newWordPiece(vocab []byte, o Options, x additions) (*Tokenizer, error) {
	m, err := parseVocab(vocab)
	if err != nil {
		return nil, err
	}
	return newTokenizer(m, vocab, o, x)
}

// parseVocab reads the lines of a vocab.txt. Of equal pieces the last is used, as in transformers.
func parseVocab(vocab []byte) (*Model, error) {
	if len(vocab) > maxModelBytes {
		return nil, fmt.Errorf("larger than %d MiB", maxModelBytes>>20)
	}
	m := &Model{Normalizer: defaultNormalizer, wordPiece: true}
	last := map[string]int{}
	unknown := -1
	// Lines end with \n, \r\n or \r, as Python reads them.
	for line := range strings.Lines(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(vocab))) {
		line = strings.TrimSuffix(line, "\n")
		n, p := len(m.Pieces), Piece{Text: line, Type: Normal}
		switch {
		case n == maxPieces:
			return nil, fmt.Errorf("more than %d lines", maxPieces)
		case len(line) >= maxPieceBytes:
			return nil, fmt.Errorf("line %d: has %d bytes, at most %d are taken", n+1, len(line), maxPieceBytes-1)
		case !utf8.ValidString(line):
			return nil, fmt.Errorf("line %d: no UTF-8", n+1)
		case len(line) == 0 || strings.IndexByte(line, 0) >= 0:
			p.Type = Unused // it cannot occur in text
		case p.Text == "[UNK]":
			p.Type, unknown = Unknown, n
		case slices.Contains([]string{"[CLS]", "[SEP]", "[MASK]", "[PAD]"}, p.Text):
			p.Type = Control
		}
		if was, ok := last[p.Text]; ok {
			m.Pieces[was].Type = Unused
		}
		last[p.Text] = n
		m.Pieces = append(m.Pieces, p)
	}
	if unknown < 0 {
		return nil, errors.New("no piece [UNK]")
	}
	return m, nil
}

// tails gives the pieces that continue a word, without their prefix.
func tails(m *Model) doubleArray {
	var ids []trieKey
	for i, p := range m.Pieces {
		if rest, ok := strings.CutPrefix(p.Text, continuation); ok && rest != "" && p.Type == Normal {
			ids = append(ids, newTrieKey(rest, uint32(i)))
		}
	}
	return must(newDoubleArray(ids, false))
}

// words calls f for each piece of text.text[from:to] in turn, with the bytes of the original text that it stands for.
func (t *Tokenizer) words(text *normal, from, to int, f func(id int32, from, to int)) {
	var buf []byte
	if t.NoBasic {
		split(letters(nil, text, from, to), pystring.IsSpace, false, func(word []letter) { buf = t.word(word, buf, f) })
		return
	}
	l := composeLetters(cleanLetters(letters(nil, text, from, to), !t.JoinChinese))
	split(l, pystring.IsSpace, false, func(token []letter) {
		s := t.specialOf(token) // a special token that is complete only after the cleaning
		if s == nil && t.Lower {
			token = lowerLetters(token)
		}
		if s == nil && !t.KeepAccents {
			token = withoutAccents(token)
			s = t.specialOf(token)
		}
		switch {
		case s != nil && s.own:
			f(s.id, token[0].from, token[len(token)-1].to)
			return
		case s != nil:
			buf = t.word(token, buf, f)
			return
		}
		split(token, isPunctuation, true, func(word []letter) { buf = t.word(word, buf, f) })
	})
}

// specialOf gives the special token that letters spell; nil if they spell none.
func (t *Tokenizer) specialOf(token []letter) *addedToken {
	if len(token) == 0 || token[0].r < utf8.RuneSelf && !t.finder.first[token[0].r] {
		return nil
	}
	if a := t.finder.tokens[textOf(token)]; a != nil && a.named {
		return a
	}
	return nil
}

func textOf(token []letter) string {
	var text []byte
	for _, l := range token {
		text = utf8.AppendRune(text, l.r)
	}
	return string(text)
}

// lowerLetters is Python's str.lower of letters. All but those of an added token that was left as it was are in lower case already.
func lowerLetters(in []letter) []letter {
	if !slices.ContainsFunc(in, func(l letter) bool { return unicode.IsUpper(l.r) || unicode.IsTitle(l.r) }) {
		return in
	}
	text, at := []byte(textOf(in)), 0
	var out []letter
	for _, l := range in {
		lower := pystring.LowerRune(l.r)
		if l.r == 'Σ' {
			lower = string(pystring.LowerSigma(text, at))
		}
		for _, r := range lower {
			out = append(out, letter{r, l.from, l.to})
		}
		at += utf8.RuneLen(l.r)
	}
	return out
}

// word cuts a word into pieces. buf is a buffer for its text, which is returned for the next word.
func (t *Tokenizer) word(word []letter, buf []byte, f func(id int32, from, to int)) []byte {
	unknown := func() { f(t.UNK, word[0].from, max(word[0].from, word[len(word)-1].to)) }
	if len(word) > maxWordRunes {
		unknown()
		return buf
	}
	buf = buf[:0]
	for _, l := range word {
		buf = utf8.AppendRune(buf, l.r)
	}
	type piece struct {
		id       int32
		from, to int // letters
	}
	var pieces [maxWordRunes]piece
	n := 0
	trie := t.pieces
	for rest, at := string(buf), 0; rest != ""; {
		id, length := trie.longest(rest, len(rest)+1)
		if length == 0 {
			unknown()
			return buf
		}
		to := at + utf8.RuneCountInString(rest[:length])
		pieces[n] = piece{int32(id), at, to}
		n++
		rest, at, trie = rest[length:], to, t.tails
	}
	for _, p := range pieces[:n] {
		from := word[p.from].from
		f(p.id, from, max(from, word[p.to-1].to))
	}
	return buf
}

// decodeWords gives the text of pieces as BertTokenizer.convert_tokens_to_string does: special pieces are written out.
func (t *Tokenizer) decodeWords(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if id < 0 || int(id) >= len(t.model.Pieces) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.model.Pieces[id].Text)
	}
	return strings.TrimFunc(strings.ReplaceAll(b.String(), " "+continuation, ""), pystring.IsSpace)
}

// tidy removes the spaces before some English signs and endings, as BertTokenizer.decode does.
func tidy(s string) string {
	for _, r := range [...][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"},
		{" 've", "'ve"}, {" 're", "'re"}} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
}
