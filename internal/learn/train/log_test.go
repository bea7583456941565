package train

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCutLog(t *testing.T) {
	const rows = "{\"step\":1}\n{\"step\":2}\n{\"step\":2,\"split\":\"dev\"}\n{\"step\":3}\n"
	for _, c := range []struct {
		text  string
		steps int
		want  int // bytes
		last  int
	}{
		{rows, 0, 0, 0}, {rows, 1, 11, 1}, {rows, 2, 47, 2}, {rows, 3, 58, 3}, {rows, 9, 58, 3},
		{rows + `{"step":4`, 9, 58, 3},              // half a row
		{rows + "{\"step\":4", 9, 58, 3},            // without its end
		{rows + "\x00\x00\n{\"step\":4}", 9, 58, 3}, // what a crash may leave
		{rows + "{\"step\":2}\n", 9, 58, 3},         // goes back
		{rows + "{\"other\":4}\n", 9, 58, 3},
		{"", 5, 0, 0},
		{strings.Repeat(" ", 200_000) + "{\"step\":1}\n", 5, 200_011, 1},
	} {
		path := filepath.Join(t.TempDir(), "log.jsonl")
		if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		last, err := cutLog(path, c.steps, c.steps)
		if err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || string(text) != c.text[:c.want] || last != c.last {
			t.Errorf("%.60q cut to %d: %.60q, last %d; want %d bytes, last %d", c.text, c.steps, text, last, c.want, c.last)
		}
	}
	if last, err := cutLog(filepath.Join(t.TempDir(), "none"), 5, 5); last != 0 || err != nil {
		t.Errorf("no log: %d, %v", last, err)
	}
}

// Rows that could not be written come later, once, in order.
func TestAppendFileTriesAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, text := range []string{"a\n", "b\n"} {
		f, err := openAppend(path)
		if err != nil {
			t.Fatal(err)
		}
		full := errors.New("full")
		fail := true
		f.fault = func() error {
			if fail {
				return full
			}
			return nil
		}
		if err := f.write([]byte(text)); !errors.Is(err, full) {
			t.Error(err)
		}
		if err := f.sync(); !errors.Is(err, full) {
			t.Error(err)
		}
		fail = false
		if err := f.write([]byte(strings.ToUpper(text))); err != nil {
			t.Error(err)
		}
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "a\nA\nb\nB\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func FuzzCutLog(f *testing.F) {
	f.Add([]byte("{\"step\":1}\n{\"step\":2}\n"), 1)
	f.Add([]byte("{\"step\":1}\n\x00"), 7)
	f.Fuzz(func(t *testing.T, text []byte, steps int) {
		path := filepath.Join(t.TempDir(), "log.jsonl")
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		last, err := cutLog(path, steps, steps)
		if err != nil {
			return
		}
		cut, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(text), string(cut)) || last > max(steps, 0) {
			t.Errorf("%q cut to %q, last %d, %v", text, cut, last, err)
		}
		again, err := cutLog(path, steps, steps)
		if err != nil || again != last {
			t.Errorf("cut again: last %d, then %d, %v", last, again, err)
		}
	})
}
