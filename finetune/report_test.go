package finetune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/internal/run"
	"albert/internal/text/dataset"
)

// hard is classified, but one of ten labels is wrong.
func hard(r *rand.Rand) any {
	m := classified(r).(map[string]any)
	if r.IntN(10) == 0 {
		m["label"] = map[string]string{"yes": "no", "no": "yes"}[m["label"].(string)]
	}
	return m
}

// learned is a run on data of one's own.
func learned(t *testing.T, m string, seed uint64) (c Config, d splits) {
	t.Helper()
	dir := t.TempDir()
	d = splits{Train: []string{jsonl(t, 1, 400, hard, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 100, hard, dir, "dev.jsonl")}}
	c = config(t, "classify", m, filepath.Join(dir, "run"), d)
	c.Steps, c.Seed = 100, seed
	if _, err := Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return c, d
}

func evaluate(t *testing.T, e Evaluation) *Measured {
	t.Helper()
	e.Split, e.Threads = dataset.Dev, 1
	if e.Settings.MaxSeqLength == 0 {
		e.Settings.MaxSeqLength = 64
	}
	m, err := Evaluate(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A run leaves a report and a confusion matrix of its best model; eval gives the same, and names the examples that are wrong.
func TestReport(t *testing.T) {
	base := pretrained(t)
	c, d := learned(t, base, 3)
	m := evaluate(t, Evaluation{Model: c.Output, Task: named(t, c.Task), Data: d.Dev, Worst: worstReported})
	want, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(c.Output, reportFile))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Compact(&got, text); err != nil || got.String() != string(want) {
		t.Errorf("%v: report.json is\n%s\neval gives\n%s", err, got.String(), want)
	}
	if svg, err := os.ReadFile(filepath.Join(c.Output, confusionFile)); err != nil || !bytes.Contains(svg, []byte("<svg")) {
		t.Errorf("%s: %v", confusionFile, err)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(want, &object); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"accuracy", "f1_macro", "report", "confusion", "calibration", "worst"} {
		if object[key] == nil {
			t.Errorf("no %q in %s", key, want)
		}
	}
	wrong := m.Confusion.Matrix[0][1] + m.Confusion.Matrix[1][0]
	if accuracy, err := m.Scores.Get("accuracy"); err != nil || math.Abs(accuracy-float64(100-wrong)/100) > 1e-9 || wrong == 0 {
		t.Errorf("%v of 100 are wrong, accuracy %v, %v", wrong, accuracy, err)
	}
	if len(m.Worst) != worstReported {
		t.Fatalf("%d worst", len(m.Worst))
	}
	for i, w := range m.Worst {
		if i > 0 && w.Score < m.Worst[i-1].Score || i < wrong && (w.Gold == w.Predicted || w.Score > 0.5) || !strings.HasPrefix(w.At, d.Dev[0]+":") || w.Text == "" {
			t.Errorf("worst %d of %d: %+v", i, wrong, w)
		}
	}
	var page strings.Builder
	if err := m.Write(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"precision", "weighted avg", "true \\ predicted", "expected calibration error"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %q in\n%s", want, page.String())
		}
	}

	// Models together: with itself one is what it is; two give the mean of their probabilities, and write their predictions.
	c2, _ := learned(t, base, 4)
	with := func(models ...string) *Measured {
		return evaluate(t, Evaluation{Model: models[0], With: models[1:], Task: named(t, c.Task), Data: d.Dev, Worst: 100})
	}
	a, b, both := with(c.Output), with(c2.Output), with(c.Output, c2.Output)
	if again := with(c.Output, c.Output); fmt.Sprint(again.Worst) != fmt.Sprint(a.Worst) {
		t.Error("a model with itself answers something else")
	}
	score := func(m *Measured) map[string]float64 {
		s := map[string]float64{}
		for _, w := range m.Worst {
			s[w.At] = w.Score
		}
		return s
	}
	sa, sb, sboth := score(a), score(b), score(both)
	for at, s := range sboth {
		if math.Abs(s-(sa[at]+sb[at])/2) > 1e-12 {
			t.Fatalf("%s: %v and %v give %v", at, sa[at], sb[at], s)
		}
	}
}

// The other kinds of task, each with what it has.
func TestWorstOfEveryKind(t *testing.T) {
	set := func(kind model.Kind, examples ...dataset.Example) *dataset.Set {
		return &dataset.Set{Task: dataset.Task{Name: string(kind), Kind: kind}, Labels: []string{"O", "B-X"}, Examples: examples}
	}
	nan := math.NaN()
	for _, c := range []struct {
		set  *dataset.Set
		p    *Predictions
		want string
	}{
		{set(model.Regress, dataset.Example{Line: 1, Score: 1}, dataset.Example{Line: 2, Score: nan}, dataset.Example{Line: 3, Score: 2}),
			&Predictions{Values: []float64{1.5, 9, 4}}, ":3 2 4 2;:1 1 1.5 0.5"},
		{set(model.Rank, dataset.Example{Line: 1, Score: 1}, dataset.Example{Line: 2, Score: nan}, dataset.Example{Line: 3, Score: 0}),
			&Predictions{Values: []float64{0.75, 0.5, 0.5}}, ":3 0 0.5 0.5;:1 1 0.75 0.25"},
		{set(model.Tag, dataset.Example{Line: 1, Words: []string{"a", "b"}, Labels: []int{0, 1}}, dataset.Example{Line: 2, Words: []string{"c"}, Labels: []int{1}}),
			&Predictions{Tags: [][]string{{"O", "B-X"}, {"O"}}, Words: [][][]float64{{{0.9, 0.1}, {0.2, 0.8}}, {{0.7, 0.3}}}}, ":2 [B-X] [O] 0.3;:1 [O B-X] [O B-X] 0.8"},
		{set(model.MultiLabel, dataset.Example{Line: 1, Labels: []int{1}}, dataset.Example{Line: 2, Labels: []int{0}}),
			&Predictions{Scores: [][]float64{{0, 1}, {0.25, 0.75}}, Multi: [][]bool{{false, true}, {false, true}}}, ":2 [O] [B-X] 0.25;:1 [B-X] [B-X] 1"},
		{set(model.Choice, dataset.Example{Line: 1, Label: 1, Choices: []string{"x", "y"}}, dataset.Example{Line: 2, Choices: []string{"x", "y", "z"}}),
			&Predictions{Labels: []int{1, 2}, Scores: [][]float64{{0.4, 0.6}, {0.1, 0.2, 0.7}}}, ":2 A C 0.1;:1 B B 0.6"},
		{set(model.Answer, dataset.Example{ID: "p", Line: 1, Answers: []dataset.Answer{{Text: "new york"}}}, dataset.Example{ID: "q", Line: 2, Answers: []dataset.Answer{{Text: "york"}}}),
			&Predictions{Spans: []task.Spans{{Best: []task.Span{{Text: "new york"}}}, {Best: []task.Span{{Text: "old york"}}}}}, ":2 [york] old york 66.66666666666666;:1 [new york] new york 100"},
		{set(model.Regress, dataset.Example{Line: 1, Score: 1}, dataset.Example{Line: 2, Score: 1}), &Predictions{Values: []float64{1, nan}},
			":2 1 NaN 1.7976931348623157e+308;:1 1 1 0"},
		{set(model.Classify, dataset.Example{Line: 1}, dataset.Example{Line: 2, Label: 1}), &Predictions{Labels: []int{0, 0}, Scores: [][]float64{{0.9, 0.1}, {nan, nan}}},
			":2 B-X O 0;:1 O O 0.9"},
	} {
		m, err := Measure(c.set, c.p, 5)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range m.Worst {
			got = append(got, fmt.Sprintf("%s %v %v %v", w.At, w.Gold, w.Predicted, w.Score))
		}
		if s := strings.Join(got, ";"); s != c.want {
			t.Errorf("%s: %s\nwant %s", c.set.Task.Kind, s, c.want)
		}
		if text, err := json.Marshal(m); err != nil || !json.Valid(text) {
			t.Errorf("%s, %v", text, err)
		}
	}
}

// Spans as accumulate_predictions_v1 joins them: the mean over the models that found one, no answer over all.
func TestSpansOfSeveralModels(t *testing.T) {
	s := func(text string, begin int, logit float32) task.Span {
		return task.Span{Text: text, Begin: begin, End: begin + len(text), StartLogit: logit / 2, EndLogit: logit / 2, Logit: logit}
	}
	got := joinSpans([]task.Spans{{Best: []task.Span{s("a", 0, 6), s("b", 4, 2)}, Null: task.Span{Logit: 1}},
		{Best: []task.Span{s("b", 4, 5), s("c", 9, 4), s("b", 7, 1)}, Null: task.Span{Logit: 4}}})
	var texts []string
	for _, b := range got.Best {
		texts = append(texts, fmt.Sprint(b.Text, b.Begin, b.Logit))
	}
	if fmt.Sprint(texts) != "[a0 6 c9 4 b4 3.5]" && fmt.Sprint(texts) != "[a06 c94 b43.5]" || got.Null.Logit != 2.5 {
		t.Errorf("%q, none %v", texts, got.Null.Logit)
	}
}

// Texts that are too long are read whole in windows; cut, what decides is not seen.
func TestLongTexts(t *testing.T) {
	c, _ := learned(t, pretrained(t), 3)
	dir := t.TempDir()
	data := jsonl(t, 5, 40, func(r *rand.Rand) any {
		m := classified(r).(map[string]any)
		var words []string
		for range 15 {
			words = append(words, pick(r, other))
		}
		m["text"] = strings.Join(words, " ") + " " + m["text"].(string)
		return m
	}, dir, "long.jsonl")
	get := func(long bool) float64 {
		m := evaluate(t, Evaluation{Model: c.Output, Task: named(t, c.Task), Data: []string{data}, Settings: Settings{MaxSeqLength: 16, Long: long}})
		v, err := m.Scores.Get("accuracy")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if cut, whole := get(false), get(true); whole < 0.8 || cut > 0.7 {
		t.Errorf("accuracy of cut texts %v, in windows %v", cut, whole)
	}
}

// A run that does not learn says so once, with the settings to try; StopIfStuck ends it, and without it the run goes on.
func TestNotLearningIsSaid(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	random := func(r *rand.Rand) any {
		words, _ := sentence(r, other)
		return map[string]any{"text": strings.Join(words, " "), "label": pick(r, []string{"yes", "no"})}
	}
	d := splits{Train: []string{jsonl(t, 1, 400, random, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 40, random, dir, "dev.jsonl")}}
	c := config(t, "classify", m, filepath.Join(dir, "run"), d)
	var said strings.Builder
	zero := float32(0.1)
	c.LearningRate, c.Steps, c.Messages, c.Dropout = 1e-4, 120, &said, &zero
	c.StopIfStuck = true
	if _, err := Run(context.Background(), c); !errors.Is(err, ErrStuck) || strings.Contains(err.Error(), "\n") {
		t.Fatal(err)
	}
	if path, err := run.Dir(c.Output).Newest(); err != nil || path == "" {
		t.Errorf("no checkpoint: %v", err)
	}
	c.Output, c.StopIfStuck = filepath.Join(dir, "warned"), false
	if _, err := Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	warnings := strings.Count(said.String(), "nothing is learned")
	for _, want := range []string{"is that of guessing, 0.69", "`LearningRate` 2.5e-05", "`WarmupSteps` 40", "`Dropout` 0", "`BatchSize` 32"} {
		if !strings.Contains(said.String(), want) || warnings != 1 {
			t.Errorf("%d warnings, no %q in %s", warnings, want, said.String())
		}
	}
}

// Evaluations that get no better end a run, which is finished then.
func TestPatience(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	d := splits{Train: []string{jsonl(t, 1, 400, classified, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 60, classified, dir, "dev.jsonl")}}
	c := config(t, "classify", m, filepath.Join(dir, "run"), d)
	c.Steps, c.EvalEvery, c.Patience = 400, 20, 2
	for range 2 {
		r, err := Run(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(filepath.Join(c.Output, "log.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if last := r.BestStep + 2*c.EvalEvery; last >= 400 || bytes.Contains(log, fmt.Appendf(nil, `{"step":%d,`, last+1)) || !bytes.Contains(log, fmt.Appendf(nil, `{"step":%d,`, last)) {
			t.Errorf("best at %d, the log ends with %s", r.BestStep, log[len(log)-200:])
		}
	}
}

// mnliFolder is MNLI with few examples.
func mnliFolder(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	r := rand.New(rand.NewPCG(7, 7))
	labels := []string{"neutral", "entailment", "contradiction"}
	lines := func(n int, test bool) []string {
		out := []string{"index\tsentence1\tsentence2\tgold_label"}
		if test {
			out[0] = "index\tsentence1\tsentence2"
		}
		for i := range n {
			k := r.IntN(3)
			words, _ := sentence(r, [][]string{good, bad, other}[k])
			line := fmt.Sprintf("%d\t%s\tit was", i, strings.Join(words, " "))
			if !test {
				line += "\t" + labels[k]
			}
			out = append(out, line)
		}
		return out
	}
	write(t, lines(100, false), root, "MNLI", "train.tsv")
	write(t, lines(30, false), root, "MNLI", "dev_matched.tsv")
	write(t, lines(20, false), root, "MNLI", "dev_mismatched.tsv")
	write(t, lines(9, true), root, "MNLI", "test_matched.tsv")
	write(t, lines(8, true), root, "MNLI", "test_mismatched.tsv")
	write(t, lines(7, true), root, "diagnostic", "diagnostic.tsv")
	return root
}

// MNLI: the matched set chooses, the mismatched one is measured, and all three test sets are predicted, by the run and by eval.
func TestMNLI(t *testing.T) {
	m, root := pretrained(t), mnliFolder(t)
	c := config(t, "mnli", m, filepath.Join(root, "run"), splits{Dir: root})
	c.Steps, c.EvalEvery = 20, 10
	res, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	var mm struct{ Accuracy *float64 }
	if err := json.Unmarshal(res.Mismatched, &mm); err != nil || mm.Accuracy == nil {
		t.Errorf("mismatched %s, %v", res.Mismatched, err)
	}
	if v, err := evaluate(t, Evaluation{Model: c.Output, Task: named(t, "mnli-mm"), Data: []string{root}}).Scores.Get("accuracy"); err != nil || v != *mm.Accuracy {
		t.Errorf("eval %v, run %v: %v", v, *mm.Accuracy, err)
	}
	for name, n := range map[string]int{"MNLI-m.tsv": 9, "MNLI-mm.tsv": 8, "AX.tsv": 7} {
		path := filepath.Join(c.Output, name)
		text, err := os.ReadFile(path)
		if err != nil || bytes.Count(text, []byte("\n")) != n+1 || !slices.Contains(res.Submissions, path) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	out := t.TempDir()
	scores := evaluate(t, Evaluation{Model: c.Output, Task: named(t, "ax"), Data: []string{root}, Output: out}).Scores
	a, err := os.ReadFile(filepath.Join(out, "AX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(c.Output, "AX.tsv")); err != nil || !bytes.Equal(a, b) {
		t.Errorf("eval writes\n%s\nthe run\n%s%v", a, b, err)
	}
	if text, err := json.Marshal(scores); err != nil || !bytes.Contains(text, []byte(`"matthews_correlation":null`)) {
		t.Errorf("%s, %v", text, err)
	}
	// A model whose labels have another order is read by their names.
	path := filepath.Join(c.Output, "model", "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	before := evaluate(t, Evaluation{Model: c.Output, Task: named(t, c.Task), Data: []string{root}}).Confusion.Matrix
	config["id2label"] = map[string]string{"0": "NEUTRAL", "1": "CONTRADICTION", "2": "ENTAILMENT"}
	if text, err = json.Marshal(config); err == nil {
		err = os.WriteFile(path, text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	after := evaluate(t, Evaluation{Model: c.Output, Task: named(t, c.Task), Data: []string{root}}).Confusion.Matrix
	for i := range 3 { // what was called contradiction, entailment, neutral is now neutral, contradiction, entailment
		if after[i][2] != before[i][0] || after[i][0] != before[i][1] || after[i][1] != before[i][2] {
			t.Errorf("%v with the labels in another order %v", before, after)
			break
		}
	}
}

func named(t *testing.T, name string) dataset.Task {
	t.Helper()
	task, err := dataset.TaskNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return task
}
