package infer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/learn/task"
	"albert/tokenizer"
)

func engine(t *testing.T, activationBytes int) *Engine {
	t.Helper()
	return engineOn(t, 2, activationBytes)
}

func engineOn(t *testing.T, threads, activationBytes int) *Engine {
	t.Helper()
	dev, err := cpu.New("", threads)
	if err != nil {
		t.Fatal(err)
	}
	e := NewEngine(dev, activationBytes)
	t.Cleanup(func() { e.Close(); dev.Close() })
	return e
}

// lengths is work on numbers: a question of n pieces has an example for every ten of them, and the answer is their sum.
func lengths(e func(n int) error) Work[int, int, int] {
	return Work[int, int, int]{
		Layout: func(n int) ([]task.Example, error) {
			if n < 0 {
				return nil, errors.New("negative")
			}
			var list []task.Example
			for ; n > 0; n -= 10 {
				list = append(list, task.Example{Inputs: []tokenizer.Encoding{{IDs: make([]int32, min(n, 10)), Types: make([]int32, min(n, 10))}}})
			}
			return list, nil
		},
		Head: func(_ *ops.Tape, b *ops.Batch, sequences []int, examples []task.Example) []int {
			var out []int
			for i := range examples {
				n := int(b.Offsets[sequences[i+1]] - b.Offsets[sequences[i]])
				if err := e(n); err != nil {
					panic(err)
				}
				out = append(out, n)
			}
			return out
		},
		Answer: func(_ int, _ []task.Example, results []int) (int, error) {
			sum := 0
			for _, n := range results {
				sum += n
			}
			return sum, nil
		},
	}
}

func noError(int) error { return nil }

// Answers come in order, one for each question, whatever the questions' lengths and however many batches run at once.
func TestAnswersComeInOrder(t *testing.T) {
	for _, activationBytes := range []int{1, 1 << 30} { // a batch on each thread, one on all
		e := engine(t, activationBytes)
		var want []int
		for i := range 3000 {
			want = append(want, (i*7919)%4000)
		}
		want[17], want[1000] = 0, 50_000 // none, and far more than a batch
		var got []int
		for n, err := range Each(context.Background(), e, slices.Values(want), lengths(noError)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, n)
		}
		if !slices.Equal(got, want) {
			t.Error("answers are not those of the questions in their order")
		}
	}
}

// Large questions are read ahead: while one is in work, another waits for each thread.
func TestLargeQuestionsAreReadAhead(t *testing.T) {
	e := engine(t, 1<<30)
	var laidOut, batches atomic.Int32
	w := lengths(noError)
	layout := w.Layout
	w.Layout = func(n int) ([]task.Example, error) {
		laidOut.Add(1)
		return layout(n)
	}
	head := w.Head
	w.Head = func(tape *ops.Tape, b *ops.Batch, sequences []int, examples []task.Example) []int {
		for i := 0; batches.Load() == 0 && laidOut.Load() < 3; i++ {
			if i == 5000 {
				t.Error("nothing was read ahead")
				break
			}
			time.Sleep(time.Millisecond)
		}
		batches.Add(1)
		return head(tape, b, sequences, examples)
	}
	for _, err := range Each(context.Background(), e, slices.Values([]int{1700, 1700, 1700, 1700}), w) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The first answer is there before the last question is read, and no more is read ahead than the bound allows.
func TestAnswersStream(t *testing.T) {
	e := engine(t, 1<<30)
	var read, answered atomic.Int64
	questions := func(yield func(int) bool) {
		for range 200_000 {
			if ahead := read.Add(1) - answered.Load(); ahead > 3*maxAhead {
				t.Errorf("%d questions are read ahead", ahead)
				return
			}
			if !yield(5) {
				return
			}
		}
	}
	for _, err := range Each(context.Background(), e, questions, lengths(noError)) {
		if err != nil {
			t.Fatal(err)
		}
		if answered.Add(1) == 1 && read.Load() == 200_000 {
			t.Error("all questions were read before the first answer")
		}
	}
	if answered.Load() != 200_000 {
		t.Errorf("%d answers", answered.Load())
	}
}

// What was read is answered although no further question comes.
func TestAnAnswerDoesNotWaitForTheNextQuestion(t *testing.T) {
	e := engine(t, 1<<30)
	more := make(chan bool)
	n := 0
	for range Each(context.Background(), e, func(yield func(int) bool) {
		for yield(3) && <-more {
		}
	}, lengths(noError)) {
		n++
		more <- n < 5
	}
	if n != 5 {
		t.Errorf("%d answers", n)
	}
}

// A question on which the program fails does not take others with it, those of its own batch included.
func TestAPanicIsOfOneQuestion(t *testing.T) {
	e := engine(t, 1<<30)
	questions := make([]int, 500)
	for i := range questions {
		questions[i] = 10
	}
	questions[3], questions[250], questions[400] = 7, -1, 27 // the last one's third example
	i := 0
	for n, err := range Each(context.Background(), e, slices.Values(questions), lengths(func(n int) error {
		if n == 7 {
			return errors.New("seven")
		}
		return nil
	})) {
		var failed *PanicError
		switch i {
		case 3, 400:
			if !errors.As(err, &failed) || fmt.Sprint(failed.Value) != "seven" || !strings.Contains(string(failed.Stack), "engine_test.go") {
				t.Errorf("question %d: %v", i, err)
			}
		case 250:
			if err == nil || err.Error() != "negative" {
				t.Errorf("question %d: %v", i, err)
			}
		default:
			if err != nil || n != 10 {
				t.Errorf("question %d: %d, %v", i, n, err)
			}
		}
		i++
	}
	if i != len(questions) {
		t.Errorf("%d answers", i)
	}
}

// When the context ends so do the answers, with its cause; a question that is never given does not hold them up.
func TestCancelling(t *testing.T) {
	e := engine(t, 1<<30)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	block := make(chan bool)
	defer close(block)
	var last error
	n := 0
	for _, err := range Each(ctx, e, func(yield func(int) bool) {
		for range 10 {
			if !yield(3) {
				return
			}
		}
		<-block
	}, lengths(noError)) {
		last = err
		if n++; n == 4 {
			cancel(cause)
		}
	}
	if !errors.Is(last, cause) {
		t.Errorf("the last error is %v", last)
	}
	for range Each(context.Background(), e, slices.Values([]int{1, 2, 3}), lengths(noError)) { // no longer wanted after the first
		break
	}
}

// A closed engine refuses; what runs is finished first.
func TestClosing(t *testing.T) {
	e := engine(t, 1<<30)
	running, finish := make(chan bool), make(chan bool)
	var finished atomic.Bool
	next, stop := iter.Pull2(Each(context.Background(), e, slices.Values([]int{5}), lengths(func(int) error {
		close(running)
		<-finish
		finished.Store(true)
		return nil
	})))
	defer stop()
	go func() {
		<-running
		time.Sleep(10 * time.Millisecond)
		close(finish)
	}()
	closed := make(chan bool)
	go func() {
		<-running
		e.Close()
		if !finished.Load() {
			t.Error("closed while a batch ran")
		}
		close(closed)
	}()
	if n, err, ok := next(); n != 5 || err != nil || !ok {
		t.Error(n, err, ok)
	}
	<-closed
	for _, err := range Each(context.Background(), e, slices.Values([]int{5}), lengths(noError)) {
		if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	e.Close()
}
