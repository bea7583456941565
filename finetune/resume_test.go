package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/mpi"
	"albert/internal/run"
)

// Every field of a Config is refused by its name when a resume changes it, unless it reaches no bit of the result.
func TestResumeWithOtherSettings(t *testing.T) {
	m, dir := pretrained(t), t.TempDir()
	row := func(r *rand.Rand) any {
		x := classified(r).(map[string]any)
		x["other"], x["second"], x["class"] = "the good film", "bad day", x["label"]
		return x
	}
	file := func(name string, seed uint64) []string { return []string{jsonl(t, seed, 20, row, dir, name)} }
	begin := func(c Config) error {
		_, err := Run(context.Background(), c)
		return err
	}
	c := config(t, "classify", m, filepath.Join(dir, "run"), splits{Train: file("train", 1), Dev: file("dev", 2), Test: file("test", 3)})
	c.Steps, c.EvalEvery = 2, 2
	*c.WarmupSteps = 0
	if err := begin(c); err != nil {
		t.Fatal(err)
	}
	dropout := float32(0.3)
	one := 1
	elsewhere := pretrainedAs(t, 2)
	cases := map[string]struct {
		change func(c *Config)
		names  string // of what is refused; "": nothing
	}{
		"Model":             {func(c *Config) { c.Model = elsewhere }, "model"},
		"Task":              {func(c *Config) { c.Task = "multi" }, "task"},
		"Output":            {func(c *Config) { c.Output += "2" }, ""},
		"Data":              {func(c *Config) { c.Train, c.Data = nil, file("train3", 5) }, "train"},
		"PairColumn":        {func(c *Config) { c.PairColumn = "second" }, "pair-column"},
		"LabelColumn":       {func(c *Config) { c.LabelColumn = "class" }, "label-column"},
		"Multi":             {func(c *Config) { c.Multi = true }, "multi"},
		"Delimiter":         {func(c *Config) { c.Delimiter = "tab" }, "delimiter"},
		"Quotes":            {func(c *Config) { c.Quotes = "csv" }, "quotes"},
		"TextColumn":        {func(c *Config) { c.TextColumn = "other" }, "text-column"},
		"Train":             {func(c *Config) { c.Train = file("train2", 4) }, "train"},
		"Dev":               {func(c *Config) { c.Dev = file("dev2", 4) }, "dev"},
		"Test":              {func(c *Config) { c.Test = file("test2", 4) }, "test"},
		"Scratch":           {func(c *Config) { c.Scratch = true }, "scratch"},
		"Runs":              {func(c *Config) { c.Runs = 0 }, ""},
		"MaxSeqLength":      {func(c *Config) { c.MaxSeqLength = 12 }, "max-seq-length"},
		"DocStride":         {func(c *Config) { c.DocStride = 5 }, "doc-stride"},
		"MaxQueryLength":    {func(c *Config) { c.MaxQueryLength = 5 }, "max-query-length"},
		"MaxAnswerLength":   {func(c *Config) { c.MaxAnswerLength = 5 }, "max-answer-length"},
		"LearningRate":      {func(c *Config) { c.LearningRate = 1e-4 }, "learning-rate"},
		"BatchSize":         {func(c *Config) { c.BatchSize = 3 }, "batch-size"},
		"Steps":             {func(c *Config) { c.Steps = 3 }, "steps"},
		"Epochs":            {func(c *Config) { c.Steps, c.Epochs = 0, 9 }, "steps"},
		"WarmupSteps":       {func(c *Config) { c.WarmupSteps = &one }, "warmup-steps"},
		"Dropout":           {func(c *Config) { c.Dropout = &dropout }, "dropout"},
		"ClassifierDropout": {func(c *Config) { c.ClassifierDropout = &dropout }, "classifier-dropout"},
		"EvalEvery":         {func(c *Config) { c.EvalEvery = 1 }, "eval-every"},
		"SaveEvery":         {func(c *Config) { c.SaveEvery = 1 }, ""},
		"Patience":          {func(c *Config) { c.Patience = 1 }, "patience"},
		"StopIfStuck":       {func(c *Config) { c.StopIfStuck = true }, ""},
		"BiasCorrection":    {func(c *Config) { c.BiasCorrection = true }, "bias-correction"},
		"Optimizer":         {func(c *Config) { c.Optimizer = "lamb" }, "optimizer"},
		"MicroBatchSize":    {func(c *Config) { c.MicroBatchSize = 1 }, ""},
		"WeightDecay":       {func(c *Config) { c.WeightDecay = 0.5 }, "weight-decay"},
		"Precision":         {func(c *Config) { c.Precision = "bf16-dot" }, "precision"},
		"Clip":              {func(c *Config) { c.Clip = 2 }, "clip"},
		"Keep":              {func(c *Config) { c.Keep = 2 }, ""},
		"MaxTime":           {func(c *Config) { c.MaxTime = 1e12 }, ""},
		"Seed":              {func(c *Config) { c.Seed++ }, "seed"},
		"Threads":           {func(c *Config) { c.Threads = 1 }, ""},
		"TruncationSide":    {func(c *Config) { c.TruncationSide = "left" }, "truncation-side"},
		"Quiet":             {func(c *Config) { c.Quiet = false }, ""},
		"World":             {func(c *Config) { c.World = mpi.Loopback(1)[0] }, ""},
		"Messages":          {func(c *Config) { c.Messages = t.Output() }, ""},
	}
	elsewhereTested := []string{"OverfitOneBatch", "Head", "Level", "Loss", "Scale", "Pooling", "Dimensions"} // a check and no run; of other tasks
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Anonymous {
				walk(f.Type)
			} else if _, ok := cases[f.Name]; !ok && !slices.Contains(elsewhereTested, f.Name) {
				t.Errorf("what a resume with another %s does is not tested", f.Name)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	for name, x := range cases {
		other := c
		other.WarmupSteps = &[]int{0}[0]
		x.change(&other)
		mustRefuse(t, name, begin(other), x.names)
	}

	questions := []string{squad(t, 1, 20, true, dir, "questions.json")}
	c = config(t, "squad2", m, filepath.Join(dir, "squad"), splits{Train: questions, Dev: questions})
	c.Steps, c.EvalEvery, *c.WarmupSteps = 1, 1, 0
	if err := begin(c); err != nil {
		t.Fatal(err)
	}
	c.Head = HeadSimple
	mustRefuse(t, "Head", begin(c), "head")

	for _, name := range []string{"train/middle", "train/high", "dev/middle", "dev/high"} {
		write(t, []string{`{"answers": ["A"], "options": [["good", "bad"]], "questions": ["what was it?"], "article": "the film was good", "id": "` + name + `"}`}, dir, "race", name, "1.txt")
	}
	c = config(t, "race", m, filepath.Join(dir, "races"), splits{Dir: filepath.Join(dir, "race")})
	c.Steps, c.EvalEvery, *c.WarmupSteps = 1, 1, 0
	if err := begin(c); err != nil {
		t.Fatal(err)
	}
	c.Level = "middle"
	mustRefuse(t, "Level", begin(c), "level")

	c = config(t, "embed", m, filepath.Join(dir, "vectors"), splits{Train: []string{jsonl(t, 1, 20, scored, dir, "pairs.jsonl")}, Dev: []string{jsonl(t, 2, 20, scored, dir, "held.jsonl")}})
	c.Steps, c.EvalEvery, *c.WarmupSteps = 1, 1, 0
	if err := begin(c); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, "nothing", begin(c), "")
	for name, change := range map[string]func(c *Config){"loss": func(c *Config) { c.Loss = "cosine" }, "scale": func(c *Config) { c.Scale = 5 },
		"pooling": func(c *Config) { c.Pooling = "cls" }, "dimensions": func(c *Config) { c.Dimensions = []int{32, 4} }} {
		other := c
		change(&other)
		mustRefuse(t, name, begin(other), name)
	}
}

// The plan of every kind of task counts what a step holds: activations and packed weights, beside weights, gradients and moments.
func TestPlanCountsActivations(t *testing.T) {
	m, dir := pretrained(t), t.TempDir()
	questions := []string{squad(t, 1, 20, true, dir, "questions.json")}
	rows := func(name string, one func(r *rand.Rand) any) []string {
		return []string{jsonl(t, 1, 20, one, dir, name)}
	}
	for name, data := range map[string][]string{"squad2": questions, "classify": rows("classes", classified),
		"regress": rows("numbers", func(*rand.Rand) any { return map[string]any{"text": "a good day", "label": 1.5} }),
		"embed":   rows("pairs", scored),
		"tag": rows("tags", func(*rand.Rand) any {
			return map[string]any{"tokens": []string{"a", "day"}, "tags": []string{"O", "B-X"}}
		}),
		"choice": rows("choices", func(*rand.Rand) any {
			return map[string]any{"context": "a day", "question": "what", "choices": []string{"good", "bad"}, "answer": 0}
		}),
	} {
		c := config(t, name, m, filepath.Join(dir, name), splits{Train: data, Dev: data})
		c.Steps, c.EvalEvery, *c.WarmupSteps = 1, 1, 0
		if _, err := Run(context.Background(), c); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := os.ReadFile(run.Dir(c.Output).Plan())
		var plan struct {
			Memory []struct {
				Name  string
				Bytes int64
			}
		}
		if err == nil {
			err = json.Unmarshal(text, &plan)
		}
		counted := 0
		for _, m := range plan.Memory {
			if (strings.HasPrefix(m.Name, "activations") || m.Name == "packed weights") && m.Bytes > 0 {
				counted++
			}
		}
		if err != nil || counted != 2 {
			t.Errorf("%s: %v, %+v", name, err, plan)
		}
	}
}

// The plan of a run whose later batches have longer examples than its first one counts their activations.
func TestPlanLooksAtLaterBatches(t *testing.T) {
	m, dir := pretrained(t), t.TempDir()
	n := 0
	train := jsonl(t, 1, 64, func(*rand.Rand) any {
		n++
		return map[string]any{"text": strings.TrimSpace("a " + strings.Repeat("day ", n/64*40)), "label": []string{"yes", "no"}[n%2]} // the last one is long
	}, dir, "lengths.jsonl")
	activations := func(steps int) (bytes int64) {
		c := config(t, "classify", m, filepath.Join(dir, fmt.Sprint(steps)), splits{Train: []string{train}, Dev: []string{train}})
		c.Steps, c.EvalEvery, c.BatchSize, *c.WarmupSteps = steps, steps, 4, 0
		if _, err := Run(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(run.Dir(c.Output).Plan())
		var plan struct {
			Memory []struct {
				Name  string
				Bytes int64
			}
		}
		if err == nil {
			err = json.Unmarshal(text, &plan)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range plan.Memory {
			if strings.HasPrefix(part.Name, "activations") {
				bytes = part.Bytes
			}
		}
		return bytes
	}
	if first, all := activations(1), activations(16); 2*all < 3*first {
		t.Errorf("activations of the first step %d bytes, of an epoch with a long example %d", first, all)
	}
}

// mustRefuse holds that a run was not resumed because of a setting, or was where no name is given.
func mustRefuse(t *testing.T, what string, err error, name string) {
	t.Helper()
	var changed *run.Changed
	switch {
	case name == "" && err != nil:
		t.Errorf("another %s: %v", what, err)
	case name == "":
	case !errors.As(err, &changed):
		t.Errorf("another %s is not refused: %v", what, err)
	case !slices.ContainsFunc(changed.Changes, func(c run.Change) bool { return c.Name == name }):
		t.Errorf("another %s is refused without %s: %v", what, name, err)
	}
}
