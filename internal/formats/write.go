package formats

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/pytorch"
	"albert/internal/files/safetensors"
	"albert/internal/files/tensorflow"
	"albert/internal/model"
	"albert/internal/onnx"
	"albert/internal/run"
	"albert/tokenizer"
)

// WriteOptions say how a model is written.
type WriteOptions struct {
	Format Format // "": as the name says (see [Guess])
	Int8   bool   // ONNX: weights in int8, a scale for each output. Safetensors have what the model has
	DType  DType  // of the weights in Hugging Face's files, safetensors and PyTorch; "": fp32
	Force  bool   // replace a model that is there
}

// Guess tells the format that a name is written in: .safetensors, .bin and .pt, .onnx, .tar.gz by their endings, a name with "ckpt" is
// the prefix of a checkpoint of TensorFlow, every other one a Hugging Face directory.
func Guess(to string) Format {
	if f := bySuffix(to); f != "" {
		return f
	}
	if st, err := os.Stat(to); strings.Contains(strings.ToLower(filepath.Base(to)), "ckpt") && !(err == nil && st.IsDir()) {
		return TensorFlow
	}
	return HuggingFace
}

// heads are the outputs that an ONNX file has, by ALBERT's class of the model.
var heads = map[string]onnx.Head{model.NextSentence: onnx.NextSentence, model.Bare: onnx.Base, model.PreTraining: onnx.Pretraining, model.MaskedLM: onnx.MaskedLM,
	model.SequenceClassification: onnx.SequenceClassification, model.TokenClassification: onnx.TokenClassification,
	model.QuestionAnswering: onnx.QuestionAnswering, model.MultipleChoice: onnx.MultipleChoice}

// Write writes a model, its configuration and its tokenizer. A directory gets all that transformers loads; a file of tensors gets the
// rest beside it, unless it is put beside the configuration that the model was read with; a .tar.gz is laid out as Google's releases.
// Each file is written whole or not at all, and where one fails those that are new are removed again. What is there is replaced only
// by force. It returns the format, and notes on what that format cannot hold. When ctx ends before the weights are in place nothing is
// written, and the error is that of ctx.
func Write(ctx context.Context, to string, m *Model, o WriteOptions) (f Format, notes []string, err error) {
	if f = o.Format; f == "" {
		if f, err = guess(to); err != nil {
			return f, nil, err
		}
	}
	if err := checkName(to, f); err != nil {
		return f, nil, err
	}
	if o.Int8 && f != ONNX {
		return f, nil, targetError("int8 is written as ONNX only: %s is %s", to, f)
	}
	if m.Word.Data == nil && f != HuggingFace && f != SafeTensors {
		return f, nil, targetError("int8 is written as safetensors or ONNX only: %s is %s", to, f)
	}
	if f == ONNX && m.Beam.Start.W != nil {
		return f, nil, fmt.Errorf("%s: the beam head of SQuAD 2.0 (start_logits, end_logits, answer_class) has no ONNX form", m.Path)
	}
	tensors, dtype, notes, err := m.narrow(ctx, f, o.DType)
	if err != nil {
		return f, nil, err
	}
	config, err := m.configOf(dtype)
	if err != nil {
		return f, nil, err
	}
	var parts []part
	dir := filepath.Dir(to)
	switch f {
	case HuggingFace:
		dir = to
		if run.Dir(to).Is() {
			return f, nil, fmt.Errorf("%s is a run of training: give a directory of the model's own", to)
		}
		parts = append(parts, part{path: filepath.Join(to, model.WeightsFile), write: writeSafeTensors(ctx, tensors)})
		if m.Tokenizer != nil {
			parts = append(parts, files(to, m.tokenizerFiles())...)
		}
		parts = append(parts, part{path: filepath.Join(to, cardFile), data: m.card(to), keep: true},
			part{path: filepath.Join(to, model.ConfigFile), data: config})
	case SafeTensors, PyTorch, ONNX:
		w := map[Format]func(string) error{SafeTensors: writeSafeTensors(ctx, tensors),
			PyTorch: func(path string) error {
				return disk.Atomically(path, func(w io.Writer) error { return pytorch.WriteTo(stopping{ctx, w}, tensors) })
			},
			ONNX: func(path string) (err error) {
				out, err := m.writeONNX(ctx, path, o.Int8)
				notes = append(notes, out...)
				return err
			}}[f]
		parts = append(parts, part{path: to, write: w})
		if !sameFile(m.configDir, dir) {
			if err := m.checkWeightsIn(dir, to); err != nil {
				return f, nil, err
			}
			if m.Tokenizer != nil {
				parts = append(parts, files(dir, m.tokenizerFiles())...)
			}
			parts = append(parts, part{path: filepath.Join(dir, model.ConfigFile), data: config})
		}
	case TensorFlow:
		parts, notes, err = m.googleParts(dir, tensorflow.Prefix(to), config)
	case Tar:
		var inside []part
		prefix := "model.ckpt-best"
		if m.Config.IsBERT() {
			prefix = "bert_model.ckpt"
		}
		if inside, notes, err = m.googleParts("", prefix, config); err == nil {
			parts = []part{{path: to, write: func(path string) error { return writeTar(ctx, path, inside) }}}
		}
	default:
		err = fmt.Errorf("format %q is not written: want %s, %s, %s, %s, %s or %s", f, HuggingFace, SafeTensors, PyTorch, TensorFlow, Tar, ONNX)
	}
	if err != nil {
		return f, nil, fmt.Errorf("%s: %w", to, err)
	}
	if m.Sentence != nil {
		notes = append(notes, "the modules of sentence-transformers (modules.json) are not written: the model alone is")
	}
	err = writeParts(ctx, dir, parts, o.Force)
	return f, notes, err
}

// stopping is a writer that fails once its context has ended.
type stopping struct {
	ctx context.Context
	w   io.Writer
}

func (s stopping) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// ErrTarget is in the errors (errors.Is) for a name, a format or an option with which no model can be written: the caller's mistake.
var ErrTarget = errors.New("not a name, format or option to write with")

type target struct{ text string }

func (e target) Error() string        { return e.text }
func (e target) Is(target error) bool { return target == ErrTarget }

func targetError(format string, args ...any) error { return target{fmt.Sprintf(format, args...)} }

// guess is [Guess], with an error for a name that ends like a file of a format that is not written.
func guess(to string) (Format, error) {
	f := Guess(to)
	if f != HuggingFace {
		return f, nil
	}
	if st, err := os.Stat(to); err == nil && !st.IsDir() {
		return f, targetError("%s is a file, and its ending is of no format that is written: %s", to, endings)
	}
	switch ext := strings.ToLower(filepath.Ext(to)); ext {
	case ".h5", ".msgpack", ".zip", ".gguf", ".ggml", ".tflite", ".pb", ".pkl", ".npz", ".json", ".tar", ".gz", ".safetensor", ".keras", ".mlmodel":
		return f, targetError("%s: %s is not written: %s", to, ext, endings)
	}
	return f, nil
}

const endings = "give a directory, or a name that ends in .safetensors, .bin, .pt, .onnx or .tar.gz, or has \"ckpt\" in it"

// checkName refuses a name that could not be opened as what was asked for.
func checkName(to string, f Format) error {
	if to == "" {
		return targetError("no name to write to")
	}
	if g := Guess(to); g != f && (f == SafeTensors || f == PyTorch || f == ONNX || f == Tar) {
		return targetError("%s: %s is written where the name ends in %s", to, f, map[Format]string{SafeTensors: ".safetensors", PyTorch: ".bin or .pt", ONNX: ".onnx", Tar: ".tar.gz"}[f])
	}
	return nil
}

// part is a file of a model on its way to disk.
type part struct {
	path  string
	data  []byte
	write func(path string) error // in place of data: writes the file, whole or not at all
	also  string                  // another file that write makes
	keep  bool                    // one that is there stays, unless forced
}

// files are parts of a directory, by name.
func files(dir string, data map[string][]byte) []part {
	var parts []part
	for _, name := range slices.Sorted(maps.Keys(data)) {
		parts = append(parts, part{path: filepath.Join(dir, name), data: data[name]})
	}
	return parts
}

// writeParts writes parts, whose paths are in dir. One that is there with other content is an error, unless forced, and so is another
// model's tokenizer. Where a part fails, or ctx ends before one is replaced, those that were not there before are removed, and dir if it was made.
func writeParts(ctx context.Context, dir string, parts []part, force bool) error {
	todo := make([]part, 0, len(parts))
	var made []string
	mine := map[string]bool{}
	beside := false // whether a configuration is written
	for _, p := range parts {
		mine[p.path] = true
		beside = beside || filepath.Base(p.path) == model.ConfigFile
		st, err := os.Stat(p.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			made = append(made, p.path)
			if p.also != "" && !exists(p.also) {
				made = append(made, p.also)
			}
		case err != nil:
			return err
		case st.IsDir():
			return fmt.Errorf("%s is a directory: give another name", p.path)
		case p.data != nil && same(p.path, p.data):
			continue
		case force:
		case p.keep:
			continue
		case p.write != nil:
			return fmt.Errorf("%s is there already: give another name, or --force to replace it", p.path)
		default:
			return fmt.Errorf("%s is another model's: give a directory of its own, or --force to replace it", p.path)
		}
		todo = append(todo, p)
	}
	var stale []string // a tokenizer that would be taken for the model's
	for _, name := range tokenizer.FileNames {
		if path := filepath.Join(dir, name); beside && !mine[path] && exists(path) {
			if !force {
				return fmt.Errorf("%s is another model's: give a directory of its own, or --force to remove it", path)
			}
			stale = append(stale, path)
		}
	}
	undo, err := disk.MakeDir(dir)
	if err != nil {
		return err
	}
	replaced := false
	for _, p := range todo {
		write := p.write
		if write == nil {
			write = func(path string) error { return disk.WriteFile(path, p.data) }
		}
		err := ctx.Err()
		if err == nil || replaced { // what is half replaced would be no model
			err = write(p.path)
		}
		replaced = replaced || !slices.Contains(made, p.path)
		if err != nil {
			for _, path := range made {
				_ = disk.Remove(path) // it need not be there
			}
			undo()
			return err
		}
	}
	for _, path := range stale {
		if err := disk.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// checkWeightsIn refuses to put a file into a directory whose other weights would be read in its place.
func (m *Model) checkWeightsIn(dir, to string) error {
	for _, name := range []string{model.WeightsFile, model.WeightsFile + ".index.json", torchFile, torchFile + ".index.json", onnxFile} {
		if name == filepath.Base(to) {
			return nil
		}
		if !exists(dir, name) {
			continue
		}
		if other, err := Open(dir); err == nil && other.Hash() == m.Hash() {
			return nil
		}
		return fmt.Errorf("%s holds another model's weights, which would be read in place of %s: give a directory of its own", filepath.Join(dir, name), to)
	}
	return nil
}

// same tells whether a file has this content.
func same(path string, data []byte) bool {
	st, err := os.Stat(path)
	if err != nil || st.Size() != int64(len(data)) {
		return false
	}
	old, err := os.ReadFile(path)
	return err == nil && bytes.Equal(old, data)
}

// sameFile tells whether two paths are the same directory.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, other := os.Stat(b)
	return a != "" && err == nil && other == nil && os.SameFile(x, y)
}

func writeSafeTensors(ctx context.Context, tensors []safetensors.Tensor) func(path string) error {
	return func(path string) error {
		return disk.Atomically(path, func(w io.Writer) error {
			return safetensors.WriteTo(stopping{ctx, w}, tensors, map[string]string{"format": "pt"})
		})
	}
}

// writeONNX writes a graph of the model's class; the notes name the tensors that it has no use for.
func (m *Model) writeONNX(ctx context.Context, path string, int8 bool) (notes []string, err error) {
	var head onnx.Head
	for class, h := range heads {
		if m.Config.ClassName(class) == m.Class() {
			head = h
		}
	}
	err = disk.Atomically(path, func(w io.Writer) error {
		return onnx.WriteTo(stopping{ctx, w}, m.Config, m.Tensors(), onnx.Options{Head: head, Int8: int8})
	})
	if err != nil {
		return nil, err
	}
	f, err := onnx.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	for _, t := range m.Tensors() {
		if _, ok := slices.BinarySearch(f.Names(), t.Name); !ok && !m.isMap(t.Name) {
			out = append(out, t.Name)
		}
	}
	if len(out) > 0 {
		notes = append(notes, fmt.Sprintf("left out, for a graph of %s has no use for them: %s", head, strings.Join(out, ", ")))
	}
	if int8 {
		notes = append(notes, "int8 rounds the weights: read back they have another weights_sha256")
	}
	return notes, nil
}

// isMap tells whether a tensor belongs to the map from E to H where the model has none: files then hold the identity.
func (m *Model) isMap(name string) bool {
	return m.Projection.W == nil && strings.HasPrefix(name, "albert.encoder.embedding_hidden_mapping_in.")
}

// googleParts are a checkpoint with its configuration and tokenizer, in Google's form.
func (m *Model) googleParts(dir, prefix string, config []byte) (parts []part, notes []string, err error) {
	tensors, err := tensorflow.FromHuggingFace(m.Tensors())
	if err != nil {
		return nil, nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil {
		return nil, nil, err
	}
	// Google's code knows one "gelu", the approximation by tanh; a config with model_type is read as Hugging Face's, here and there.
	if m.Config.HiddenAct == "gelu" {
		notes = append(notes, `hidden_act is gelu by erf, which Google's code does not have: it would compute the approximation by tanh`)
	} else {
		delete(fields, "model_type")
		if m.Config.HiddenAct == "gelu_new" {
			fields["hidden_act"] = json.RawMessage(`"gelu"`)
		}
	}
	text, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		return nil, nil, err
	}
	// The checkpoint first: in an archive it is read while its configuration is not needed yet.
	parts = []part{{path: prefix + ".index", also: prefix + ".data-00000-of-00001",
		write: func(path string) error { return tensorflow.Write(tensorflow.Prefix(path), tensors) }}}
	name := "albert_config.json"
	if m.Config.IsBERT() {
		name = model.GoogleBERTFile
	}
	beside := map[string][]byte{name: append(text, '\n')}
	if m.Tokenizer != nil {
		own := m.Tokenizer.Files()
		switch {
		case own[tokenizer.ModelFile] != nil:
			beside["30k-clean.model"] = own[tokenizer.ModelFile]
		case own[tokenizer.VocabFile] != nil:
			beside["vocab.txt"] = own[tokenizer.VocabFile]
		}
		if !m.Tokenizer.IsDefault() {
			beside[tokenizer.ConfigFile] = own[tokenizer.ConfigFile]
			notes = append(notes, "the tokenizer's clean-up is another than in Google's code: it is in "+tokenizer.ConfigFile+
				", which that code does not read")
		}
	}
	return append(parts, files(dir, beside)...), notes, nil
}

// writeTar writes an archive as Google's releases are: a directory with the parts in it.
func writeTar(ctx context.Context, to string, parts []part) error {
	tmp, remove, err := disk.Temporary("albert-tar-")
	if err != nil {
		return err
	}
	defer remove()
	for i := range parts {
		parts[i].path = filepath.Join(tmp, parts[i].path)
	}
	if err := writeParts(ctx, tmp, parts, true); err != nil {
		return err
	}
	base := strings.TrimSuffix(filepath.Base(to), filepath.Ext(to))
	base = strings.TrimSuffix(base, ".tar")
	entries, err := os.ReadDir(tmp) // by name
	if err != nil {
		return err
	}
	return disk.Atomically(to, func(w io.Writer) error {
		z := gzip.NewWriter(stopping{ctx, w})
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

const cardFile = "README.md"

// card is README.md, the model card: the one of the directory that the model comes from, else a short one.
func (m *Model) card(to string) []byte {
	if st, err := os.Stat(m.Path); err == nil && st.IsDir() {
		from := filepath.Join(m.Path, cardFile)
		if m.Format == Run {
			from = filepath.Join(m.Path, "model", cardFile)
		}
		if text, err := os.ReadFile(from); err == nil {
			return text
		}
	}
	c := &m.Config
	return fmt.Appendf(nil, `---
library_name: transformers
tags: [%s]
---
# %s

%s: %d parameters; %d layers, hidden size %d, embedding size %d, %d heads, vocabulary %d. weights_sha256 `+"`%s`"+`.

Converted from %s (%s).
`, c.ModelType, filepath.Base(to), m.Class(), m.Params.Size(), c.NumHiddenLayers, c.HiddenSize, c.EmbeddingSize, c.NumAttentionHeads, c.VocabSize, m.Hash(),
		filepath.Base(m.Path), m.Format)
}
