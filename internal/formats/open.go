package formats

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/pytorch"
	"albert/internal/files/safetensors"
	"albert/internal/files/tensorflow"
	"albert/internal/model"
	"albert/internal/onnx"
	"albert/internal/run"
	"albert/tokenizer"
)

// Format is a way in which a model is kept.
type Format string

// The formats.
const (
	HuggingFace Format = "hf"          // a directory: config.json, model.safetensors, spiece.model
	Run         Format = "run"         // a run of training: its model, or its newest checkpoint
	SafeTensors Format = "safetensors" // a file beside its config.json
	PyTorch     Format = "pytorch"     // a .bin or .pt file beside its config.json
	TensorFlow  Format = "tensorflow"  // Google's: PREFIX.index, PREFIX.data-*, beside albert_config.json
	Tar         Format = "tar"         // the same in a .tar.gz, as released
	ONNX        Format = "onnx"        // a .onnx file
)

// The names of other weights than model.safetensors in a Hugging Face directory.
const (
	torchFile = "pytorch_model.bin"
	onnxFile  = "model.onnx"
)

// Model is an opened model.
type Model struct {
	*model.Model
	Tokenizer *tokenizer.Tokenizer // nil: there is none
	Format    Format
	Path      string            // what was opened
	Weights   string            // the file or directory that the tensors come from
	DTypes    map[string]string // the type of each tensor where it was found, by its name there
	Unused    []string          // tensors that are of no head that we know
	Notes     []string          // what a user should know

	home string // the directory of its config.json; "" if it has none there
}

// source is where a model's parts are found.
type source struct {
	format  Format
	weights string
	reader  func() (safetensors.Reader, error) // of tensors under Hugging Face's names
	config  string                             // a config.json; "": the reader has it
	tok     func() (*tokenizer.Tokenizer, error)
	close   func() error
}

// Open opens the model that a path means: a directory in Hugging Face layout (with model.safetensors, pytorch_model.bin, model.onnx, or
// Google's files), a run or a checkpoint of one, a .safetensors, .bin, .pt or .onnx file beside its config.json, a checkpoint prefix or
// a .tar.gz of Google's. The tensors are copied: nothing stays open.
func Open(path string) (*Model, error) { return open(path, nil) }

// OpenAs is Open with another configuration than the model's own. Where it does not fit, the error names the first tensor that is
// missing or of another shape.
func OpenAs(path string, c model.Config) (*Model, error) { return open(path, &c) }

// ReadConfig reads the configuration of a model.
func ReadConfig(path string) (model.Config, error) {
	s, r, err := openReader(path)
	if err != nil {
		return model.Config{}, err
	}
	defer s.done()
	defer r.Close()
	return s.readConfig(r)
}

// OpenTokenizer opens a tokenizer: a file of one, or a model's. It is tokenizer.ErrNone that a model has none.
func OpenTokenizer(path string) (*tokenizer.Tokenizer, error) {
	t, err := tokenizer.Open(path)
	if err == nil || Guess(path) == HuggingFace && !errors.Is(err, tokenizer.ErrNone) && !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	s, none := find(path)
	if none != nil {
		return nil, err
	}
	defer s.done()
	return s.tok()
}

func (s *source) done() {
	if s.close != nil {
		s.close()
	}
}

// openReader finds a model and opens its tensors.
func openReader(path string) (*source, safetensors.Reader, error) {
	s, err := find(path)
	if err != nil {
		return nil, nil, err
	}
	r, err := s.reader()
	if err != nil {
		s.done()
		return nil, nil, err
	}
	return s, r, nil
}

func open(path string, c *model.Config) (*Model, error) {
	s, r, err := openReader(path)
	if err != nil {
		return nil, err
	}
	defer s.done()
	defer r.Close()
	tok, err := s.tok()
	if errors.Is(err, tokenizer.ErrNone) {
		tok, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c == nil {
		own, err := s.readConfig(r)
		if err != nil {
			return nil, err
		}
		c = &own
	}
	net, unused, err := model.FromFile(*c, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.weights, err)
	}
	m := &Model{Model: net, Tokenizer: tok, Format: s.format, Path: path, Weights: s.weights, DTypes: dtypes(r)}
	if filepath.Base(s.config) == model.ConfigFile && s.format != Tar {
		m.home = filepath.Dir(s.config)
	}
	if err := m.check(unused); err != nil {
		return nil, err
	}
	return m, nil
}

// check looks at the parts together, and takes notes.
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
	if l := c.GroupsDifferInTransformers(); l >= 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("layer %d is of group %d here (layer * groups / layers in integers), transformers computes another", l, c.Group(l)))
	}
	if len(m.Unused) > 0 {
		m.Notes = append(m.Notes, "tensors of heads that are not read: "+strings.Join(m.Unused, ", "))
	}
	return nil
}

// isSlot tells whether a tensor is an optimizer's and no part of a model.
func isSlot(name string) bool {
	last := name[strings.LastIndexAny(name, "/.")+1:]
	return name == "global_step" || slices.Contains([]string{"adam_m", "adam_v", "lamb_m", "lamb_v"}, last)
}

func dtypes(r safetensors.Reader) map[string]string {
	t, ok := r.(interface {
		Tensor(string) (safetensors.Tensor, error)
	})
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
		if f, ok := r.(*onnx.File); ok {
			if c, ok := f.Config(); ok {
				return c, nil
			}
		}
		return model.Config{}, fmt.Errorf("%s: no configuration: put the model's %s beside it", s.weights, model.ConfigFile)
	}
	c, err := model.ReadConfig(s.config)
	if err != nil {
		return c, err
	}
	if s.format == TensorFlow || s.format == Tar {
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

// find tells what a path is.
func find(path string) (*source, error) {
	st, err := os.Stat(path)
	if err != nil {
		if tensorflow.IsCheckpoint(path) {
			return checkpoint(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: no such file, directory or checkpoint", path)
		}
		return nil, err
	}
	dir, lower := filepath.Dir(path), strings.ToLower(path)
	has := func(suffixes ...string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(lower, s) })
	}
	switch {
	case st.IsDir():
		return directory(path)
	case has(".tar.gz", ".tgz", ".tar"):
		return archive(path)
	case has(".safetensors"):
		return beside(SafeTensors, path, dir, func() (safetensors.Reader, error) { return safetensors.Open(path) })
	case has(".bin", ".pt", ".pth", ".ckpt") && !tensorflow.IsCheckpoint(path):
		return beside(PyTorch, path, dir, func() (safetensors.Reader, error) { return pytorch.Open(path) })
	case has(".onnx"):
		s, err := beside(ONNX, path, dir, func() (safetensors.Reader, error) { return onnx.Open(path) })
		if err != nil {
			s, err = &source{format: ONNX, weights: path, reader: func() (safetensors.Reader, error) { return onnx.Open(path) },
				tok: func() (*tokenizer.Tokenizer, error) { return tokenizer.Open(dir) }}, nil
		}
		return s, err
	case tensorflow.IsCheckpoint(path):
		return checkpoint(path)
	case has(".json"):
		return nil, fmt.Errorf("%s is a configuration: name the directory, or the file with the weights", path)
	}
	return nil, fmt.Errorf("%s is no model: want a directory, a .safetensors, .bin, .pt or .onnx file, a checkpoint of TensorFlow, or a .tar.gz", path)
}

// beside is a file of tensors with config.json and tokenizer in its directory.
func beside(f Format, path, dir string, open func() (safetensors.Reader, error)) (*source, error) {
	config := filepath.Join(dir, model.ConfigFile)
	if !exists(config) {
		return nil, fmt.Errorf("%s: no %s beside it, which says what its tensors are", path, model.ConfigFile)
	}
	return &source{format: f, weights: path, config: config, reader: open,
		tok: func() (*tokenizer.Tokenizer, error) { return tokenizer.Open(dir) }}, nil
}

func directory(path string) (*source, error) {
	tok := func() (*tokenizer.Tokenizer, error) { return tokenizer.Open(path) }
	config := filepath.Join(path, model.ConfigFile)
	if run.HasCheckpoints(path) || !exists(config) {
		if files, err := googles(path); err == nil {
			return files, nil
		}
		of, err := run.Find(path)
		if err != nil {
			return nil, err
		}
		return &source{format: Run, weights: of.Weights, config: filepath.Join(of.Dir, model.ConfigFile),
			reader: func() (safetensors.Reader, error) {
				if of.Weights == of.Dir {
					return safetensors.OpenModel(of.Dir)
				}
				return safetensors.Open(of.Weights)
			},
			tok: func() (*tokenizer.Tokenizer, error) { return tokenizer.Open(of.Dir) }}, nil
	}
	s := &source{format: HuggingFace, weights: path, config: config, tok: tok}
	switch {
	case exists(path, model.WeightsFile) || exists(path, model.WeightsFile+".index.json"):
		s.reader = func() (safetensors.Reader, error) { return safetensors.OpenModel(path) }
	case exists(path, torchFile) || exists(path, torchFile+".index.json"):
		s.format = PyTorch
		s.reader = func() (safetensors.Reader, error) { return pytorch.OpenModel(path) }
	case exists(path, onnxFile):
		s.format, s.weights = ONNX, filepath.Join(path, onnxFile)
		s.reader = func() (safetensors.Reader, error) { return onnx.Open(s.weights) }
	default:
		if files, err := googles(path); err == nil {
			return files, nil
		}
		return nil, fmt.Errorf("%s: no weights there: no model.safetensors, pytorch_model.bin, model.onnx or checkpoint of TensorFlow", path)
	}
	return s, nil
}

// googles is a directory as it comes out of a released archive.
func googles(dir string) (*source, error) {
	list, err := filepath.Glob(filepath.Join(escape(dir), "*.index"))
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(p string) bool { return !tensorflow.IsCheckpoint(p) })
	switch len(list) {
	case 0:
		return nil, fmt.Errorf("%s: no checkpoint there", dir)
	case 1:
		return checkpoint(list[0])
	}
	return nil, fmt.Errorf("%s has %d checkpoints: name one, such as %s", dir, len(list), tensorflow.Prefix(list[0]))
}

// escape makes a path a pattern that matches itself.
func escape(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

func checkpoint(path string) (*source, error) {
	prefix := tensorflow.Prefix(path)
	files, err := tensorflow.Beside(prefix)
	if err != nil {
		return nil, err
	}
	return google(TensorFlow, path, files)
}

func archive(path string) (*source, error) {
	a, err := tensorflow.OpenTar(path)
	if err != nil {
		return nil, err
	}
	s, err := google(Tar, path, a.Files)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	s.close = a.Close
	return s, nil
}

// google is a model of Google's files.
func google(f Format, path string, files tensorflow.Files) (*source, error) {
	if files.Checkpoint == "" {
		return nil, fmt.Errorf("%s: no checkpoint in it (a .index and a .data file)", path)
	}
	if files.Config == "" {
		return nil, fmt.Errorf("%s: no albert_config.json beside the checkpoint", path)
	}
	return &source{format: f, weights: path, config: files.Config,
		reader: func() (safetensors.Reader, error) {
			r, err := tensorflow.Open(files.Checkpoint)
			if err != nil {
				return nil, err
			}
			m, _, err := tensorflow.Model(r)
			if err != nil {
				return nil, errors.Join(err, r.Close())
			}
			return m, nil
		},
		tok: func() (*tokenizer.Tokenizer, error) {
			switch {
			case files.SentencePiece != "":
				return tokenizer.OpenClean(files.SentencePiece, files.Cleanup)
			case files.Vocab != "":
				return tokenizer.OpenClean(files.Vocab, files.Cleanup)
			}
			return nil, tokenizer.ErrNone
		},
	}, nil
}

// OpenFS opens a directory in Hugging Face layout of a file system, such as one that go:embed makes: config.json, model.safetensors and,
// if it is there, the tokenizer. The tensors are copied.
func OpenFS(fsys fs.FS, dir string) (*Model, error) {
	read := func(name string, most int64) ([]byte, error) {
		path := dir + "/" + name
		if dir == "" || dir == "." {
			path = name
		}
		f, err := fsys.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, most+1))
		if err == nil && int64(len(data)) > most {
			err = fmt.Errorf("%s: larger than %d bytes", path, most)
		}
		return data, err
	}
	text, err := read(model.ConfigFile, 1<<20)
	if err != nil {
		return nil, err
	}
	c, err := model.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", dir, model.ConfigFile, err)
	}
	data, err := read(model.WeightsFile, 8<<30)
	if err != nil {
		return nil, err
	}
	r, err := safetensors.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", dir, model.WeightsFile, err)
	}
	net, unused, err := model.FromFile(c, r)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", dir, model.WeightsFile, err)
	}
	m := &Model{Model: net, Format: HuggingFace, Path: dir, Weights: dir, DTypes: dtypes(r)}
	if m.Tokenizer, err = tokenizer.OpenFS(fsys, dir); errors.Is(err, tokenizer.ErrNone) {
		m.Tokenizer, err = nil, nil
	}
	if err == nil {
		err = m.check(unused)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}
