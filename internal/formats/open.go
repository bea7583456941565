package formats

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	slashpath "path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"albert/internal/files/disk"
	"albert/internal/files/pytorch"
	"albert/internal/files/safetensors"
	"albert/internal/files/tensorflow"
	"albert/internal/model"
	"albert/internal/onnx"
	"albert/internal/run"
	"albert/tokenizer"
)

// Format is a format of files that hold a model.
type Format string

// The formats.
const (
	HuggingFace Format = "hf"          // a directory: config.json, model.safetensors, spiece.model
	Run         Format = "run"         // a run of training: its model, or its newest checkpoint
	SafeTensors Format = "safetensors" // a file beside its config.json
	PyTorch     Format = "pytorch"     // a .bin or .pt file beside its config.json
	TensorFlow  Format = "tensorflow"  // Google's: PREFIX.index, PREFIX.data-*, beside albert_config.json or bert_config.json
	Tar         Format = "tar"         // the same in a .tar.gz, as released; or, to read, in a .tar or .zip
	ONNX        Format = "onnx"        // a .onnx file
)

// suffixes are the endings of names by which a format is known, when it is read and when it is written.
var suffixes = map[string]Format{".safetensors": SafeTensors, ".bin": PyTorch, ".pt": PyTorch, ".pth": PyTorch, ".onnx": ONNX,
	".tar.gz": Tar, ".tgz": Tar, ".index": TensorFlow}

// bySuffix tells the format of a name that ends with one of the suffixes, "" of others.
func bySuffix(path string) Format {
	for suffix, f := range suffixes {
		if strings.HasSuffix(strings.ToLower(path), suffix) {
			return f
		}
	}
	return ""
}

// The names of other weights than model.safetensors in a Hugging Face directory.
const (
	torchFile = "pytorch_model.bin"
	onnxFile  = "model.onnx"
)

// IsArchive tells by its name whether a file is read by unpacking it.
func IsArchive(path string) bool {
	return bySuffix(path) == Tar || slices.Contains([]string{".tar", ".zip"}, strings.ToLower(filepath.Ext(path)))
}

// IsWeights tells by its name whether a file has a model's tensors.
func IsWeights(path string) bool {
	f := bySuffix(path)
	return f != "" && f != Tar
}

// Model is an opened model.
type Model struct {
	*model.Model
	Tokenizer *tokenizer.Tokenizer // nil: there is none
	Format    Format
	Path      string            // what was opened
	Weights   string            // the file or directory that the tensors come from
	DTypes    map[string]string // the type of each tensor where it was found, by its name there
	Unused    []string          // tensors of no part of the model that we know
	Notes     []string          // what a user should know
	Sentence  *Sentence         // how a text becomes a vector, in a directory of sentence-transformers; nil: it is none
	MaxLength int               // pieces of a text at most, as tokenizer_config.json has it for its own program; 0: it does not say

	configDir string    // the directory of its config.json; "" if it has none
	views     io.Closer // the file whose values the parameters still point to; nil: none
}

// source is where the parts of a model are, none of them opened yet.
type source struct {
	format    Format
	weights   string                             // for messages
	reader    func() (safetensors.Reader, error) // opens the tensors, under Hugging Face's names
	config    string                             // a config.json; "": the reader has it
	tokenizer func() (*tokenizer.Tokenizer, error)
	close     func() error
	sentence  string // the directory of sentence-transformers that has the model in another; "": that of its config.json
}

// Open opens the model that a path means: a directory in Hugging Face layout (with model.safetensors, pytorch_model.bin, model.onnx, or
// Google's files), a run or a checkpoint of one, a .safetensors, .bin, .pt or .onnx file beside its config.json, a checkpoint prefix or
// a .tar.gz of Google's. The tensors are copied: nothing stays open.
func Open(path string) (*Model, error) { return owned(open(path, nil)) }

// OpenViews is Open, but the values may still be the file's own, which stays open, until [Model.Own]: nobody may change them before. It is for
// those who bring the weights into a form of their own at once.
func OpenViews(path string) (*Model, error) { return open(path, nil) }

// Own copies the values that are still a file's own, and closes the file.
func (m *Model) Own() {
	if m.views != nil {
		m.Model.Own()
		m.views.Close()
		m.views = nil
	}
}

func owned(m *Model, err error) (*Model, error) {
	if err != nil {
		return nil, err
	}
	m.Own()
	return m, nil
}

// OpenAs is Open with another configuration than the model's own. Where it does not fit, the error names the first tensor that is
// missing or of another shape.
func OpenAs(path string, c model.Config) (*Model, error) { return owned(open(path, &c)) }

func open(path string, c *model.Config) (*Model, error) {
	s, err := find(path)
	if err != nil {
		return nil, err
	}
	defer s.done()
	return s.open(path, c)
}

// ReadConfig reads the configuration of a model.
func ReadConfig(path string) (model.Config, error) {
	s, err := find(path)
	if err != nil {
		return model.Config{}, err
	}
	defer s.done()
	r, err := s.reader()
	if err != nil {
		return model.Config{}, err
	}
	defer r.Close()
	return s.readConfig(r)
}

// OpenTokenizer opens a tokenizer: a file of one, or a model's. It is tokenizer.ErrNone that a model has none.
func OpenTokenizer(path string) (*tokenizer.Tokenizer, error) {
	t, err := tokenizer.Open(path)
	if err == nil || Guess(path) == HuggingFace && !IsArchive(path) && !errors.Is(err, tokenizer.ErrNone) && !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	s, none := find(path)
	if none != nil {
		return nil, err
	}
	defer s.done()
	return s.tokenizer()
}

func (s *source) done() {
	if s.close != nil {
		s.close()
	}
}

// open reads the model; path is what was asked for, c another configuration than its own, or nil.
func (s *source) open(path string, c *model.Config) (m *Model, err error) {
	r, err := s.reader()
	if err != nil {
		return nil, err
	}
	open := true
	defer func() {
		if err != nil && open {
			r.Close()
		}
	}()
	var tok *tokenizer.Tokenizer
	var none error
	var wg sync.WaitGroup
	wg.Go(func() { tok, none = s.tokenizer() }) // beside the weights, as it takes as long
	m, unused, without, err := s.network(r, c)
	if err == nil {
		m.views = r
		if s.close != nil { // the file goes with its source
			m.Own()
			open = false
		}
	}
	wg.Wait()
	if none != nil && !errors.Is(none, tokenizer.ErrNone) {
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	if none == nil {
		m.Tokenizer = tok
	}
	m.Path = path
	if filepath.Base(s.config) == model.ConfigFile && s.format != Tar {
		m.configDir = filepath.Dir(s.config)
	}
	if len(without) > 0 {
		m.Notes = append(m.Notes, "the tensors' names are read without "+strings.Join(without, " and "))
	}
	if err := m.check(unused); err != nil {
		return nil, err
	}
	if dir := cmp.Or(s.sentence, m.configDir); dir != "" {
		err = m.readSentence(onDisk(dir))
	}
	return m, err
}

// network reads configuration and tensors. without are the parts that the tensors' names were read without.
func (s *source) network(r safetensors.Reader, c *model.Config) (m *Model, unused, without []string, err error) {
	if c == nil {
		own, err := s.readConfig(r)
		if err != nil {
			return nil, nil, nil, err
		}
		c = &own
	}
	if err := foreign(r); err != nil && !slices.Contains(r.Names(), c.Prefix()+wordTable) && !slices.Contains(r.Names(), wordTable) {
		return nil, nil, nil, fmt.Errorf("%s: %w", s.weights, err)
	}
	if r, without, err = plain(r, c); err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", s.weights, err)
	}
	net, unused, err := model.View(*c, r)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", s.weights, err)
	}
	return &Model{Model: net, Format: s.format, Weights: s.weights, DTypes: dtypes(r)}, unused, without, nil
}

// foreign is an error that says whose tensors they are, if they are another family's; nil otherwise.
func foreign(r safetensors.Reader) error {
	if f := model.ForeignFamily(r.Names()); f != "" {
		return fmt.Errorf("its tensors have the names of a %s: only ALBERT and BERT are read", f)
	}
	return nil
}

// check compares configuration, tokenizer and tensors with each other, and notes what a user should know.
func (m *Model) check(unused []string) error {
	c := &m.Config
	for _, n := range unused {
		if !isSlot(n) {
			m.Unused = append(m.Unused, n)
		}
	}
	if m.Tokenizer != nil && m.Tokenizer.VocabSize() > c.VocabSize {
		return fmt.Errorf("%s: the tokenizer has %d pieces, the model only %d", m.Path, m.Tokenizer.VocabSize(), c.VocabSize)
	}
	if m.Tokenizer != nil && m.Tokenizer.VocabSize() < c.VocabSize {
		m.Notes = append(m.Notes, fmt.Sprintf("the tokenizer has %d pieces, the model %d rows for them: no text uses the others", m.Tokenizer.VocabSize(), c.VocabSize))
	}
	if n := c.GroupsNote(); n != "" {
		m.Notes = append(m.Notes, n)
	}
	if c.IsBERT() && (m.Format == TensorFlow || m.Format == Tar) {
		m.Notes = append(m.Notes, m.googleBERTNotes()...)
	}
	if len(m.Unused) > 0 {
		m.Notes = append(m.Notes, "tensors that are not read: "+strings.Join(m.Unused, ", "))
	}
	return nil
}

// isSlot tells whether a tensor is the optimizer's (a moment of a parameter, a step count) and no part of the model.
func isSlot(name string) bool {
	last := name[strings.LastIndexAny(name, "/.")+1:]
	return name == "global_step" || slices.Contains([]string{"adam_m", "adam_v", "lamb_m", "lamb_v"}, last)
}

func dtypes(r safetensors.Reader) map[string]string {
	t, ok := r.(tensorReader)
	if !ok {
		return nil
	}
	types := map[string]string{}
	for _, n := range r.Names() {
		if x, err := t.Tensor(n); err == nil {
			types[n] = string(x.DType)
		}
	}
	return types
}

// readConfig reads the configuration; an ONNX file of ours holds its own.
func (s *source) readConfig(r safetensors.Reader) (model.Config, error) {
	if s.config == "" {
		if f, ok := r.(*onnx.File); ok && f.Config() != nil {
			return *f.Config(), nil
		}
		return model.Config{}, fmt.Errorf("%s: no configuration: put the model's %s beside it", s.weights, model.ConfigFile)
	}
	google := s.format == TensorFlow || s.format == Tar
	c, err := model.ReadUntyped(s.config, model.Untyped{BERT: model.LooksLikeBERT(r.Names()), Hub: !google && model.LooksLikeBERT(r.Names())})
	if err != nil {
		return c, err
	}
	if google && !c.IsBERT() {
		// Google's code makes no map where E = H.
		const name = "albert.encoder.embedding_hidden_mapping_in.weight"
		if c.EmbeddingSize == c.HiddenSize && !slices.Contains(r.Names(), name) {
			no := false
			c.EmbeddingProjection = &no
		}
	}
	return c, nil
}

func exists(elem ...string) bool {
	_, err := os.Stat(filepath.Join(elem...))
	return err == nil
}

// find tells what a path means.
func find(path string) (*source, error) {
	st, err := os.Stat(path)
	if err == nil && st.IsDir() {
		return directory(path)
	}
	if tensorflow.IsCheckpoint(path) { // by a prefix, where no file of that name need be
		return checkpoint(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file, directory or checkpoint", path)
	}
	if err != nil {
		return nil, err
	}
	if IsArchive(path) {
		return archive(path)
	}
	format := bySuffix(path)
	switch strings.ToLower(filepath.Ext(path)) {
	case ".ckpt":
		format = PyTorch
	case ".json":
		return nil, fmt.Errorf("%s is a configuration: name the directory, or the file with the weights", path)
	}
	switch format {
	case SafeTensors, PyTorch, ONNX:
		return file(format, path)
	}
	return nil, fmt.Errorf("%s is no model: want a directory, a .safetensors, .bin, .pt or .onnx file, a checkpoint of TensorFlow, or a .tar.gz or .zip", path)
}

// file is a file of tensors, with config.json and tokenizer in its directory. An ONNX file may hold the configuration.
func file(f Format, path string) (*source, error) {
	dir := filepath.Dir(path)
	s := &source{format: f, weights: path, config: filepath.Join(dir, model.ConfigFile), tokenizer: tokenizerIn(dir)}
	s.reader = map[Format]func() (safetensors.Reader, error){
		SafeTensors: func() (safetensors.Reader, error) { return safetensors.Open(path) },
		PyTorch:     func() (safetensors.Reader, error) { return pytorch.Open(path) },
		ONNX:        func() (safetensors.Reader, error) { return onnx.Open(path) },
	}[f]
	if !exists(s.config) {
		if f != ONNX {
			return nil, noConfig(s)
		}
		s.config = ""
	}
	return s, nil
}

// noConfig is the error for a file of tensors without a configuration. It says whose they are if their names tell that no configuration would help.
func noConfig(s *source) error {
	if r, err := s.reader(); err == nil {
		defer r.Close()
		if err := foreign(r); err != nil {
			return fmt.Errorf("%s: %w", s.weights, err)
		}
	}
	return fmt.Errorf("%s: no %s beside it, which says what its tensors are", s.weights, model.ConfigFile)
}

func tokenizerIn(dir string) func() (*tokenizer.Tokenizer, error) {
	return func() (*tokenizer.Tokenizer, error) { return tokenizer.Open(dir) }
}

// directory is a run, a directory in Hugging Face layout, or one with Google's files; or one of sentence-transformers, whose model may lie in
// another below it.
func directory(path string) (*source, error) {
	sub, err := transformerDir(path)
	switch {
	case err != nil:
		return nil, err
	case sub == "":
		return plainDirectory(path)
	}
	s, err := plainDirectory(sub)
	if err != nil {
		return nil, err
	}
	s.sentence = path
	return s, nil
}

func plainDirectory(path string) (*source, error) {
	config := filepath.Join(path, model.ConfigFile)
	s := &source{format: HuggingFace, weights: path, config: config, tokenizer: tokenizerIn(path)}
	has := func(name string) bool { return exists(path, name) || exists(path, name+".index.json") }
	switch {
	case run.HasCheckpoints(path) || !exists(config):
		files, err := unpacked(path)
		switch {
		case err == nil && files != nil:
			return files, nil
		case err != nil && !run.Dir(path).Is():
			return nil, err
		}
		return runOf(path)
	case has(model.WeightsFile):
		s.reader = func() (safetensors.Reader, error) { return safetensors.OpenModel(path) }
	case has(torchFile):
		s.format = PyTorch
		s.reader = func() (safetensors.Reader, error) { return pytorch.OpenModel(path) }
	case exists(path, onnxFile):
		return file(ONNX, filepath.Join(path, onnxFile))
	default:
		if files, err := unpacked(path); err != nil || files != nil {
			return files, err
		}
		return nil, fmt.Errorf("%s: no weights there: no model.safetensors, pytorch_model.bin, model.onnx or checkpoint of TensorFlow", path)
	}
	return s, nil
}

// runOf is the model of a run of training, or of a checkpoint of one.
func runOf(path string) (*source, error) {
	of, err := run.Find(path)
	if err != nil {
		return nil, err
	}
	return &source{format: Run, weights: of.Weights, config: filepath.Join(of.Dir, model.ConfigFile), tokenizer: tokenizerIn(of.Dir),
		reader: func() (safetensors.Reader, error) {
			if of.Weights == of.Dir {
				return safetensors.OpenModel(of.Dir)
			}
			return safetensors.Open(of.Weights)
		}}, nil
}

// OpenFS opens a directory in Hugging Face layout of a file system, such as one that go:embed makes: config.json, model.safetensors and,
// if it is there, the tokenizer; or one of sentence-transformers, whole. The tensors are copied.
func OpenFS(fsys fs.FS, dir string) (*Model, error) {
	read := func(name string, most int64) ([]byte, error) {
		path := slashpath.Join(dir, name)
		f, err := fsys.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return disk.ReadAll(f, path, most)
	}
	sentence := sentenceDir{dir, read}
	at, err := sentence.transformerPath()
	if err != nil {
		return nil, err
	}
	text, err := read(slashpath.Join(at, model.ConfigFile), 1<<20)
	if err != nil {
		return nil, err
	}
	c, err := model.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", slashpath.Join(dir, at, model.ConfigFile), err)
	}
	s := &source{format: HuggingFace, weights: slashpath.Join(dir, at, model.WeightsFile),
		tokenizer: func() (*tokenizer.Tokenizer, error) { return tokenizer.OpenFS(fsys, slashpath.Join(dir, at)) }}
	s.reader = func() (safetensors.Reader, error) {
		data, err := read(slashpath.Join(at, model.WeightsFile), 8<<30)
		if err != nil {
			return nil, err
		}
		r, err := safetensors.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.weights, err)
		}
		return r, nil
	}
	m, err := owned(s.open(dir, &c))
	if err == nil {
		err = m.readSentence(sentence)
	}
	return m, err
}
