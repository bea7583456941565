package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/proof"
	"albert/internal/run"
)

// tree is every file of a directory with its content, and every link with its target.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			files[path], err = os.Readlink(path)
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func unchanged(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	after := tree(t, dir)
	for path := range before {
		if after[path] != before[path] {
			t.Errorf("%s was changed", path)
		}
	}
	if len(after) != len(before) {
		t.Errorf("there are %d files, were %d", len(after), len(before))
	}
}

// verified calls albert verify --json.
func verified(t *testing.T, args ...string) (status int, v proof.Verdict, errs string) {
	t.Helper()
	status, out, errs := call(t, append([]string{"verify", "--json", "--quiet"}, args...)...)
	if out != "" {
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	return status, v, errs
}

// thisVersion is what the manifests of these tests say.
const thisVersion = run.Version

// same is verified for a run that must come out the same, unchanged by it.
func same(t *testing.T, run string, args ...string) proof.Verdict {
	t.Helper()
	before := tree(t, run)
	status, v, errs := verified(t, append([]string{run}, args...)...)
	unchanged(t, run, before)
	if status != 0 || !v.Same || v.FirstDifference != nil {
		t.Fatalf("verify %s %v: status %d, %+v\n%s", run, args, status, v, errs)
	}
	return v
}

// A run of pretraining is the same again, from text, from shards, from given weights, finished, interrupted, resumed, and any part of it.
func TestVerifyPretraining(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "6", "--keep", "9")...)
	want := inspect(t, in("run")).WeightsSHA256
	if v := same(t, in("run"), "--all"); v.From != 0 || v.To != 6 || v.Steps != 6 || v.WeightsSHA256 != want {
		t.Errorf("all: %+v", v)
	}
	if v := same(t, in("run"), "--steps", "3"); v.From != 4 || v.To != 6 || v.WeightsSHA256 != want {
		t.Errorf("3 steps: %+v", v)
	}
	if v := same(t, in("run"), "--steps", "1"); v.To-v.From != 1 || len(v.Compared) != 2 || len(v.Notes) != 1 {
		t.Errorf("1 step, of the log alone: %+v", v)
	}

	// A program that was killed leaves rows after the newest checkpoint, the last one unfinished.
	if err := os.CopyFS(in("killed"), os.DirFS(in("run"))); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(in("killed/model"))
	os.RemoveAll(in("killed/checkpoints/step-000006"))
	replace(t, in("killed/manifest.json"), `"finished": true`, `"finished": false`)
	log := read(t, in("killed/log.jsonl"))
	put(t, in("killed/log.jsonl"), log[:bytes.LastIndexByte(log, 'm')])
	if v := same(t, in("killed"), "--all"); v.To != 4 {
		t.Errorf("killed: %+v", v)
	}

	must(t, "prepare", "--tokenizer", in("tok.model"), "--output", in("shards"), in("train.txt"), "--quiet")
	interrupted := append(pretrainArgs(in, "resumed", "--train", in("shards"), "--steps", "6", "--init", in("run"), "--dropout", "0.1"), "--max-time")
	for range 3 {
		call(t, append(interrupted, "1ms")...)
	}
	must(t, append(interrupted, "1h")...)
	for _, kernels := range []string{"", "generic"} { // whatever the kernels
		t.Setenv("ALBERT_CPU", kernels)
		if v := same(t, in("resumed"), "--all"); v.To != 6 {
			t.Errorf("resumed: %+v", v)
		}
	}
	t.Setenv("ALBERT_CPU", "")
	// Another version of the program is refused unless that is asked for, and may explain what differs; an older manifest says less.
	replace(t, in("killed/manifest.json"), `"version": "`+thisVersion+`"`, `"version": "0.0.9"`)
	if status, _, errs := verified(t, in("killed")); status != 2 || !strings.Contains(errs, "--other-program") {
		t.Errorf("another version: status %d, %s", status, errs)
	}
	same(t, in("killed"), "--all", "--other-program")
	replace(t, in("killed/manifest.json"), `"sources"`, `"others"`)
	replace(t, in("killed/manifest.json"), `"mask-rate": 0.15,`, "")
	same(t, in("killed"), "--all", "--other-program")
	replace(t, in("killed/manifest.json"), `"seed": 12345`, `"seed": 1`)
	if status, v, errs := verified(t, in("killed"), "--other-program"); status != 1 || !strings.Contains(errs, "version was 0.0.9, is "+thisVersion) || v.Same {
		t.Errorf("another seed and version: status %d, %s", status, errs)
	}
	replace(t, in("killed/manifest.json"), `"ngram": 3`, `"bgram": 3`)
	if status, _, errs := verified(t, in("killed"), "--other-program"); status != 2 || !strings.Contains(errs, "the setting bgram was 3") {
		t.Errorf("an unknown setting: status %d, %s", status, errs)
	}

	must(t, pretrainArgs(in, "dry", "--train", in("train.txt"), "--steps", "6", "--dry-run")...)
	for _, bad := range [][2]string{{in("dry"), "no checkpoint yet"}, {in("none"), "no such directory"}, {in(""), "no run directory"}, {in("tok.model"), "no run directory"}} {
		if status, _, errs := verified(t, bad[0]); status != 2 || !strings.Contains(errs, bad[1]) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %s", bad[0], status, errs)
		}
	}
	if status, _, errs := verified(t, in("run"), "--steps", "0"); status != 2 || !strings.Contains(errs, "--steps 0: want at least 1") {
		t.Errorf("--steps 0: status %d, %s", status, errs)
	}
}

// Runs of fine-tuning are the same again, of every kind, and of several seeds.
func TestVerifyFinetuning(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "base", "--train", in("train.txt"), "--steps", "1")...)
	var numbers, rows, pairs, choices, tags, several, squad strings.Builder
	for i := range 40 {
		text := []string{"the reader opens the network", "a writer copies two numbers"}[i%2]
		fmt.Fprintf(&rows, `{"text": "%s %d", "label": "%c"}`+"\n", text, i, 'a'+i%2)
		fmt.Fprintf(&numbers, `{"text": "%s", "label": %d.5}`+"\n", text, i)
		fmt.Fprintf(&pairs, `{"anchor": "%s %d", "positive": "the whole tree %d"}`+"\n", text, i, i)
		fmt.Fprintf(&choices, `{"question": "%s", "choices": ["one", "two"], "label": %d}`+"\n", text, i%2)
		fmt.Fprintf(&tags, `{"words": ["the", "reader"], "tags": ["O", "B-%c"]}`+"\n", 'X'+i%2)
		fmt.Fprintf(&several, `{"text": "%s", "label": ["a", "b"]}`+"\n", text)
		fmt.Fprintf(&squad, `{"id": "%d", "question": "who opens?", "context": "the reader opens the network", "answers": {"text": ["the reader"], "answer_start": [0]}}`+"\n", i)
	}
	scores := `{"sentence1": "the reader", "sentence2": "a reader", "score": 4}` + "\n" + `{"sentence1": "the reader", "sentence2": "the tree", "score": 1}` + "\n" +
		`{"sentence1": "a writer", "sentence2": "the tree", "score": 0.5}` + "\n"
	for _, x := range []struct {
		task, train, dev string
		more             []string
	}{
		{"classify", rows.String(), rows.String(), []string{"--runs", "2"}}, {"embed", pairs.String(), scores, nil}, {"choice", choices.String(), choices.String(), nil},
		{"tag", tags.String(), tags.String(), nil}, {"classify", several.String(), several.String(), nil}, {"squad2", squad.String(), squad.String(), nil},
		{"regress", numbers.String(), numbers.String(), nil},
	} {
		run := in("run-of-" + x.task + fmt.Sprint(len(x.train)))
		train, dev := run+"-train.jsonl", run+"-dev.jsonl"
		if os.WriteFile(train, []byte(x.train), 0o666) != nil || os.WriteFile(dev, []byte(x.dev), 0o666) != nil {
			t.Fatal("not written")
		}
		args := append([]string{"finetune", in("base"), "--task", x.task, "--train", train, "--dev", dev, "--output", run, "--steps", "4", "--eval-every", "2", "--batch-size", "8",
			"--learning-rate", "0.001", "--quiet", "--max-seq-length", "32"}, x.more...)
		call(t, append(args, "--max-time", "1ms")...)
		must(t, args...)
		v := same(t, run, "--all", "--threads", "1")
		if x.more != nil { // the result of several runs is that of one of them
			path := filepath.Join(run, "model", "model.safetensors")
			data := read(t, path)
			put(t, path, append(slices.Clone(data[:len(data)-1]), data[len(data)-1]^1))
			if status, v, errs := verified(t, run); status != 1 || v.FirstDifference == nil || v.FirstDifference.Field != "model" {
				t.Errorf("another result: status %d, %s", status, errs)
			}
			put(t, path, data)
		}
		if x.more != nil && (len(v.Runs) != 2 || v.Steps != 8) || v.To != 4 {
			t.Errorf("%s: %+v", x.task, v)
		}
		manifest := run + "/manifest.json"
		if x.more != nil {
			manifest = run + "/run-1/manifest.json"
		}
		text := read(t, manifest)
		replace(t, manifest, `"sources"`, `"others"`)
		if status, _, errs := verified(t, run); status != 2 || !strings.Contains(errs, "did not note where model and data lie") {
			t.Errorf("%s: an older manifest: status %d, %s", x.task, status, errs)
		}
		put(t, manifest, text)
		for _, change := range []func() error{func() error { return os.WriteFile(train, []byte(x.train+x.train), 0o666) }, func() error { return os.Remove(train) }} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			if status, _, errs := verified(t, run); status != 2 || !strings.Contains(errs, train) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s: data changed or gone: status %d, %s", x.task, status, errs)
			}
		}
	}
}

// Whatever of a run is changed afterwards is found: what differs is named with its step, what cannot be judged with its file.
func TestTampering(t *testing.T) {
	_, in := workplace(t)
	args := pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "6", "--keep", "9", "--init", in("first"))
	must(t, pretrainArgs(in, "first", "--train", in("train.txt"), "--steps", "1")...)
	must(t, args...)
	run := in("run")
	weights := filepath.Join("checkpoints", "step-000004", "model.safetensors")
	flip := func(tensor string, rehash bool) func(*testing.T, string) {
		return func(t *testing.T, run string) {
			path := filepath.Join(run, weights)
			data := read(t, path)
			n := binary.LittleEndian.Uint64(data)
			var header map[string]struct {
				Offsets []int `json:"data_offsets"`
			}
			_ = json.Unmarshal(bytes.ReplaceAll(data[8:8+n], []byte(`"__metadata__":{"format":"pt"},`), nil), &header)
			data[8+int(n)+header[tensor].Offsets[0]] ^= 1
			old := sha256.Sum256(read(t, path))
			sum := sha256.Sum256(data)
			put(t, path, data)
			if rehash {
				replace(t, filepath.Join(filepath.Dir(path), "manifest.json"), hex.EncodeToString(old[:]), hex.EncodeToString(sum[:]))
			}
		}
	}
	digit := func(step int, field string) func(*testing.T, string) {
		return func(t *testing.T, run string) {
			path := filepath.Join(run, "log.jsonl")
			lines := bytes.SplitAfter(read(t, path), []byte("\n"))
			at := bytes.Index(lines[step-1], []byte(`"`+field+`":`)) + len(field) + 3
			at += bytes.IndexAny(lines[step-1][at:], ",}") - 1
			lines[step-1][at] = '0' + (lines[step-1][at]-'0'+1)%10
			put(t, path, bytes.Join(lines, nil))
		}
	}
	rows := func(change func(lines [][]byte) [][]byte) func(*testing.T, string) {
		return func(t *testing.T, run string) {
			path := filepath.Join(run, "log.jsonl")
			put(t, path, bytes.Join(change(bytes.SplitAfter(read(t, path), []byte("\n"))), nil))
		}
	}
	manifest := func(old, new string) func(*testing.T, string) {
		return func(t *testing.T, run string) { replace(t, filepath.Join(run, "manifest.json"), old, new) }
	}
	tensor := "albert.embeddings.word_embeddings.weight"
	for _, x := range []struct {
		what   string
		change func(t *testing.T, run string)
		status int
		step   int
		field  string // or what the error names
	}{
		{"a weight's bit", flip(tensor, false), 1, 4, "weights"},
		{"a weight's bit and its hash", flip(tensor, true), 1, 4, "weights"},
		{"a moment's bit", flip(tensor+".adam_v", false), 1, 4, "moments"},
		{"a digit of a loss", digit(3, "loss"), 1, 3, "loss"},
		{"a digit of a norm", digit(5, "grad_norm"), 1, 5, "grad_norm"},
		{"a checkpoint's state", func(t *testing.T, run string) {
			replace(t, filepath.Join(run, filepath.Dir(weights), "trainer.json"), `"step": 4`, `"step": 5`)
		}, 1, 4, "checkpoint"},
		{"fewer steps", manifest(`"steps": 6`, `"steps": 5`), 2, 0, "manifest.json: the setting steps is 5"},
		{"another rate", manifest(`"learning-rate": 0.01`, `"learning-rate": 0.02`), 1, 2, "learning_rate"},
		{"the seed", manifest(`"seed": 12345`, `"seed": 12346`), 1, 1, "loss"},
		{"a row missing", rows(func(l [][]byte) [][]byte { return append(l[:2:2], l[3:]...) }), 1, 3, "step"},
		{"a row doubled", rows(func(l [][]byte) [][]byte { return append(l[:3:3], l[2:]...) }), 1, 3, "step"},
		{"the result", func(t *testing.T, run string) {
			path := filepath.Join(run, "model", "model.safetensors")
			data := read(t, path)
			data[len(data)-1] ^= 1
			put(t, path, data)
		}, 1, 6, "model"},
		{"data changed", func(t *testing.T, run string) {
			path := filepath.Join(run, "data", "train", "shard-00000.bin")
			data := read(t, path)
			data[len(data)/2] ^= 1
			put(t, path, data)
		}, 2, 0, "shard-00000.bin"},
		{"data gone", func(t *testing.T, run string) { os.RemoveAll(filepath.Join(run, "data", "train")) }, 2, 0, filepath.Join("data", "train")},
		{"another version", manifest(`"version": "`+thisVersion+`"`, `"version": "9.1.0"`), 2, 0, "manifest.json"},
		{"another commit", manifest(`"commit": "`, `"commit": "x`), 2, 0, "manifest.json"},
		{"other numerics", manifest(`"numerics": `, `"numerics": 9`), 2, 0, "manifest.json"},
		{"no JSON", func(t *testing.T, run string) { put(t, filepath.Join(run, "manifest.json"), []byte("{")) }, 2, 0, "manifest.json"},
		{"a checkpoint's manifest is no JSON", func(t *testing.T, run string) {
			put(t, filepath.Join(run, filepath.Dir(weights), "manifest.json"), []byte("{"))
		}, 2, 0, filepath.Join("step-000004: manifest.json")},
		{"the model that it began with", func(t *testing.T, run string) {
			put(t, filepath.Join(in("first"), "model", "model.safetensors"), []byte("gone"))
		}, 2, 0, in("first")},
	} {
		t.Run(x.what, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(copied, os.DirFS(run)); err != nil {
				t.Fatal(err)
			}
			x.change(t, copied)
			before := tree(t, copied)
			status, v, errs := verified(t, copied, "--all")
			unchanged(t, copied, before)
			if status != x.status || strings.Count(errs, "\n") != 1 {
				t.Fatalf("status %d, want %d: %s", status, x.status, errs)
			}
			if x.status == 2 {
				if !strings.Contains(errs, x.field) {
					t.Errorf("the file is not named: %s", errs)
				}
				return
			}
			if d := v.FirstDifference; v.Same || d == nil || d.Step != x.step || d.Field != x.field || !strings.Contains(errs, fmt.Sprintf("step %d: %s", x.step, x.field)) {
				t.Errorf("%+v, %s", d, errs)
			}
		})
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, path, old, new string) {
	t.Helper()
	data := read(t, path)
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s has no %s", path, old)
	}
	put(t, path, bytes.ReplaceAll(data, []byte(old), []byte(new)))
}
