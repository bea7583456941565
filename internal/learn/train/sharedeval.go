package train

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"albert/internal/engine/mpi"
	"albert/internal/files/disk"
)

// How several ranks evaluate together. Of K ranks each computes every K-th item; rank 0 gets the results of all and goes on with them in the
// items' order, as one process would.

// ErrElsewhere is the error of [Shared] where another rank has the results.
var ErrElsewhere = errors.New("rank 0 has the results")

const (
	groupSize = 16 // results of a rank in a message
	ahead     = 4  // messages of a rank that wait until rank 0 takes them
)

// group is a message of results.
type group[O any] struct {
	Results []O
	Last    bool
	Failed  bool // this rank is to stop, or could not compute what comes next
}

type ranksKey struct{}

// WithRanks gives a context in which [Shared] shares out among the ranks of a job. Those in which [Run] calls its learner are such.
func WithRanks(ctx context.Context, w mpi.World) context.Context {
	return newRanks(w, os.Stderr).with(ctx)
}

func (s *ranks) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, ranksKey{}, s)
}

// Shared gives f's results for items, one each, in their order. Where ctx has ranks, all of them must call it on the same items: f gets this
// rank's share, and its results, of which gob must know all fields, go to rank 0; the others get [ErrElsewhere]. Any other error, and a wish to
// stop, is that of all ranks. So is the error of a rank that has none to share, but calls [Agree] with it.
func Shared[I, O any](ctx context.Context, items iter.Seq[I], f func(ctx context.Context, items iter.Seq[I]) iter.Seq2[O, error]) iter.Seq2[O, error] {
	s, _ := ctx.Value(ranksKey{}).(*ranks)
	if s == nil {
		return f(ctx, items)
	}
	return func(yield func(O, error) bool) {
		var none O
		if err := s.agree(ctx, nil); err != nil { // of a rank that has failed before it came here
			yield(none, err)
			return
		}
		x := &sharing[O]{ranks: s}
		var own context.Context
		own, x.cancel = context.WithCancel(ctx)
		defer x.cancel()
		x.results = f(own, func(yield func(I) bool) {
			for item := range items {
				if x.count++; (x.count-1)%s.world.Size() == s.world.Rank() && !yield(item) {
					return
				}
			}
		})
		var err error
		if s.world.Rank() == 0 {
			err = x.collect(own, yield)
		} else {
			err = x.contribute()
		}
		if errors.Is(err, context.Canceled) && ctx.Err() == nil { // another rank says why
			err = nil
		}
		if err = s.agree(ctx, err); err == nil && s.world.Rank() > 0 {
			err = ErrElsewhere
		}
		if err != nil {
			yield(none, err)
		}
	}
}

// sharing is a call of Shared on one rank.
type sharing[O any] struct {
	*ranks
	cancel  context.CancelFunc // ends this rank's share
	results iter.Seq2[O, error]
	count   int // items of all ranks
}

// compute emits this rank's results.
func (x *sharing[O]) compute(emit func(group[O])) (err error) {
	var g group[O]
	for result, e := range x.results {
		if err = e; err != nil {
			break
		}
		if g.Results = append(g.Results, result); len(g.Results) == groupSize {
			emit(g)
			g.Results = nil
		}
	}
	g.Last, g.Failed = true, err != nil
	emit(g)
	return err
}

// contribute sends this rank's results to rank 0 until they end, or until rank 0 says that they are not needed. Rank 0 sends one word,
// whatever happens.
func (x *sharing[O]) contribute() error {
	word := make([]byte, 1)
	q := x.world.Receive(0, tagWord, word)
	var heard sync.WaitGroup
	heard.Go(func() {
		if x.wait(q); word[0] != goesOn {
			x.cancel()
		}
	})
	var b bytes.Buffer
	encoder := gob.NewEncoder(&b)
	err := x.compute(func(g group[O]) {
		b.Reset()
		if err := encoder.Encode(g); err != nil {
			x.abort(err)
		}
		x.send(0, b.Bytes())
	})
	heard.Wait()
	return err
}

// collect gives the results of all ranks in their order. Its own are computed meanwhile.
func (x *sharing[O]) collect(ctx context.Context, yield func(O, error) bool) (err error) {
	in := make([]chan group[O], x.world.Size())
	for p := range in {
		in[p] = make(chan group[O], ahead)
	}
	var panicked any
	go func() {
		defer close(in[0])
		defer func() {
			if panicked = recover(); panicked != nil || err != nil {
				x.cancel()
			}
		}()
		err = x.compute(func(g group[O]) { in[0] <- g })
	}()
	for p := range x.peers {
		go x.receiveFrom(p, in[p])
	}
	given, whole := x.merge(ctx, in, yield)
	word := []byte{goesOn}
	if !whole {
		x.cancel()
		word[0] = fails
	}
	var sent []mpi.Request
	for p := range x.peers {
		sent = append(sent, x.world.Send(p, tagWord, word))
	}
	for _, c := range in {
		for range c { // until nothing comes
		}
	}
	x.wait(sent...)
	if panicked != nil {
		panic(panicked)
	}
	if whole && err == nil && given != x.count {
		err = fmt.Errorf("the ranks have evaluated %d examples of %d", given, x.count)
	}
	return err
}

// receiveFrom hands on the messages of a rank. It ends this rank's share where that of the other has failed.
func (x *sharing[O]) receiveFrom(p int, to chan<- group[O]) {
	var g group[O]
	defer close(to)
	defer func() {
		if !g.Last {
			x.cancel()
		}
	}()
	var b bytes.Buffer
	decoder := gob.NewDecoder(&b)
	for !g.Last {
		g = group[O]{}
		b.Write(x.receive(p))
		if err := decoder.Decode(&g); err != nil {
			x.abort(err)
		}
		if g.Failed {
			x.cancel()
		}
		to <- g
	}
}

// merge gives the results that come in, those of items 0 to K-1 first, and tells how many, and whether these are all.
func (x *sharing[O]) merge(ctx context.Context, in []chan group[O], yield func(O, error) bool) (given int, whole bool) {
	wanted := true
	for ended := false; !ended; {
		ended = true
		round := make([]group[O], len(in))
		for p := range in {
			select {
			case g, ok := <-in[p]:
				round[p] = g
				ended = ended && (g.Last || !ok)
			case <-ctx.Done():
				return given, false
			}
		}
		for i := range groupSize {
			for _, g := range round {
				if i < len(g.Results) {
					given++
					wanted = wanted && yield(g.Results[i], nil)
				}
			}
		}
	}
	return given, ctx.Err() == nil
}

// Copied is a directory of rank 0 on every rank: there itself, on the others a copy of its files in a temporary directory, which remove
// removes. All ranks must call it.
func Copied(w mpi.World, dir string) (copied string, remove func(), err error) {
	s, remove := newRanks(w, os.Stderr), func() {}
	if s == nil {
		return dir, remove, nil
	}
	if s.world.Rank() == 0 {
		err := s.sendFiles(dir)
		return dir, remove, s.agree(context.Background(), err)
	}
	copied, removed, err := disk.Temporary("albert-")
	if err == nil {
		remove = func() { _ = removed() } // the system's to remove
	}
	for {
		name := string(s.receive(0))
		if name == "" {
			break
		}
		if data := s.receive(0); err == nil {
			err = disk.WriteFile(filepath.Join(copied, name), data)
		}
	}
	return copied, remove, s.agree(context.Background(), err)
}

// sendFiles sends the files of a directory to all ranks, each after its name, and an empty name.
func (s *ranks) sendFiles(dir string) error {
	files, err := os.ReadDir(dir)
	send := func(data []byte) {
		for p := range s.peers {
			s.send(p, data)
		}
	}
	for _, f := range files {
		var data []byte
		if data, err = os.ReadFile(filepath.Join(dir, f.Name())); err != nil {
			break
		}
		send([]byte(f.Name()))
		send(data)
	}
	send(nil)
	return err
}
