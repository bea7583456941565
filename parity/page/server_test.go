package page

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/model"
)

var albert = os.Getenv("ALBERT_BIN") // the command; "": it is built

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "albert-page")
	if err == nil && albert == "" {
		albert = filepath.Join(dir, "albert")
		build := exec.Command("go", "build", "-o", albert, "./cmd/albert")
		build.Dir = "../.."
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// command gives what albert writes.
func command(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(albert, args...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("albert %q: %v: %s", args, err, said.String())
	}
	return out
}

// serve serves models, by their names, and gives the address.
func serve(t *testing.T, models map[string]string, args ...string) string {
	t.Helper()
	args = append([]string{"serve", "--port", "0", "--threads", "1", "--quiet"}, args...)
	var list []string
	for name, path := range models {
		list = append(list, name+"="+path)
	}
	slices.SortFunc(list, func(a, b string) int { // the first answers where a route names none
		return strings.Compare(strings.TrimPrefix(a, "fill"), strings.TrimPrefix(b, "fill"))
	})
	cmd := exec.Command(albert, append(args, list...)...)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	i := strings.Index(line, "http://")
	if err != nil || i < 0 {
		rest, _ := io.ReadAll(lines)
		t.Fatalf("no address: %s%s", line, rest)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return strings.TrimSpace(line[i:])
}

// tiny writes a random model with a head to a directory.
func tiny(t *testing.T, kind model.Kind, heads model.Heads, labels ...string) string {
	t.Helper()
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads = 500, 8, 32, 64, 2, 2
	c.InitializerRange = 0.3
	names := map[int]string{}
	for i, l := range labels {
		names[i] = l
	}
	_ = c.SetExtra("id2label", names)
	_ = c.SetExtra("architectures", []string{kind.Class()})
	if heads.SOP {
		_ = c.SetExtra("architectures", []string{model.PreTraining})
	}
	dir := t.TempDir()
	err := model.NewWith(c, heads, 1).Save(dir)
	if err == nil {
		var data []byte
		if data, err = os.ReadFile("../../tokenizer/testdata/albert.model"); err == nil {
			err = os.WriteFile(filepath.Join(dir, "spiece.model"), data, 0o666)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func allModels(t *testing.T) map[string]string {
	return map[string]string{"fill": tiny(t, model.Order, model.PretrainingHeads),
		"classify": tiny(t, model.Classify, model.Heads{Pooler: true, Labels: 3}, "entailment", "neutral", "contradiction"),
		"tag":      tiny(t, model.Tag, model.Heads{Labels: 5}, "B-PER", "I-PER", "B-LOC", "I-LOC", "O"), "answer": tiny(t, model.Answer, model.Heads{Spans: true}),
		"choose": tiny(t, model.Choice, model.Heads{Pooler: true, Labels: 1}), "rank": tiny(t, model.Regress, model.Heads{Pooler: true, Labels: 1}, "LABEL_0")}
}

// pretrained is a run of a few steps.
func pretrained(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	for i := range 40 {
		for j := range 6 {
			fmt.Fprintf(&text, "The reader opens file %d and finds line %d of the house by the river.\n", i, j)
		}
		text.WriteString("\n")
	}
	for name, content := range map[string]string{"text.txt": text.String(), "config.json": `{"model_type":"albert","vocab_size":500,"embedding_size":8,"hidden_size":16,"intermediate_size":32,"num_hidden_layers":2,
		"num_attention_heads":2,"max_position_embeddings":64,"hidden_dropout_prob":0,"attention_probs_dropout_prob":0}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	command(t, "pretrain", "--output", at("run"), "--config", at("config.json"), "--tokenizer", "../../tokenizer/testdata/albert.model", "--train", at("text.txt"), "--dev", at("text.txt"),
		"--steps", "30", "--warmup-steps", "3", "--batch-size", "4", "--max-seq-length", "64", "--eval-every", "10", "--eval-examples", "16", "--threads", "1", "--quiet")
	return at("run")
}
