package formats

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	slashpath "path"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/engine/ops"
	"albert/internal/files/disk"
	"albert/internal/files/pytorch"
	"albert/internal/files/safetensors"
	"albert/internal/model"
	"albert/tokenizer"
)

// Sentence is what a sentence-transformers directory says of how a text becomes a vector: modules.json and the files that it names.
type Sentence struct {
	Pooling       []Pooling // the vectors that are put one after another
	WithoutPrompt bool      // the pieces of the prompt are not pooled (include_prompt false)
	Modules       []SentenceModule
	MaxSeqLength  int // pieces, special ones included; 0: what the model takes
	Prompts       map[string]string
	DefaultPrompt string // a name of Prompts; "": none
	Dimensions    int    // of the result so many first are kept, as it is (truncate_dim); 0: all

	lower bool
}

// SentenceModule is a module behind the pooling: a map with an activation, or, where W is nil, the scaling to length 1.
type SentenceModule struct {
	ops.Affine
	Activation ops.Activation
}

// Pooling is how the vectors of a text's pieces become one, by the names of sentence-transformers.
type Pooling string

// The poolings.
const (
	PoolCLS          Pooling = "cls"                  // the first piece's
	PoolMax          Pooling = "max"                  // the largest of each value
	PoolMean         Pooling = "mean"                 // over all pieces, [CLS] and [SEP] included
	PoolMeanSqrt     Pooling = "mean_sqrt_len_tokens" // their sum by the root of their number
	PoolWeightedMean Pooling = "weightedmean"         // each weighs as much as its place, from 1
	PoolLast         Pooling = "lasttoken"            // the last piece's
)

type poolingKey struct {
	key  string
	mode Pooling
}

// poolingKeys are the older keys of a pooling's config.json, in the order in which vectors are put one after another.
var poolingKeys = []poolingKey{{"pooling_mode_cls_token", PoolCLS}, {"pooling_mode_max_tokens", PoolMax}, {"pooling_mode_mean_tokens", PoolMean},
	{"pooling_mode_mean_sqrt_len_tokens", PoolMeanSqrt}, {"pooling_mode_weightedmean_tokens", PoolWeightedMean}, {"pooling_mode_lasttoken", PoolLast}}

// The names of files of sentence-transformers.
const (
	modulesFile  = "modules.json"
	promptsFile  = "config_sentence_transformers.json"
	maxSentences = 64 // modules
)

// transformerFiles are the names under which the module of the transformer keeps its settings, the newest first.
var transformerFiles = []string{"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json",
	"sentence_camembert_config.json", "sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json"}

// sentenceDir reads the files of a directory of sentence-transformers.
type sentenceDir struct {
	dir  string // for messages
	read func(name string, most int64) ([]byte, error)
}

// onDisk is a directory of the file system.
func onDisk(dir string) sentenceDir {
	return sentenceDir{dir, func(name string, most int64) ([]byte, error) {
		return disk.ReadFile(filepath.Join(dir, filepath.FromSlash(name)), most)
	}}
}

// json reads a file into v, a pointer. It tells whether there is one.
func (d sentenceDir) json(name string, v any) (bool, error) {
	text, err := d.read(name, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		if err = json.Unmarshal(text, v); err != nil {
			err = d.fail(name, "%w", err)
		}
	}
	return err == nil, err
}

// fail is an error about a file.
func (d sentenceDir) fail(name, format string, args ...any) error {
	return fmt.Errorf("%s: %w", filepath.Join(d.dir, filepath.FromSlash(name)), fmt.Errorf(format, args...))
}

// module is an entry of modules.json.
type module struct {
	Path string `json:"path"`
	Type string `json:"type"`
}

// kind is the last part of a module's type, which releases have in several packages; another program's type as it is.
func (m module) kind() string {
	if rest, ok := strings.CutPrefix(m.Type, "sentence_transformers."); ok {
		return rest[strings.LastIndexByte(rest, '.')+1:]
	}
	return m.Type
}

// modules reads modules.json; nil if there is none. The first is the transformer.
func (d sentenceDir) modules() ([]module, error) {
	var list []module
	if ok, err := d.json(modulesFile, &list); !ok || err != nil {
		return nil, err
	}
	if len(list) == 0 || len(list) > maxSentences {
		return nil, d.fail(modulesFile, "%d modules: want 1 to %d", len(list), maxSentences)
	}
	for i, m := range list {
		if m.Path != "" && !filepath.IsLocal(filepath.FromSlash(m.Path)) {
			return nil, d.fail(modulesFile, "module %d: the path %q leads out of the directory", i, m.Path)
		}
		if (i == 0) != (m.kind() == "Transformer") {
			return nil, d.fail(modulesFile, "module %d is %q: want a Transformer first, then Pooling, Dense and Normalize", i, m.Type)
		}
	}
	return list, nil
}

// transformerDir is where the model of a directory of sentence-transformers lies, "" if path is no such directory, or the model lies in it.
func transformerDir(path string) (string, error) {
	sub, err := onDisk(path).transformerPath()
	if err != nil || sub == "." {
		return "", err
	}
	return filepath.Join(path, filepath.FromSlash(sub)), nil
}

// transformerPath is where the model lies in the directory; ".", if it lies in no other.
func (d sentenceDir) transformerPath() (string, error) {
	list, err := d.modules()
	if err != nil || len(list) == 0 {
		return ".", err
	}
	return slashpath.Clean(list[0].Path), nil
}

// sentence reads what the directory says beside the model, which has a configuration; nil if it has no modules.json.
func (d sentenceDir) sentence(c *model.Config) (*Sentence, error) {
	list, err := d.modules()
	if err != nil || list == nil {
		return nil, err
	}
	if is, err := d.crossEncoder(list, c); is || err != nil {
		return nil, err
	}
	s := &Sentence{}
	if err := d.transformer(s, list[0]); err != nil {
		return nil, err
	}
	width := c.HiddenSize
	for i, m := range list[1:] {
		kind, name := m.kind(), slashpath.Join(m.Path, model.ConfigFile)
		switch {
		case kind == "Pooling" && i == 0:
			err = d.pooling(s, name, width)
			width *= len(s.Pooling)
		case kind == "Dense" && i > 0:
			width, err = d.dense(s, m.Path, width)
		case kind == "Normalize" && i > 0:
			err = d.normalize(s, name)
		case kind == "Pooling" || kind == "Dense" || kind == "Normalize":
			err = d.fail(modulesFile, "module %d is %q: want the Pooling second, and one only", i+1, m.Type)
		default:
			err = d.fail(modulesFile, "module %d is %q: only Transformer, Pooling, Dense and Normalize are known", i+1, m.Type)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.Pooling == nil {
		return nil, d.fail(modulesFile, "no Pooling in it")
	}
	return s, d.prompts(s, width)
}

// transformer reads the settings of the module of the transformer.
func (d sentenceDir) transformer(s *Sentence, m module) error {
	for _, name := range transformerFiles {
		name = slashpath.Join(m.Path, name)
		var c struct {
			MaxSeqLength *int `json:"max_seq_length"`
			Lower        bool `json:"do_lower_case"`
		}
		ok, err := d.json(name, &c)
		if err != nil {
			return err
		}
		if c.MaxSeqLength != nil {
			if s.MaxSeqLength = *c.MaxSeqLength; s.MaxSeqLength < 2 {
				return d.fail(name, "max_seq_length is %d: want at least 2", s.MaxSeqLength)
			}
		}
		if s.lower = c.Lower; ok {
			break
		}
	}
	if s.MaxSeqLength == 0 { // newer releases keep it with the tokenizer alone
		s.MaxSeqLength = d.maxLength(slashpath.Join(m.Path, tokenizer.ConfigFile))
	}
	return nil
}

// pooling reads a Pooling over vectors of a width.
func (d sentenceDir) pooling(s *Sentence, name string, width int) error {
	fields := map[string]json.RawMessage{}
	if ok, err := d.json(name, &fields); err != nil || !ok {
		return errors.Join(err, d.missing(ok, name))
	}
	for _, key := range []string{"word_embedding_dimension", "embedding_dimension"} {
		var n int
		if raw, ok := fields[key]; ok && (json.Unmarshal(raw, &n) != nil || n != width) {
			return d.fail(name, "%s is %s, the model's vectors have %d values", key, raw, width)
		}
	}
	var old []Pooling
	said := false
	for _, k := range poolingKeys {
		var on bool
		if raw, ok := fields[k.key]; ok {
			if said = true; json.Unmarshal(raw, &on) != nil {
				return d.fail(name, "%s is %s: want true or false", k.key, raw)
			}
		}
		if on {
			old = append(old, k.mode)
		}
	}
	if raw, ok := fields["pooling_mode"]; ok {
		var one Pooling
		if json.Unmarshal(raw, &one) == nil {
			s.Pooling = []Pooling{one}
		} else if json.Unmarshal(raw, &s.Pooling) != nil || len(s.Pooling) == 0 || len(s.Pooling) > len(poolingKeys) {
			return d.fail(name, "pooling_mode is %s: want a name or a list of names", raw)
		}
		if in := slices.Clone(s.Pooling); said && !slices.Equal(slices.Sorted(slices.Values(in)), slices.Sorted(slices.Values(old))) {
			return d.fail(name, "pooling_mode is %s, but the older keys pooling_mode_* say %q", raw, old)
		}
	} else if s.Pooling = old; len(old) == 0 {
		s.Pooling = []Pooling{PoolMean}
	}
	for _, p := range s.Pooling {
		if !p.known() {
			return d.fail(name, "the pooling %q is not known", p)
		}
	}
	if raw, ok := fields["include_prompt"]; ok {
		var with bool
		if json.Unmarshal(raw, &with) != nil {
			return d.fail(name, "include_prompt is %s: want true or false", raw)
		}
		s.WithoutPrompt = !with
	}
	for key, raw := range fields { // a mode of a later release
		if strings.HasPrefix(key, "pooling_mode_") && string(raw) != "false" && !slices.ContainsFunc(poolingKeys, func(k poolingKey) bool { return k.key == key }) {
			return d.fail(name, "%s is not known", key)
		}
	}
	return nil
}

func (p Pooling) known() bool {
	return slices.ContainsFunc(poolingKeys, func(k poolingKey) bool { return k.mode == p })
}

func (d sentenceDir) missing(ok bool, name string) error {
	if ok {
		return nil
	}
	return d.fail(name, "is missing, though %s names the module", modulesFile)
}

// ports reports a module that does not read the sentence's vector and put it back.
func (d sentenceDir) ports(name string, in, out *string) error {
	for key, v := range map[string]*string{"module_input_name": in, "module_output_name": out} {
		if v != nil && *v != "sentence_embedding" {
			return d.fail(name, "%s is %q: only sentence_embedding is supported", key, *v)
		}
	}
	return nil
}

// normalize reads a Normalize, which older releases wrote without settings.
func (d sentenceDir) normalize(s *Sentence, name string) error {
	var c struct {
		Input  *string `json:"module_input_name"`
		Output *string `json:"module_output_name"`
	}
	if _, err := d.json(name, &c); err != nil {
		return err
	}
	s.Modules = append(s.Modules, SentenceModule{})
	return d.ports(name, c.Input, c.Output)
}

// activations are those of a Dense, by their classes of PyTorch without the package.
var activations = map[string]ops.Activation{"Tanh": ops.Tanh, "Identity": ops.Identity, "ReLU": ops.Relu, "GELU": ops.GeluErf}

// dense reads a Dense over vectors of a width, and gives that of its own.
func (d sentenceDir) dense(s *Sentence, path string, width int) (int, error) {
	name := slashpath.Join(path, model.ConfigFile)
	c := struct {
		In         int     `json:"in_features"`
		Out        int     `json:"out_features"`
		Bias       *bool   `json:"bias"`
		Activation string  `json:"activation_function"`
		Input      *string `json:"module_input_name"`
		Output     *string `json:"module_output_name"`
		Residual   bool    `json:"use_residual"`
	}{Activation: "Tanh"}
	if ok, err := d.json(name, &c); err != nil || !ok {
		return 0, errors.Join(err, d.missing(ok, name))
	}
	act, known := activations[c.Activation[strings.LastIndexByte(c.Activation, '.')+1:]]
	switch {
	case !known:
		return 0, d.fail(name, "activation_function is %q: want one of %s", c.Activation, strings.Join(slices.Sorted(maps.Keys(activations)), ", "))
	case c.Residual:
		return 0, d.fail(name, "use_residual is true, which is not supported")
	case c.In != width:
		return 0, d.fail(name, "in_features is %d, what comes before it gives %d values", c.In, width)
	case c.Out < 1 || c.Out > 1<<16:
		return 0, d.fail(name, "out_features is %d: want 1 to %d", c.Out, 1<<16)
	}
	if err := d.ports(name, c.Input, c.Output); err != nil {
		return 0, err
	}
	r, weights, err := d.weights(path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	load := func(tensor string, want ...int) (*ops.Param, error) {
		values, shape, err := r.Float32(tensor)
		if err == nil && !slices.Equal(shape, want) {
			err = d.fail(weights, "tensor %s has shape %v, want %v by %s", tensor, shape, want, model.ConfigFile)
		}
		return &ops.Param{Name: path + "." + tensor, Shape: want, Data: slices.Clone(values)}, err
	}
	m := SentenceModule{Activation: act}
	if m.W, err = load("linear.weight", c.Out, width); err != nil {
		return 0, err
	}
	params := []*ops.Param{m.W}
	if c.Bias == nil || *c.Bias {
		if m.B, err = load("linear.bias", c.Out); err != nil {
			return 0, err
		}
		params = append(params, m.B)
	}
	ops.NewParams(params).Touch()
	s.Modules = append(s.Modules, m)
	return c.Out, nil
}

// weights opens the tensors of a module.
func (d sentenceDir) weights(path string) (r safetensors.Reader, name string, err error) {
	name = slashpath.Join(path, model.WeightsFile)
	data, err := d.read(name, 1<<33)
	parse := func(data []byte) (safetensors.Reader, error) { return safetensors.Parse(data) }
	if errors.Is(err, fs.ErrNotExist) {
		old := slashpath.Join(path, torchFile)
		if d, e := d.read(old, 1<<33); !errors.Is(e, fs.ErrNotExist) {
			name, data, err = old, d, e
			parse = func(data []byte) (safetensors.Reader, error) { return pytorch.Parse(data) }
		}
	}
	if err != nil {
		return nil, name, err
	}
	if r, err = parse(data); err != nil {
		err = d.fail(name, "%w", err)
	}
	return r, name, err
}

// prompts reads the prompts, and how many of a vector's values are kept, of so many.
func (d sentenceDir) prompts(s *Sentence, width int) error {
	var c struct {
		Prompts map[string]*string `json:"prompts"`
		Default *string            `json:"default_prompt_name"`
		Keep    *int               `json:"truncate_dim"`
	}
	if _, err := d.json(promptsFile, &c); err != nil {
		return err
	}
	s.Prompts = map[string]string{}
	for name, text := range c.Prompts {
		if text != nil {
			s.Prompts[name] = *text
		}
	}
	if c.Default != nil && *c.Default != "" {
		if s.DefaultPrompt = *c.Default; c.Prompts[s.DefaultPrompt] == nil {
			return d.fail(promptsFile, "default_prompt_name is %q, which prompts does not have", s.DefaultPrompt)
		}
	}
	if c.Keep != nil {
		if s.Dimensions = *c.Keep; s.Dimensions < 1 || s.Dimensions > width {
			return d.fail(promptsFile, "truncate_dim is %d, the vectors have %d values", s.Dimensions, width)
		}
	}
	return nil
}

// readSentence reads what a directory of sentence-transformers says, if the model is of one.
func (m *Model) readSentence(d sentenceDir) (err error) {
	m.MaxLength = d.maxLength(tokenizer.ConfigFile)
	if m.Sentence, err = d.sentence(&m.Config); err == nil && m.Sentence != nil && m.Sentence.lower && m.Tokenizer != nil {
		o := m.Tokenizer.Options
		o.Lower = true
		m.Tokenizer = m.Tokenizer.With(o)
	}
	return err
}

// WriteSentence makes a model's directory one of sentence-transformers: the transformer, which is there, a pooling of its vectors of so many
// values, and, where asked for, the scaling to length 1.
func WriteSentence(dir string, p Pooling, normalize bool, width, maxSeqLength int) error {
	type module struct {
		Index int    `json:"idx"`
		Name  string `json:"name"`
		Path  string `json:"path"`
		Type  string `json:"type"`
	}
	const pooling, unit = "1_Pooling", "2_Normalize"
	modules := []module{{0, "0", "", "sentence_transformers.models.Transformer"}, {1, "1", pooling, "sentence_transformers.models.Pooling"}}
	dirs := []string{pooling}
	if normalize {
		modules, dirs = append(modules, module{2, "2", unit, "sentence_transformers.models.Normalize"}), append(dirs, unit)
	}
	for _, d := range dirs {
		if err := disk.MkdirAll(filepath.Join(dir, d)); err != nil {
			return err
		}
	}
	modes := map[string]any{"word_embedding_dimension": width, "include_prompt": true}
	for _, k := range poolingKeys {
		modes[k.key] = k.mode == p
	}
	return errors.Join(
		disk.WriteJSON(filepath.Join(dir, modulesFile), modules),
		disk.WriteJSON(filepath.Join(dir, transformerFiles[0]), map[string]any{"max_seq_length": maxSeqLength, "do_lower_case": false}),
		disk.WriteJSON(filepath.Join(dir, pooling, model.ConfigFile), modes))
}
