package train

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/run"
)

// impatient is a run of at most 40 steps whose evaluations are best after step 10: with a patience of 2 it ends after step 20.
func impatient(dir string) (Config, *squares) {
	c := testConfig(dir)
	c.Steps, c.Rate.Steps, c.Patience, c.UseBest = 40, 40, 2, true
	s := newSquares(40, 30)
	s.metric = func(step int) float64 {
		return map[int]float64{5: 0.1, 10: 0.5, 15: 0.5, 20: 0.3}[step]
	}
	c.Finish = func(dir string) error { return os.WriteFile(filepath.Join(dir, "weights"), nil, 0o666) }
	return c, s
}

// Evaluations that are no better end a run as finished, the best of them is the result, and a kill at any moment changes nothing.
func TestPatience(t *testing.T) {
	dir := t.TempDir()
	c, s := impatient(dir)
	said := messages(&c)
	var left []string
	if err := start(t.Context(), &c, s.params, s, func(point string) error {
		if point != "log" {
			left = append(left, copyDir(t, dir))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := resultOf(t, dir, 20)
	if n := len(want.log); n != 24 {
		t.Errorf("%d rows in the log, want 20 steps and 4 evaluations", n)
	}
	if step, err := BestStep(run.Dir(dir)); step != 10 || err != nil {
		t.Errorf("best step %d, %v", step, err)
	}
	if !strings.Contains(said.String(), "finished: 20 steps of 40, since no evaluation after step 10 was better, 2 in a row") {
		t.Errorf("%s", said)
	}
	if last := want.log[len(want.log)-1]; !strings.Contains(last, `"stopped_early":true`) {
		t.Errorf("the log ends with %s", last)
	}
	if m, err := run.Dir(dir).ReadManifest(); err != nil || m.StoppedEarly != "no evaluation after step 10 was better, 2 in a row" {
		t.Errorf("%+v, %v", m, err)
	}
	said.Reset()
	if err := Run(t.Context(), c, s.params, s); err != nil || !strings.Contains(said.String(), "is finished: 20 steps of 40, since no evaluation after step 10") {
		t.Errorf("%v, %s", err, said)
	}
	for i, dir := range left {
		c, s := impatient(dir)
		if err := Run(t.Context(), c, s.params, s); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		resultOf(t, dir, 20).mustEqual(t, want, "killed")
		if m, err := run.Dir(dir).ReadManifest(); err != nil || !m.Finished {
			t.Errorf("%d: not finished, %v", i, err)
		}
	}
}

// After sees every row; its warning is shown, its error ends the run after a save, and the run can go on without it.
func TestAfter(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	s := newSquares(40, 30)
	said := messages(&c)
	var steps, evaluations int
	stuck := errors.New("stuck")
	c.After = func(row Fields) (string, error) {
		if row.Get("split") != nil {
			evaluations++
			return "", nil
		}
		steps++
		switch row.Get("step") {
		case 3:
			return "odd", nil
		case 7:
			return "", stuck
		}
		return "", nil
	}
	if err := Run(t.Context(), c, s.params, s); !errors.Is(err, stuck) {
		t.Fatal(err)
	}
	if steps != 7 || evaluations != 1 || !strings.Contains(said.String(), "warning: odd") {
		t.Errorf("%d steps, %d evaluations; %s", steps, evaluations, said)
	}
	if path, err := run.Dir(dir).Newest(); err != nil || filepath.Base(path) != run.CheckpointName(7) {
		t.Errorf("newest %s, %v", path, err)
	}
	c.After = nil
	s = newSquares(40, 30)
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "after a stop")
}
