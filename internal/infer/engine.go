package infer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
)

// BatchPieces is how many pieces a batch has at most, unless one example alone has more: enough to fill the kernels, little memory.
const BatchPieces = train.LeafPieces

// ErrClosed is what a question meets whose model was closed.
var ErrClosed = errors.New("the model is closed")

// PanicError is the failure of a question on which the program itself failed: a bug, not the caller's mistake.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("internal error: %v", e.Value) }

// Engine runs batches on a device for any number of goroutines. At most so many run at once as are fast: one on all threads, or, of a
// small model, one on each thread. That bounds the memory, however many ask.
type Engine struct {
	dev   *cpu.Device
	slots chan struct{} // filled by batches that run

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // calls of Each
}

// NewEngine makes an engine for models whose activations take so many bytes a piece. The device stays the caller's.
func NewEngine(dev *cpu.Device, activationBytes int) *Engine {
	width := train.Together(activationBytes, dev.Threads())
	if width > 1 {
		dev = dev.Single()
	}
	return &Engine{dev: dev, slots: make(chan struct{}, width)}
}

// Close lets the batches that run end and refuses all others. It may be called more than once.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.running.Wait()
}

// begin counts a batch, unless the engine is closed.
func (e *Engine) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.running.Add(1)
	return nil
}

// Work says how questions Q become answers A by what a head gives for an example, R.
type Work[Q, R, A any] struct {
	// Layout makes a question's examples: one, or one for each window of a long text.
	Layout func(q Q) ([]task.Example, error)
	// Head runs a batch of examples, which may be of several questions; sequences is the number of each one's first sequence in b and
	// that of all.
	Head func(t *ops.Tape, b *ops.Batch, sequences []int, examples []task.Example) []R
	// Answer makes the answer of what the head gave for the question's examples.
	Answer func(q Q, examples []task.Example, results []R) (A, error)
}

// question is one that waits for its answer.
type question[Q, R, A any] struct {
	q        Q
	examples []task.Example
	results  []R
	left     atomic.Int32 // examples without a result
	failed   atomic.Pointer[error]
	weight   int

	answer A
	err    error
	done   chan struct{}
}

// unit is an example of a question.
type unit[Q, R, A any] struct {
	of *question[Q, R, A]
	i  int
}

// Each answers questions in their order, each as soon as it and those before it are ready, while further ones are read. It reads ahead as
// many as a few batches hold. An error is of one question and the others go on, but when ctx is done: then its cause is the last error.
// Questions are asked for by a goroutine of its own, which ends after the question that it waits for when the answers are not wanted
// any more. The bits of an answer depend on its question alone.
func Each[Q, R, A any](ctx context.Context, e *Engine, questions iter.Seq[Q], w Work[Q, R, A]) iter.Seq2[A, error] {
	return func(yield func(A, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		r := &run[Q, R, A]{e: e, w: w, ctx: ctx, asked: make(chan *question[Q, R, A], maxAhead), order: make(chan *question[Q, R, A], maxAhead),
			room: newRoom(aheadPieces * cap(e.slots))}
		go r.read(questions)
		go r.dispatch()
		for q := range r.order {
			select {
			case <-q.done:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			r.room.give(q.weight)
			if !yield(q.answer, q.err) {
				return
			}
		}
		if ctx.Err() != nil {
			var none A
			yield(none, context.Cause(ctx))
		}
	}
}

const (
	maxAhead    = 1024            // questions that wait at most
	aheadPieces = 4 * BatchPieces // pieces of them, for each batch that runs at once
	// questionWeight is what a question counts beside its pieces, for its text and its answer.
	questionWeight = 16
)

// run is one call of Each.
type run[Q, R, A any] struct {
	e     *Engine
	w     Work[Q, R, A]
	ctx   context.Context
	room  *room
	asked chan *question[Q, R, A] // laid out
	order chan *question[Q, R, A] // in a batch, or failed
}

// guard calls f and makes an error of its panic.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}

// read lays out questions as long as there is room for more.
func (r *run[Q, R, A]) read(questions iter.Seq[Q]) {
	defer close(r.asked)
	for in := range questions {
		q := &question[Q, R, A]{q: in, done: make(chan struct{}), weight: questionWeight}
		q.err = guard(func() (err error) {
			q.examples, err = r.w.Layout(in)
			return err
		})
		if q.err != nil {
			q.examples = nil
		}
		for i := range q.examples {
			q.weight += q.examples[i].Pieces()
		}
		q.results = make([]R, len(q.examples))
		q.left.Store(int32(len(q.examples)))
		q.weight = min(q.weight, int(r.room.size))
		if !r.room.take(r.ctx, q.weight) {
			return
		}
		select {
		case r.asked <- q:
		case <-r.ctx.Done():
			return
		}
	}
}

// dispatch fills batches and runs them: a batch as soon as it is full, or a slot is free and no further question is ready.
func (r *run[Q, R, A]) dispatch() {
	defer close(r.order)
	var batch []unit[Q, R, A]
	pieces := 0
	start := func() {
		go r.batch(batch)
		batch, pieces = nil, 0
	}
	for {
		var q *question[Q, R, A]
		more := true
		select {
		case q, more = <-r.asked:
		default:
			free := r.e.slots
			if len(batch) == 0 {
				free = nil
			}
			select {
			case q, more = <-r.asked:
			case free <- struct{}{}:
				start()
				continue
			case <-r.ctx.Done():
				return
			}
		}
		if !more {
			break
		}
		select {
		case r.order <- q:
		case <-r.ctx.Done():
			return
		}
		if len(q.examples) == 0 {
			r.finish(q)
			continue
		}
		for i := range q.examples {
			n := q.examples[i].Pieces()
			if len(batch) > 0 && pieces+n > BatchPieces {
				if !r.slot() {
					return
				}
				start()
			}
			batch, pieces = append(batch, unit[Q, R, A]{q, i}), pieces+n
		}
	}
	if len(batch) > 0 && r.slot() {
		start()
	}
}

// slot waits until a batch may run.
func (r *run[Q, R, A]) slot() bool {
	select {
	case r.e.slots <- struct{}{}:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// batch runs a batch in the slot that was taken for it. If the program fails on it, each example runs alone: only the question at fault fails.
func (r *run[Q, R, A]) batch(units []unit[Q, R, A]) {
	defer func() { <-r.e.slots }()
	err := r.e.begin()
	if err == nil {
		defer r.e.running.Done()
		if r.ctx.Err() != nil { // nobody waits
			return
		}
		if err = r.head(units); err != nil && len(units) > 1 {
			for i := range units {
				r.done(units[i:i+1], r.head(units[i:i+1]))
			}
			return
		}
	}
	r.done(units, err)
}

// head runs examples and keeps their results.
func (r *run[Q, R, A]) head(units []unit[Q, R, A]) error {
	return guard(func() error {
		examples := make([]task.Example, len(units))
		for k, u := range units {
			examples[k] = u.of.examples[u.i]
		}
		b, sequences := task.Batch(examples)
		t := ops.NewTape(r.e.dev, nil)
		defer t.Reset()
		for k, x := range r.w.Head(t, b, sequences, examples) {
			units[k].of.results[units[k].i] = x
		}
		return nil
	})
}

// done counts results, and answers the questions that have all of theirs.
func (r *run[Q, R, A]) done(units []unit[Q, R, A], err error) {
	for _, u := range units {
		if err != nil {
			u.of.failed.CompareAndSwap(nil, &err)
		}
		if u.of.left.Add(-1) == 0 {
			if failed := u.of.failed.Load(); failed != nil {
				u.of.err = *failed
			}
			r.finish(u.of)
		}
	}
}

// finish makes a question's answer.
func (r *run[Q, R, A]) finish(q *question[Q, R, A]) {
	if q.err == nil {
		q.err = guard(func() (err error) {
			q.answer, err = r.w.Answer(q.q, q.examples, q.results)
			return err
		})
	}
	q.examples, q.results = nil, nil
	close(q.done)
}

// room is a number of pieces that may wait.
type room struct {
	size int64
	used atomic.Int64
	wake chan struct{} // a give was made
}

func newRoom(size int) *room { return &room{size: int64(size), wake: make(chan struct{}, 1)} }

// take waits until n pieces more may wait; one goroutine takes. It is false when ctx is done.
func (r *room) take(ctx context.Context, n int) bool {
	for r.used.Add(int64(n)) > r.size {
		r.used.Add(-int64(n))
		select {
		case <-r.wake:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (r *room) give(n int) {
	r.used.Add(-int64(n))
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
