package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"albert/internal/engine/ops"
	"albert/internal/files/disk"
)

// Sharing says which parameters the layers have in common (paper, section 4.5).
type Sharing string

// The sharing modes of the paper's Table 4.
const (
	ShareAll       Sharing = "all"
	ShareAttention Sharing = "attention"
	ShareFFN       Sharing = "ffn"
	ShareNone      Sharing = "none"
)

// Config is config.json, ALBERT's or BERT's. Fields have the names and meanings of Hugging Face's AlbertConfig. Sharing, SharingInner and
// EmbeddingProjection are ours: transformers loads the tensors as a file has them, and these fields say which of them are one parameter.
type Config struct {
	VocabSize                 int     `json:"vocab_size"`
	EmbeddingSize             int     `json:"embedding_size"`
	HiddenSize                int     `json:"hidden_size"`
	NumHiddenLayers           int     `json:"num_hidden_layers"`
	NumHiddenGroups           int     `json:"num_hidden_groups"`
	NumAttentionHeads         int     `json:"num_attention_heads"`
	IntermediateSize          int     `json:"intermediate_size"`
	InnerGroupNum             int     `json:"inner_group_num"`
	HiddenAct                 string  `json:"hidden_act"`
	HiddenDropoutProb         float32 `json:"hidden_dropout_prob"`
	AttentionProbsDropoutProb float32 `json:"attention_probs_dropout_prob"`
	ClassifierDropoutProb     float32 `json:"classifier_dropout_prob"`
	MaxPositionEmbeddings     int     `json:"max_position_embeddings"`
	TypeVocabSize             int     `json:"type_vocab_size"`
	InitializerRange          float32 `json:"initializer_range"`
	LayerNormEps              float32 `json:"layer_norm_eps"`
	PositionEmbeddingType     string  `json:"position_embedding_type"`
	ModelType                 string  `json:"model_type"`
	PadTokenID                int     `json:"pad_token_id"`
	BosTokenID                int     `json:"bos_token_id"`
	EosTokenID                int     `json:"eos_token_id"`

	// With another Sharing than "all" a file has a group for every layer (num_hidden_groups = num_hidden_layers), and what layers share
	// stands in each. transformers cannot run inner groups in so many groups, so each inner group is a layer with a group of its own in the
	// file, which keeps their number as sharing_inner_group_num. In a Config that was read SharingInner is 0 and InnerGroupNum that number.
	Sharing      Sharing `json:"sharing,omitempty"`
	SharingInner int     `json:"sharing_inner_group_num,omitempty"`
	// EmbeddingProjection false: E = H and there is no map between them; a file has the identity in its place.
	EmbeddingProjection *bool `json:"embedding_projection,omitempty"`

	extra map[string]json.RawMessage // fields that we do not know, kept and written back
}

// maxDimension bounds every size in a config, so that no product of two overflows.
const maxDimension = 1 << 24

// maxLayers bounds the layers that run, so that a config cannot ask for a list without end.
const maxLayers = 1 << 12

// maxConfigBytes bounds config.json; real ones have 1 KB.
const maxConfigBytes = 1 << 20

var named = map[string]Config{
	"base":       {HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12},
	"large":      {HiddenSize: 1024, NumHiddenLayers: 24, NumAttentionHeads: 16},
	"xlarge":     {HiddenSize: 2048, NumHiddenLayers: 24, NumAttentionHeads: 16},
	"xxlarge":    {HiddenSize: 4096, NumHiddenLayers: 12, NumAttentionHeads: 64},
	"bert-base":  {HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12},
	"bert-large": {HiddenSize: 1024, NumHiddenLayers: 24, NumAttentionHeads: 16},
}

// ConfigNames lists the names that [NamedConfig] knows.
func ConfigNames() []string {
	names := slices.Sorted(maps.Keys(named))
	for _, n := range []string{"base", "large", "xlarge", "xxlarge"} {
		names = append(names, n+"-v1", n+"-v2")
	}
	slices.Sort(names)
	return names
}

// NamedConfig gives a released configuration: base, large, xlarge, xxlarge (v2: dropout 0, gelu_new), the same with -v1 (dropout 0.1
// but for xxlarge, whose v1 had none), and the paper's BERT baselines bert-base and bert-large (E = H, nothing shared). The
// vocabulary has 30,000 pieces until a tokenizer says otherwise. (SPEC: paper Table 1, released configs.)
func NamedConfig(name string) (Config, bool) {
	base, v1 := strings.CutSuffix(name, "-v1")
	base = strings.TrimSuffix(base, "-v2")
	c, ok := named[base]
	bert := strings.HasPrefix(base, "bert-")
	if !ok || bert && base != name {
		return Config{}, false
	}
	c.VocabSize, c.EmbeddingSize = 30000, 128
	c.IntermediateSize = 4 * c.HiddenSize
	c.HiddenAct = "gelu_new"
	c.setDefaults()
	if v1 && base != "xxlarge" || bert {
		c.HiddenDropoutProb, c.AttentionProbsDropoutProb = 0.1, 0.1
	}
	if bert {
		c.EmbeddingSize = c.HiddenSize
		c.Sharing = ShareNone
		no := false
		c.EmbeddingProjection = &no
	}
	return c, true
}

// setDefaults fills what released configs leave out, with AlbertConfig's defaults.
func (c *Config) setDefaults() {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&c.NumHiddenGroups, 1)
	def(&c.InnerGroupNum, 1)
	def(&c.MaxPositionEmbeddings, 512)
	def(&c.TypeVocabSize, 2)
	c.ClassifierDropoutProb = 0.1
	c.InitializerRange = 0.02
	c.LayerNormEps = 1e-12
	c.PositionEmbeddingType = "absolute"
	c.ModelType = albertType
	c.BosTokenID, c.EosTokenID = 2, 3
	c.Sharing = ShareAll
}

// Untyped says what a configuration without model_type is: Google's of ALBERT, unless a field is set. Google's "gelu" is the approximation by tanh
// and becomes "gelu_new".
type Untyped struct {
	BERT bool // of BERT
	Hub  bool // transformers', from before it had model_type: "gelu" is by erf
}

// ReadConfig reads a config.json, or Google's albert_config.json or bert_config.json.
func ReadConfig(path string) (Config, error) {
	return ReadUntyped(path, Untyped{BERT: filepath.Base(path) == GoogleBERTFile})
}

// ReadUntyped reads a config.json, and where it has no model_type as u says.
func ReadUntyped(path string, u Untyped) (Config, error) {
	data, err := disk.ReadFile(path, maxConfigBytes)
	if err != nil {
		return Config{}, err
	}
	c, err := parseConfig(data, u)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ParseConfig reads the text of a config.json and validates it. One without model_type is Google's of ALBERT.
func ParseConfig(data []byte) (Config, error) { return parseConfig(data, Untyped{}) }

func parseConfig(data []byte, u Untyped) (Config, error) {
	if len(data) > maxConfigBytes {
		return Config{}, errors.New("larger than 1 MiB: not a model configuration")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return Config{}, fmt.Errorf("not a JSON object: %w", err)
	}
	kind, err := modelType(fields)
	if err != nil {
		return Config{}, err
	}
	if kind == "" && u.BERT {
		kind = bertType
	}
	var c Config
	c.NumHiddenLayers, c.NumAttentionHeads = 12, 64 // AlbertConfig's own defaults, those of xxlarge
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize = 30000, 128, 4096, 16384
	c.HiddenAct = "gelu_new"
	c.setDefaults()
	c.ModelType = ""
	c.Sharing = ""
	if kind == bertType {
		c.setBERTDefaults()
	}
	if err := json.Unmarshal(data, &c); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			return Config{}, fmt.Errorf("field %s: a %s where a %s is needed", te.Field, te.Value, te.Type)
		}
		return Config{}, err
	}
	for f := range reflect.TypeFor[Config]().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			delete(fields, name)
		}
	}
	c.extra = fields
	if c.ModelType == "" {
		c.ModelType = cmp.Or(kind, albertType)
		if c.HiddenAct == "gelu" && !u.Hub {
			c.HiddenAct = "gelu_new"
		}
	}
	if c.Sharing == "" {
		c.Sharing = ShareAll
	}
	if c.IsBERT() {
		if err := c.finishBERT(); err != nil {
			return Config{}, err
		}
	}
	if n := c.SharingInner; n != 0 {
		if n < 1 || c.Sharing == ShareAll || c.InnerGroupNum != 1 || c.NumHiddenLayers%n != 0 || c.NumHiddenGroups != c.NumHiddenLayers {
			return Config{}, fmt.Errorf("config: sharing_inner_group_num %d with sharing %q, inner_group_num %d, %d layers and %d groups: want another sharing than all, "+
				"inner_group_num 1, and as many groups as layers, a multiple of sharing_inner_group_num", n, c.Sharing,
				c.InnerGroupNum, c.NumHiddenLayers, c.NumHiddenGroups)
		}
		c.NumHiddenLayers /= n
		c.NumHiddenGroups, c.InnerGroupNum, c.SharingInner = c.NumHiddenLayers, n, 0
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Validate reports the first field that makes the configuration impossible.
func (c *Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"embedding_size", c.EmbeddingSize}, {"hidden_size", c.HiddenSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_hidden_groups", c.NumHiddenGroups},
		{"num_attention_heads", c.NumAttentionHeads}, {"intermediate_size", c.IntermediateSize}, {"inner_group_num", c.InnerGroupNum},
		{"max_position_embeddings", c.MaxPositionEmbeddings}, {"type_vocab_size", c.TypeVocabSize},
	} {
		if f.value < 1 || f.value > maxDimension {
			return fmt.Errorf("config: %s is %d, want 1 to %d", f.name, f.value, maxDimension)
		}
	}
	if n := c.NumHiddenLayers * c.InnerGroupNum; n > maxLayers {
		return fmt.Errorf("config: num_hidden_layers %d times inner_group_num %d is more than %d", c.NumHiddenLayers, c.InnerGroupNum, maxLayers)
	}
	if c.ModelType != albertType && !c.IsBERT() {
		return fmt.Errorf("config: model_type is %q, want %q or %q", c.ModelType, albertType, bertType)
	}
	if c.IsBERT() && (c.Sharing != ShareNone || c.Projects() || c.InnerGroupNum != 1) {
		return errors.New("config: the layers of a BERT share nothing (model_type)")
	}
	if c.HiddenSize%c.NumAttentionHeads != 0 {
		return fmt.Errorf("config: hidden_size %d is not divisible by num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads)
	}
	if _, err := c.Activation(); err != nil {
		return err
	}
	if c.PositionEmbeddingType != "absolute" {
		return fmt.Errorf("config: position_embedding_type %q is not supported, only \"absolute\"", c.PositionEmbeddingType)
	}
	for _, f := range []struct {
		name  string
		value float32
	}{
		{"hidden_dropout_prob", c.HiddenDropoutProb}, {"attention_probs_dropout_prob", c.AttentionProbsDropoutProb},
		{"classifier_dropout_prob", c.ClassifierDropoutProb},
	} {
		if !(f.value >= 0 && f.value < 1) {
			return fmt.Errorf("config: %s is %v, want 0 <= p < 1", f.name, f.value)
		}
	}
	if !(c.InitializerRange >= 0 && c.InitializerRange < 100) {
		return fmt.Errorf("config: initializer_range is %v, want 0 <= x < 100", c.InitializerRange)
	}
	if !(c.LayerNormEps >= 0 && c.LayerNormEps < 1) {
		return fmt.Errorf("config: layer_norm_eps is %v, want 0 <= x < 1", c.LayerNormEps)
	}
	switch c.Sharing {
	case ShareAll:
		if c.NumHiddenGroups > c.NumHiddenLayers {
			return fmt.Errorf("config: num_hidden_groups %d is more than num_hidden_layers %d", c.NumHiddenGroups, c.NumHiddenLayers)
		}
	case ShareAttention, ShareFFN, ShareNone:
		if c.NumHiddenGroups != 1 && c.NumHiddenGroups != c.NumHiddenLayers {
			return fmt.Errorf("config: sharing %q with num_hidden_groups %d: want 1 or num_hidden_layers (%d)", c.Sharing, c.NumHiddenGroups, c.NumHiddenLayers)
		}
	default:
		return fmt.Errorf("config: sharing is %q, want all, attention, ffn or none", c.Sharing)
	}
	if !c.Projects() && c.EmbeddingSize != c.HiddenSize {
		return fmt.Errorf("config: embedding_projection is false, but embedding_size %d differs from hidden_size %d", c.EmbeddingSize, c.HiddenSize)
	}
	return nil
}

// Activation is what hidden_act names, in Hugging Face's words: "gelu" is by erf, "gelu_new" by tanh.
func (c *Config) Activation() (ops.Activation, error) {
	switch c.HiddenAct {
	case "gelu":
		return ops.GeluErf, nil
	case "gelu_new", "gelu_pytorch_tanh":
		return ops.GeluTanh, nil
	case "relu":
		return ops.Relu, nil
	case "tanh":
		return ops.Tanh, nil
	case "linear", "none", "":
		return ops.Identity, nil
	}
	return 0, fmt.Errorf("config: hidden_act %q is not supported (gelu, gelu_new, relu, tanh, linear)", c.HiddenAct)
}

// Projects tells whether a map leads from the embeddings to the layers.
func (c *Config) Projects() bool { return c.EmbeddingProjection == nil || *c.EmbeddingProjection }

// groups is the number of groups whose layers differ: one for every layer unless everything is shared.
func (c *Config) groups() int {
	if c.Sharing != ShareAll {
		return c.NumHiddenLayers
	}
	return c.NumHiddenGroups
}

// LayerName is what the tensors of an inner group of a group are called before ".", as in "attention.query.weight".
func (c *Config) LayerName(group, inner int) string {
	if c.Sharing != ShareAll { // on disk every one is a group of its own
		group, inner = group*c.InnerGroupNum+inner, 0
	}
	return fmt.Sprintf(GroupPrefix+"%d.albert_layers.%d.", group, inner)
}

// GroupPrefix is what the names of the layers' tensors begin with, before the number of their group.
const GroupPrefix = "albert.encoder.albert_layer_groups."

// Repeats is the tensor that one of that name repeats: that of the first layer where the sharing mode says that a layer of another group
// has the same; the name itself otherwise.
func (c *Config) Repeats(name string) string {
	rest, ok := strings.CutPrefix(name, GroupPrefix)
	group, rest, _ := strings.Cut(rest, ".")
	attention := strings.Contains(rest, ".attention.")
	if n, err := strconv.Atoi(group); ok && err == nil && (c.Sharing == ShareAttention && attention || c.Sharing == ShareFFN && !attention) {
		return GroupPrefix + strconv.Itoa(n%c.InnerGroupNum) + "." + rest // inner groups are groups of their own
	}
	return name
}

// Group is the group of layer i (modeling.py: int(i / layers * groups), here in integers).
func (c *Config) Group(i int) int { return i * c.groups() / c.NumHiddenLayers }

// GroupsNote says which layer transformers runs with another group than we do, "" if there is none.
func (c *Config) GroupsNote() string {
	l := c.GroupsDifferInTransformers()
	if l < 0 {
		return ""
	}
	return fmt.Sprintf("layer %d uses group %d here (layer * groups / layers, rounded down), another one in transformers, which rounds twice", l, c.Group(l))
}

// GroupsDifferInTransformers is the first layer for which transformers computes another group, -1 if there is none. It divides twice in
// floating point: int(i / (layers / groups)).
func (c *Config) GroupsDifferInTransformers() int {
	per := float64(c.NumHiddenLayers) / float64(c.groups())
	for i := range c.NumHiddenLayers {
		if int(float64(i)/per) != c.Group(i) {
			return i
		}
	}
	return -1
}

// MarshalJSON writes the text of config.json: the fields that we know, then those that it was read with and that we do not know.
func (c Config) MarshalJSON() ([]byte, error) {
	type plain Config
	p := plain(c)
	p.NumHiddenGroups = c.groups()
	if c.Sharing != ShareAll && c.InnerGroupNum > 1 {
		p.NumHiddenLayers *= c.InnerGroupNum
		p.NumHiddenGroups, p.InnerGroupNum, p.SharingInner = p.NumHiddenLayers, 1, c.InnerGroupNum
	}
	b, err := json.Marshal(p)
	if err == nil && c.IsBERT() {
		b, err = c.bertFields(b)
	}
	if err != nil || len(c.extra) == 0 {
		return b, err
	}
	extra, err := json.Marshal(c.extra) // sorted by name
	if err != nil {
		return nil, err
	}
	return append(append(b[:len(b)-1], ','), extra[1:]...), nil
}

// JSON is config.json's text.
func (c Config) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(c, "", "  ")
	return append(b, '\n'), err
}

// SetExtra sets a field that this package does not know, such as architectures; nil takes it out.
func (c *Config) SetExtra(name string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	extra := map[string]json.RawMessage{}
	maps.Copy(extra, c.extra)
	if extra[name] = b; value == nil {
		delete(extra, name)
	}
	c.extra = extra
	return nil
}

// Extra gives a field that this package does not know, nil if it was not there.
func (c *Config) Extra(name string) json.RawMessage { return c.extra[name] }

// ActivationValues is about how many values are in use at once while a batch of so many pieces is computed on one thread: of each piece five times H
// (the hidden states, the context, and where heads are not made apart q, k and v), of [GroupPieces] what the feed-forward net makes, and some room, as tensors are of many sizes.
func (c *Config) ActivationValues(pieces int) int {
	return pieces*(5*c.HiddenSize+c.EmbeddingSize) + 2*GroupPieces*(c.IntermediateSize+2*c.HiddenSize)
}

// ActivationBytes is about what the backward pass needs of each piece: 16 values of H a layer, those of attention's probabilities not
// counted.
func (c *Config) ActivationBytes() int {
	return 4 * 16 * c.HiddenSize * c.NumHiddenLayers * c.InnerGroupNum
}
