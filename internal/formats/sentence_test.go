package formats

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"albert/internal/files/disk"
	"albert/internal/files/pytorch"
	"albert/internal/files/safetensors"
	"albert/internal/model"
)

// sentences makes a directory of sentence-transformers as older releases wrote it: the model in one below it, and a Dense whose weights are a state dict
// of PyTorch, or safetensors.
func sentences(t *testing.T, torch bool) string {
	t.Helper()
	dir := t.TempDir()
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize, c.MaxPositionEmbeddings = 20, 8, 8, 1, 2, 8, 16
	sub := filepath.Join(dir, "0_Transformer")
	if err := model.NewWith(c, model.Heads{}, 1).Save(sub); err != nil {
		t.Fatal(err)
	}
	w := []safetensors.Tensor{{Name: "linear.bias", DType: "F32", Shape: []int{2}, Data: safetensors.Bytes([]float32{1, 2})},
		{Name: "linear.weight", DType: "F32", Shape: []int{2, 8}, Data: safetensors.Bytes(make([]float32, 16))}}
	var err error
	if err = os.Mkdir(filepath.Join(dir, "2_Dense"), 0o777); err == nil {
		if torch {
			err = disk.Atomically(filepath.Join(dir, "2_Dense", torchFile), func(to io.Writer) error { return pytorch.WriteTo(to, w) })
		} else {
			err = safetensors.Write(filepath.Join(dir, "2_Dense", "model.safetensors"), w, nil)
		}
	}
	if err := errors.Join(err, WriteSentence(dir, PoolCLS, false, 8, 12)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"modules.json": `[{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
			{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}, {"path": "3_Normalize", "type": "sentence_transformers.models.Normalize"}]`,
		"2_Dense/config.json":                     `{"in_features": 8, "out_features": 2, "bias": true, "activation_function": "torch.nn.modules.linear.Identity"}`,
		"0_Transformer/sentence_bert_config.json": `{"max_seq_length": 12}`,
		"config_sentence_transformers.json":       `{"prompts": {"query": "q: "}, "default_prompt_name": "query"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A directory of a file system says the same as one on disk, in all of its sub-directories.
func TestOpenFSReadsSentenceTransformers(t *testing.T) {
	for _, torch := range []bool{false, true} {
		dir := sentences(t, torch)
		want, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenFS(os.DirFS(filepath.Dir(dir)), filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		if s := got.Sentence; s == nil || s.MaxSeqLength != 12 || len(s.Modules) != 2 || s.Modules[0].B.Data[1] != 2 || s.DefaultPrompt != "query" || s.Pooling[0] != PoolCLS {
			t.Errorf("%+v", s)
		}
		if !reflect.DeepEqual(got.Sentence, want.Sentence) || !reflect.DeepEqual(got.Params.List[0].Data, want.Params.List[0].Data) {
			t.Errorf("%+v, want %+v", got.Sentence, want.Sentence)
		}
	}
}

// Whatever the files say, a directory is refused or its modules fit each other.
func FuzzSentence(f *testing.F) {
	const head = `[{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}`
	for _, more := range []string{"", `, {"path": "2", "type": "sentence_transformers.models.Dense"}, {"path": "3", "type": "sentence_transformers.models.Normalize"}`} {
		f.Add(head+more+"]", `{"word_embedding_dimension": 4, "pooling_mode_mean_tokens": true, "include_prompt": false}`, `{"max_seq_length": 8}`,
			`{"in_features": 4, "out_features": 2, "bias": false}`, `{"prompts": {"query": "q"}, "default_prompt_name": "query", "truncate_dim": 2}`)
		f.Add(head+more+"]", `{"embedding_dimension": 4, "pooling_mode": ["cls", "max"]}`, `{"do_lower_case": true}`,
			`{"in_features": 8, "out_features": 2, "activation_function": "torch.nn.modules.activation.GELU"}`, `{}`)
	}
	f.Add(`[{"path": "../..", "type": "sentence_transformers.models.Transformer"}]`, "", "", "", "")
	f.Fuzz(func(t *testing.T, modules, pooling, transformer, dense, prompts string) {
		d := sentenceDir{"dir", func(name string, _ int64) ([]byte, error) {
			switch {
			case name == modulesFile:
				return []byte(modules), nil
			case name == promptsFile:
				return []byte(prompts), nil
			case strings.HasSuffix(name, "sentence_bert_config.json"):
				return []byte(transformer), nil
			case strings.HasSuffix(name, model.WeightsFile):
				return weightsFor(dense), nil
			case strings.HasPrefix(name, "1_Pooling"):
				return []byte(pooling), nil
			case strings.HasSuffix(name, model.ConfigFile):
				return []byte(dense), nil
			}
			return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}}
		s, err := d.sentence(&model.Config{HiddenSize: 4})
		if err != nil || s == nil {
			return
		}
		width := 4 * len(s.Pooling)
		for _, m := range s.Modules {
			if m.W != nil && m.W.Cols() != width {
				t.Fatalf("a Dense of %d values behind %d", m.W.Cols(), width)
			}
			if m.W != nil {
				width = m.W.Rows()
			}
		}
		if width == 0 || s.Dimensions > width || s.DefaultPrompt != "" && s.Prompts[s.DefaultPrompt] == "" && !strings.Contains(prompts, s.DefaultPrompt) && !strings.Contains(prompts, `\`) {
			t.Fatalf("%+v of %d values", s, width)
		}
	})
}

// weightsFor makes weights that fit a Dense's configuration, if it is a small one.
func weightsFor(config string) []byte {
	var c struct {
		In  int `json:"in_features"`
		Out int `json:"out_features"`
	}
	if json.Unmarshal([]byte(config), &c) != nil || c.In < 1 || c.Out < 1 || c.In > 64 || c.Out > 64 {
		return nil
	}
	var b strings.Builder
	err := safetensors.WriteTo(&b, []safetensors.Tensor{
		{Name: "linear.bias", DType: "F32", Shape: []int{c.Out}, Data: make([]byte, 4*c.Out)},
		{Name: "linear.weight", DType: "F32", Shape: []int{c.Out, c.In}, Data: make([]byte, 4*c.Out*c.In)}}, nil)
	if err != nil {
		return nil
	}
	return []byte(b.String())
}
