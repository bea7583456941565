package infer

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"

	"albert/internal/engine/ops"
	"albert/internal/learn/task"
)

// order is work that notes the lengths of what runs, batch by batch, and waits for the test before it goes on.
type order struct {
	mu      sync.Mutex
	batches [][]int
	started chan bool
	goOn    chan bool
}

func newOrder() *order { return &order{started: make(chan bool, 1000), goOn: make(chan bool, 1000)} }

func (o *order) work(share any) Work[int, int, int] {
	w := lengths(noError)
	w.Share = share
	w.Head = func(_ *ops.Tape, b *ops.Batch, _ []int, examples []task.Example) []int {
		var list []int
		for i := range examples {
			list = append(list, examples[i].Pieces())
		}
		o.mu.Lock()
		o.batches = append(o.batches, list)
		o.mu.Unlock()
		o.started <- true
		<-o.goOn
		return list
	}
	w.Layout = func(n int) ([]task.Example, error) { // windows of 500 pieces
		var list []task.Example
		for ; n > 0; n -= 500 {
			x, _ := lengths(noError).Layout(10)
			x[0].Inputs[0].IDs = make([]int32, min(n, 500))
			x[0].Inputs[0].Types = make([]int32, min(n, 500))
			list = append(list, x[0])
		}
		return list, nil
	}
	return w
}

// ask asks questions from a goroutine of its own and waits until their examples wait.
func (o *order) ask(t *testing.T, wg *sync.WaitGroup, ctx context.Context, e *Engine, share any, lengths ...int) {
	t.Helper()
	sum := 0
	for _, n := range lengths {
		sum += n
	}
	before := e.Waiting()
	wg.Go(func() {
		i := 0
		for n, err := range Each(ctx, e, slices.Values(lengths), o.work(share)) {
			if ctx.Err() == nil && (err != nil || n != lengths[i]) {
				t.Errorf("%d, %v, want %d", n, err, lengths[i])
			}
			i++
		}
	})
	for e.Waiting() < before+sum {
	}
}

// first holds the engine with a batch of its own.
func (o *order) first(wg *sync.WaitGroup, e *Engine) {
	wg.Go(func() {
		for range Each(context.Background(), e, slices.Values([]int{1}), o.work(nil)) {
		}
	})
	<-o.started
}

// What arrives while a batch runs shares the next; short questions pass long ones, and no call holds up another.
func TestBatchesAreSharedAndShortPassesLong(t *testing.T) {
	e := engineOn(t, 1, 1<<30)
	e.most = 600
	o := newOrder()
	var wg sync.WaitGroup
	ctx := context.Background()
	o.first(&wg, e)
	o.ask(t, &wg, ctx, e, "a", 2000)
	o.ask(t, &wg, ctx, e, "a", 40)
	o.ask(t, &wg, ctx, e, "a", 30)
	o.ask(t, &wg, ctx, e, "b", 70)
	o.goOn <- true
	<-o.started
	o.ask(t, &wg, ctx, e, "a", 20) // comes when the first of the windows runs
	close(o.goOn)
	wg.Wait()
	all := o.batches
	slices.Sort(all[1])
	at := func(n int) int {
		return slices.IndexFunc(all, func(b []int) bool { return slices.Contains(b, n) })
	}
	if !slices.Equal(all[1], []int{30, 40, 500}) || at(20) > 3 || at(70) > 3 {
		t.Errorf("batches %v", all)
	}
}

// However many short questions come, a long one has its turn when as many pieces have run as it has itself.
func TestALongQuestionIsNotStarved(t *testing.T) {
	e := engineOn(t, 1, 1<<30)
	e.most = 10
	o := newOrder()
	var wg sync.WaitGroup
	o.first(&wg, e)
	o.ask(t, &wg, context.Background(), e, "a", 100)
	for range 5 {
		o.ask(t, &wg, context.Background(), e, "a", 10)
	}
	o.goOn <- true
	for range 20 {
		<-o.started
		o.ask(t, &wg, context.Background(), e, "a", 10)
		o.goOn <- true
	}
	close(o.goOn)
	wg.Wait()
	if at := slices.IndexFunc(o.batches, func(b []int) bool { return b[0] == 100 }); at < 5 || at > 16 {
		t.Errorf("the long one is batch %d of %d", at, len(o.batches))
	}
}

// A call that was given up is not computed, and does not count as waiting.
func TestWhoIsGoneIsNotComputed(t *testing.T) {
	e := engineOn(t, 1, 1<<30)
	o := newOrder()
	var wg sync.WaitGroup
	o.first(&wg, e)
	ctx, cancel := context.WithCancel(context.Background())
	var gone sync.WaitGroup
	o.ask(t, &gone, ctx, e, "a", 77)
	o.ask(t, &wg, context.Background(), e, "a", 30)
	cancel()
	gone.Wait()
	if n := e.Waiting(); n != 30 {
		t.Errorf("%d pieces wait", n)
	}
	close(o.goOn)
	wg.Wait()
	if want := [][]int{{1}, {30}}; !slices.EqualFunc(o.batches, want, slices.Equal) {
		t.Errorf("batches %v", o.batches)
	}
}

// Where too much waits a call is refused at once; one that was let in is not refused later, and one alone may be of any size.
func TestTooMuchIsRefusedAtOnce(t *testing.T) {
	e := engineOn(t, 1, 1<<30)
	e.limit = 100
	o := newOrder()
	var wg sync.WaitGroup
	o.first(&wg, e)
	o.ask(t, &wg, context.Background(), e, "a", 300, 300)
	for _, err := range Each(context.Background(), e, slices.Values([]int{1}), o.work("a")) {
		var busy *BusyError
		if !errors.As(err, &busy) || busy.Waiting != 600 {
			t.Error(err)
		}
	}
	close(o.goOn)
	wg.Wait()
}

// When enough waits for every thread, each runs a batch of its own. A long text with nothing beside it waits for all threads.
func TestBatchesRunApart(t *testing.T) {
	e := engineOn(t, 2, 1<<30)
	o := newOrder()
	var wg sync.WaitGroup
	ask := func(lengths ...int) {
		for _, n := range lengths {
			o.ask(t, &wg, context.Background(), e, "a", n)
		}
	}
	ran := func() int {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.batches)
	}
	o.first(&wg, e)
	ask(70, 71)    // enough for two threads
	o.goOn <- true // to the first
	<-o.started
	<-o.started // both run, though none has ended
	ask(400)
	o.goOn <- true
	for range 1000 {
		runtime.Gosched()
	}
	if n := ran(); n != 3 {
		t.Errorf("%d batches", n)
	}
	o.goOn <- true
	<-o.started // once both have ended
	ask(20)
	for range 1000 {
		runtime.Gosched()
	}
	if n := ran(); n != 4 {
		t.Errorf("%d batches: one beside a batch on all threads", n)
	}
	close(o.goOn)
	wg.Wait()
	slices.SortFunc(o.batches[1:3], slices.Compare)
	if want := [][]int{{1}, {70}, {71}, {400}, {20}}; !slices.EqualFunc(o.batches, want, slices.Equal) {
		t.Errorf("batches %v", o.batches)
	}
}
