package dataset

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

const (
	raceMiddle = `{"id": "middle9.txt", "article": "M.", "questions": ["Why?", "It _ ."], "options": [["a", "b", "c", "d"], ["e", "f", "g", "h"]], "answers": ["A", "D"]}`
	raceHigh   = `{"id": "high1.txt", "article": "H.", "questions": ["Who?"], "options": [["i", "j"]], "answers": ["B"]}`
	raceNone   = `{"id": "high2.txt", "article": "N.", "questions": [], "options": [], "answers": []}`
)

func tarOf(files ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))})
		w.Write([]byte(files[i+1]))
	}
	w.Close()
	return b.String()
}

// The order is the same whatever the files lie in: middle, then high, then by path.
func TestRACE(t *testing.T) {
	members := []string{"train/high/2.txt", raceNone, "train/high/1.txt", raceHigh, "train/middle/9.txt", raceMiddle, "dev/middle/1.txt", "not read",
		"train/._x.txt", "not read"}
	folders := write(t, members[:8]...)
	archive := filepath.Join(write(t, "race.tar.gz", zipped(tarOf(members...))), "race.tar.gz")
	for _, data := range []string{folders, archive, filepath.Dir(archive)} {
		s, err := Load(taskNamed(t, "race"), data, Train, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		wantExamples(t, s, "1 id=middle9.txt-0 label=0 context=M. question=Why? choices=a|b|c|d",
			"1 id=middle9.txt-1 label=3 context=M. question=It _ . choices=e|f|g|h", "1 id=high1.txt-0 label=1 context=H. question=Who? choices=i|j")
	}
	s, err := Load(taskNamed(t, "race"), archive, Train, Options{Level: "high"})
	if err != nil {
		t.Fatal(err)
	}
	wantExamples(t, s, "1 id=high1.txt-0 label=1 context=H. question=Who? choices=i|j")
	lines := mustRead(t, "race", Train, "all.txt", raceMiddle+"\n"+raceHigh+"\n", Options{})
	if len(lines.Examples) != 3 || lines.Examples[2].Line != 2 {
		t.Errorf("%+v", lines.Examples)
	}
	_, err = Load(taskNamed(t, "race"), archive, Test, Options{})
	wantError(t, err, `no .txt files in a folder "test"`)
	_, err = Load(taskNamed(t, "race"), folders, Test, Options{})
	wantError(t, err, "neither a folder test, as RACE has it, nor RACE's archive")
}

func TestRACEErrors(t *testing.T) {
	for text, want := range map[string][]string{
		`{"id": "x", "article": "A", "questions": ["q"], "options": [], "answers": ["A"]}`:           {"a.txt:1:", `passage "x"`, "1 questions, 0 lists of options, 1 answers"},
		`{"id": "x", "article": "A", "questions": ["q"], "options": [["a", "b"]], "answers": ["C"]}`: {`passage "x", question 1`, `"C" is not the letter of one of 2`},
		`{"id": "x", "article": "A", "questions": ["q"], "options": [["a"]], "answers": ["A"]}`:      {`passage "x", question 1`, "1 choices"},
		`{"id": "x", "article": "A", "questions": ["q"], "options": ["abcd"], "answers": ["A"]}`:     {"a.txt:1:", `"options" is a string`},
		`{"article": "A", "questions": [], "options": [], "answers": []}`:                            {"a.txt:1:", `without "id"`},
		raceHigh + "\n" + raceHigh: {"a.txt:2:", `passage "high1.txt", question 1: the id high1.txt-0 was used before`},
		raceHigh + "\n{\"id\": \"x\", \"article\": \"A\", \"questions\": [\"q\"], \"options\": [[\"a\", \"b\"]]}": {"a.txt:2:", "1 questions, 1 lists of options, 0 answers"},
		raceHigh + "\n{\"id\": \"x\", }": {"a.txt:2: broken JSON"},
		raceHigh + "\n{\"id\": \"x\", ":  {"a.txt:2: broken JSON: the file ends in the middle"},
	} {
		_, err := readText(t, "race", Train, "a.txt", text, Options{})
		wantError(t, err, want...)
	}
	whole := tarOf("train/high/1.txt", raceHigh)
	_, err := readText(t, "race", Train, "a.tar", whole[:600], Options{})
	wantError(t, err, "a.tar:train/high/1.txt:", "cut short")
	// Without answers: a test set.
	s := mustRead(t, "race", Test, "a.txt", `{"id": "x", "article": "A", "questions": ["q"], "options": [["a", "b"]], "answers": []}`, Options{})
	wantExamples(t, s, "1 id=x-0 context=A question=q choices=a|b")
}

func TestWriteChoices(t *testing.T) {
	s := mustRead(t, "race", Train, "a.txt", raceMiddle, Options{})
	path := filepath.Join(t.TempDir(), "predictions.json")
	if err := WriteChoices(path, s, []int{2, 0}); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "{\n    \"middle9.txt-0\": \"C\",\n    \"middle9.txt-1\": \"A\"\n}\n" {
		t.Errorf("%s", text)
	}
	wantError(t, WriteChoices(path, s, []int{2, -1}), "choice -1")
}
