package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"albert/internal/files/disk/faulty"
)

// filesOf are the hashes of files below a directory, without those left by a crash, whose names begin with a dot.
func filesOf(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&b, "%s %x\n", rel, sha256.Sum256(text))
		return err
	})
	if b.Len() == 0 && err == nil {
		err = fmt.Errorf("%s: no files", dir)
	}
	return b.String(), err
}

// runOf is a run's model and log, without times.
func runOf(dir string) (string, error) {
	files, err := filesOf(filepath.Join(dir, "out", "model"))
	if err != nil {
		return "", err
	}
	log, err := os.ReadFile(filepath.Join(dir, "out", "log.jsonl"))
	var b strings.Builder
	for line := range strings.Lines(string(log)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return "", err
		}
		delete(row, "tokens_per_second")
		fmt.Fprintln(&b, row)
	}
	return files + b.String(), err
}

// writer is a command that writes, given a directory to write into.
type writer struct {
	name  string
	args  func(dir string) []string
	end   func(dir string) (string, error)
	every int // each so many-th operation fails in the tests
}

// writers are the commands whose writes are tested; they write into dir/out.
func writers(t *testing.T) []writer {
	_, in := workplace(t)
	rows := ""
	for i := range 24 {
		rows += fmt.Sprintf("{\"text\": \"the reader opens %s\", \"label\": \"%s\"}\n", []string{"a table", "the network"}[i%2], []string{"a", "b"}[i%2])
	}
	if err := os.WriteFile(in("rows.jsonl"), []byte(rows), 0o666); err != nil {
		t.Fatal(err)
	}
	must(t, pretrainArgs(in, "model", "--train", in("train.txt"), "--steps", "1")...)
	out := func(dir string) string { return filepath.Join(dir, "out") }
	whole := func(dir string) (string, error) { return filesOf(out(dir)) }
	return []writer{
		{"tokenizer train", func(dir string) []string {
			return []string{"tokenizer", "train", "--input", in("train.txt"), "--vocab-size", "60", "--model-prefix", out(dir), "--quiet"}
		}, filesOf, 9},
		{"prepare", func(dir string) []string {
			return []string{"prepare", "--tokenizer", in("model"), "--output", out(dir), "--quiet", in("train.txt")}
		}, whole, 9},
		{"convert", func(dir string) []string {
			return []string{"convert", in("model"), out(dir), "--force"}
		}, whole, 9},
		{"pretrain", func(dir string) []string {
			list := pretrainArgs(in, "x", "--train", in("train.txt"), "--steps", "6", "--save-every", "2", "--keep", "1", "--threads", "1")
			for i := range list {
				if list[i] == in("x") {
					list[i] = out(dir)
				}
			}
			return list
		}, runOf, 150},
		{"finetune", func(dir string) []string {
			return []string{"finetune", in("model"), "--task", "classify", "--train", in("rows.jsonl"), "--dev", in("rows.jsonl"), "--output", out(dir),
				"--steps", "6", "--batch-size", "4", "--eval-every", "2", "--max-seq-length", "16", "--quiet", "--threads", "1", "--learning-rate", "0.001"}
		}, runOf, 150},
	}
}

// Whatever fails while a command writes, the same command comes to the same end.
func TestCrashCommands(t *testing.T) {
	for _, w := range writers(t) {
		m := faulty.Matrix{End: w.end, Every: w.every, Work: func(dir string) error {
			if status, _, errs := call(t, w.args(dir)...); status != 0 {
				return fmt.Errorf("status %d: %s", status, errs)
			}
			return nil
		}}
		if testing.Short() {
			m.Every *= 3
		}
		m.Test(t, w.name)
	}
}

// killedArgs are the arguments of the program that the test binary is to be, for TestKilled to kill.
const killedArgs = "ALBERT_TEST_KILLED"

// Killed at random moments (three times, or as often as ALBERT_KILLS says), a command comes to the same end when it is given again.
func TestKilled(t *testing.T) {
	if text := os.Getenv(killedArgs); text != "" {
		var args []string
		if err := json.Unmarshal([]byte(text), &args); err != nil {
			t.Fatal(err)
		}
		os.Exit(runCommand(args))
	}
	if runtime.GOOS == "windows" {
		t.Skip("no kill as on Unix")
	}
	dir, left := t.TempDir(), t.TempDir() // left: for what the killed ones do not remove
	for _, w := range writers(t) {
		t.Run(w.name, func(t *testing.T) {
			at := filepath.Join(dir, strings.ReplaceAll(w.name, " ", "-"))
			args, err := json.Marshal(w.args(at))
			if err != nil {
				t.Fatal(err)
			}
			faulty.Kill(t, at, func() *exec.Cmd {
				c := exec.Command(os.Args[0], "-test.run=^TestKilled$")
				c.Env = append(os.Environ(), killedArgs+"="+string(args), "TMPDIR="+left)
				return c
			}, w.end)
		})
	}
}
