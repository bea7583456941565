package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
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
	NoBasic     bool // WordPiece: the opposite of do_basic_tokenize; if set, words are what stands between spaces, as it is, and no other option holds
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
	base     int              // pieces in the model file; the others are added tokens
	added    []addedToken
	finder   *finder
	cleaners *sync.Pool // *cleaner
}

// New makes a tokenizer from the bytes of a model file.
func New(data []byte, o Options) (*Tokenizer, error) { return newUnigram(data, o, additions{}) }

func newUnigram(data []byte, o Options, x additions) (*Tokenizer, error) {
	m, err := Parse(data)
	if err != nil {
		return nil, err
	}
	return newTokenizer(m, data, o, x)
}

// specialTexts are the texts of [CLS], [SEP], [MASK], the padding and the unknown piece.
var specialTexts = map[bool][]string{false: {"[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>"}, true: {"[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]"}}

func newTokenizer(m *Model, data []byte, o Options, x additions) (*Tokenizer, error) {
	t := &Tokenizer{Options: o, Encoder: NewEncoder(m), data: data, ids: make(map[string]int32, len(m.Pieces)), base: len(m.Pieces)}
	t.cleaners = &sync.Pool{New: func() any { return new(cleaner) }}
	for i := range m.Pieces {
		p := &m.Pieces[i]
		if _, taken := t.ids[p.Text]; !taken || p.Type.reserved() {
			t.ids[p.Text] = int32(i)
		}
	}
	if err := t.addTokens(x); err != nil {
		return nil, err
	}
	for i := range m.Pieces {
		p := &m.Pieces[i]
		t.start = append(t.start, m.wordPiece && !strings.HasPrefix(p.Text, continuation) || !m.wordPiece && startsWord(p.Text))
		t.comma = append(t.comma, endsInDigitComma(p.Text))
	}
	for i, to := range []*int32{&t.CLS, &t.SEP, &t.MASK, &t.PAD, &t.UNK} {
		*to = -1
		if id, ok := t.ids[specialTexts[m.wordPiece][i]]; ok {
			*to = id
		}
	}
	if t.unkID >= 0 {
		t.UNK = t.unkID
	}
	if t.commaID = t.pieceID(","); t.commaID < 0 {
		clear(t.comma) // without a piece "," they cannot be split
	}
	if m.wordPiece {
		t.tails = tails(m)
	}
	t.sum = t.hash()
	return t.With(o), nil
}

// With gives the same tokenizer with other options. The clean-up of WordPiece stays [CleanupBert].
func (t *Tokenizer) With(o Options) *Tokenizer {
	u := *t
	u.Options = o
	switch {
	case t.model.wordPiece:
		u.Cleanup = CleanupBert
		fallthrough
	case o.Cleanup == CleanupAlbert:
		u.finder = newFinder(t.added)
	default:
		u.finder = newFinder(t.extra())
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

// SHA256 is the hash of the model file, in hexadecimal; of it and of the added tokens if there are others than the special pieces.
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
	ids := []int32{}
	t.parts(text, false, func(id int32, _, _ int) { ids = append(ids, id) }, func(l *lattice, _ func(int) int) {
		ids = slices.Grow(ids, len(l.path))
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
	if t.Cleanup == CleanupNone && len(t.finder.tokens) == 0 {
		l := t.cut(text, aligned)
		run(l, func(i int) int { return l.normal.from[i] })
		t.release(l)
		return
	}
	c := t.cleaners.Get().(*cleaner)
	c.lower.aligned = aligned || t.model.wordPiece
	o := t.Options
	o.Lower = o.Lower && o.Cleanup != CleanupNone && !o.NoBasic
	o.lowerRunes(text, t.finder, &c.lower)
	t.finder.each(c, func(a *addedToken, from, to int) {
		switch {
		case a != nil:
			one(a.id, c.lower.place(from), c.lower.place(to))
			return
		case t.model.wordPiece:
			t.words(&c.lower, from, to, one)
			return
		}
		in := &c.part
		if o.Cleanup == CleanupNone {
			in = &normal{text: c.lower.text[from:to]}
			if aligned {
				in.from = c.lower.from[from : to+1]
			}
		} else {
			t.clean(c, from, to)
		}
		l := t.cut(string(in.text), aligned)
		if o.Cleanup != CleanupNone {
			t.splitCommas(l)
		}
		t.addedPieces(l)
		run(l, func(i int) int { return in.from[l.normal.from[i]] })
		t.release(l)
	})
	if cap(c.lower.text) <= keepBytes {
		t.cleaners.Put(c)
	}
}

// addedPieces gives unknown text that is an added token, which was not found because it does not stand alone, its id.
func (t *Tokenizer) addedPieces(l *lattice) {
	for i, p := range l.path {
		if p.id != t.unkID || len(t.extra()) == 0 {
			continue
		}
		if a := t.finder.tokens[t.text(l, p)]; a != nil {
			l.path[i].id = a.id
		}
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
	lower := (t.Cleanup == CleanupAlbert || t.model.wordPiece && !t.NoBasic) && t.Lower
	switch {
	case lower && upper*50 > letters:
		return "the tokenizer has pieces with capital letters, but text is made lower-case (--cased keeps it as it is)"
	case !lower && letters > 0 && upper == 0:
		return "the tokenizer has no piece with a capital letter, but text is not made lower-case"
	}
	return ""
}

// Decode gives the text of pieces. With ALBERT's clean-up special pieces are written out, as AlbertTokenizer.decode does; else it is
// [Encoder.Decode]. Other added tokens are written out with spaces between.
func (t *Tokenizer) Decode(ids []int32) string {
	var texts []string
	from := 0
	for i, id := range ids {
		a := t.tokenOf(id)
		if a == nil || a.own || a.named && int(id) < t.base {
			continue
		}
		if text := t.decodeRun(ids[from:i]); text != "" {
			texts = append(texts, text)
		}
		texts, from = append(texts, a.Content), i+1
	}
	if from < len(ids) {
		texts = append(texts, t.decodeRun(ids[from:]))
	}
	if text := strings.Join(texts, " "); !t.model.wordPiece {
		return text
	} else {
		return tidy(text)
	}
}

// decodeRun gives the text of pieces that are no added tokens, or that are special.
func (t *Tokenizer) decodeRun(ids []int32) string {
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
		a := t.tokenOf(id)
		if a == nil {
			afterSpecial = false
			continue
		}
		if !afterSpecial {
			b.WriteByte(' ')
		}
		b.WriteString(t.Encoder.Decode(ids[written:i]))
		b.WriteString(a.Content)
		afterSpecial, written = true, i+1
	}
	b.WriteString(t.Encoder.Decode(ids[written:]))
	return strings.TrimFunc(b.String(), pystring.IsSpace)
}

// hash gives SHA256.
func (t *Tokenizer) hash() string {
	h := sha256.New()
	h.Write(t.data)
	if len(t.extra()) > 0 {
		h.Write(indented(t.addedFields()))
	}
	return hex.EncodeToString(h.Sum(nil))
}
