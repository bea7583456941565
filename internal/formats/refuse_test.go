package formats

import (
	"archive/tar"
	"compress/gzip"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/model"
)

// damaged names what is opened and, beside it, a file to damage.
var damaged = map[string][]string{"hf": {"model.safetensors", "config.json", "spiece.model"}, "a/model.safetensors": {""}, "a/pytorch_model.bin": {""},
	"a/model.onnx": {""}, "a/model.ckpt-best": {".index", ".data-00000-of-00001"}, "a.tar.gz": {""}}

// A truncated file is an error of one line that names it; a bit that is turned is an error or another model, and never a panic.
func TestDamage(t *testing.T) {
	m := makeModel(t, model.PreTraining, "")
	rng := rand.New(rand.NewPCG(1, 2))
	for to, list := range damaged {
		path := write(t, m, to)
		for _, part := range list {
			file := path + part
			if to == "hf" {
				file = filepath.Join(path, part)
			}
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			try := func(data []byte) error {
				if err := os.WriteFile(file, data, 0o666); err != nil {
					t.Fatal(err)
				}
				_, err := Open(path)
				if err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), filepath.Dir(path))) {
					t.Errorf("%s: not one line that names the file: %v", file, err)
				}
				return err
			}
			for _, n := range []int{0, 1, 7, len(whole) / 2, len(whole) - 2} {
				if try(whole[:n]) == nil {
					t.Errorf("%s: %d of %d bytes were taken", file, n, len(whole))
				}
			}
			for range 40 {
				bad := append([]byte(nil), whole...)
				bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
				bad[rng.IntN(min(len(bad), 2000))] ^= 1 << rng.IntN(8)
				_ = try(bad)
			}
			if err := try(whole); err != nil {
				t.Error(err)
			}
		}
	}
}

// A configuration that contradicts the tensors is an error that names the first tensor, before memory is taken for it.
func TestContradictions(t *testing.T) {
	dir := write(t, makeModel(t, model.PreTraining, ""), "hf")
	whole, err := os.ReadFile(filepath.Join(dir, model.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string]string{
		`"hidden_size": 16`:                           "tensor albert.encoder.embedding_hidden_mapping_in.weight has shape [12 8], want [16 8] by config.json",
		`"vocab_size": 600`:                           "tensor albert.embeddings.word_embeddings.weight has shape [500 8], want [600 8]",
		`"intermediate_size": 16000000`:               "ffn.weight has shape [20 12], want [16000000 12]",
		`"num_hidden_groups": 2`:                      "albert_layer_groups.1.albert_layers.0.attention.query.weight is missing",
		`"sharing": "none"`:                           "albert_layer_groups.1.albert_layers.0.attention.query.weight is missing",
		`"num_hidden_layers": 100000`:                 "num_hidden_layers 100000 times inner_group_num 1 is more than 4096",
		`"inner_group_num": 10000000`:                 "is more than 4096",
		`"embedding_size": 12, "hidden_act": "gelu9"`: `hidden_act "gelu9" is not supported`,
		`"sharing_inner_group_num": 2`:                "sharing_inner_group_num 2 with sharing",
	} {
		text := strings.TrimRight(strings.TrimSpace(string(whole)), "}") + "," + change + "}"
		if err := os.WriteFile(filepath.Join(dir, model.ConfigFile), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %s", change, err, want)
		}
	}
}

func TestNoModel(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := put("only/config.json", small+"}")
	shards := put("shards/model.safetensors.index.json", `{"weight_map": {"albert.pooler.weight": "../only/config.json"}}`)
	put("shards/config.json", small+"}")
	for _, name := range []string{"two[1/a.index", "two[1/b.index", "bare/a.index"} {
		put(name, "x")
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "nothing"):      "no such file, directory or checkpoint",
		config:                             "is a configuration: name the directory",
		filepath.Dir(config):               "no weights there",
		filepath.Dir(shards):               "is not a file of this directory",
		filepath.Join(dir, "two[1"):        "two[1 has 2 checkpoints: name one, such as ",
		filepath.Join(dir, "bare"):         "no albert_config.json or bert_config.json beside the checkpoint",
		put("alone.safetensors", "x"):      "no config.json beside it",
		put("alone.bin", "x"):              "no config.json beside it",
		put("m.h5", "x"):                   "is no model",
		put("words.model", "x"):            "is no model",
		filepath.Join(dir, "model.ckpt-1"): "no such file, directory or checkpoint",
		dir:                                "no config.json there",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// An archive with a path that leaves it, or a link, is refused, and nothing stays unpacked.
func TestArchivesThatReachOut(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	path := filepath.Join(t.TempDir(), "a.tar.gz")
	for name, kind := range map[string]byte{"../out.model": tar.TypeReg, "/tmp/out.model": tar.TypeReg, "a/../../out.model": tar.TypeReg, "a/link.model": tar.TypeSymlink} {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		z := gzip.NewWriter(f)
		w := tar.NewWriter(z)
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Linkname: "/etc/passwd"}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []interface{ Close() error }{w, z, f} {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), filepath.Base(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := tree(t, tmp); len(left) > 0 {
		t.Errorf("left unpacked: %v", left)
	}
}
