package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	slashpath "path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
)

// The names of a tokenizer's files in a Hugging Face directory.
const (
	ModelFile  = "spiece.model"
	VocabFile  = "vocab.txt" // WordPiece
	JSONFile   = "tokenizer.json"
	ConfigFile = "tokenizer_config.json"
	mapFile    = "special_tokens_map.json"
	addedFile  = "added_tokens.json"
)

// ErrNone tells that a directory has no tokenizer.
var ErrNone = errors.New("no tokenizer")

// config is tokenizer_config.json. A missing field has ALBERT's default or, with vocab.txt, BERT's. The field Cleanup is our own:
// transformers' tokenizers always clean up.
type config struct {
	Lower        *bool   `json:"do_lower_case,omitempty"`
	KeepAccents  *bool   `json:"keep_accents,omitempty"`
	RemoveSpace  *bool   `json:"remove_space,omitempty"`
	StripAccents *bool   `json:"strip_accents,omitempty"`
	Chinese      *bool   `json:"tokenize_chinese_chars,omitempty"`
	Basic        *bool   `json:"do_basic_tokenize,omitempty"`
	Cleanup      Cleanup `json:"cleanup,omitempty"`
	Side         Side    `json:"truncation_side,omitempty"`

	added additions
}

// fullConfig is tokenizer_config.json with the further fields that transformers reads.
type fullConfig struct {
	Class string `json:"tokenizer_class"`
	config
	Tidy  bool              `json:"clean_up_tokenization_spaces"`
	Added jsonobject.Fields `json:"added_tokens_decoder"`
	// Inputs are what the tokenizer gives the model. Without them transformers 5's AlbertTokenizer leaves out which text a piece is of.
	Inputs []string `json:"model_input_names"`
	specialNames
}

// maxConfigBytes bounds tokenizer_config.json.
const maxConfigBytes = 16 << 20

// Open opens a model file (no clean-up), a vocab.txt (BERT's clean-up), a tokenizer.json (the clean-up that it describes), a directory with
// spiece.model, vocab.txt or tokenizer.json, in that order, and, if it is there, tokenizer_config.json, or a run directory, of which
// it opens the directory model.
func Open(path string) (*Tokenizer, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return openFile(path, &config{Cleanup: CleanupNone})
	}
	open := func(dir string) (*Tokenizer, error) {
		return openDir(dir, func(name string, most int64) ([]byte, error) { return disk.ReadFile(filepath.Join(dir, name), most) })
	}
	t, err := open(path)
	if errors.Is(err, ErrNone) {
		if ofRun, e := open(filepath.Join(path, "model")); !errors.Is(e, ErrNone) {
			return ofRun, e
		}
	}
	return t, err
}

// OpenFS is [Open] for a directory of a file system, such as one that go:embed makes.
func OpenFS(fsys fs.FS, dir string) (*Tokenizer, error) {
	return openDir(dir, func(name string, most int64) ([]byte, error) {
		f, err := fsys.Open(slashpath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return disk.ReadAll(f, name, most)
	})
}

// openDir opens the tokenizer in a directory, whose files read gives.
func openDir(dir string, read func(name string, most int64) ([]byte, error)) (*Tokenizer, error) {
	for _, name := range []string{ModelFile, VocabFile, JSONFile} {
		data, err := read(name, maxModelBytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		text, err := read(ConfigFile, maxConfigBytes)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		c, err := parseConfig(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, ConfigFile), err)
		}
		c.added, err = parseAdditions(text, func(other string) ([]byte, error) {
			if other == name {
				return nil, fs.ErrNotExist // it is read as a whole
			}
			return read(other, maxModelBytes)
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		return fromFile(filepath.Join(dir, name), data, c)
	}
	return nil, fmt.Errorf("%s: %w: no %s, %s or %s there", dir, ErrNone, ModelFile, VocabFile, JSONFile)
}

// openFile opens a file of any kind, recognised by its name.
func openFile(file string, c *config) (*Tokenizer, error) {
	data, err := disk.ReadFile(file, maxModelBytes)
	if err != nil {
		return nil, err
	}
	return fromFile(file, data, c)
}

// fromFile makes a tokenizer of the bytes of a file of any kind, recognised by its name.
func fromFile(file string, data []byte, c *config) (t *Tokenizer, err error) {
	what := "SentencePiece model"
	switch name := strings.ToLower(file); {
	case strings.HasSuffix(name, ".json"):
		what = JSONFile
		if t, err = fromJSON(data, c.added); err == nil {
			t.RemoveSpace = or(c.RemoveSpace, t.RemoveSpace)
		}
	case strings.HasSuffix(name, ".txt"):
		what = "vocabulary of WordPiece"
		t, err = newWordPiece(data, c.options(true), c.added)
	default:
		t, err = newUnigram(data, c.options(false), c.added)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: not a usable %s: %w", file, what, err)
	}
	return t.CutAt(c.Side), nil
}

// parseConfig reads the text of tokenizer_config.json; without a text all fields are missing.
func parseConfig(text []byte) (*config, error) {
	c := &config{}
	if len(text) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, err
	}
	switch c.Cleanup {
	case "", CleanupAlbert, CleanupNone, CleanupBert:
	default:
		return nil, fmt.Errorf("cleanup %q: want %s or %s", c.Cleanup, CleanupAlbert, CleanupNone)
	}
	if c.Side != "" && c.Side != Left && c.Side != Right {
		return nil, fmt.Errorf("truncation_side %q: want %s or %s", c.Side, Left, Right)
	}
	return c, nil
}

// options gives the options that the configuration describes, for SentencePiece or for WordPiece.
func (c *config) options(wordPiece bool) Options {
	o := DefaultOptions
	o.Lower = or(c.Lower, o.Lower)
	if wordPiece {
		o.Cleanup, o.KeepAccents, o.JoinChinese = CleanupBert, !or(c.StripAccents, o.Lower), !or(c.Chinese, true)
		o.NoBasic = !or(c.Basic, true)
		return o
	}
	o.KeepAccents, o.RemoveSpace = or(c.KeepAccents, o.KeepAccents), or(c.RemoveSpace, o.RemoveSpace)
	if c.Cleanup == CleanupNone {
		o.Cleanup = CleanupNone
	}
	return o
}

// or gives a setting, or otherwise where it is missing.
func or(setting *bool, otherwise bool) bool { return *cmp.Or(setting, &otherwise) }

// Files gives the content of the files that [Open] needs, by name, as transformers' AlbertTokenizer (with WordPiece BertTokenizer) loads them.
func (t *Tokenizer) Files() map[string][]byte {
	o := t.Options
	c := fullConfig{Class: "AlbertTokenizer", Added: t.addedFields(), Inputs: []string{"input_ids", "token_type_ids", "attention_mask"},
		specialNames: t.specialNames()}
	c.config = config{Lower: &o.Lower, KeepAccents: &o.KeepAccents, RemoveSpace: &o.RemoveSpace}
	name := ModelFile
	switch {
	case t.model.wordPiece:
		c.Class, c.Tidy, name = "BertTokenizer", true, VocabFile
		c.config = config{Lower: &o.Lower, StripAccents: new(!o.KeepAccents), Chinese: new(!o.JoinChinese)}
		if o.NoBasic {
			c.Basic = new(false)
		}
	case o.Cleanup != CleanupAlbert:
		o.Lower, o.KeepAccents, o.RemoveSpace = false, true, false // the least that transformers' tokenizer can do
		c.Cleanup = CleanupNone
	}
	c.Side = o.TruncationSide
	return map[string][]byte{name: t.data, ConfigFile: indented(c)}
}

// addedFields gives the added tokens by their ids, as text: the special pieces in the order of these, the others as they came.
func (t *Tokenizer) addedFields() jsonobject.Fields {
	f := jsonobject.Fields{}
	for _, a := range t.added {
		f = append(f, jsonobject.Field{Name: strconv.Itoa(int(a.id)), Value: a})
	}
	slices.SortFunc(f[:len(f)-len(t.extra())], func(a, b jsonobject.Field) int { return strings.Compare(a.Name, b.Name) })
	return f
}

// indented is JSON with a line for each field.
func indented(v any) []byte {
	return append(must(json.MarshalIndent(v, "", "  ")), '\n') // strings, numbers and booleans
}

// FileNames are the names of all files that a tokenizer can have in a Hugging Face directory.
var FileNames = []string{ModelFile, VocabFile, JSONFile, ConfigFile, mapFile, addedFile}

// DirFiles gives the content of all files of a Hugging Face directory, by name: those of [Tokenizer.Files], special_tokens_map.json and, if
// the tokenizer can be described in it ([Tokenizer.JSON]), tokenizer.json.
func (t *Tokenizer) DirFiles() map[string][]byte {
	files := maps.Clone(t.Files())
	files[mapFile] = indented(t.specialsMap())
	if text, err := t.JSON(); err == nil {
		files[JSONFile] = text
	}
	return files
}

// WriteDir writes the tokenizer's files, [Tokenizer.DirFiles], into a directory.
func (t *Tokenizer) WriteDir(dir string) error {
	for name, data := range t.DirFiles() {
		if err := disk.WriteFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

// OpenClean opens a model file or a vocab.txt with the clean-up of a tokenizer_config.json; without one ("") with
// ALBERT's or, for a vocab.txt, BERT's.
func OpenClean(file, configFile string) (*Tokenizer, error) {
	c := &config{}
	if configFile != "" {
		text, err := disk.ReadFile(configFile, maxConfigBytes)
		if err != nil {
			return nil, err
		}
		if c, err = parseConfig(text); err != nil {
			return nil, fmt.Errorf("%s: %w", configFile, err)
		}
		if c.added, err = parseAdditions(text, func(string) ([]byte, error) { return nil, fs.ErrNotExist }); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Dir(configFile), err)
		}
	}
	return openFile(file, c)
}

// IsDefault tells whether clean-up and added tokens are the default ones, which need no tokenizer_config.json.
func (t *Tokenizer) IsDefault() bool {
	return t.Options == (&config{}).options(t.model.wordPiece) && len(t.extra()) == 0
}
