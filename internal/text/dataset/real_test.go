package dataset

import (
	"os"
	"path/filepath"
	"testing"

	"albert/internal/model"
)

// real is a path in the directory of real data, or the test is skipped.
func real(t *testing.T, path string) string {
	t.Helper()
	dir := os.Getenv("ALBERT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	full := filepath.Join(dir, path)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("no %s in ALBERT_DATA (%s)", path, dir)
	}
	return full
}

func load(t *testing.T, task, data string, split Split, o Options) *Set {
	t.Helper()
	tk, err := TaskNamed(task)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load(tk, data, split, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// labelCounts is how often each label occurs; the last is for examples without.
func labelCounts(s *Set) []int {
	n := make([]int, len(s.Labels)+1)
	for _, e := range s.Examples {
		if e.Label < 0 {
			n[len(s.Labels)]++
		} else {
			n[e.Label]++
		}
	}
	return n
}

// The counts are those of the files' own lines.
func TestRealGLUE(t *testing.T) {
	root := real(t, "glue")
	for _, c := range []struct {
		task  string
		split Split
		n     int
		first []int // of the labels, then of examples without
	}{
		{"cola", Train, 8551, nil}, {"cola", Dev, 1043, nil}, {"cola", Test, 1063, nil},
		{"sst2", Train, 67349, []int{29780, 37569, 0}}, {"sst2", Dev, 872, []int{428, 444, 0}}, {"sst2", Test, 1821, []int{0, 0, 1821}},
		{"mrpc", Train, 3667, nil}, {"mrpc", Dev, 408, nil}, {"mrpc", Test, 1725, []int{0, 0, 1725}},
		{"stsb", Train, 5749, nil}, {"stsb", Dev, 1500, nil}, {"stsb", Test, 1379, nil},
		{"rte", Train, 2490, []int{1249, 1241, 0}}, {"rte", Dev, 277, []int{146, 131, 0}}, {"rte", Test, 3000, nil},
		{"wnli", Train, 635, []int{323, 312, 0}}, {"wnli", Dev, 71, []int{40, 31, 0}}, {"wnli", Test, 146, nil},
		{"qnli", Dev, 5463, []int{2702, 2761, 0}}, {"qnli", Test, 5463, nil}, {"ax", Test, 1104, nil},
	} {
		s := load(t, c.task, root, c.split, Options{})
		if len(s.Examples) != c.n || s.Skipped != 0 || len(s.Notes) > 0 {
			t.Errorf("%s %s: %d examples, %d skipped, %q, want %d", c.task, c.split, len(s.Examples), s.Skipped, s.Notes, c.n)
		}
		if got := labelCounts(s); c.first != nil && !equal(got, c.first) {
			t.Errorf("%s %s: labels %v, want %v", c.task, c.split, got, c.first)
		}
		for i, e := range s.Examples {
			if e.ID == "" || e.Line == 0 || s.Task.Kind == model.Regress && c.split != Test && !(e.Score >= 0 && e.Score <= 5) {
				t.Fatalf("%s %s: example %d: %+v", c.task, c.split, i, e)
			}
		}
	}
	// A file by its own name: the labelled test set of MRPC.
	task, _ := TaskNamed("mrpc")
	labelled, err := Read(task, Test, []string{filepath.Join(root, "MRPC", "msr_paraphrase_test.txt")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := labelCounts(labelled); !equal(got, []int{578, 1147, 0}) {
		t.Errorf("MRPC's labelled test set: %v", got)
	}
}

func TestRealSample(t *testing.T) {
	dir := real(t, "glue-sample/columns")
	for _, c := range []struct {
		task, path string
		split      Split
		n          int
	}{{"mnli", "MNLI/16-13/train.tsv", Train, 48}, {"mnli", "MNLI/16-13/dev_matched.tsv", Dev, 48}, {"mnli", "SNLI/16-13/train.tsv", Train, 48},
		{"mnli", "SNLI/16-13/dev.tsv", Dev, 48}, {"qqp", "QQP/16-13/train.tsv", Train, 32}, {"qqp", "QQP/16-13/dev.tsv", Dev, 32}} {
		s := load(t, c.task, filepath.Join(dir, c.path), c.split, Options{})
		got, each := labelCounts(s), c.n/len(s.Labels)
		if len(s.Examples) != c.n || got[0] != each || got[1] != each {
			t.Errorf("%s: %d examples, labels %v", c.path, len(s.Examples), got)
		}
	}
}

func TestRealSQuAD(t *testing.T) {
	dir := real(t, "squad1")
	for _, c := range []struct {
		task, file                           string
		n, impossible, answers, exact, notes int
	}{
		{"squad1", "dev-v1.1.json", 10570, 0, 34726, 34726 - 2517, 1},
		{"squad2", "dev-v2.0.json", 11873, 5945, 20302, 20302 - 1114, 1},
		{"squad2", "half-dev-v2.0.json", 6078, 3168, 10052, 10052, 0},
		{"squad1", "new_wiki_v1.0.json", 7938, 0, 22794, 22794, 0},
		{"squad1", "reddit_v1.0.json", 9803, 0, 27692, 27692, 0},
	} {
		s := load(t, c.task, filepath.Join(dir, c.file), Dev, Options{})
		impossible, answers, exact := 0, 0, 0
		for _, e := range s.Examples {
			if e.Impossible {
				impossible++
			}
			for _, a := range e.Answers {
				answers++
				if a.Exact {
					exact++
				}
			}
		}
		if len(s.Examples) != c.n || impossible != c.impossible || answers != c.answers || exact != c.exact || len(s.Notes) != c.notes {
			t.Errorf("%s: %d questions, %d impossible, %d answers, %d exact, %q", c.file, len(s.Examples), impossible, answers, exact, s.Notes)
		}
	}
	if files, err := Files(Task{Kind: model.Answer, Impossible: true}, dir, Dev); err != nil || len(files) != 1 || filepath.Base(files[0]) != "dev-v2.0.json" {
		t.Errorf("dev set of squad2: %v, %v", files, err)
	}
	answers, err := ReadPredictions(filepath.Join(dir, "predictions", "v1.1-bert-ensemble.json"))
	if err != nil || len(answers) != 10570 {
		t.Errorf("%d predictions, %v", len(answers), err)
	}
}

func TestRealRACE(t *testing.T) {
	dir := real(t, "race")
	dev := load(t, "race", dir, Dev, Options{})
	if len(dev.Examples) != 3451+1436 {
		t.Errorf("%d questions in dev", len(dev.Examples))
	}
	if testing.Short() {
		return
	}
	if train := load(t, "race", dir, Train, Options{}); len(train.Examples) != 62445+25421 {
		t.Errorf("%d questions in train", len(train.Examples))
	}
}
