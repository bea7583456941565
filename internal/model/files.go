package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/engine/ops"
	"albert/internal/files/disk"
	"albert/internal/files/safetensors"
)

// WeightsFile and ConfigFile are the names of a model's files in a Hugging Face directory.
const (
	WeightsFile = "model.safetensors"
	ConfigFile  = "config.json"
)

// FromFile makes a model of the tensors of a file, under the names of AlbertForPreTraining or BertForPreTraining; a bare model's lack the
// prefix "albert." or "bert.".
func FromFile(c Config, f safetensors.Reader) (m *Model, unused []string, err error) {
	if m, unused, err = View(c, f); err == nil {
		m.Own()
	}
	return m, unused, err
}

// Own copies the values that are a file's own: the file may be closed then, and the values changed.
func (m *Model) Own() {
	for _, p := range m.Params.List {
		p.Data = slices.Clone(p.Data)
	}
}

// View is FromFile without a copy of the values, which are the file's own: it must stay open, and they must not be changed, until [Model.Own].
func View(c Config, f safetensors.Reader) (m *Model, unused []string, err error) {
	left := map[string]string{} // canonical name -> name in the file
	bare := !slices.ContainsFunc(f.Names(), func(n string) bool { return strings.HasPrefix(n, c.Prefix()) })
	for _, n := range f.Names() {
		name := n
		if bare && !IsHead(n) {
			name = c.Prefix() + n
		}
		left[name] = n
	}
	has := func(n string) bool { _, ok := left[c.TensorName(n)]; return ok }
	heads := Heads{Pooler: has("albert.pooler.weight"), MLM: has("predictions.dense.weight"), SOP: has("sop_classifier.classifier.weight"),
		Spans: has("qa_outputs.weight"), Beam: has("start_logits.dense.weight")}
	if n, ok := left["classifier.weight"]; ok {
		_, _, shape, err := readTensor(f, n)
		if err != nil {
			return nil, nil, err
		}
		if len(shape) != 2 || shape[0] < 1 || shape[0] > maxDimension {
			return nil, nil, fmt.Errorf("tensor %s has shape %v, want [labels, hidden_size]", n, shape)
		}
		heads.Labels = shape[0]
	}
	m = build(c, heads, func(name string, shape ...int) *ops.Param { // no values yet: the file may not have what the config asks for
		return &ops.Param{Name: name, Shape: slices.Clone(shape)}
	})
	filled := map[*ops.Param]string{}
	for _, d := range m.disk {
		from, ok := left[d.name]
		if !ok && d.name == c.TensorName("predictions.bias") {
			from, ok = left[c.TensorName("predictions.decoder.bias")]
		}
		if !ok {
			return nil, nil, fmt.Errorf("tensor %s is missing", d.name)
		}
		delete(left, d.name)
		values, q, shape, err := readTensor(f, from)
		if err != nil {
			return nil, nil, err
		}
		if q != nil {
			delete(left, d.name+scaleSuffix)
		}
		if !slices.Equal(shape, d.p.Shape) {
			return nil, nil, fmt.Errorf("tensor %s has shape %v, want %v by %s", from, shape, d.p.Shape, ConfigFile)
		}
		if first, repeated := filled[d.p]; repeated {
			if !bytes.Equal(safetensors.Bytes(values), safetensors.Bytes(d.p.Data)) {
				return nil, nil, fmt.Errorf("sharing %q, but tensor %s differs from %s", c.Sharing, from, first)
			}
			continue
		}
		filled[d.p] = from
		d.p.Data, d.p.Int8 = values, q
	}
	if !c.Projects() {
		if err := checkIdentity(c, f, left); err != nil {
			return nil, nil, err
		}
	}
	if err := checkTied(m, f, left); err != nil {
		return nil, nil, err
	}
	decoder := c.TensorName("predictions.decoder.")
	for name, n := range left {
		switch {
		case strings.HasSuffix(name, ".adam_m"), strings.HasSuffix(name, ".adam_v"): // a checkpoint's
		case strings.HasPrefix(name, decoder), strings.HasSuffix(name, ".position_ids"), strings.HasSuffix(name, ".token_type_ids"):
		default:
			unused = append(unused, n)
		}
	}
	slices.Sort(unused)
	m.Params = ops.NewParams(m.Params.List) // now that they have values
	m.Params.Touch()
	return m, unused, nil
}

// CopyFrom takes over the values of the parameters that from has under the same names and in the same shapes. missing are the names of
// the others.
func (m *Model) CopyFrom(from *Model) (missing []string) {
	has := map[string]*ops.Param{}
	for _, p := range from.Params.List {
		has[p.Name] = p
	}
	for _, p := range m.Params.List {
		if q := has[p.Name]; q != nil && slices.Equal(p.Shape, q.Shape) {
			copy(p.Data, q.Data)
		} else {
			missing = append(missing, p.Name)
		}
	}
	m.Params.Touch()
	return missing
}

// IsHead tells whether a tensor belongs to a head.
func IsHead(n string) bool {
	heads := []string{"predictions.", "sop_classifier.", "classifier.", "qa_outputs.", "start_logits.", "end_logits.", "answer_class.", "cls."}
	return slices.ContainsFunc(heads, func(p string) bool { return strings.HasPrefix(n, p) })
}

const mapName = "albert.encoder.embedding_hidden_mapping_in"

// identity is the map from E to H as files have it where there is none: the identity of a hidden size h.
func identity(h int) []safetensors.Tensor {
	weight := make([]float32, h*h)
	for i := range h {
		weight[i*h+i] = 1
	}
	return []safetensors.Tensor{safetensors.Float32Tensor(mapName+".weight", []int{h, h}, weight),
		safetensors.Float32Tensor(mapName+".bias", []int{h}, make([]float32, h))}
}

// checkIdentity is for a model without a map from E to H: where a file has one it must be the identity. It takes the map's names out of left.
func checkIdentity(c Config, f safetensors.Reader, left map[string]string) error {
	for _, t := range identity(c.HiddenSize) {
		from, ok := left[t.Name]
		if !ok {
			continue
		}
		delete(left, t.Name)
		values, _, err := f.Float32(from)
		if err != nil {
			return err
		}
		if want, _ := t.Float32(); !slices.Equal(values, want) {
			return fmt.Errorf("embedding_projection is false, but tensor %s is not the identity", from)
		}
	}
	return nil
}

// checkTied is for a BERT, of which some files have a decoder of masked pieces of its own: it must be the word table.
func checkTied(m *Model, f safetensors.Reader, left map[string]string) error {
	from, ok := left[m.Config.TensorName("predictions.decoder.weight")]
	if !ok || !m.Config.IsBERT() || m.MLMDense.W == nil {
		return nil
	}
	values, _, err := f.Float32(from)
	if err == nil && !bytes.Equal(safetensors.Bytes(values), safetensors.Bytes(m.Word.Data)) {
		err = fmt.Errorf("tensor %s differs from the word table: a decoder of its own is not supported", from)
	}
	return err
}

// Tensors lists the model's tensors as they stand on disk: under the names of AlbertForPreTraining or BertForPreTraining, repeated where a sharing mode has it
// so, with the identity where there is no map. Parameters that have int8 values only stand as such, and their scales beside them.
func (m *Model) Tensors() []safetensors.Tensor {
	var list []safetensors.Tensor
	for _, d := range m.disk {
		list = append(list, tensor(d.name, d.p)...)
	}
	if !m.Config.Projects() && !m.Config.IsBERT() {
		list = append(list, identity(m.Config.HiddenSize)...)
	}
	return list
}

// Class is the transformers class that has the model's heads, of ALBERT or BERT. A classifier is taken to be over whole sequences unless the
// config's architectures say that it is of another class. No class of transformers has the beam head: with it a model counts as bare.
func (m *Model) Class() string { return m.Config.ClassName(m.class()) }

// class is [Model.Class], by ALBERT's name where it has such a class.
func (m *Model) class() string {
	var listed []string
	_ = json.Unmarshal(m.Config.Extra("architectures"), &listed) // anything else lists none
	switch {
	case m.Classifier.W != nil:
		for _, class := range []string{TokenClassification, MultipleChoice} {
			if slices.Contains(listed, m.Config.ClassName(class)) {
				return class
			}
		}
		return SequenceClassification
	case m.Beam.Start.W != nil:
		return Bare
	case m.Spans.W != nil:
		return QuestionAnswering
	case m.MLMDense.W != nil && m.SOP.W != nil:
		return PreTraining
	case m.MLMDense.W != nil:
		return MaskedLM
	case m.SOP.W != nil && m.Config.IsBERT():
		return NextSentence
	}
	return Bare
}

// The classes of transformers, as config.json's architectures name them.
const (
	Bare                   = "AlbertModel"
	PreTraining            = "AlbertForPreTraining"
	MaskedLM               = "AlbertForMaskedLM"
	SequenceClassification = "AlbertForSequenceClassification"
	TokenClassification    = "AlbertForTokenClassification"
	QuestionAnswering      = "AlbertForQuestionAnswering"
	MultipleChoice         = "AlbertForMultipleChoice"
)

// HeadKey is a key of ours in config.json for a head that architectures cannot name, BeamHead its value for [Beam]. It informs people and
// other programs; which heads a model has, its tensors say.
const HeadKey, BeamHead = "head", "beam"

// Save writes config.json and model.safetensors into dir, each whole or not at all.
func (m *Model) Save(dir string) error {
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	text, err := m.ConfigJSON()
	if err != nil {
		return err
	}
	if err := safetensors.Write(filepath.Join(dir, WeightsFile), m.Tensors(), map[string]string{"format": "pt"}); err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, ConfigFile), text)
}

// ConfigJSON is config.json's text; architectures is [Model.Class] where the configuration names none.
func (m *Model) ConfigJSON() ([]byte, error) {
	c := m.Config
	if raw := c.Extra("architectures"); raw == nil || string(raw) == "null" {
		if err := c.SetExtra("architectures", []string{m.Class()}); err != nil {
			return nil, err
		}
	}
	if m.Beam.Start.W != nil {
		if err := c.SetExtra(HeadKey, BeamHead); err != nil {
			return nil, err
		}
	}
	return c.JSON()
}

// Hash is the weights_sha256: SHA-256 over the tensors' values as little-endian fp32, in byte order of their names. A tensor
// that layers share counts under each of its names; the identity that stands in a file for a missing map does not.
func (m *Model) Hash() string {
	list := slices.Clone(m.disk)
	slices.SortFunc(list, func(a, b diskTensor) int { return strings.Compare(a.name, b.name) })
	h := sha256.New()
	for _, d := range list {
		h.Write(safetensors.Bytes(d.p.Values()))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Layout lists the tensors of AlbertForPreTraining, or BertForPreTraining, with a configuration, as they stand on disk, without making their values.
func Layout(c Config) []safetensors.Tensor {
	m := build(c, PretrainingHeads, func(name string, shape ...int) *ops.Param { return &ops.Param{Name: name, Shape: shape} })
	var list []safetensors.Tensor
	for _, d := range m.disk {
		list = append(list, safetensors.Tensor{Name: d.name, DType: "F32", Shape: d.p.Shape})
	}
	return list
}
