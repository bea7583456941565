package mpi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// loop is a job of goroutines.
type loop struct {
	mutex   sync.Mutex
	random  *rand.Rand // nil: messages arrive at once
	onAbort func(rank, status int)
	streams map[address]*stream
	open    int // messages that have neither been received nor failed, in both directions
	ranks   int // that have not called Close
	closed  chan struct{}
	aborted chan struct{}
	err     error // of an aborted job
}

// address is what messages keep their order within.
type address struct{ from, to, tag int }

// stream has what was sent and not yet received, and what waits for it. Only the first arrived of sent can be received.
type stream struct {
	sent     []*loopRequest
	arrived  int
	received []*loopRequest
}

// LoopbackOption changes a job of [Loopback].
type LoopbackOption func(*loop)

// Delay delays messages by up to two milliseconds and so reorders those of different senders or tags, and lets some sends end before they
// are received, as MPI does with small ones.
func Delay(seed uint64) LoopbackOption {
	return func(l *loop) { l.random = rand.New(rand.NewPCG(seed, 0)) }
}

// OnAbort is told who called Abort first, and with which status.
func OnAbort(f func(rank, status int)) LoopbackOption {
	return func(l *loop) { l.onAbort = f }
}

// Loopback is a job of n ranks in this process, for tests. A send is done when it has been received. Abort fails all requests and ends the
// goroutine that called it; Close waits for that of all ranks.
func Loopback(n int, options ...LoopbackOption) []World {
	l := &loop{streams: map[address]*stream{}, ranks: n, closed: make(chan struct{}), aborted: make(chan struct{})}
	for _, o := range options {
		o(l)
	}
	worlds := make([]World, n)
	for i := range worlds {
		worlds[i] = &loopRank{l, i, n}
	}
	return worlds
}

type loopRank struct {
	*loop
	rank, size int
}

func (r *loopRank) Rank() int { return r.rank }
func (r *loopRank) Size() int { return r.size }

type loopRequest struct {
	*loop
	data []byte
	done chan struct{}
	err  error
}

func (r *loopRequest) Wait() error {
	select {
	case <-r.done:
		return r.err
	case <-r.aborted:
		return r.loop.err
	}
}

func (r *loopRequest) Done() bool {
	select {
	case <-r.done:
	case <-r.aborted:
	default:
		return false
	}
	return true
}

// stream is called with the mutex held.
func (r *loopRank) stream(a address) *stream {
	if a.from < 0 || a.from >= r.size || a.to < 0 || a.to >= r.size || a.tag < 0 || a.tag > maxTag {
		panic(fmt.Sprintf("mpi: a message from rank %d to %d with tag %d, of %d ranks", a.from, a.to, a.tag, r.size))
	}
	if r.streams[a] == nil {
		r.streams[a] = &stream{}
	}
	return r.streams[a]
}

func (r *loopRank) Send(to, tag int, data []byte) Request {
	q := &loopRequest{loop: r.loop, data: data, done: make(chan struct{})}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	s := r.stream(address{r.rank, to, tag})
	r.open++
	if r.random == nil {
		s.sent = append(s.sent, q)
		s.arrived++
		r.match(s)
		return q
	}
	if r.random.IntN(2) == 0 { // done before it is received
		early := &loopRequest{loop: r.loop, done: make(chan struct{})}
		close(early.done)
		s.sent = append(s.sent, &loopRequest{loop: r.loop, data: append([]byte(nil), data...), done: make(chan struct{})})
		q = early
	} else {
		s.sent = append(s.sent, q)
	}
	time.AfterFunc(time.Duration(r.random.IntN(2000))*time.Microsecond, func() {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		s.arrived++
		r.match(s)
	})
	return q
}

func (r *loopRank) Receive(from, tag int, data []byte) Request {
	q := &loopRequest{loop: r.loop, data: data, done: make(chan struct{})}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	s := r.stream(address{from, r.rank, tag})
	r.open++
	s.received = append(s.received, q)
	r.match(s)
	return q
}

// match hands over what has arrived. It is called with the mutex held.
func (l *loop) match(s *stream) {
	for s.arrived > 0 && len(s.received) > 0 {
		from, to := s.sent[0], s.received[0]
		s.sent, s.received, s.arrived = s.sent[1:], s.received[1:], s.arrived-1
		if copy(to.data, from.data); len(to.data) != len(from.data) {
			to.err = fmt.Errorf("a message of %d bytes where %d were expected", len(from.data), len(to.data))
		}
		l.open -= 2
		close(from.done)
		close(to.done)
	}
}

func (r *loopRank) Abort(status int) {
	r.mutex.Lock()
	if r.err == nil {
		r.err = fmt.Errorf("rank %d ended the job with status %d", r.rank, status)
		close(r.aborted)
		if r.onAbort != nil {
			r.onAbort(r.rank, status)
		}
	}
	r.mutex.Unlock()
	runtime.Goexit()
}

func (r *loopRank) Close() error {
	r.mutex.Lock()
	if r.ranks--; r.ranks == 0 {
		if r.open != 0 && r.err == nil {
			r.err = errors.New("ranks closed with messages on their way")
		}
		close(r.closed)
	}
	r.mutex.Unlock()
	select {
	case <-r.closed:
		return r.loop.err
	case <-r.aborted:
		return r.loop.err
	}
}
