package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/formats"
	"albert/internal/model"
)

// A model with the beam head answers as one with the other head does, has logits of its own shape, and goes through Google's files.
func TestBeamHeadAnswers(t *testing.T) {
	_, in := workplace(t)
	c, err := model.ReadConfig(in("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c.InitializerRange = 0.3
	if err := model.NewWith(c, model.Heads{Beam: true}, 4).Save(in("beam")); err != nil {
		t.Fatal(err)
	}
	tok, err := os.ReadFile(in("tok.model"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in(filepath.Join("beam", "spiece.model")), tok, 0o666); err != nil {
		t.Fatal(err)
	}
	context := strings.Repeat("The reader opens a file. ", 12) // several windows
	short := `{"id": "q", "question": "who?", "context": "The reader opens a file."}`
	long, _ := json.Marshal(map[string]string{"question": "who?", "context": context})
	lines := strings.Join([]string{short, string(long), `{"question": "who?", "context": ""}`, `{"input_ids": [2, 9, 3, 20, 21, 22, 3]}`}, "\n") + "\n"
	if err := os.WriteFile(in("lines"), []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}

	type span struct {
		ID         string
		Answer     string
		Score      float64
		Start, End int
	}
	read := func(args ...string) []string {
		t.Helper()
		out := strings.Split(strings.TrimSpace(must(t, append([]string{"predict", in("beam"), in("lines")}, args...)...)), "\n")
		if len(out) != 4 {
			t.Fatalf("%d lines: %s", len(out), out)
		}
		return out
	}
	of := func(line string, v any) {
		t.Helper()
		if err := json.Unmarshal([]byte(line), v); err != nil {
			t.Fatal(err, line)
		}
	}
	var s span
	out := read()
	of(out[0], &s)
	if s.ID != "q" || s.Answer == "" || s.Score <= 0 || s.Score > 1 || "The reader opens a file."[s.Start:s.End] != s.Answer {
		t.Errorf("%s", out[0])
	}
	s = span{}
	of(out[1], &s)
	if s.Answer == "" || context[s.Start:s.End] != s.Answer {
		t.Errorf("%s", out[1])
	}
	of(out[2], &s)
	if s.Answer != "" {
		t.Errorf("of an empty context: %s", out[2])
	}
	of(out[3], &s)
	if s.Start < 3 || s.End > 6 || s.Start >= s.End {
		t.Errorf("of given pieces: %s", out[3])
	}
	for i, line := range read("--null-threshold=-1e9") {
		if of(line, &s); i < 3 && s.Answer != "" {
			t.Errorf("below every threshold: %s", line)
		}
	}
	var list []span
	of(read("--top-k", "3")[1], &list)
	if len(list) != 3 || list[0].Score < list[1].Score || list[1].Score < list[2].Score {
		t.Errorf("%+v", list)
	}

	type logits struct {
		Starts     []float64 `json:"start_logits"`
		Cls        *float64  `json:"cls_logit"`
		Candidates []struct {
			Start, End int
			StartLog   float64 `json:"start_log_prob"`
			EndLog     float64 `json:"end_log_prob"`
		}
	}
	out = read("--logits")
	var one logits
	of(out[3], &one)
	if len(one.Starts) != 7 || one.Cls == nil || len(one.Candidates) != 16 || one.Candidates[0].StartLog > 0 || one.Candidates[0].EndLog < one.Candidates[1].EndLog {
		t.Errorf("%s", out[3])
	}
	var several struct{ Windows []logits }
	of(out[1], &several)
	if len(several.Windows) < 2 || len(several.Windows[0].Candidates) != 25 {
		t.Errorf("%d windows: %s", len(several.Windows), out[1])
	}

	must(t, "convert", in("beam"), in("google/model.ckpt-best"))
	must(t, "convert", in("google/model.ckpt-best"), in("back"))
	back, err := formats.Open(in("back"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := inspect(t, in("back")), inspect(t, in("beam")); got != want || back.Beam.Start.W == nil || string(back.Config.Extra(model.HeadKey)) != `"beam"` {
		t.Errorf("through TensorFlow: %+v, want %+v; head %s", got, want, back.Config.Extra(model.HeadKey))
	}
	if status, _, errs := call(t, "convert", in("beam"), in("beam.onnx")); status != 1 || !strings.Contains(errs, "no ONNX form") {
		t.Errorf("ONNX: status %d: %s", status, errs)
	}
}
