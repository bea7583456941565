package cpu

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// spinTime is how long a thread looks for work, or the caller for its end, before it parks. To park and be woken costs 30 us and more, and on a
// virtual machine that shares its cores far more: there a forward pass of 128 pieces on two threads took 143 ms with 300 us, 126 ms with 1 ms
// and no less with 5 ms (means of 24, by turns); it is the caller's wait that counts. 1 ms is less than a scheduler's slice, should
// another process want the core.
const spinTime = time.Millisecond

// spins is the number of looks in spinTime. A PAUSE takes from 2 ns to 70 ns, depending on the processor, so it is measured once: the
// fastest of several runs, as any of them may have been interrupted.
var spins = sync.OnceValue(func() int {
	const looks, runs = 100, 10
	var nothing atomic.Pointer[job]
	fastest := time.Duration(math.MaxInt64)
	for range runs {
		start := time.Now()
		for range looks {
			if nothing.Load() == nil {
				pause()
			}
		}
		fastest = min(fastest, time.Since(start))
	}
	return int(looks * spinTime / max(fastest, looks)) // a look takes 1 ns at least, whatever a coarse clock says
})

// pool shares the tasks of one operation among a fixed number of threads. The caller works too.
type pool struct {
	mu      sync.Mutex // held while a job runs
	closed  bool
	threads int
	spins   int
	job     atomic.Pointer[job]
	rest    atomic.Bool // no job is expected soon
	crowded atomic.Bool // the caller has lost its core: there is a thread too many, and the next helper that works rests
	helpers []helper

	usage func() usage // [threadUsage], but in tests
}

type helper struct {
	parked atomic.Bool
	wake   chan struct{}
	_      [48]byte // a cache line each
}

// A helper that loses its core to another process in the middle of a task keeps everybody waiting for a slice of the scheduler's time, some
// milliseconds, and loses it again and again as long as that process runs. So it stays away from work for a while, and twice as long if it has
// hardly come back: with shortest and longest rest the caller loses at most a few hundredths of its time to it. So does a
// helper when the caller has lost its core for lostCore while it worked on a job: three threads then take turns on two cores.
const (
	shortestRest = 4 * time.Millisecond
	longestRest  = 256 * time.Millisecond
	hardlyBack   = 100 * time.Millisecond
	lostCore     = 2 * time.Millisecond // about a slice of the scheduler's time; an idle machine seldom takes so much
)

// usage is what the system knows of a thread.
type usage struct {
	switches int64         // how often it had to give up its core to another
	ran      time.Duration // how long it has had a core
}

// rests is what a helper knows of its last rest.
type rests struct {
	rest time.Duration
	back time.Time // when it came back from it
}

// nextRest is how long to stay away after a loss at the time given.
func (r *rests) nextRest(now time.Time) time.Duration {
	if now.Sub(r.back) < hardlyBack {
		r.rest = min(2*r.rest, longestRest)
	} else {
		r.rest = 0
	}
	r.rest = max(r.rest, shortestRest)
	r.back = now.Add(r.rest)
	return r.rest
}

type job struct {
	f       func(task int)
	n       int64 // negative: no work, the helpers end
	large   bool  // its tasks are of many operations each
	next    atomic.Int64
	done    atomic.Int64
	waiting atomic.Bool
	all     chan struct{}
	failed  atomic.Pointer[TaskPanic]
}

// TaskPanic is what [Device.Run] panics with when a task that several threads shared in panicked: the first such panic, on whichever
// thread it was.
type TaskPanic struct {
	Value any    // what the task panicked with
	Stack []byte // of the task's thread, as text
}

func (p *TaskPanic) Error() string {
	return fmt.Sprintf("%v\n\nstack of the task:\n%s", p.Value, p.Stack)
}

// Unwrap gives the task's value if it is an error.
func (p *TaskPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

func newPool(threads int) *pool {
	p := &pool{threads: threads, helpers: make([]helper, max(0, threads-1)), usage: threadUsage}
	if threads > 1 {
		p.spins = spins()
	}
	for i := range p.helpers {
		p.helpers[i].wake = make(chan struct{}, 1)
		go p.help(&p.helpers[i])
	}
	return p
}

// close ends the helpers once the job that runs is done. Jobs that come later run on their callers alone.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		p.publish(&job{n: -1})
	}
}

// run calls f(0) ... f(n-1), in any order, and returns when all are done. If the pool is busy with another goroutine's job, the
// caller does all the work itself. If a task panics, run panics once all have ended.
func (p *pool) run(n int, f func(task int)) { p.share(n, f, false) }

// runLarge is run for tasks of many operations each. In so long a time any thread loses its core once in a while, and the others hardly wait for it:
// nobody stays away for that.
func (p *pool) runLarge(n int, f func(task int)) { p.share(n, f, true) }

func (p *pool) share(n int, f func(task int), large bool) {
	if n <= 1 || p.threads <= 1 || !p.lock() {
		for i := range n {
			f(i)
		}
		return
	}
	defer p.mu.Unlock()
	j := &job{f: f, n: int64(n), large: large, all: make(chan struct{})}
	p.publish(j)
	if p.work(j) {
		p.crowded.Store(true)
	}
	for i := 0; j.done.Load() < j.n; i++ {
		if i < p.spins {
			pause()
			continue
		}
		j.waiting.Store(true)
		if j.done.Load() == j.n {
			break
		}
		<-j.all
		break
	}
	p.job.Store(nil)
	if failed := j.failed.Load(); failed != nil {
		panic(failed)
	}
}

// work does tasks until none is left to start, and tells whether the thread lost its core for lostCore meanwhile. Of large tasks it does not ask.
func (p *pool) work(j *job) (lost bool) {
	if j.large {
		j.drain()
		return false
	}
	runtime.LockOSThread() // what it used is asked twice
	defer runtime.UnlockOSThread()
	began, before := time.Now(), p.usage()
	j.drain()
	took := time.Since(began)
	if took < lostCore {
		return false
	}
	after := p.usage()
	return after.switches > before.switches && took-(after.ran-before.ran) >= lostCore
}

// lock takes the helpers for a job, if there are any and they are free.
func (p *pool) lock() bool {
	if !p.mu.TryLock() {
		return false
	}
	if p.closed {
		p.mu.Unlock()
		return false
	}
	return true
}

func (p *pool) publish(j *job) {
	p.rest.Store(false)
	p.job.Store(j)
	for i := range p.helpers {
		if p.helpers[i].parked.Load() {
			select {
			case p.helpers[i].wake <- struct{}{}:
			default:
			}
		}
	}
}

// drain does tasks until none is left to start.
func (j *job) drain() {
	for {
		t := j.next.Add(1) - 1
		if t >= j.n {
			return
		}
		j.do(int(t))
	}
}

// do does one task and keeps its panic, which must not end a helper.
func (j *job) do(task int) {
	defer func() {
		if v := recover(); v != nil {
			j.failed.CompareAndSwap(nil, &TaskPanic{Value: v, Stack: debug.Stack()})
		}
		if j.done.Add(1) == j.n && j.waiting.Load() {
			close(j.all)
		}
	}()
	j.f(task)
}

func (p *pool) help(h *helper) {
	var last *job
	var rests rests
	for idle := 0; ; {
		j := p.job.Load()
		if j != nil && j != last {
			if j.n < 0 {
				return
			}
			lost := p.work(j) && j.waiting.Load()
			last, idle = j, 0
			if p.crowded.Swap(false) || lost {
				last = nil
				time.Sleep(rests.nextRest(time.Now()))
				p.crowded.Store(false) // what the caller lost meanwhile was not this helper's fault
			}
			continue
		}
		if idle++; idle < p.spins && !p.rest.Load() {
			pause()
			if idle%(p.spins/4+1) == 0 {
				runtime.Gosched() // to other goroutines, if there are more than processors
			}
			continue
		}
		last = nil // let the finished job go
		h.parked.Store(true)
		if j := p.job.Load(); j == nil || j.next.Load() >= j.n && j.n >= 0 {
			<-h.wake
		}
		h.parked.Store(false)
		idle = 0
	}
}
