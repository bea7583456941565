package faulty

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// KillsVariable is the environment variable that says how often [Kill] kills, in place of 3.
const KillsVariable = "ALBERT_KILLS"

// Kill starts a program again and again and kills it at random moments, until it was killed often enough, and then lets it go to its end.
// Where it was done before it could be killed, its end is compared, too, and all begins anew.
//
// command starts it, end gives what must be the same of what it wrote into dir.
func Kill(t T, dir string, command func() *exec.Cmd, end func(dir string) (string, error)) {
	t.Helper()
	kills := 3
	if n, err := strconv.Atoi(os.Getenv(KillsVariable)); err == nil {
		kills = n
	}
	anew := func() {
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	anew()
	start := time.Now()
	if out, err := command().CombinedOutput(); err != nil {
		t.Fatal(fmt.Sprintf("%v\n%s", err, out))
	}
	took := time.Since(start)
	want, err := end(dir)
	if err != nil {
		t.Fatal(err)
	}
	anew()
	ends, begun := 0, time.Now()
	for done := 0; ; {
		c := command()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if done < kills {
			timer := time.AfterFunc(time.Duration(rand.Int64N(int64(took))), func() { _ = c.Process.Kill() }) // it may have ended
			defer timer.Stop()
		}
		err := c.Wait()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && !exit.Exited() {
			done++
			continue
		}
		if err != nil {
			t.Fatal(fmt.Sprintf("after %d kills: %v", done, err))
		}
		got, err := end(dir)
		if err != nil || got != want {
			t.Errorf("another end after %d kills: %v", done, err)
			return
		}
		if ends++; done >= kills {
			t.Logf("%d kills, %d times to the same end, %.0f s", done, ends, time.Since(begun).Seconds())
			return
		}
		anew() // it was faster
	}
}
