package pretrain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/run"
)

// stopAt cancels a run when it says something.
type stopAt struct {
	strings.Builder
	text string
	stop context.CancelFunc
}

func (s *stopAt) Write(p []byte) (int, error) {
	if s.text != "" && strings.Contains(string(p), s.text) {
		s.stop()
	}
	return s.Builder.Write(p)
}

// Evaluations whose loss is no lower finish a run, which says so; one that was interrupted on the way ends at the same step with the same bits.
func TestPatience(t *testing.T) {
	dir := t.TempDir()
	c := tiny(t, dir)
	c.Steps, c.EvalEvery, c.Patience, c.LearningRate, c.Optimizer = 200, 2, 3, 0.02, "adamw"
	run1 := func(output, stop string) (r *Result, log, said string, err error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := &stopAt{text: stop, stop: cancel}
		c.Output, c.Messages, c.Quiet = filepath.Join(dir, output), out, stop == ""
		r, err = Run(ctx, c)
		text, _ := os.ReadFile(run.Dir(c.Output).Log())
		return r, string(text), out.String(), err
	}
	want, log, said, err := run1("run", "")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(log), "\n")
	if !strings.HasPrefix(want.StoppedEarly, "no evaluation after step ") || !strings.HasSuffix(rows[len(rows)-1], `"stopped_early":true}`) ||
		!strings.Contains(said, " steps of 200, since "+want.StoppedEarly) {
		t.Fatalf("%+v\n%s\n%s", want, said, log)
	}
	if again, _, said, err := run1("run", ""); err != nil || *again != *want || !strings.Contains(said, want.StoppedEarly) {
		t.Errorf("again: %+v, %v, %s", again, err, said)
	}
	if _, _, _, err := run1("other", "held out, after step 4:"); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	got, other, _, err := run1("other", "")
	if err != nil || got.Hash != want.Hash || got.StoppedEarly != want.StoppedEarly || strings.Count(other, "\n") != len(rows) {
		t.Errorf("after an interruption: %+v, %v; without: %+v\n%s", got, err, want, other)
	}
}
