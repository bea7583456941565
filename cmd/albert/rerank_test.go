package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"albert/internal/infer"
	"albert/internal/wire"
)

// From a pretrained model to a reranker that eval measures, predict and convert take; its answers have the promised forms.
func TestRerank(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "base", "--train", in("train.txt"), "--steps", "1")...)
	var rows strings.Builder
	for i := range 40 {
		fmt.Fprintf(&rows, `{"query": "who opens", "document": "the reader %s the file", "label": %v}`+"\n", []string{"opens", "closes"}[i%2], 1-i%2)
	}
	if err := os.WriteFile(in("pairs.jsonl"), []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	out := must(t, "finetune", in("base"), "--task", "rerank", "--train", in("pairs.jsonl"), "--dev", in("pairs.jsonl"), "--output", in("run"), "--steps", "30",
		"--learning-rate", "0.003", "--max-seq-length", "32", "--quiet")
	if !strings.Contains(out, "rerank average_precision") || !strings.Contains(out, `{"query": ..., "texts": [...]}`) {
		t.Error(out)
	}
	var scores map[string]any
	if err := json.Unmarshal([]byte(must(t, "eval", in("run"), "--data", in("pairs.jsonl"), "--json")), &scores); err != nil || scores["mrr@10"] == nil || scores["accuracy"] == nil {
		t.Errorf("%v, %v", scores, err)
	}
	question := `{"query": "who opens", "texts": ["the reader closes the file", "the reader opens the file"], "id": 7}`
	lines := strings.Join([]string{question, `{"query": "a", "texts": []}`, `{"query": "a", "texts": "b"}`, `{"text": "who", "text_pair": "the reader"}`, "the reader"}, "\n")
	if err := os.WriteFile(in("lines"), []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	status, out, _ := call(t, "predict", in("run"), in("lines"))
	answers := strings.Split(strings.TrimSpace(out), "\n")
	if status != 1 || len(answers) != 5 {
		t.Fatalf("status %d, %s", status, out)
	}
	for i, want := range []string{`{"id":7,"result":[{"index":`, `{"error":"\"texts\" is empty`, `{"error":"\"texts\" is not a list of texts","line":3`, `{"score":0.`, `{"error":"want {\"query\": ..., \"texts\": [...]}`} {
		if !strings.HasPrefix(answers[i], want) {
			t.Errorf("%s, want %s", answers[i], want)
		}
	}
	must(t, "convert", in("run"), in("out"))
	if again := must(t, "predict", in("out"), question); again != answers[0]+"\n" {
		t.Errorf("after convert %s, before %s", again, answers[0])
	}
	if out := must(t, "predict", in("run"), "--logits", question); !strings.HasPrefix(out, `{"id":7,"logits":[`) {
		t.Error(out)
	}
	var b bytes.Buffer
	shown := tableTo(&b, 80)
	value := []infer.Ranked{{Index: 1, Score: 0.75}, {Index: 0, Score: 0.5}}
	if err := shown.Write(wire.Parse(question, "", 1), value, false, nil); err != nil {
		t.Fatal(err)
	}
	if want := "7: who opens\n  INDEX   SCORE  TEXT\n      1  0.7500  the reader opens the file\n      0  0.5000  the reader closes the file\n"; b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}

	// Zero-shot, and what asks models for what they cannot do.
	nli := `{"text": "the reader", "text_pair": "a writer", "label": "%s"}` + "\n"
	if err := os.WriteFile(in("nli.jsonl"), fmt.Appendf(nil, nli+nli+nli, "contradiction", "neutral", "entailment"), 0o666); err != nil {
		t.Fatal(err)
	}
	must(t, "finetune", in("base"), "--task", "classify", "--train", in("nli.jsonl"), "--dev", in("nli.jsonl"), "--output", in("nli"), "--steps", "2", "--quiet")
	one := must(t, "predict", in("nli"), "--task", "zeroshot", "--labels", "doors, the reader,", "--template", "it is {}", "the reader opens")
	var found struct {
		Labels []struct {
			Label string
			Score float64
		}
	}
	if err := json.Unmarshal([]byte(one), &found); err != nil || len(found.Labels) != 2 || found.Labels[0].Score < found.Labels[1].Score || strings.TrimSpace(found.Labels[0].Label) != found.Labels[0].Label {
		t.Errorf("%s, %v", one, err)
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{in("nli"), "--task", "zeroshot", "a"}, 2, "wants --labels"},
		{[]string{in("nli"), "--task", "zeroshot", "--labels", "a", "--template", "this", "a"}, 2, `the template "this"`},
		{[]string{in("nli"), "--labels", "a", "a"}, 2, "are for --task zeroshot"},
		{[]string{in("run"), "--task", "zeroshot", "--labels", "a", "a"}, 1, "entailment"},
		{[]string{in("nli"), question}, 1, "does not rank texts"},
		{[]string{in("nli"), "--task", "rerank", question}, 1, `task "rerank": the model (AlbertForSequenceClassification) has no such head`},
	} {
		status, out, errs := call(t, append([]string{"predict"}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: status %d, %s%s, want %q", c.args, status, out, errs, c.want)
		}
	}
}
