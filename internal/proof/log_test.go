package proof

import (
	"os"
	"testing"

	"albert/internal/run"
)

// logOf reads a log of the given content.
func logOf(t *testing.T, content string) (*runLog, error) {
	t.Helper()
	d := run.Dir(t.TempDir())
	if err := os.WriteFile(d.Log(), []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return readLog(d)
}

// The first row that is missing, doubled or unreadable is named; an unfinished last line is none.
func TestLog(t *testing.T) {
	const one, two, dev = `{"step": 1, "loss": 2}` + "\n", `{"step": 2, "loss": 1}` + "\n", `{"step": 2, "split": "dev", "loss": 1}` + "\n"
	for _, x := range []struct {
		content   string
		last, dev int
		wrong     string // "" : nothing
	}{
		{"", 0, 0, ""}, {one + two + dev, 2, 1, ""}, {one + two + `{"step": 3, "lo`, 2, 0, ""}, {two, 2, 0, "step 1: step is null, again 1"},
		{one + one + two, 2, 0, `step 1: step is "more than one row", again 1`}, {one + "x\n" + two, 2, 0, `step 2: step is "line 2 of log.jsonl is no row", again 2`},
		{one + `{"step": "2"}` + "\n", 1, 0, `step 2: step is "line 2 of log.jsonl is no row", again 2`},
	} {
		l, err := logOf(t, x.content)
		if err != nil {
			t.Fatal(err)
		}
		wrong := ""
		if l.wrong != nil {
			wrong = l.wrong.Error()
		}
		if l.last != x.last || len(l.dev) != x.dev || wrong != x.wrong {
			t.Errorf("%q: %+v, %s", x.content, l, wrong)
		}
	}
}

func FuzzLog(f *testing.F) {
	f.Add(`{"step": 1, "loss": 2}` + "\n" + `{"step": 1, "split": "dev"}`)
	f.Add("[]\n{\"step\": 1e99}\n\x00")
	f.Fuzz(func(t *testing.T, content string) {
		if l, err := logOf(t, content); err == nil && (l.last < 0 || len(l.steps) > len(content)) {
			t.Errorf("%+v", l)
		}
	})
}
