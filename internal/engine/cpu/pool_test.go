package cpu

import (
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// runAll runs n tasks and fails the test if one of them is not done once.
func runAll(t *testing.T, p *pool, n int) {
	t.Helper()
	done := make([]atomic.Int32, n)
	p.run(n, func(i int) { done[i].Add(1) })
	for i := range done {
		if got := done[i].Load(); got != 1 {
			t.Fatalf("task %d of %d was done %d times", i, n, got)
		}
	}
}

// onHelper runs f on a helper: of two tasks that wait for each other one is there.
func onHelper(p *pool, f func()) { onOne(p, false, f) }

// onCaller calls f on the caller's goroutine, with a helper at work on the same job.
func onCaller(p *pool, f func()) { onOne(p, true, f) }

func onOne(p *pool, callers bool, f func()) {
	var together sync.WaitGroup
	together.Add(2)
	caller := goroutine()
	p.run(2, func(int) {
		together.Done()
		together.Wait()
		if (goroutine() == caller) == callers {
			f()
		}
	})
}

// goroutine names the running goroutine.
func goroutine() string {
	b := make([]byte, 64)
	return strings.Fields(string(b[:runtime.Stack(b, false)]))[1]
}

// failOnHelper is the task that panics, to be found in the stack's text.
func failOnHelper() { panic(io.ErrUnexpectedEOF) }

// TestPoolPanicReachesCaller: a panic on a helper thread comes out of run in its caller, with its value and its stack, after the other
// tasks have ended; the pool goes on working.
func TestPoolPanicReachesCaller(t *testing.T) {
	p := newPool(2)
	defer p.close()
	for range 3 {
		func() {
			defer func() {
				err, _ := recover().(error)
				var failed *TaskPanic
				if !errors.As(err, &failed) || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "failOnHelper") {
					t.Errorf("run panicked with %v", err)
				}
			}()
			onHelper(p, failOnHelper)
			t.Error("run returned although a task panicked")
		}()
		runAll(t, p, 100)
	}
	var ended atomic.Int32
	func() {
		defer func() { recover() }()
		p.run(50, func(i int) {
			ended.Add(1)
			if i == 0 {
				panic("the first task")
			}
		})
	}()
	if ended.Load() != 50 {
		t.Errorf("%d of 50 tasks ended before run panicked", ended.Load())
	}
}

// TestPoolClose: closing ends the helpers, whether they look for work or sleep, may be done twice, and leaves run working.
func TestPoolClose(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, idle := range []time.Duration{0, 20 * time.Millisecond} {
		p := newPool(4)
		runAll(t, p, 100)
		time.Sleep(idle)
		p.close()
		p.close()
		runAll(t, p, 100)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before the pools were made", runtime.NumGoroutine(), before)
		}
	}
}

// TestPoolCloseWhileRunning: goroutines that run jobs while the pool is closed have all their tasks done.
func TestPoolCloseWhileRunning(t *testing.T) {
	for range 20 {
		p := newPool(3)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					runAll(t, p, 7)
				}
			})
		}
		p.close()
		wg.Wait()
	}
}

// TestPoolHelperRests: a helper that lost its core in the middle of a task, while the caller waited for it, leaves the next jobs to the caller,
// and works again after a rest.
func TestPoolHelperRests(t *testing.T) {
	p := newPool(2)
	defer p.close()
	var switched atomic.Int64
	p.usage = func() usage { return usage{switches: switched.Load()} }
	wait := func() { // until the caller has stopped looking, and longer than a helper may be without its core
		for j := p.job.Load(); !j.waiting.Load(); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * lostCore)
	}
	onHelper(p, wait) // without a switch, however long it took
	onHelper(p, wait)
	if p.job.Load() != nil {
		t.Fatal("a job is left")
	}
	var end time.Time // the rest begins after it
	onHelper(p, func() { switched.Add(1); wait(); end = time.Now() })
	helperRests(t, p, end)
}

// helperRests: the pool's only helper leaves jobs to the caller for the shortest rest after the time given, and then works again.
func helperRests(t *testing.T, p *pool, end time.Time) {
	t.Helper()
	var helped atomic.Bool
	caller := goroutine()
	for {
		p.run(8, func(int) {
			if goroutine() != caller {
				helped.Store(true)
			}
		})
		if time.Since(end) > shortestRest {
			break
		}
		if helped.Load() {
			t.Fatal("the helper worked right after a core was lost")
		}
	}
	onHelper(p, func() {}) // returns: the helper is back
}

// TestPoolHelperMakesRoom: when the caller has lost its core in the middle of a job, a helper rests; when it worked all the time, or waited of
// its own will, none does.
func TestPoolHelperMakesRoom(t *testing.T) {
	for _, c := range []struct {
		name     string
		switches int64
		ran      time.Duration // meanwhile
		crowded  bool
	}{
		{"lost", 1, 0, true},
		{"lost for a moment", 1, time.Hour, false},
		{"waited", 0, 0, false},
	} {
		p := newPool(2)
		var switches, ran atomic.Int64
		p.usage = func() usage { return usage{switches.Load(), time.Duration(ran.Load())} }
		onCaller(p, func() {
			time.Sleep(3 * lostCore)
			switches.Add(c.switches)
			ran.Add(int64(c.ran))
		})
		if got := p.crowded.Load(); got != c.crowded {
			t.Errorf("%s: crowded %v", c.name, got)
		}
		if c.crowded {
			var end time.Time
			onHelper(p, func() { end = time.Now() })
			helperRests(t, p, end)
		}
		p.close()
	}
}

// Threads that lose their cores in every large task do not stay away: those rests would add up to seconds.
func TestPoolLargeTasks(t *testing.T) {
	p := newPool(2)
	defer p.close()
	var switches atomic.Int64
	p.usage = func() usage { return usage{switches: switches.Load()} }
	caller := goroutine()
	began := time.Now()
	for range 20 {
		var both sync.WaitGroup
		both.Add(2)
		p.runLarge(2, func(int) {
			switches.Add(1)
			both.Done()
			both.Wait() // a helper must come
			if goroutine() != caller {
				for j := p.job.Load(); !j.waiting.Load(); { // until the caller has stopped looking
					time.Sleep(time.Millisecond)
				}
			}
		})
		if p.crowded.Load() {
			t.Fatal("crowded")
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("20 jobs took %v", took)
	}
}

func TestRestsGrow(t *testing.T) {
	var r rests
	now := time.Now()
	for _, want := range []time.Duration{4, 8, 16, 32, 64, 128, 256, 256} {
		if got := r.nextRest(now); got != want*time.Millisecond {
			t.Fatalf("a rest of %v, want %v ms", got, want)
		}
		now = now.Add(r.rest + hardlyBack/2)
	}
	if got := r.nextRest(now.Add(time.Second)); got != shortestRest {
		t.Errorf("a second later a rest of %v", got)
	}
}

// TestPoolRests: helpers that would look for work for minutes park when none is expected, and work again afterwards.
func TestPoolRests(t *testing.T) {
	defer func(old func() int) { spins = old }(spins)
	spins = func() int { return math.MaxInt }
	p := newPool(2)
	defer p.close()
	for range 3 {
		onHelper(p, func() {})
		p.rest.Store(true)
		for began := time.Now(); !p.helpers[0].parked.Load(); time.Sleep(time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatal("a helper still looks for work")
			}
		}
	}
	runAll(t, p, 100)
}
