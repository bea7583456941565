//go:build unix

package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// childDir names the variable that makes the test binary a run in that directory instead, to be killed.
const childDir = "ALBERT_TRAIN_TEST_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := newSquares(40, 30)
	s.onLeaf = func(int, int, int) { time.Sleep(time.Millisecond) }
	c := testConfig(dir)
	c.SaveEvery, c.Messages = 2, os.Stderr
	c.Flops, c.Peak = func(n int) float64 { return 1e6 * float64(n) }, 1e12
	err := Run(ctx, c, s.params, s)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	switch {
	case errors.Is(err, ErrStopped):
		os.Exit(75)
	case err != nil:
		os.Exit(1)
	}
	os.Exit(0)
}

// Killed by SIGKILL at ten random moments and stopped by SIGTERM at some, a run ends with the same bits and each step once in its log.
func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	kills, stops := 0, 0
	for {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		said := new(bytes.Buffer)
		cmd.Stderr = said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := time.Duration(20+rng.IntN(150)) * time.Millisecond
		sig := syscall.SIGKILL
		if kills > 3 && stops < 3 {
			sig = syscall.SIGTERM
		}
		if kills < 10 {
			time.AfterFunc(after, func() { _ = cmd.Process.Signal(sig) }) // it may have ended
		}
		err := cmd.Wait()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		switch {
		case err == nil && kills < 10: // too fast: begin anew
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		case err == nil:
			resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "after kills")
			mustBeClean(t, dir)
			t.Logf("%d kills, %d stops", kills, stops)
			return
		case status.Signaled() && status.Signal() == syscall.SIGKILL:
			kills++
		case status.Signaled() && status.Signal() == syscall.SIGTERM: // before the run listened
		case status.ExitStatus() == 75:
			stops++
		default:
			t.Fatalf("%v\n%s", err, said)
		}
	}
}
