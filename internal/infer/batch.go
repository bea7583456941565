package infer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"albert/internal/engine/cpu"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/model"
)

// Engine runs batches on a device for any number of goroutines, and fills them from all calls of [Each]. At most so many run at once as are fast: one
// on all threads, or one on each thread, if the model is small or enough waits for every thread. That bounds the memory, however many ask.
//
// A batch starts as soon as one may run and an example waits; what arrives while it runs goes into the next. Each call's examples run in order.
// Which call is next: that whose example is due first. It is due when as many pieces have run as it is long itself, counted from when it became its
// call's next. So short examples pass long ones, and a call of many examples does not hold up one of few; but none is passed by more
// than its own length in pieces of calls that come later.
type Engine struct {
	dev     *cpu.Device // all threads
	single  *cpu.Device // one
	small   bool        // the model: a batch is never shared among threads
	most    int         // pieces of a batch
	limit   int         // pieces that may wait when a call begins; 0: any number
	onBatch func(Batch)

	mu      sync.Mutex
	idle    *sync.Cond // no batch runs
	closed  bool
	calls   []*call // those that wait
	waiting int     // pieces of their examples
	clock   int     // pieces that were taken into batches
	running int     // batches
	apart   bool    // they have a thread each
}

// Batch is what ran at once.
type Batch struct {
	Pieces, Sequences int
	Time              time.Duration
}

// BusyError is what a call meets when too much waits already.
type BusyError struct {
	Waiting, Limit int // pieces
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("too busy: %d pieces wait, at most %d may: try again later", e.Waiting, e.Limit)
}

// call is a call of Each, with its examples that wait for a batch.
type call struct {
	e     *Engine
	ctx   context.Context
	share any
	trace *Trace
	head  func(dev *cpu.Device, examples []task.Example) ([]any, error)

	units []unit
	due   int  // when its first unit is, by the engine's clock
	begun bool // one of its units was let in
}

// unit is an example of a question.
type unit struct {
	of interface {
		result(i int, x any, err error)
	}
	i       int
	example task.Example
	call    *call
	since   time.Time
}

// NewEngine makes an engine for models whose activations take so many bytes a piece. The device stays the caller's.
func NewEngine(dev *cpu.Device, activationBytes int) *Engine {
	e := &Engine{dev: dev, single: dev.Single(), small: train.Together(activationBytes, dev.Threads()) > 1, most: BatchPieces}
	e.idle = sync.NewCond(&e.mu)
	return e
}

// Close lets the batches that run end and refuses all else. It may be called more than once.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	calls := e.calls
	e.calls, e.waiting = nil, 0
	e.mu.Unlock()
	for _, c := range calls {
		for _, u := range c.units {
			u.of.result(u.i, nil, ErrClosed)
		}
	}
	e.mu.Lock()
	for e.running > 0 {
		e.idle.Wait()
	}
	e.mu.Unlock()
}

// Waiting is how many pieces wait for a batch.
func (e *Engine) Waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.waiting
}

// wait has a question's examples wait for a batch.
func (e *Engine) wait(c *call, of interface{ result(int, any, error) }, examples []task.Example) error {
	pieces, now := 0, time.Now()
	for i := range examples {
		pieces += examples[i].Pieces()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return ErrClosed
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	case !c.begun && e.limit > 0 && e.waiting > 0 && e.waiting+pieces > e.limit:
		return &BusyError{Waiting: e.waiting, Limit: e.limit}
	}
	c.begun = true
	if len(c.units) == 0 {
		c.due = e.clock + examples[0].Pieces()
		e.calls = append(e.calls, c)
	}
	for i := range examples {
		c.units = append(c.units, unit{of: of, i: i, example: examples[i], call: c, since: now})
	}
	e.waiting += pieces
	e.start()
	return nil
}

// leave forgets what waits of a call whose answers are not wanted any more.
func (e *Engine) leave(c *call) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(e.calls, c); i >= 0 {
		e.calls = slices.Delete(e.calls, i, i+1)
		for _, u := range c.units {
			e.waiting -= u.example.Pieces()
		}
		c.units = nil
	}
}

// start runs batches as long as one may and something waits; e.mu is held.
func (e *Engine) start() {
	threads := e.dev.Threads()
	for !e.closed && (e.running == 0 || e.apart && e.running < threads) {
		first := e.next(nil, 0, e.most)
		if first == nil {
			return
		}
		n := first.units[0].example.Pieces()
		enough := e.small || threads > 1 && e.waiting >= model.LeastPieces*threads && e.waiting-n >= model.LeastPieces*(threads-1)
		if e.running == 0 {
			e.apart = enough
		}
		dev, most := e.dev, e.most
		if e.apart {
			dev = e.single
		}
		if e.apart && !e.small {
			if n > apartPieces && !enough {
				return // soon all threads are free for it
			}
			most = min(most, apartPieces, max(model.LeastPieces, e.waiting/threads))
		}
		e.running++
		go e.run(dev, e.take(most))
	}
}

// next is the call whose example is due first of those that fit into a batch of at most so many pieces, or nil; e.mu is held.
func (e *Engine) next(batch []unit, pieces, most int) (next *call) {
	for _, c := range e.calls {
		n := c.units[0].example.Pieces()
		fits := len(batch) == 0 || pieces+n <= most && (c == batch[0].call || c.share != nil && c.share == batch[0].call.share)
		if fits && c.ctx.Err() == nil && (next == nil || c.due < next.due) {
			next = c
		}
	}
	return next
}

// take fills a batch with what is due first and may share it; e.mu is held.
func (e *Engine) take(most int) (batch []unit) {
	pieces := 0
	for {
		next := e.next(batch, pieces, most)
		if next == nil {
			return batch
		}
		u := next.units[0]
		n := u.example.Pieces()
		batch, pieces = append(batch, u), pieces+n
		e.clock += n
		e.waiting -= n
		next.units[0] = unit{}
		if next.units = next.units[1:]; len(next.units) > 0 {
			next.due = e.clock + next.units[0].example.Pieces()
		} else {
			i := slices.Index(e.calls, next)
			e.calls = slices.Delete(e.calls, i, i+1)
		}
	}
}

// run runs a batch and starts the next. If the program fails on it, each example runs alone: only the question at fault fails.
func (e *Engine) run(dev *cpu.Device, batch []unit) {
	examples, pieces := make([]task.Example, len(batch)), 0
	for i, u := range batch {
		examples[i] = u.example
		pieces += u.example.Pieces()
	}
	began := time.Now()
	results, errs := make([]any, len(batch)), make([]error, len(batch))
	all, err := batch[0].call.head(dev, examples)
	copy(results, all)
	for i := range batch {
		if errs[i] = err; err != nil && len(batch) > 1 {
			var one []any
			if one, errs[i] = batch[i].call.head(dev, examples[i:i+1]); errs[i] == nil {
				results[i] = one[0]
			}
		}
	}
	took := time.Since(began)
	e.mu.Lock()
	e.running--
	e.start()
	if e.running == 0 {
		e.dev.Rest()
		e.idle.Broadcast()
	}
	e.mu.Unlock()
	if e.onBatch != nil {
		e.onBatch(Batch{Pieces: pieces, Sequences: len(batch), Time: took})
	}
	for i, u := range batch {
		u.call.trace.ran(began.Sub(u.since), took)
		u.of.result(u.i, results[i], errs[i])
	}
}

// Trace counts what a call of a model's methods took; see [WithTrace]. Its fields may be read when the answers are there.
type Trace struct {
	Pieces   atomic.Int64
	Examples atomic.Int64 // texts, or windows of them, that ran
	Layout   atomic.Int64 // nanoseconds, in all
	Queue    atomic.Int64 // nanoseconds until their batches began, added up over the examples
	Run      atomic.Int64 // nanoseconds of their batches, added up over the examples
}

type traceKey struct{}

// WithTrace lets calls with the context it gives count what they take.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

func traceOf(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}

func (t *Trace) laidOut(pieces int, took time.Duration) {
	if t != nil {
		t.Pieces.Add(int64(pieces))
		t.Layout.Add(int64(took))
	}
}

func (t *Trace) ran(queue, run time.Duration) {
	if t != nil {
		t.Examples.Add(1)
		t.Queue.Add(int64(queue))
		t.Run.Add(int64(run))
	}
}
