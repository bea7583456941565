package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/files/disk"
	"albert/internal/files/disk/faulty"
	"albert/internal/files/stream"
	"albert/internal/run"
)

// Whatever fails while a run of three checkpoints writes, a checkpoint that was told to be saved or a newer one loads bit for bit, and the run
// goes on to the same end.
func TestCrashRun(t *testing.T) {
	said := func(dir string) string { return dir + ".saved" }
	work := func(dir string) error {
		s := newSquares(3, 4)
		c := testConfig(filepath.Join(dir, "run"))
		c.Steps, c.SaveEvery, c.EvalEvery, c.Rate.Steps, c.Keep = 6, 2, 0, 6, 1
		c.Finish = func(to string) error {
			return disk.WriteFile(filepath.Join(to, "weights"), fmt.Append(nil, s.w.Data, s.bias.Data))
		}
		err := start(context.Background(), &c, s.params, s, func(point string) error {
			if point == "prune" { // a checkpoint is whole
				return os.WriteFile(said(dir), fmt.Append(nil, s.last), 0o666)
			}
			return nil
		})
		return err
	}
	checkpoints := map[int]string{}
	for _, steps := range []int{2, 4, 6} { // the tensors of each, from runs that end there
		s := newSquares(3, 4)
		c := testConfig(t.TempDir())
		c.Steps, c.SaveEvery, c.EvalEvery, c.Rate.Steps = steps, 0, 0, 6
		if err := Run(t.Context(), c, s.params, s); err != nil {
			t.Fatal(err)
		}
		f, err := stream.HashFile(filepath.Join(c.Dir.Checkpoint(steps), run.WeightsFile))
		if err != nil {
			t.Fatal(err)
		}
		checkpoints[steps] = f.SHA256
	}
	check := func(dir string) error {
		saved := 0
		if text, err := os.ReadFile(said(dir)); err == nil {
			fmt.Sscan(string(text), &saved)
		}
		path, err := run.Dir(filepath.Join(dir, "run")).Newest()
		if err != nil || path == "" {
			if saved == 0 {
				return err
			}
			return fmt.Errorf("no checkpoint is whole, step %d was saved: %v", saved, err)
		}
		step := 0
		fmt.Sscanf(filepath.Base(path), "step-%d", &step)
		f, err := stream.HashFile(filepath.Join(path, run.WeightsFile))
		switch {
		case err != nil:
			return err
		case step < saved:
			return fmt.Errorf("the newest checkpoint is of step %d, step %d was saved", step, saved)
		case f.SHA256 != checkpoints[step]:
			return fmt.Errorf("the checkpoint of step %d has other bits", step)
		}
		return nil
	}
	end := func(dir string) (string, error) {
		defer os.Remove(said(dir))
		dir = filepath.Join(dir, "run")
		weights, err := os.ReadFile(filepath.Join(run.Dir(dir).Model(), "weights"))
		m, e := run.Dir(dir).ReadManifest()
		log, e2 := os.ReadFile(run.Dir(dir).Log())
		if err := errors.Join(err, e, e2); err != nil {
			return "", err
		}
		var rows strings.Builder
		for line := range strings.Lines(string(log)) {
			var row map[string]any
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				return "", fmt.Errorf("log: %s: %w", line, err)
			}
			fmt.Fprintln(&rows, row["step"], row["split"], row["loss"], row["grad_norm"])
		}
		return fmt.Sprintf("%s %t\n%s", weights, m.Finished, rows.String()), nil
	}
	m := faulty.Matrix{Work: work, Check: check, End: end}
	if testing.Short() {
		m.Every = 7
	}
	m.Test(t, "a run of three checkpoints")
}
