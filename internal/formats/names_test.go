package formats

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/files/disk"
	"albert/internal/files/pytorch"
	"albert/internal/files/safetensors"
	"albert/internal/model"
)

// What training code puts before tensors' names is left out, in files of both kinds, and said.
func TestNamesFromTrainingCode(t *testing.T) {
	for _, class := range []string{model.PreTraining, model.SequenceClassification, model.QuestionAnswering} {
		m := makeModel(t, class, "")
		for _, c := range []struct {
			name   func(string) string
			noted  string
			unused string
		}{
			{func(n string) string { return "module." + n }, `"module."`, ""},
			{func(n string) string { return "model." + n }, `"model."`, ""},
			{func(n string) string { return "_orig_mod." + n }, `"_orig_mod."`, ""},
			{func(n string) string { return "module._orig_mod." + n }, `"module." and "_orig_mod."`, ""},
			{func(n string) string { return "_orig_mod.module." + n }, `"module." and "_orig_mod."`, ""},
			{func(n string) string { return "model_state_dict.module." + n }, `"model_state_dict.module."`, ""},
			{func(n string) string { return "state_dict.model.net." + n }, `"state_dict.model.net."`, ""},
			{func(n string) string { // a class of one's own: self.bert, self.classifier
				rest, in := strings.CutPrefix(n, "albert.")
				return map[bool]string{true: "module.bert." + rest, false: "module." + n}[in]
			}, `"module.bert."`, ""},
			{func(n string) string { // the encoder alone compiled
				rest, in := strings.CutPrefix(n, "albert.")
				return map[bool]string{true: "albert._orig_mod." + rest, false: n}[in]
			}, `"_orig_mod."`, ""},
			{func(n string) string { return n }, "", ""},
		} {
			for _, file := range []string{"model.safetensors", "pytorch_model.bin"} {
				dir := write(t, m, "hf")
				if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
					t.Fatal(err)
				}
				renameInto(t, filepath.Join(dir, file), m, c.name)
				got, err := Open(dir)
				if err != nil {
					t.Errorf("%s: %v", c.name("x"), err)
					continue
				}
				notes := strings.Join(got.Notes, "; ")
				if got.Hash() != m.Hash() || got.Class() != class || len(got.Unused) > 0 {
					t.Errorf("%s: %s: class %s, unused %q", file, c.name("x"), got.Class(), got.Unused)
				}
				if c.noted == "" && notes != "" || !strings.Contains(notes, c.noted) {
					t.Errorf("%s: %s: notes %q, want %s", file, c.name("x"), notes, c.noted)
				}
				if got.DTypes["albert.pooler.weight"] != "F32" && got.DTypes["pooler.weight"] != "F32" && class != model.QuestionAnswering {
					t.Errorf("%s: %s: types %v", file, c.name("x"), got.DTypes)
				}
			}
		}
	}
}

// renameInto writes a model's tensors under the names given, several of them with a space between, into a file.
func renameInto(t *testing.T, path string, m *Model, name func(string) string) {
	t.Helper()
	var list []safetensors.Tensor
	for _, x := range m.Tensors() {
		for _, n := range strings.Fields(name(x.Name)) {
			x.Name = n
			list = append(list, x)
		}
	}
	var err error
	if strings.HasSuffix(path, ".safetensors") {
		err = safetensors.Write(path, list, nil)
	} else {
		err = disk.Atomically(path, func(w io.Writer) error { return pytorch.WriteTo(w, list) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Two models in one file are an error that names both, unless one has the plain names; so are two names that mean one tensor.
func TestTwoModelsInAFile(t *testing.T) {
	m := makeModel(t, model.PreTraining, "")
	for want, name := range map[string]func(string) string{
		"several models in it, whose tensors' names begin with ema. and model.": func(n string) string { return "model." + n + " ema." + n },
		"albert.pooler.bias are the same one":                                   func(n string) string { return n + map[bool]string{true: " _orig_mod." + n}[n == "albert.pooler.bias"] },
		"":                                                                      func(n string) string { return n + " teacher." + n },
	} {
		dir := write(t, m, "hf")
		renameInto(t, filepath.Join(dir, "model.safetensors"), m, name)
		got, err := Open(dir)
		switch {
		case want != "":
			if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), dir) {
				t.Errorf("%v, want %s", err, want)
			}
		case err != nil || got.Hash() != m.Hash() || !slices.Contains(got.Unused, "teacher.albert.pooler.bias"):
			t.Error(err)
		}
	}
}

// names is a reader of tensors without values.
type names []string

func (n names) Names() []string                          { return n }
func (n names) Float32(string) ([]float32, []int, error) { return nil, nil, nil }
func (n names) Close() error                             { return nil }

// Whatever names a file has, they are refused or each tensor has one of its own, and what is plain stays as it is.
func FuzzPlain(f *testing.F) {
	f.Add("a." + wordTable + "\na.b\nc")
	f.Add("_orig_mod.albert." + wordTable + "\n_orig_mod.\n\nmodule.x")
	f.Add(wordTable + "\n." + wordTable)
	f.Fuzz(func(t *testing.T, text string) {
		list := strings.Split(text, "\n")
		slices.Sort(list)
		list = slices.Compact(list)
		r, without, err := plain(names(list), &model.Config{ModelType: "albert"})
		if err != nil {
			return
		}
		if len(r.Names()) != len(list) || !slices.IsSorted(r.Names()) {
			t.Errorf("%q became %q", list, r.Names())
		}
		again, more, err := plain(names(r.Names()), &model.Config{ModelType: "albert"})
		if len(without) == 0 && (err != nil || len(more) > 0 || !slices.Equal(again.Names(), list)) {
			t.Errorf("%q became %q without %q, %v", list, again, more, err)
		}
	})
}

// A Git LFS pointer in place of any file of a model is named as what it is.
func TestPointers(t *testing.T) {
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
	m := makeModel(t, model.PreTraining, "")
	for to, files := range map[string][]string{
		"hf":                  {"model.safetensors", "config.json", "spiece.model", "tokenizer_config.json", "model.safetensors.index.json", "vocab.txt", "tokenizer.json"},
		"a/model.safetensors": {"model.safetensors"},
		"a/pytorch_model.bin": {"pytorch_model.bin"},
		"a/x.pt":              {"x.pt"},
		"a/model.onnx":        {"model.onnx"},
		"a/model.ckpt-best":   {"model.ckpt-best.index", "model.ckpt-best.data-00000-of-00001", "albert_config.json", "30k-clean.model"},
		"a.tar.gz":            {"a.tar.gz"},
	} {
		for _, name := range files {
			path := write(t, m, to)
			dir := filepath.Dir(path)
			if to == "hf" {
				dir = path
			}
			switch name { // files that are read where another is missing
			case "model.safetensors.index.json":
				os.Remove(filepath.Join(dir, "model.safetensors"))
			case "vocab.txt", "tokenizer.json":
				os.Remove(filepath.Join(dir, "spiece.model"))
			}
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, []byte(pointer), 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); err == nil || !strings.HasSuffix(err.Error(), file+": a Git LFS pointer, not the file: git lfs pull") {
				t.Errorf("%s: %s: %v", to, name, err)
			}
		}
	}
}
