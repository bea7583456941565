package infer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync/atomic"
	"time"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/learn/task"
)

// BatchPieces is how many pieces a batch has at most, unless one example alone has more: enough to fill the kernels, little memory.
const BatchPieces = 256

// apartPieces is that of a batch which runs on one thread beside others: half, so that a short text that comes waits less.
const apartPieces = 128

// ErrClosed is what a question meets whose model was closed.
var ErrClosed = errors.New("the model is closed")

// PanicError is the failure of a question on which the program itself failed: a bug, not the caller's mistake.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("internal error: %v", e.Value) }

// Work says how questions Q become answers A by what a head gives for an example, R.
type Work[Q, R, A any] struct {
	// Share is the same for all work whose Head does the same: batches are shared with it. nil: with no other call.
	Share any
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
	run      *run[Q, R, A]
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

// Each answers questions in their order, each as soon as it and those before it are ready, while further ones are read. It reads ahead as
// many as a few batches hold. An error is of one question and the others go on, but when ctx is done: then its cause is the last error.
// Questions are asked for by a goroutine of its own, which ends after the question that it waits for when the answers are not wanted
// any more. The bits of an answer depend on its question alone.
func Each[Q, R, A any](ctx context.Context, e *Engine, questions iter.Seq[Q], w Work[Q, R, A]) iter.Seq2[A, error] {
	return func(yield func(A, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		r := &run[Q, R, A]{w: w, order: make(chan *question[Q, R, A], maxAhead), room: newRoom(aheadPieces * e.dev.Threads())}
		r.call = call{e: e, ctx: ctx, share: w.Share, trace: traceOf(ctx), head: r.head}
		defer e.leave(&r.call)
		defer cancel(nil)
		go r.read(questions)
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
	aheadPieces = 4 * BatchPieces // pieces of them, for each thread
	// questionWeight is what a question counts beside its pieces, for its text and its answer.
	questionWeight = 16
	// A question of up to largeQuestion pieces (a choice among four long texts) counts as largeWeight of them at most, so that each thread has one and
	// others wait.
	largeQuestion, largeWeight = 8 * BatchPieces, 2 * BatchPieces
)

// run is one call of Each.
type run[Q, R, A any] struct {
	call
	w     Work[Q, R, A]
	room  *room
	order chan *question[Q, R, A] // laid out
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

// read lays out questions as long as there is room for more, and has their examples wait for a batch.
func (r *run[Q, R, A]) read(questions iter.Seq[Q]) {
	defer close(r.order)
	for in := range questions {
		q := &question[Q, R, A]{run: r, q: in, done: make(chan struct{}), weight: questionWeight}
		began := time.Now()
		q.err = guard(func() (err error) {
			q.examples, err = r.w.Layout(in)
			return err
		})
		if q.err != nil {
			q.examples = nil
		}
		pieces := 0
		for i := range q.examples {
			pieces += q.examples[i].Pieces()
		}
		r.trace.laidOut(pieces, time.Since(began))
		q.results = make([]R, len(q.examples))
		q.left.Store(int32(len(q.examples)))
		most := int(r.room.size)
		if pieces <= largeQuestion {
			most = largeWeight
		}
		q.weight = min(q.weight+pieces, most)
		if !r.room.take(r.ctx, q.weight) {
			return
		}
		select {
		case r.order <- q:
		case <-r.ctx.Done():
			return
		}
		if len(q.examples) == 0 {
			q.finish()
		} else if err := r.e.wait(&r.call, q, q.examples); err != nil {
			q.err = err
			q.finish()
		}
	}
}

// head runs a batch of examples.
func (r *run[Q, R, A]) head(dev *cpu.Device, examples []task.Example) (results []any, err error) {
	err = guard(func() error {
		b, sequences := task.Batch(examples)
		t := ops.NewTape(dev, nil)
		defer t.Reset()
		for _, x := range r.w.Head(t, b, sequences, examples) {
			results = append(results, x)
		}
		return nil
	})
	return results, err
}

// result takes what a head gave for an example, or why there is nothing, and answers the question when all are there.
func (q *question[Q, R, A]) result(i int, x any, err error) {
	if err != nil {
		q.failed.CompareAndSwap(nil, &err)
	} else {
		q.results[i] = x.(R)
	}
	if q.left.Add(-1) == 0 {
		if failed := q.failed.Load(); failed != nil {
			q.err = *failed
		}
		q.finish()
	}
}

// finish makes a question's answer.
func (q *question[Q, R, A]) finish() {
	if q.err == nil {
		q.err = guard(func() (err error) {
			q.answer, err = q.run.w.Answer(q.q, q.examples, q.results)
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
