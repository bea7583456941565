package formats

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"albert/model"
	"albert/onnx"
	"albert/tokenizer"
	"albert/weights"
	"albert/weights/pytorch"
	"albert/weights/tensorflow"
)

// WriteOptions say how a model is written.
type WriteOptions struct {
	Format Format // "": as the name says (see [Guess])
	Int8   bool   // ONNX: weights in int8, a scale for each output
	Force  bool   // replace a model that is there
}

// Guess tells the format that a name is written in: .safetensors, .bin and .pt, .onnx, .tar.gz by their endings, a name with "ckpt" is
// the prefix of a checkpoint of TensorFlow, every other one a Hugging Face directory.
func Guess(to string) Format {
	name := strings.ToLower(filepath.Base(to))
	for suffix, f := range map[string]Format{".safetensors": SafeTensors, ".bin": PyTorch, ".pt": PyTorch, ".pth": PyTorch, ".onnx": ONNX,
		".tar.gz": Tar, ".tgz": Tar, ".index": TensorFlow} {
		if strings.HasSuffix(name, suffix) {
			return f
		}
	}
	if st, err := os.Stat(to); strings.Contains(name, "ckpt") && !(err == nil && st.IsDir()) {
		return TensorFlow
	}
	return HuggingFace
}

// heads are what ONNX files compute of a class.
var heads = map[string]onnx.Head{model.Bare: onnx.Base, model.PreTraining: onnx.Pretraining, model.MaskedLM: onnx.MaskedLM,
	model.SequenceClassification: onnx.SequenceClassification, model.TokenClassification: onnx.TokenClassification,
	model.QuestionAnswering: onnx.QuestionAnswering, model.MultipleChoice: onnx.MultipleChoice}

// Write writes a model, its configuration and its tokenizer. A directory gets all that transformers loads; a file of tensors gets the
// rest beside it; a .tar.gz is laid out as Google's releases. Each file is written whole or not at all. A model that is there is
// replaced only by force. It gives the format, and notes on what cannot be said in it.
func Write(to string, m *Model, o WriteOptions) (f Format, notes []string, err error) {
	if f = o.Format; f == "" {
		f = Guess(to)
	}
	if o.Int8 && f != ONNX {
		return f, nil, fmt.Errorf("int8 is written as ONNX only: %s is %s", to, f)
	}
	if f == ONNX && m.Beam.Start.W != nil {
		return f, nil, fmt.Errorf("%s: the beam head of SQuAD 2.0 (start_logits, end_logits, answer_class) has no ONNX form", m.Path)
	}
	dir := filepath.Dir(to)
	tensors := m.Tensors()
	config, err := m.configJSON()
	if err != nil {
		return f, nil, err
	}
	switch f {
	case HuggingFace:
		if err := m.free(filepath.Join(to, model.ConfigFile), o.Force); err != nil {
			return f, nil, err
		}
		if err := m.Save(to); err != nil {
			return f, nil, err
		}
		if m.Tokenizer != nil {
			if err := m.Tokenizer.WriteDir(to); err != nil {
				return f, nil, err
			}
		}
		return f, nil, m.writeCard(to)
	case SafeTensors, PyTorch, ONNX:
		if err := m.free(to, o.Force); err != nil {
			return f, nil, err
		}
		files := map[string][]byte{model.ConfigFile: config}
		if m.Tokenizer != nil {
			for name, data := range m.Tokenizer.Files() {
				files[name] = data
			}
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return f, nil, err
		}
		if err := besides(dir, files, o.Force); err != nil {
			return f, nil, err
		}
		switch f {
		case SafeTensors:
			err = weights.Write(to, tensors, map[string]string{"format": "pt"})
		case PyTorch:
			err = pytorch.Write(to, tensors)
		case ONNX:
			err = onnx.Write(to, m.Model, onnx.Options{Head: heads[m.Class()], Int8: o.Int8})
		}
		if err != nil {
			return f, nil, err
		}
		return f, nil, besides(dir, files, true)
	case TensorFlow:
		prefix := tensorflow.Prefix(to)
		if err := m.free(prefix+".index", o.Force); err != nil {
			return f, nil, err
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return f, nil, err
		}
		notes, err = m.writeGoogle(dir, prefix, config, o.Force)
		return f, notes, err
	case Tar:
		if err := m.free(to, o.Force); err != nil {
			return f, nil, err
		}
		notes, err = m.writeTar(to, config)
		return f, notes, err
	}
	return f, nil, fmt.Errorf("format %q is not written: want %s, %s, %s, %s, %s or %s", f, HuggingFace, SafeTensors, PyTorch, TensorFlow, Tar, ONNX)
}

// free refuses to replace what is there, and always the file that the model was read from.
func (m *Model) free(path string, force bool) error {
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !force:
		return fmt.Errorf("%s is there already: give another name, or --force to replace it", path)
	}
	return nil
}

// besides writes files into a directory. One that is there with other content is an error, unless forced.
func besides(dir string, files map[string][]byte, force bool) error {
	for name, data := range files {
		path := filepath.Join(dir, name)
		old, err := os.ReadFile(path)
		switch {
		case err == nil && bytes.Equal(old, data):
			continue
		case err == nil && !force:
			return fmt.Errorf("%s is another model's: give a directory of its own, or --force to replace it", path)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if force {
			if err := weights.WriteFile(path, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// configJSON is config.json's text, with the class that the heads make it.
func (m *Model) configJSON() ([]byte, error) {
	c := m.Config
	if c.Extra("architectures") == nil {
		if err := c.SetExtra("architectures", []string{m.Class()}); err != nil {
			return nil, err
		}
	}
	return c.JSON()
}

// writeGoogle writes a checkpoint with what stands beside it.
func (m *Model) writeGoogle(dir, prefix string, config []byte, force bool) (notes []string, err error) {
	tensors, err := tensorflow.FromHuggingFace(m.Tensors())
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(config, &fields); err != nil {
		return nil, err
	}
	// Google's code knows one "gelu", the approximation by tanh; a config with model_type is read as Hugging Face's, here and there.
	if fields["hidden_act"] == "gelu" {
		notes = append(notes, `hidden_act is gelu by erf, which Google's code does not have: it would compute the approximation by tanh`)
	} else {
		delete(fields, "model_type")
		if fields["hidden_act"] == "gelu_new" {
			fields["hidden_act"] = "gelu"
		}
	}
	text, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"albert_config.json": append(text, '\n')}
	if m.Tokenizer != nil {
		own := m.Tokenizer.Files()
		switch {
		case own[tokenizer.ModelFile] != nil:
			files["30k-clean.model"] = own[tokenizer.ModelFile]
		case own[tokenizer.VocabFile] != nil:
			files["vocab.txt"] = own[tokenizer.VocabFile]
		}
	}
	if err := besides(dir, files, force); err != nil {
		return nil, err
	}
	if err := tensorflow.Write(prefix, tensors); err != nil {
		return nil, err
	}
	return notes, besides(dir, files, true)
}

// writeTar writes an archive as Google's releases are.
func (m *Model) writeTar(to string, config []byte) (notes []string, err error) {
	tmp, err := os.MkdirTemp("", "albert-tar-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if notes, err = m.writeGoogle(tmp, filepath.Join(tmp, "model.ckpt-best"), config, true); err != nil {
		return nil, err
	}
	base := filepath.Base(to)
	base = base[:len(base)-len(filepath.Ext(base))]
	base = strings.TrimSuffix(base, ".tar")
	entries, err := os.ReadDir(tmp) // by name
	if err != nil {
		return nil, err
	}
	return notes, weights.Atomically(to, func(w io.Writer) error {
		z := gzip.NewWriter(w)
		t := tar.NewWriter(z)
		for _, e := range entries {
			if err := addFile(t, filepath.Join(tmp, e.Name()), base+"/"+e.Name()); err != nil {
				return err
			}
		}
		return errors.Join(t.Close(), z.Close())
	})
}

func addFile(t *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: st.Size(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

// writeCard writes README.md, the model card: the one of the directory that the model comes from, else a short one.
func (m *Model) writeCard(dir string) error {
	const name = "README.md"
	if st, err := os.Stat(m.Path); err == nil && st.IsDir() {
		from := filepath.Join(m.Path, name)
		if m.Format == Run {
			from = filepath.Join(m.Path, "model", name)
		}
		if text, err := os.ReadFile(from); err == nil {
			return weights.WriteFile(filepath.Join(dir, name), text)
		}
	}
	c := &m.Config
	text := fmt.Sprintf(`---
library_name: transformers
tags: [albert]
---
# %s

%s: %d parameters; %d layers, hidden size %d, embedding size %d, %d heads, vocabulary %d. weights_sha256 `+"`%s`"+`.

Converted from %s (%s).
`, filepath.Base(dir), m.Class(), m.Params.Size(), c.NumHiddenLayers, c.HiddenSize, c.EmbeddingSize, c.NumAttentionHeads, c.VocabSize, m.Hash(),
		filepath.Base(m.Path), m.Format)
	return weights.WriteFile(filepath.Join(dir, name), []byte(text))
}
