package model

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The keys of config.json by which sentence-transformers knows the activation of a model that scores pairs of texts (CrossEncoder): since its
// version 4, and before.
const (
	crossEncoderKey    = "sentence_transformers"
	oldCrossEncoderKey = "sbert_ce_default_activation_function"
)

// activationPath is what config.json says of the activation; "": nothing.
func (c *Config) activationPath() (path string, is bool) {
	var now struct {
		Activation string `json:"activation_fn"`
	}
	if raw := c.Extra(crossEncoderKey); raw != nil && json.Unmarshal(raw, &now) == nil {
		return now.Activation, true
	}
	raw := c.Extra(oldCrossEncoderKey)
	return path, raw != nil && json.Unmarshal(raw, &path) == nil
}

// IsCrossEncoder tells whether config.json has a key of sentence-transformers' CrossEncoder.
func (c *Config) IsCrossEncoder() bool {
	_, is := c.activationPath()
	return is
}

// SigmoidScores tells whether the score of a pair is the sigmoid of its logit, or the logit itself. As in sentence-transformers it is the
// sigmoid where nothing is said; another activation is an error.
func (c *Config) SigmoidScores() (bool, error) {
	path, _ := c.activationPath()
	switch path[strings.LastIndexByte(path, '.')+1:] {
	case "Sigmoid", "":
		return true, nil
	case "Identity":
		return false, nil
	}
	return false, fmt.Errorf("config: the activation of scores is %q, only Sigmoid and Identity are supported", path)
}

// SetCrossEncoder says in config.json that the model scores pairs, with an activation by its name in PyTorch.
func (c *Config) SetCrossEncoder(activation string) error {
	if err := c.SetExtra(oldCrossEncoderKey, nil); err != nil {
		return err
	}
	return c.SetExtra(crossEncoderKey, map[string]string{"activation_fn": activation})
}

// NoCrossEncoder takes out of config.json what [Config.SetCrossEncoder] says, for a model that learns something else.
func (c *Config) NoCrossEncoder() error {
	if err := c.SetExtra(oldCrossEncoderKey, nil); err != nil {
		return err
	}
	return c.SetExtra(crossEncoderKey, nil)
}

// Sigmoid is the activation of scores that fine-tuning learns, by its name in PyTorch.
const Sigmoid = "torch.nn.modules.activation.Sigmoid"
