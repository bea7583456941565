package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/bench"
	"albert/internal/engine/cpu"
)

// A command gets a time, or an error that says what is wrong with it; neither ends the process.
func TestCommands(t *testing.T) {
	dev, err := cpu.New("", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	config := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(config, []byte(`{"model_type": "albert", "vocab_size": 50, "embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 1,
		"num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32}`), 0o666); err != nil {
		t.Fatal(err)
	}
	step := work{Kind: "train", Batch: 2, Length: 16, Path: config}
	for _, c := range []struct {
		precision string
		cmd       command
		err       string
	}{
		{"fp32", command{Do: "burst", Work: step}, ""},
		{"fp32", command{Do: "peak"}, ""},
		{"int8", command{Do: "burst", Work: step}, "training: precision \"int8\" is not known"},
		{"int8", command{Do: "peak"}, ""},
		{"bf16", command{Do: "burst", Work: step}, ""},
		{"bf16", command{Do: "peak"}, ""},
		{"fp32", command{Do: "burst", Work: work{Kind: "sleep"}}, `kind "sleep"`},
		{"fp32", command{Do: "burst", Work: work{Kind: "ask", Path: "nothing.jsonl"}}, "nothing.jsonl"},
		{"fp32", command{Do: "stop"}, `do "stop"`},
	} {
		d := &contender{precision: c.precision, threads: 1, dev: dev, prepared: map[work]func() error{}}
		if d.peak, err = bench.PeakAfterLoad(dev, cpu.Precision(c.precision)); err != nil {
			t.Fatal(err)
		}
		line, _ := json.Marshal(c.cmd)
		r, err := d.obey(line)
		switch {
		case c.err == "" && (err != nil || r.Ms <= 0 && r.Gflops <= 0):
			t.Errorf("%s: %+v, %v", line, r, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: error %v, want one with %q", line, err, c.err)
		}
	}
}
