//go:build unix

package corpus

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// killedEnv makes the test binary prepare the text and into the directory that it names, for TestPrepareKilled to kill.
const killedEnv = "ALBERT_TEST_PREPARE_KILLED"

// A run that is killed at any moment and started again ends with the same files as one that was not.
func TestPrepareKilled(t *testing.T) {
	if dir := os.Getenv(killedEnv); dir != "" {
		o := options(t, filepath.Join(dir, "text"))
		o.Output = filepath.Join(dir, "shards")
		if _, err := Prepare(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := write(t, "text/a.txt", novel(2000, 20), "text/b.txt", novel(500, 40))
	o := options(t, filepath.Join(dir, "text"))
	start := time.Now()
	prepare(t, o)
	took := time.Since(start)
	want := files(t, o.Output)
	o.Output = filepath.Join(dir, "shards")
	left := t.TempDir() // for what the killed ones do not remove
	for kills := 0; ; kills++ {
		c := exec.Command(os.Args[0], "-test.run=^TestPrepareKilled$")
		c.Env = append(os.Environ(), killedEnv+"="+dir, "TMPDIR="+left)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if kills < 6 {
			for _, err := os.Stat(o.Output); err != nil; _, err = os.Stat(o.Output) {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Duration(rand.Int64N(int64(took) / 2)))
			c.Process.Kill()
		}
		err := c.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) && !exit.Exited() {
			continue // killed
		}
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if got := files(t, o.Output); !maps.Equal(got, want) {
		t.Errorf("after kills: %v, want %v", got, want)
	}
}
