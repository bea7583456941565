package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reviews writes labelled sentences: what the subject does tells the label. Before some many other words stand.
func reviews(t *testing.T, path string, from, n, before int) {
	t.Helper()
	var b strings.Builder
	verbs := [2][]string{{"opens", "keeps", "copies"}, {"closes", "returns", "sends"}}
	for i := from; i < from+n; i++ {
		label := i * 7 / 3 % 2
		text := strings.Repeat("the server ", before) + "the reader " + verbs[label][i%3] + " the file"
		fmt.Fprintf(&b, `{"text": %q, "label": %q}`+"\n", text, []string{"in", "out"}[label])
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

// From a pretrained model to a fine-tuned one, its report, an ensemble of two and predictions over long texts.
func TestFinetuneAndEval(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "base", "--train", in("train.txt"), "--steps", "1")...)
	reviews(t, in("tune.jsonl"), 0, 60, 0)
	reviews(t, in("held.jsonl"), 60, 30, 0)
	reviews(t, in("long.jsonl"), 90, 12, 30)
	for _, seed := range []string{"1", "2"} {
		must(t, "finetune", in("base"), "--task", "classify", "--train", in("tune.jsonl"), "--dev", in("held.jsonl"), "--output", in("run"+seed), "--steps", "60",
			"--learning-rate", "0.003", "--warmup-steps", "5", "--batch-size", "16", "--eval-every", "10", "--patience", "3", "--seed", seed, "--quiet")
	}
	var got map[string]any
	out := must(t, "eval", in("run1"), "--with", in("run2"), "--task", "classify", "--data", in("held.jsonl"), "--worst", "2", "--json")
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"accuracy", "report", "confusion", "calibration", "worst"} {
		if got[key] == nil {
			t.Errorf("no %q in %s", key, out)
		}
	}
	out = must(t, "eval", in("run1/model"), "--data", in("held.jsonl"), "--report", "--worst", "1") // the config names the task
	for _, want := range []string{"accuracy", "weighted avg", "expected calibration error", "\n{\"id\":\"2\",\"text\":"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, name := range []string{"report.json", "confusion.svg", "dev.svg"} {
		if _, err := os.Stat(filepath.Join(in("run1"), name)); err != nil {
			t.Error(err)
		}
	}

	// predict and eval agree on long texts, and cut ones are said to be.
	cut := must(t, "predict", in("run1"), "--all", in("long.jsonl"))
	if strings.Count(cut, `"truncated":true`) != 12 {
		t.Errorf("%s", cut)
	}
	out = must(t, "predict", in("run1"), "--all", "--long", "windows", in("long.jsonl"))
	if strings.Contains(out, "truncated") || out == cut {
		t.Errorf("%s", out)
	}
	if err := json.Unmarshal([]byte(must(t, "eval", in("run1"), "--task", "classify", "--data", in("long.jsonl"), "--long", "windows", "--worst", "12", "--json")), &got); err != nil {
		t.Fatal(err)
	}
	score := map[string]float64{} // of the truth, by place
	for _, w := range got["worst"].([]any) {
		w := w.(map[string]any)
		score[w["at"].(string)] = w["score"].(float64)
	}
	for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var p struct {
			Labels []struct {
				Label string
				Score float64
			}
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		want, found := score[fmt.Sprintf("%s:%d", in("long.jsonl"), i+1)], false
		for _, l := range p.Labels {
			found = found || l.Score-want < 1e-6 && want-l.Score < 1e-6
		}
		if !found {
			t.Errorf("line %d: predict %s, eval %v", i+1, line, want)
		}
	}

	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"eval", in("run1"), "--task", "classify", "--data", in("held.jsonl"), "--worst=-1"}, 2, "--worst -1: want at least 0"},
		{[]string{"eval", "--predictions", in("x"), "--with", in("run1"), "--task", "rte", "--data", in("held.jsonl")}, 2, "--with averages models"},
		{[]string{"finetune", in("base"), "--task", "ax", "--train", in("tune.jsonl"), "--output", in("x")}, 2, "ax has no training data"},
		{[]string{"finetune", in("base"), "--task", "classify", "--train", in("tune.jsonl"), "--dev", in("held.jsonl"), "--output", in("x"), "--patience=-1"}, 2, "--patience -1: want at least 0"},
		{[]string{"finetune", in("base"), "--task", "classify", "--train", in("tune.jsonl"), "--dev", in("held.jsonl"), "--output", in("stuck"), "--steps", "120", "--quiet",
			"--learning-rate", "1e-7", "--warmup-steps", "0", "--eval-every", "10", "--stop-if-stuck"}, 1, "the learning rate is probably too low: try --learning-rate 1e-06"},
	} {
		status, _, errs := call(t, c.args...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("albert %s: status %d, want %d; %q in\n%s", strings.Join(c.args, " "), status, c.status, c.want, errs)
		}
	}
}

// Numbers that make no sense and flags that a task has no use for are usage errors.
func TestFinetuneUsage(t *testing.T) {
	for _, args := range [][]string{{"--dropout", "1"}, {"--dropout", "NaN"}, {"--classifier-dropout", "-0.1"}, {"--learning-rate", "NaN"}, {"--epochs", "Inf"},
		{"--warmup-steps", "-1"}, {"--keep", "-1"}, {"--max-seq-length", "3"}, {"--level", "middle"}, {"--task", "rte", "--text-column", "x"}} {
		if status, _, errs := call(t, append([]string{"finetune", "m", "--task", "classify", "--train", "a", "--dev", "b", "--output", "c"}, args...)...); status != 2 {
			t.Errorf("%v: status %d: %s", args, status, errs)
		}
	}
	if status, _, errs := call(t, "eval", "m", "--task", "classify", "--data", "a", "--max-seq-length", "3"); status != 2 {
		t.Errorf("eval: status %d: %s", status, errs)
	}
}

// Every data flag reaches what eval reads; without it the file is refused or read in another way.
func TestEvalDataFlags(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	numbers := file("numbers.tsv", "index\tprediction\n0\t0.9\n1\t0.2\n")
	classes := file("p.tsv", "index\tprediction\n0\tx\n1\ty\n")
	lists := file("lists.json", `{"0": ["x"], "1": ["y", "x"]}`)
	letters := file("letters.json", `{"middle1-0": "A", "high1-0": "B"}`)
	passage := `{"id": "%s1", "article": "Y", "questions": ["Q"], "options": [["c", "d"]], "answers": ["A"]}` + "\n"
	for field, c := range map[string]struct {
		task, data, predictions string
		flags                   []string
		want, without           string
	}{
		"columns of rerank": {"rerank", file("rank.csv", "q,d,relevance\nA,B,1\nA,D,0\n"), numbers, []string{"--text-column", "q", "--pair-column", "d", "--label-column", "relevance"}, `"mrr@10":1`, "a row without query"},
		"Delimiter, rerank": {"rerank", file("rank2.csv", "query^document^label\nA^B^1\nA^D^0\n"), numbers, []string{"--delimiter", "^"}, `"average_precision":1`, "a row without query"},
		"Quotes, rerank":    {"rerank", file("rank.tsv", "query\tdocument\tlabel\n\"A\"\tB\t1\n\"A\"\tD\t0\n"), numbers, []string{"--quotes", "none", "--worst", "2"}, `"text":"\"A\""`, `"text":"A"`},
		"Split, rerank":     {"rerank", file("rank3.csv", "query,document,label\nA,B,1\nA,D,\n"), numbers, []string{"--split", "test"}, `1 of 2 examples have no label`, "is empty"},
		"PairColumn":        {"classify", file("pair.csv", "text,more,label\nA,B,x\nC,D,y\n"), classes, []string{"--text-column", "text", "--pair-column", "more", "--worst", "1"}, `"text_pair":"B"`, ""},
		"LabelColumn":       {"classify", file("label.csv", "text,kind,label\nA,x,y\nC,y,x\n"), classes, []string{"--label-column", "kind"}, `"accuracy":1`, `"accuracy":0`},
		"TextColumn":        {"classify", file("text.csv", "body,label\nA,x\nC,y\n"), classes, []string{"--text-column", "body"}, `"accuracy":1`, "no column for the text"},
		"Multi":             {"classify", file("multi.csv", "text,label\nA,x\nC,x|y\n"), lists, []string{"--multi"}, `"subset_accuracy":1`, "not"},
		"Level":             {"race", file("race.txt", fmt.Sprintf(passage+passage, "middle", "high")), letters, []string{"--level", "middle"}, `"accuracy":1`, `"accuracy":0.5`},
		"Delimiter":         {"classify", file("delimiter.csv", "text^label\nA^x\nC^y\n"), classes, []string{"--delimiter", "^"}, `"accuracy":1`, "no column"},
		"Quotes":            {"classify", file("quotes.tsv", "text\tlabel\n\"A\"\tx\nC\ty\n"), classes, []string{"--quotes", "none", "--worst", "2"}, `"text":"\"A\""`, `"text":"A"`},
		"Split":             {"classify", file("split.csv", "text,label\nA,x\nC,\n"), classes, []string{"--split", "test"}, `"data_notes":["test: 1 of 2 examples have no label`, "no label"},
	} {
		args := []string{"eval", "--task", c.task, "--data", c.data, "--predictions", c.predictions, "--json"}
		status, out, errs := call(t, append(args, c.flags...)...)
		if status != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%s: status %d, %s%s; want %s", field, status, out, errs, c.want)
		}
		if c.without == "" {
			continue
		}
		if _, out, errs = call(t, append(args, "--worst", "2")...); !strings.Contains(out+errs, c.without) || strings.Contains(out, c.want) {
			t.Errorf("without %s: %s%s; want %s", field, out, errs, c.without)
		}
	}
	for _, flags := range [][]string{{"--level", "low"}, {"--quotes", "x"}, {"--task", "sst2", "--delimiter", ";"}, {"--task", "classify", "--delimiter", "and"},
		{"--task", "pretrain", "--label-column", "x"}, {"--task", "pretrain", "--labels", "a,b"}} {
		if status, _, errs := call(t, append([]string{"eval", "m", "--data", "x"}, flags...)...); status != 2 {
			t.Errorf("%q: status %d, %s", flags, status, errs)
		}
	}
}

// Texts to answer are the same in every encoding and with every line end.
func TestTextsOfEveryEncoding(t *testing.T) {
	for _, text := range []string{"Größe\nab\n", "Größe\r\nab\r\n", "Größe\rab\r", "\ufeffGröße\nab", "G\x00r\x00\xf6\x00\xdf\x00e\x00\r\x00a\x00b\x00", "\xfe\xff\x00G\x00r\x00\xf6\x00\xdf\x00e\x00\n\x00a\x00b"} {
		path := filepath.Join(t.TempDir(), "a.txt")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		var got []string
		for it := range items([]string{path}) {
			if it.Err != nil {
				t.Error(it.Err)
			}
			got = append(got, strings.TrimSuffix(it.Text, "\r"))
		}
		if len(got) != 2 || got[0] != "Größe" || got[1] != "ab" {
			t.Errorf("%q: %q", text, got)
		}
	}
}
