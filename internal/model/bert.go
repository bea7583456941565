package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"albert/internal/files/jsonobject"
)

// BERT is the same model with nothing shared, E = H and no map between them: a configuration, other names of tensors and classes, and
// transformers' BertConfig for config.json. Its next-sentence head is the order head: output 0 says that the second text follows the first.
const (
	albertType = "albert"
	bertType   = "bert"
)

// GoogleBERTFile is the name of the configuration beside Google's checkpoints of BERT.
const GoogleBERTFile = "bert_config.json"

// NextSentence is the class that has the next-sentence head alone; ALBERT has no such class.
const NextSentence = "BertForNextSentencePrediction"

// bertNames makes BERT's names of tensors of ALBERT's.
var bertNames = strings.NewReplacer(
	GroupPrefix, "bert.encoder.layer.",
	".albert_layers.0.attention.query.", ".attention.self.query.", ".albert_layers.0.attention.key.", ".attention.self.key.",
	".albert_layers.0.attention.value.", ".attention.self.value.", ".albert_layers.0.attention.", ".attention.output.",
	".albert_layers.0.ffn.", ".intermediate.dense.", ".albert_layers.0.ffn_output.", ".output.dense.",
	".albert_layers.0.full_layer_layer_norm.", ".output.LayerNorm.",
	"albert.pooler.", "bert.pooler.dense.", "albert.", "bert.",
	"predictions.dense.", "cls.predictions.transform.dense.", "predictions.LayerNorm.", "cls.predictions.transform.LayerNorm.",
	"predictions.", "cls.predictions.", "sop_classifier.classifier.", "cls.seq_relationship.")

// IsBERT tells whether the configuration is BERT's, not ALBERT's.
func (c *Config) IsBERT() bool { return c.ModelType == bertType }

// TensorName is what a tensor, given by ALBERT's name, is called in a model of this configuration.
func (c *Config) TensorName(albert string) string {
	if c.IsBERT() {
		return bertNames.Replace(albert)
	}
	return albert
}

// Prefix is what the names of the encoder's tensors begin with, and a bare model's lack: "albert." or "bert.".
func (c *Config) Prefix() string { return c.ModelType + "." }

// ClassName is the class of transformers for a model of this configuration, given by ALBERT's name of it.
func (c *Config) ClassName(albert string) string {
	if rest, ok := strings.CutPrefix(albert, "Albert"); ok && c.IsBERT() {
		return "Bert" + rest
	}
	return albert
}

// modelType reads model_type, or tells it by the class where there is none; "" is Google's configuration, which has neither.
func modelType(fields map[string]json.RawMessage) (name string, err error) {
	if raw, ok := fields["model_type"]; ok && json.Unmarshal(raw, &name) != nil {
		return "", errors.New("field model_type: a string is needed")
	}
	if name != "" && name != albertType && name != bertType {
		return "", fmt.Errorf("config: model_type is %q: only models of the types %q and %q are read", name, albertType, bertType)
	}
	if name == "" {
		return typeOfClass(fields["architectures"])
	}
	return name, nil
}

// typeOfClass tells the model_type by the first of the classes that a configuration lists in its place, "" where the class does not tell.
func typeOfClass(list json.RawMessage) (string, error) {
	var classes []string
	if json.Unmarshal(list, &classes) != nil || len(classes) == 0 {
		return "", nil
	}
	for _, other := range []string{"Roberta", "XLMRoberta", "Camembert", "DistilBert", "Deberta", "Electra", "MPNet", "MobileBert", "ModernBert", "XLNet"} {
		if strings.HasPrefix(classes[0], other) {
			return "", fmt.Errorf("config: architectures is [%q]: only models of the types %q and %q are read", classes[0], albertType, bertType)
		}
	}
	if strings.HasPrefix(classes[0], "BertFor") || classes[0] == "BertModel" {
		return bertType, nil
	}
	return "", nil
}

// setBERTDefaults fills what a config.json of BERT leaves out, with BertConfig's defaults.
func (c *Config) setBERTDefaults() {
	c.VocabSize, c.HiddenSize, c.IntermediateSize, c.NumAttentionHeads = 30522, 768, 3072, 12
	c.HiddenAct, c.HiddenDropoutProb, c.AttentionProbsDropoutProb = "gelu", 0.1, 0.1
	c.BosTokenID, c.EosTokenID = 0, 0
}

// finishBERT makes the rest of a BERT's configuration from the fields that were read.
func (c *Config) finishBERT() error {
	no := false
	c.EmbeddingSize, c.EmbeddingProjection = c.HiddenSize, &no
	c.NumHiddenGroups, c.InnerGroupNum, c.Sharing, c.SharingInner = 1, 1, ShareNone, 0
	for _, name := range []string{"is_decoder", "add_cross_attention"} {
		if raw := c.extra[name]; string(raw) == "true" {
			return fmt.Errorf("config: %s is true: only encoders are read", name)
		}
	}
	var dropout *float32
	if raw := c.extra["classifier_dropout"]; raw != nil {
		if err := json.Unmarshal(raw, &dropout); err != nil {
			return errors.New("field classifier_dropout: a number is needed")
		}
	}
	c.ClassifierDropoutProb = *cmp.Or(dropout, &c.HiddenDropoutProb)
	delete(c.extra, "classifier_dropout")
	return nil
}

// notBERTs are the fields of a [Config] that BertConfig does not have.
var notBERTs = []string{"embedding_size", "num_hidden_groups", "inner_group_num", "classifier_dropout_prob", "sharing", "embedding_projection",
	"sharing_inner_group_num", "bos_token_id", "eos_token_id"}

// bertFields makes BertConfig's fields of those that a configuration is written with.
func (c *Config) bertFields(text []byte) ([]byte, error) {
	var fields jsonobject.Fields
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	fields = slices.DeleteFunc(fields, func(f jsonobject.Field) bool { return slices.Contains(notBERTs, f.Name) })
	var dropout any // null: that of hidden values
	if c.ClassifierDropoutProb != c.HiddenDropoutProb {
		dropout = c.ClassifierDropoutProb
	}
	fields = append(fields, jsonobject.Field{Name: "classifier_dropout", Value: dropout})
	for _, id := range []jsonobject.Field{{Name: "bos_token_id", Value: c.BosTokenID}, {Name: "eos_token_id", Value: c.EosTokenID}} {
		if id.Value != 0 {
			fields = append(fields, id)
		}
	}
	return json.Marshal(fields)
}
