package dataset

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const mnliHeader = "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2"

// Each task's own columns, with and without labels.
func TestGLUE(t *testing.T) {
	for _, c := range []struct {
		name, task string
		split      Split
		text       string
		want       []string
	}{
		{"no header, the label second", "cola", Train, "src1\t1\t\tThe dog barks.\nsrc1\t0\t*\tDog the \"barks.\n",
			[]string{"1 id=0 text=The dog barks. label=1", `2 id=1 text=Dog the "barks. label=0`}},
		{"CoLA's test set has one", "cola", Test, "index\tsentence\n0\tThe dog barks.\n7\tCats.\n", []string{"2 id=0 text=The dog barks.", "3 id=7 text=Cats."}},
		{"spaces stay", "sst2", Train, "sentence\tlabel\na fine film \t1\ndull \t0\n", []string{"2 id=0 text=a fine film  label=1", "3 id=1 text=dull  label=0"}},
		{"a test set", "sst2", Test, "index\tsentence\n0\ta fine film\n", []string{"2 id=0 text=a fine film"}},
		{"a byte order mark, quotes taken as they are", "mrpc", Train,
			"\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t12\t13\t\" A b .\tA \" b .\r\n", []string{`2 id=0 text=" A b . pair=A " b . label=1`}},
		{"MRPC's test set", "mrpc", Test, "\ufeffindex\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t12\t13\tA .\tB .\n", []string{"2 id=0 text=A . pair=B ."}},
		{"the score last", "stsb", Dev, "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n3\tg\tf\t2012\t0001\tnone\tnone\tA b.\tC d.\t3.250\n",
			[]string{"2 id=3 text=A b. pair=C d. score=3.25"}},
		{"questions", "qqp", Dev, "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n5\t1\t2\tWhat?\tWhich?\t0\n", []string{"2 id=5 text=What? pair=Which? label=0"}},
		{"QQP's test set", "qqp", Test, "id\tquestion1\tquestion2\n0\tWhat?\tWhich?\n", []string{"2 id=0 text=What? pair=Which?"}},
		{"the gold label last, after the annotators'", "mnli", Dev, mnliHeader + "\tlabel1\tlabel2\tgold_label\n9\tp\tq\tg\ta\tb\tc\td\tA.\tB.\tneutral\tneutral\tentailment\n",
			[]string{"2 id=9 text=A. pair=B. label=entailment"}},
		{"MNLI's test set", "mnli-mm", Test, mnliHeader + "\n9\tp\tq\tg\ta\tb\tc\td\tA.\tB.\n", []string{"2 id=9 text=A. pair=B."}},
		{"label words", "qnli", Train, "index\tquestion\tsentence\tlabel\n0\tWho?\tHe.\tnot_entailment\n", []string{"2 id=0 text=Who? pair=He. label=not_entailment"}},
		{"label words", "rte", Dev, "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n", []string{"2 id=0 text=A. pair=B. label=entailment"}},
		{"digits", "wnli", Train, "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\t1\n", []string{"2 id=0 text=A. pair=B. label=1"}},
		{"diagnostics", "ax", Test, "index\tsentence1\tsentence2\n0\tA.\tB.", []string{"2 id=0 text=A. pair=B."}},
		{"blank lines", "wnli", Train, "index\tsentence1\tsentence2\tlabel\n\n0\tA.\tB.\t1\n\n", []string{"3 id=0 text=A. pair=B. label=1"}},
	} {
		t.Run(c.task+" "+c.name, func(t *testing.T) {
			s := mustRead(t, c.task, c.split, "a.tsv", c.text, Options{})
			wantExamples(t, s, c.want...)
			if len(s.Notes) > 0 || s.Skipped > 0 {
				t.Errorf("notes %q, %d skipped", s.Notes, s.Skipped)
			}
		})
	}
}

// The order is the released code's: an index is what a model's head learned.
func TestGLUELabels(t *testing.T) {
	for task, want := range map[string]string{"mnli": "contradiction entailment neutral", "mnli-mm": "contradiction entailment neutral",
		"ax": "contradiction entailment neutral", "qnli": "entailment not_entailment", "rte": "entailment not_entailment", "cola": "0 1", "qqp": "0 1",
		"sst2": "0 1", "mrpc": "0 1", "wnli": "0 1", "stsb": ""} {
		if got := strings.Join(taskNamed(t, task).Labels, " "); got != want {
			t.Errorf("%s: %s, want %s", task, got, want)
		}
	}
}

func TestGLUELeftOut(t *testing.T) {
	s := mustRead(t, "qqp", Train, "train.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\tWhat?\tWhich\nbroken?\t0\n2\t1\t2\tWho?\tWhom?\t1\n", Options{})
	wantExamples(t, s, "4 id=2 text=Who? pair=Whom? label=1")
	if s.Skipped != 2 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "train.tsv: 2 lines with too few columns left out (the first is line 2)") {
		t.Errorf("%d skipped, %q", s.Skipped, s.Notes)
	}
	row := "\n9\tp\tq\tg\ta\tb\tc\td\tA.\tB.\t"
	s = mustRead(t, "mnli", Dev, "dev.tsv", mnliHeader+"\tgold_label"+row+"-"+row+"neutral", Options{})
	wantExamples(t, s, "3 id=9 text=A. pair=B. label=neutral")
	if s.Skipped != 1 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "1 pairs without a gold label") {
		t.Errorf("%d skipped, %q", s.Skipped, s.Notes)
	}
}

func TestGLUEErrors(t *testing.T) {
	const rte = "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n"
	for _, c := range []struct {
		task  string
		split Split
		text  string
		want  []string
	}{
		{"rte", Train, rte + "1\tA.\tentailment\n", []string{"a.tsv:3: 3 columns, where there are 4"}},
		{"rte", Train, rte + "1\tA.\tB.\tC.\tentailment\n", []string{"a.tsv:3: 5 columns"}},
		{"rte", Train, rte + "1\tA.\tB.\tmaybe\n", []string{"a.tsv:3:", `"maybe"`, `"entailment", "not_entailment"`}},
		{"rte", Train, rte + "1\tA.\tB.\t\n", []string{"a.tsv:3: no label"}},
		{"rte", Train, "index\tsentence1\tsentence2\n0\tA.\tB.\n", []string{"a.tsv:1:", `no column "label"`, "test set"}},
		{"rte", Train, "sentence\tlabel\nA.\t1\n", []string{"a.tsv:1: not a file of RTE", `"sentence1" and "sentence2"`, `there are "sentence", "label"`}},
		{"cola", Train, "A.\t1\n", []string{"a.tsv:1: not a file of CoLA"}},
		{"cola", Train, "s\t1\t\tA.\ns\t2\t\tA.\n", []string{"a.tsv:2:", `"2"`}},
		{"stsb", Train, "sentence1\tsentence2\tscore\nA.\tB.\thigh\n", []string{"a.tsv:2:", `"high" is not a number`}},
		{"stsb", Train, "sentence1\tsentence2\tscore\nA.\tB.\tNaN\n", []string{"a.tsv:2:", `"NaN" is not a number`}},
		{"qqp", Test, "id\tquestion1\tquestion2\n0\tWhat?\n", []string{"a.tsv:2: 2 columns"}},
	} {
		_, err := readText(t, c.task, c.split, "a.tsv", c.text, Options{})
		wantError(t, err, c.want...)
	}
	_, err := readText(t, "rte", Train, "a.jsonl", "{}", Options{})
	wantError(t, err, "a.jsonl: task rte is read from GLUE's tab-separated files")
}

func TestGLUEFolders(t *testing.T) {
	sst := "sentence\tlabel\nfine\t1\n"
	root := write(t, "SST-2/train.tsv", sst, "SST-2/dev.tsv.gz", zipped(sst), "train.tsv", "else", "diagnostic/diagnostic.tsv", "index\tsentence1\tsentence2\n0\tA\tB\n",
		"MNLI/dev_matched.tsv", "-", "MNLI/dev_mismatched.tsv", "-", "MRPC/msr_paraphrase_train.txt", "-", "MRPC/msr_paraphrase_test.txt", "-")
	for _, data := range []string{root, filepath.Join(root, "SST-2")} {
		for _, split := range []Split{Train, Dev} {
			s, err := Load(taskNamed(t, "sst2"), data, split, Options{})
			if err != nil || len(s.Examples) != 1 {
				t.Errorf("%s %s: %v", data, split, err)
			}
		}
	}
	for _, c := range []struct {
		task  string
		split Split
		want  string
	}{{"mnli", Dev, "MNLI/dev_matched.tsv"}, {"mnli-mm", Dev, "MNLI/dev_mismatched.tsv"}, {"ax", Test, "diagnostic/diagnostic.tsv"},
		{"mrpc", Test, "MRPC/msr_paraphrase_test.txt"}} {
		files, err := Files(taskNamed(t, c.task), root, c.split)
		if err != nil || !slices.Equal(files, []string{filepath.Join(root, c.want)}) {
			t.Errorf("%s %s: %q, %v", c.task, c.split, files, err)
		}
	}
	_, err := Files(taskNamed(t, "mrpc"), root, Train)
	wantError(t, err, "no train.tsv", "msr_paraphrase_train.txt holds the pairs of GLUE's dev set")
	_, err = Files(taskNamed(t, "sst2"), root, Test)
	wantError(t, err, "no test.tsv, which the test set of sst2 is read from")
	_, err = Files(taskNamed(t, "qqp"), filepath.Join(root, "MNLI"), Dev)
	wantError(t, err, "no dev.tsv, nor a folder QQP")
	_, err = Files(taskNamed(t, "ax"), root, Train)
	wantError(t, err, "it has no train")
	_, err = Files(taskNamed(t, "rte"), filepath.Join(root, "nowhere"), Train)
	wantError(t, err, "nowhere")
}

func TestSubmission(t *testing.T) {
	dir := t.TempDir()
	s := mustRead(t, "rte", Test, "test.tsv", "index\tsentence1\tsentence2\n4\tA.\tB.\n9\tC.\tD.\n", Options{})
	path, err := WriteSubmission(dir, s, []string{"entailment", "not_entailment"})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	if filepath.Base(path) != "RTE.tsv" || string(text) != "index\tprediction\n4\tentailment\n9\tnot_entailment\n" {
		t.Errorf("%s: %q", path, text)
	}
	back, err := ReadPredictions(path)
	if err != nil || len(back) != 2 || back["9"] != "not_entailment" {
		t.Errorf("read back: %v, %v", back, err)
	}
	_, err = WriteSubmission(dir, s, []string{"entailment"})
	wantError(t, err, "1 predictions for 2 examples")
	out := filepath.Join(dir, "all.zip")
	found, missing, err := ZipSubmissions(out, dir)
	if err != nil || found != 1 || len(missing) != 10 || slices.Contains(missing, "RTE.tsv") || !slices.Contains(missing, "MNLI-mm.tsv") {
		t.Errorf("%d found, missing %q, %v", found, missing, err)
	}
	z, err := zip.OpenReader(out)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != 1 || z.File[0].Name != "RTE.tsv" || z.File[0].UncompressedSize64 != uint64(len(text)) {
		t.Errorf("%d files in the zip", len(z.File))
	}
	_, _, err = ZipSubmissions(filepath.Join(dir, "none.zip"), t.TempDir())
	wantError(t, err, "no predictions of GLUE's tasks")
	if _, err := os.Stat(filepath.Join(dir, "none.zip")); err == nil {
		t.Error("an empty zip was left")
	}
}
