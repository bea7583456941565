package tokenizer

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"albert/internal/text/pystring"
)

// Cleanup says what happens to text before SentencePiece sees it.
type Cleanup string

// CleanupNone leaves text as it is, for SentencePiece alone; CleanupAlbert is what ALBERT does (transformers' AlbertTokenizer). CleanupBert goes with
// WordPiece, and with nothing else (transformers' BertTokenizer).
const (
	CleanupNone   Cleanup = "none"
	CleanupAlbert Cleanup = "albert"
	CleanupBert   Cleanup = "bert"
)

// Options of the clean-up, by their names in tokenizer_config.json.
type Options struct {
	Cleanup     Cleanup
	Lower       bool // do_lower_case
	KeepAccents bool // keep_accents; in WordPiece the opposite of strip_accents
	RemoveSpace bool // remove_space
	JoinChinese bool // WordPiece: the opposite of tokenize_chinese_chars; if set, Chinese characters are not words of their own
	// TruncationSide is Left or "": see [Side].
	TruncationSide Side
}

// DefaultOptions are ALBERT's.
var DefaultOptions = Options{Cleanup: CleanupAlbert, Lower: true, RemoveSpace: true}

// Tokenizer is a model with a clean-up: SentencePiece, or WordPiece ([NewWordPiece]). It is safe for concurrent use.
type Tokenizer struct {
	Options
	PAD, UNK, CLS, SEP, MASK int32 // -1 for one that the model lacks

	// Encoder is SentencePiece alone. Its own methods are not for WordPiece.
	*Encoder
	tails    doubleArray // WordPiece: the pieces that continue a word; SentencePiece: nil
	data     []byte
	sum      string
	ids      map[string]int32 // by text; of a reserved piece and another with the same text, the reserved one
	start    []bool           // by id: the piece starts a word
	comma    []bool           // by id: the piece ends with a digit and a comma
	commaID  int32            // of the piece ","
	specials []special
	cleaners *sync.Pool // *cleaner
}

// New makes a tokenizer from the bytes of a model file.
func New(data []byte, o Options) (*Tokenizer, error) {
	m, err := Parse(data)
	if err != nil {
		return nil, err
	}
	return newTokenizer(m, data, o), nil
}

// specialTexts are the texts of [CLS], [SEP], [MASK], the padding and the unknown piece.
var specialTexts = map[bool][]string{false: {"[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>"}, true: {"[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]"}}

func newTokenizer(m *Model, data []byte, o Options) *Tokenizer {
	t := &Tokenizer{Options: o, Encoder: NewEncoder(m), data: data, sum: fmt.Sprintf("%x", sha256.Sum256(data)), ids: make(map[string]int32, len(m.Pieces))}
	t.cleaners = &sync.Pool{New: func() any { return new(cleaner) }}
	for i := range m.Pieces {
		p := &m.Pieces[i]
		if _, taken := t.ids[p.Text]; !taken || p.Type.reserved() {
			t.ids[p.Text] = int32(i)
		}
		t.start = append(t.start, m.wordPiece && !strings.HasPrefix(p.Text, continuation) || !m.wordPiece && startsWord(p.Text))
		t.comma = append(t.comma, endsInDigitComma(p.Text))
	}
	for i, to := range []*int32{&t.CLS, &t.SEP, &t.MASK, &t.PAD, &t.UNK} {
		*to = -1
		text := specialTexts[m.wordPiece][i]
		if id, ok := t.ids[text]; ok {
			*to = id
			t.specials = append(t.specials, special{text, id, to == &t.MASK && !m.wordPiece})
		}
	}
	if t.unkID >= 0 {
		t.UNK = t.unkID
	}
	if t.commaID = t.pieceID(","); t.commaID < 0 {
		clear(t.comma) // without a piece "," they cannot be split
	}
	if m.wordPiece {
		t.Cleanup, t.tails = CleanupBert, tails(m)
	}
	return t
}

// With gives the same tokenizer with other options. The clean-up of WordPiece stays [CleanupBert].
func (t *Tokenizer) With(o Options) *Tokenizer {
	u := *t
	u.Options = o
	if t.model.wordPiece {
		u.Cleanup = CleanupBert
	}
	return &u
}

// Type is "unigram" or "wordpiece".
func (t *Tokenizer) Type() string {
	if t.model.wordPiece {
		return "wordpiece"
	}
	return "unigram"
}

// VocabSize is the number of pieces.
func (t *Tokenizer) VocabSize() int { return len(t.model.Pieces) }

// Piece is the text of a piece.
func (t *Tokenizer) Piece(id int32) string { return t.model.Pieces[id].Text }

// SHA256 is the hash of the model file, in hexadecimal.
func (t *Tokenizer) SHA256() string { return t.sum }

// Model gives the SentencePiece model, which must not be changed.
func (t *Tokenizer) Model() *Model { return t.model }

// IsSpecial tells whether a piece is a control piece or the unknown one.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.model.Pieces) && (t.model.Pieces[id].Type == Control || id == t.UNK)
}

// IsStart tells whether a piece starts a word, by the rule of ALBERT's released code.
func (t *Tokenizer) IsStart(id int32) bool { return t.start[id] }

// startsWord tells whether a piece starts a word: it begins with the space sign or "<", is one of the listed signs, or has a character that is
// neither a Latin letter nor listed (create_pretraining_data.py, _is_start_piece_sp).
func startsWord(piece string) bool {
	const signs = "!\"#$%&\"()*+,-./:;?@[\\]^_`{|}~"
	if strings.HasPrefix(piece, space) || strings.HasPrefix(piece, "<") || utf8.RuneCountInString(piece) == 1 && strings.Contains(signs, piece) {
		return true
	}
	for _, r := range strings.ToLower(piece) {
		if (r < 'a' || r > 'z') && !strings.ContainsRune(signs, r) {
			return true
		}
	}
	return false
}

// pieceID gives the id of the piece with a text, or that of the unknown piece.
func (t *Tokenizer) pieceID(text string) int32 {
	if id, ok := t.ids[text]; ok {
		return id
	}
	return t.UNK
}

// Encode gives the ids of a text's pieces, without adding special ones. With ALBERT's clean-up [CLS], [SEP], [MASK], <pad> and <unk> in
// the text become those pieces, and what is between them is encoded part by part; [MASK] takes in the spaces before it.
func (t *Tokenizer) Encode(text string) []int32 {
	ids := make([]int32, 0, 8+len(text)/4)
	t.parts(text, false, func(id int32, _, _ int) { ids = append(ids, id) }, func(l *lattice, _ func(int) int) {
		for _, p := range l.path {
			ids = append(ids, p.id)
		}
	})
	return ids
}

// EncodeWithOffsets is [Tokenizer.Encode] with the text of each piece and the bytes that it stands for.
func (t *Tokenizer) EncodeWithOffsets(text string) []Token {
	var out []Token
	one := func(id int32, from, to int) { out = append(out, Token{id, from, to, t.Piece(id)}) }
	t.parts(text, true, one, func(l *lattice, place func(int) int) {
		for _, p := range l.path {
			out = append(out, Token{p.id, place(p.from), place(p.to), t.text(l, p)})
		}
	})
	return out
}

// parts goes through a text. It calls one for each special token, and with WordPiece for each piece, with the bytes that it stands for, and
// run for the text between special tokens, cut into pieces after the clean-up, with a function that gives where a byte of the normal form
// stood. Unless aligned is set all places are 0, and that function is not to be called.
func (t *Tokenizer) parts(text string, aligned bool, one func(id int32, from, to int), run func(l *lattice, place func(i int) int)) {
	if t.Cleanup == CleanupNone {
		l := t.cut(text, aligned)
		run(l, func(i int) int { return l.normal.from[i] })
		t.release(l)
		return
	}
	c := t.cleaners.Get().(*cleaner)
	c.lower.aligned = aligned || t.model.wordPiece
	t.lowerRunes(text, t.specials, &c.lower)
	eachPart(&c.lower, t.specials, func(s *special, from, to int) {
		switch {
		case s != nil:
			one(s.id, c.lower.place(from), c.lower.place(to))
		case t.model.wordPiece:
			t.words(&c.lower, from, to, one)
		default:
			t.clean(c, from, to)
			l := t.cut(string(c.part.text), aligned)
			t.splitCommas(l)
			run(l, func(i int) int { return c.part.from[l.normal.from[i]] })
			t.release(l)
		}
	})
	if cap(c.lower.text) <= keepBytes {
		t.cleaners.Put(c)
	}
}

// eachPart calls f in turn for each special token in a text and, with nil, for the text between them, with byte offsets in text.text.
func eachPart(text *normal, specials []special, f func(s *special, from, to int)) {
	lower, from := text.text, 0
	for i := 0; i < len(lower); i++ {
		if lower[i] != '[' && lower[i] != '<' {
			continue
		}
		s := specialAt(lower[i:], specials)
		if s == nil {
			continue
		}
		to := i
		for s.lstrip && to > from {
			r, n := utf8.DecodeLastRune(lower[from:to])
			if !pystring.IsSpace(r) {
				break
			}
			to -= n
		}
		if from < to {
			f(nil, from, to)
		}
		from = i + len(s.text)
		f(s, i, from)
		i = from - 1
	}
	if from < len(lower) {
		f(nil, from, len(lower))
	}
}

// endsInDigitComma tells whether a piece ends with a digit and a comma.
func endsInDigitComma(piece string) bool {
	rest, ok := strings.CutSuffix(piece, ",")
	if !ok || rest == "" {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(rest)
	return pystring.IsDigit(r)
}

// splitCommas splits the comma off pieces that end with a digit and a comma, and cuts what is left again, so that "2000," becomes "2000" and
// ",". (AlbertTokenizer._tokenize.)
func (t *Tokenizer) splitCommas(l *lattice) {
	ends := func(p span) bool {
		return p.id >= 0 && p.id != t.unkID && t.comma[p.id] || p.id == t.unkID && t.commaID >= 0 && endsInDigitComma(string(l.normal.text[p.from:p.to]))
	}
	first := slices.IndexFunc(l.path, ends)
	if first < 0 {
		return
	}
	out := slices.Clone(l.path[:first])
	for _, p := range l.path[first:] {
		if !ends(p) {
			out = append(out, p)
			continue
		}
		piece := t.text(l, p)
		start := len(out)
		sub := t.cut(strings.ReplaceAll(strings.TrimSuffix(piece, ","), space, ""), false)
		for _, s := range sub.path {
			out = append(out, span{id: s.id, text: t.text(sub, s)})
		}
		t.release(sub)
		if len(out) > start && !strings.HasPrefix(piece, space) {
			if rest, ok := strings.CutPrefix(out[start].text, space); ok && rest == "" {
				out = slices.Delete(out, start, start+1)
			} else if ok {
				out[start].id, out[start].text = max(t.pieceID(rest), 0), rest
			}
		}
		// The bytes: the comma has the last one; the first of the other pieces begins where the whole piece began.
		out = append(out, span{id: t.commaID, text: ","})
		to := p.to
		for i := len(out) - 1; i >= start; i-- {
			out[i].to = to
			to = max(p.from, to-len(out[i].text))
			if i == start {
				to = p.from
			}
			out[i].from = to
		}
	}
	l.path = out
}

// Contradiction warns, in one line, of options that do not fit the vocabulary: it has capital letters but text is made lower-case, or the
// other way round. "" means that there is no such contradiction.
func (t *Tokenizer) Contradiction() string {
	upper, letters := 0, 0
	for _, p := range t.model.Pieces {
		if p.Type != Normal {
			continue
		}
		for _, r := range p.Text {
			if unicode.IsLetter(r) {
				letters++
				if unicode.IsUpper(r) {
					upper++
				}
			}
		}
	}
	lower := (t.Cleanup == CleanupAlbert || t.model.wordPiece) && t.Lower
	switch {
	case lower && upper*50 > letters:
		return "the tokenizer has pieces with capital letters, but text is made lower-case (--cased keeps it as it is)"
	case !lower && letters > 0 && upper == 0:
		return "the tokenizer has no piece with a capital letter, but text is not made lower-case"
	}
	return ""
}

// Decode gives the text of pieces. With ALBERT's clean-up special pieces are written out, as AlbertTokenizer.decode does; else it is
// [Encoder.Decode].
func (t *Tokenizer) Decode(ids []int32) string {
	if t.model.wordPiece {
		return t.decodeWords(ids)
	}
	if t.Cleanup != CleanupAlbert {
		return t.Encoder.Decode(ids)
	}
	var b strings.Builder
	afterSpecial := false
	written := 0 // how many ids are decoded
	for i, id := range ids {
		at := slices.IndexFunc(t.specials, func(s special) bool { return s.id == id })
		if at < 0 {
			afterSpecial = false
			continue
		}
		if !afterSpecial {
			b.WriteByte(' ')
		}
		b.WriteString(t.Encoder.Decode(ids[written:i]))
		b.WriteString(t.specials[at].text)
		afterSpecial, written = true, i+1
	}
	b.WriteString(t.Encoder.Decode(ids[written:]))
	return strings.TrimFunc(b.String(), pystring.IsSpace)
}
