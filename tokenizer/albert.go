package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"albert/weights"
)

// ModelFile and ConfigFile are the names of a tokenizer's files in a Hugging Face directory.
const (
	ModelFile  = "spiece.model"
	ConfigFile = "tokenizer_config.json"
)

// ErrNone tells that a directory has no tokenizer.
var ErrNone = errors.New("no tokenizer")

// Cleanup says what happens to text before SentencePiece sees it.
type Cleanup string

// CleanupNone is SentencePiece itself; CleanupAlbert is what ALBERT does (transformers' AlbertTokenizer).
const (
	CleanupNone   Cleanup = "none"
	CleanupAlbert Cleanup = "albert"
)

// Options of the clean-up, by their names in tokenizer_config.json.
type Options struct {
	Cleanup     Cleanup
	Lower       bool // do_lower_case
	KeepAccents bool // keep_accents
	RemoveSpace bool // remove_space
}

// DefaultOptions are ALBERT's.
var DefaultOptions = Options{Cleanup: CleanupAlbert, Lower: true, RemoveSpace: true}

// Tokenizer is a model with a clean-up. It is safe for concurrent use.
type Tokenizer struct {
	Options
	PAD, UNK, CLS, SEP, MASK int32 // -1 for one that the model lacks

	*Encoder
	model *Model
	data  []byte
	sum   string
	ids   map[string]int32
	start []bool
}

// New makes a tokenizer of a model file's bytes.
func New(data []byte, o Options) (*Tokenizer, error) {
	m, err := Parse(data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	t := &Tokenizer{Options: o, Encoder: NewEncoder(m), model: m, data: data, sum: hex.EncodeToString(sum[:]), ids: map[string]int32{}}
	for i, p := range m.Pieces {
		t.ids[p.Text] = int32(i)
		t.start = append(t.start, startsWord(p.Text))
	}
	for name, id := range map[string]*int32{"<pad>": &t.PAD, "<unk>": &t.UNK, "[CLS]": &t.CLS, "[SEP]": &t.SEP, "[MASK]": &t.MASK} {
		*id = -1
		if i, ok := t.ids[name]; ok {
			*id = i
		}
	}
	t.UNK = int32(m.UnkID)
	return t, nil
}

// config is tokenizer_config.json; what is not named there is ALBERT's default.
type config struct {
	Class       string   `json:"tokenizer_class,omitempty"`
	Lower       *bool    `json:"do_lower_case,omitempty"`
	KeepAccents *bool    `json:"keep_accents,omitempty"`
	RemoveSpace *bool    `json:"remove_space,omitempty"`
	Cleanup     *Cleanup `json:"cleanup,omitempty"`
}

// Open opens a model file (no clean-up) or a directory with spiece.model and, if it is there, tokenizer_config.json.
func Open(path string) (*Tokenizer, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	o := Options{Cleanup: CleanupNone}
	file := path
	if st.IsDir() {
		o = DefaultOptions
		file = filepath.Join(path, ModelFile)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			if inner := filepath.Join(path, "model"); isFile(filepath.Join(inner, ModelFile)) {
				return Open(inner)
			}
			return nil, fmt.Errorf("%s: %w: no %s there", path, ErrNone, ModelFile)
		}
		text, err := os.ReadFile(filepath.Join(path, ConfigFile))
		if err == nil {
			var c config
			if err := json.Unmarshal(text, &c); err != nil {
				return nil, fmt.Errorf("%s: %w", filepath.Join(path, ConfigFile), err)
			}
			for from, to := range map[*bool]*bool{c.Lower: &o.Lower, c.KeepAccents: &o.KeepAccents, c.RemoveSpace: &o.RemoveSpace} {
				if from != nil {
					*to = *from
				}
			}
			if c.Cleanup != nil {
				o.Cleanup = *c.Cleanup
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	_, data, err := Load(file)
	if err != nil {
		return nil, err
	}
	return New(data, o)
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}

// With is the same tokenizer with another clean-up.
func (t *Tokenizer) With(o Options) *Tokenizer {
	u := *t
	u.Options = o
	return &u
}

// Files are the tokenizer's files, by name, as transformers' AlbertTokenizer loads them.
func (t *Tokenizer) Files() map[string][]byte {
	c := config{Class: "AlbertTokenizer", Lower: &t.Lower, KeepAccents: &t.KeepAccents, RemoveSpace: &t.RemoveSpace}
	if t.Cleanup != CleanupAlbert {
		c.Cleanup = &t.Cleanup
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(err) // strings and booleans
	}
	return map[string][]byte{ModelFile: t.data, ConfigFile: append(text, '\n')}
}

// WriteDir writes the tokenizer's files into a directory.
func (t *Tokenizer) WriteDir(dir string) error {
	for name, data := range t.Files() {
		if err := weights.WriteFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

// VocabSize is the number of pieces.
func (t *Tokenizer) VocabSize() int { return len(t.model.Pieces) }

// Piece is the text of a piece.
func (t *Tokenizer) Piece(id int32) string { return t.model.Pieces[id].Text }

// SHA256 is the hash of the model file.
func (t *Tokenizer) SHA256() string { return t.sum }

// Model is the SentencePiece model.
func (t *Tokenizer) Model() *Model { return t.model }

// IsNormal tells whether a piece stands for text: neither control nor unknown.
func (t *Tokenizer) IsNormal(id int32) bool {
	p := t.model.Pieces[id].Type
	return p == Normal || p == UserDefined || p == Byte
}

// IsSpecial tells whether a piece is none of a text's own: a control piece or the unknown one.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.model.Pieces) && (t.model.Pieces[id].Type == Control || id == t.UNK)
}

// IsStart tells whether a piece starts a word, by the released code's test.
func (t *Tokenizer) IsStart(id int32) bool { return t.start[id] }

// startsWord: a piece starts a word if it begins with the space sign or "<", is one of the listed signs, or has a character that is
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

// Clean is ALBERT's clean-up: spaces collapsed and trimmed, “ and ” quotes written with ` and ' made ", NFKD without combining
// characters unless accents are kept, lower case. Order as in transformers' AlbertTokenizer.
func (o Options) Clean(s string) string {
	if o.RemoveSpace {
		s = strings.Join(strings.FieldsFunc(s, isPythonSpace), " ")
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, "``", `"`), "''", `"`)
	if !o.KeepAccents {
		s = stripAccents(s)
	}
	if o.Lower {
		s = strings.ToLower(s)
	}
	return s
}

// isPythonSpace is what str.split takes for space.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func stripAccents(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	var b strings.Builder
	for _, r := range norm.NFKD.String(s) {
		if norm.NFKD.PropertiesString(string(r)).CCC() == 0 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Encode gives the pieces of a text, special ones not added. With ALBERT's clean-up [CLS], [SEP], [MASK], <pad> and <unk> written
// in the text are those pieces, and what is between them is encoded part by part; [MASK] takes the spaces before it.
func (t *Tokenizer) Encode(text string) []int32 {
	if t.Cleanup != CleanupAlbert {
		return t.encodeClean(text)
	}
	var ids []int32
	for {
		at, name, id := t.special(text)
		part := text
		if name != "" {
			part = text[:at]
			if id == t.MASK {
				part = strings.TrimRightFunc(part, isPythonSpace)
			}
		}
		if part != "" {
			ids = append(ids, t.encodeClean(t.Clean(part))...)
		}
		if name == "" {
			return ids
		}
		ids = append(ids, id)
		text = text[at+len(name):]
	}
}

// EncodeTokens is Encode with the bytes of the text that each piece stands for.
func (t *Tokenizer) EncodeTokens(text string) []Token {
	if t.Cleanup != CleanupAlbert {
		return t.Tokens(text, nil)
	}
	var out []Token
	for _, id := range t.Encode(text) {
		out = append(out, Token{ID: id})
	}
	return out
}

// PieceOf is the text of a token's piece.
func (t *Tokenizer) PieceOf(k Token) string { return t.model.Pieces[k.ID].Text }

// special finds the first special token written in a text; name is "" if there is none.
func (t *Tokenizer) special(text string) (at int, name string, id int32) {
	at = len(text)
	for _, s := range []struct {
		name string
		id   int32
	}{{"[CLS]", t.CLS}, {"[SEP]", t.SEP}, {"[MASK]", t.MASK}, {"<pad>", t.PAD}, {"<unk>", t.UNK}} {
		if s.id < 0 {
			continue
		}
		if i := strings.Index(text[:min(len(text), at+len(s.name))], s.name); i >= 0 && i < at {
			at, name, id = i, s.name, s.id
		}
	}
	return at, name, id
}

func (t *Tokenizer) encodeClean(text string) []int32 {
	var buf [256]Token
	tokens := t.Tokens(text, buf[:0])
	ids := make([]int32, 0, len(tokens)+2)
	for _, k := range tokens {
		if t.Cleanup == CleanupAlbert && t.digitComma(k.ID) {
			ids = append(ids, t.splitDigitComma(k.ID)...)
			continue
		}
		ids = append(ids, k.ID)
	}
	return ids
}

// digitComma tells whether a piece ends in a digit and a comma.
func (t *Tokenizer) digitComma(id int32) bool {
	p := t.model.Pieces[id].Text
	n := len(p)
	return n > 1 && p[n-1] == ',' && p[n-2] >= '0' && p[n-2] <= '9'
}

// splitDigitComma cuts such a piece again without its comma, so that "2000," is "2000" and ",".
func (t *Tokenizer) splitDigitComma(id int32) []int32 {
	p := t.model.Pieces[id].Text
	var ids []int32
	for _, k := range t.Tokens(strings.ReplaceAll(p[:len(p)-1], space, ""), nil) {
		ids = append(ids, k.ID)
	}
	if !strings.HasPrefix(p, space) && len(ids) > 0 {
		if first := t.model.Pieces[ids[0]].Text; first == space {
			ids = ids[1:]
		} else if rest, ok := strings.CutPrefix(first, space); ok {
			if i, known := t.ids[rest]; known {
				ids[0] = i
			} else {
				ids[0] = t.UNK
			}
		}
	}
	comma, ok := t.ids[","]
	if !ok {
		comma = t.UNK
	}
	return append(ids, comma)
}

// Contradiction says in a line what speaks against the clean-up, "" if nothing does: a vocabulary with capital letters whose text is
// made lower-case, or the other way round.
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
	lower := t.Cleanup == CleanupAlbert && t.Lower
	switch {
	case lower && upper*50 > letters:
		return "the tokenizer has pieces with capital letters, but text is made lower-case (--cased keeps it as it is)"
	case !lower && letters > 0 && upper == 0:
		return "the tokenizer has no piece with a capital letter, but text is not made lower-case"
	}
	return ""
}
