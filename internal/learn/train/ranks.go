package train

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"albert/internal/engine/cpu"
	"albert/internal/engine/mpi"
	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/files/stream"
	"albert/internal/run"
)

// How several ranks do the steps of one run. Of the 64 parts of a step's gradient rank r of K owns those from 64r/K to 64(r+1)/K, computes the
// sums of its largest whole subtrees, and sends each as soon as it is there: to every rank one slice of K. A rank adds its slice of all subtrees
// as the tree has it and sends the sum to all. So all have the gradient, with the bits of one process, and make the same update.
//
// Rank 0 leads: it alone reads and writes the run directory, evaluates, and says when the run ends; the others follow, that is, do its steps
// until then. A rank that is told to stop, or fails, says so to all in the middle of a step, which all then drop.

// ranks is this process among those that share a run.
type ranks struct {
	world mpi.World
	out   io.Writer // for the last words
	// stopped turns the error of a context that is done into that of a run which stops.
	stopped func(ctx context.Context, err error) error

	slices []float32 // buffers for this rank's slice of each subtree
}

// newRanks is nil for a run of one process.
func newRanks(w mpi.World, out io.Writer) *ranks {
	if w == nil || w.Size() == 1 {
		return nil
	}
	if out == nil {
		out = os.Stderr
	}
	return &ranks{world: w, out: out, stopped: func(_ context.Context, err error) error { return err }}
}

// Kinds of messages. Those of one kind between two ranks arrive in order.
const (
	tagNote      = iota // between steps
	tagBytes            // what only rank 0 has, or wants to have
	tagWord             // a note in the middle of a step, and what the leaves found
	tagForwarded        // what Joined.Forwarded is
	tagPart             // a slice of a subtree's sum
	tagSum              // a slice of the gradient
)

// note is what a rank tells the others: to go on, or why not.
type note struct {
	state byte
	text  string
}

// States of a note.
const (
	goesOn byte = iota
	stops
	fails
	ended = 0x80 // beside one of the others, from rank 0: there are no more steps
)

// noteBytes is the length of a note as a message: longer texts are cut.
const noteBytes = 1024

func noteOf(err error) note {
	switch {
	case err == nil:
		return note{}
	case errors.Is(err, ErrStopped):
		return note{stops, err.Error()}
	}
	text := err.Error()
	if field := (*run.FieldError)(nil); errors.As(err, &field) {
		text = strings.Replace(text, field.Field, "`"+field.Field+"`", 1) // for run.Flags
	}
	return note{fails, text}
}

func (n note) write(b []byte) {
	b[0] = n.state
	binary.LittleEndian.PutUint16(b[1:], uint16(copy(b[3:noteBytes], n.text)))
}

func readNote(b []byte) note {
	return note{b[0], string(b[3 : 3+min(binary.LittleEndian.Uint16(b[1:]), noteBytes-3)])}
}

// agreed is an error that all ranks know of.
type agreed struct{ error }

func (e *agreed) Unwrap() error { return e.error }

// told is an error of another rank.
type told struct{ note }

func (e *told) Error() string        { return e.text }
func (e *told) Is(target error) bool { return target == ErrStopped && e.state&^ended == stops }

// errEnded is what a rank that follows gets where rank 0 has ended the run.
type errEnded struct{ err error }

func (e *errEnded) Error() string { return "the run has ended" }

// verdict is what follows from the notes of all ranks, the same for each: nil if all go on. own is the error behind this rank's note.
func (s *ranks) verdict(notes []note, own error) error {
	if lead := notes[0]; lead.state&ended != 0 {
		if lead.state &^= ended; lead.state == goesOn {
			return &errEnded{}
		}
		return &errEnded{&agreed{&told{lead}}}
	}
	for _, state := range []byte{fails, stops} {
		r := slices.IndexFunc(notes, func(n note) bool { return n.state == state })
		if r < 0 {
			continue
		}
		err := own
		if r != s.world.Rank() {
			err = &told{notes[r]}
		}
		if state == fails && r > 0 { // else it is that of all, or of who speaks for all
			err = fmt.Errorf("rank %d: %w", r, err)
		}
		return &agreed{err}
	}
	return nil
}

// agree tells all ranks of an error, or that there is none, and gives the one that there is on any. All ranks must call it.
func (s *ranks) agree(ctx context.Context, err error) error {
	if known := (*agreed)(nil); s == nil || errors.As(err, &known) {
		return err
	}
	if err == nil {
		err = ctx.Err()
	}
	err = s.stopped(ctx, err)
	return s.verdict(s.exchange(noteOf(err)), err)
}

// exchange gives every rank the notes of all.
func (s *ranks) exchange(mine note) []note {
	in, out := make([][]byte, s.world.Size()), make([]byte, noteBytes)
	mine.write(out)
	var sent []mpi.Request
	for p := range s.peers {
		in[p] = make([]byte, noteBytes)
		sent = append(sent, s.world.Receive(p, tagNote, in[p]), s.world.Send(p, tagNote, out))
	}
	s.wait(sent...)
	in[s.world.Rank()] = out
	notes := make([]note, len(in))
	for p, b := range in {
		notes[p] = readNote(b)
	}
	return notes
}

// peers are the other ranks.
func (s *ranks) peers(yield func(int) bool) {
	for p := range s.world.Size() {
		if p != s.world.Rank() && !yield(p) {
			return
		}
	}
}

// wait waits for messages. Where one is lost, the run is.
func (s *ranks) wait(list ...mpi.Request) {
	for _, q := range list {
		if err := q.Wait(); err != nil {
			s.abort(err)
		}
	}
}

// abort ends all ranks with the last word of this one.
func (s *ranks) abort(err error) {
	fmt.Fprintf(s.out, "albert: rank %d: %v\n", s.world.Rank(), err)
	s.world.Abort(1)
}

// Agree gives an error that there is on any rank to all of them, which must all call it. Without ranks it is err.
func Agree(w mpi.World, err error) error {
	return newRanks(w, os.Stderr).agree(context.Background(), err)
}

// Leads tells whether this process writes what a run results in: alone, or as rank 0.
func Leads(w mpi.World) bool { return w == nil || w.Rank() == 0 }

// First calls f on rank 0, and after that on the others, which find what it has made. All ranks must call it.
func First(w mpi.World, f func() error) error {
	var err error
	if Leads(w) {
		err = f()
	}
	if err = Agree(w, err); err != nil || Leads(w) {
		return err
	}
	return f()
}

// floats is the memory of values as bytes.
func floats[T float32 | float64](values []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(T(0))))
}

// owner is the rank of so many that owns a part: the r with 64r/ranks <= part < 64(r+1)/ranks.
func owner(part, ranks int) int { return ((part+1)*ranks - 1) >> treeLevels }

// whole tells of a node whose parts are all of one rank.
func (h *halving) whole(n node, ranks int) bool {
	last := n
	for !h.isPart(last) {
		_, last = last.halves()
	}
	return owner(n.first, ranks) == owner(last.first, ranks)
}

// subtrees are the largest nodes under n that are of one rank each, in ascending order.
func (h *halving) subtrees(n node, ranks int) []node {
	if h.whole(n, ranks) {
		return []node{n}
	}
	l, r := n.halves()
	return append(h.subtrees(l, ranks), h.subtrees(r, ranks)...)
}

// slice is the part of n values that a rank of so many adds.
func slice(rank, ranks, n int) (from, to int) { return n * rank / ranks, n * (rank + 1) / ranks }

// sharedStep is a step that several ranks do.
type sharedStep struct {
	*ranks
	a        *accumulator
	b        Batch
	h        *halving
	me, size int

	nodes    []node
	spans    [][2]int    // of each rank: its sequences
	from, to int         // this rank's slice of the gradient
	slices   [][]float32 // that of each node

	asked    context.Context    // done where this rank is to stop
	stop     context.CancelFunc // where another rank does not go on
	notes    []note             // of all ranks
	heard    sync.WaitGroup     // for them
	received []mpi.Request
	sent     []mpi.Request
	sums     []sentSum
}

// sentSum is a buffer on its way to the other ranks.
type sentSum struct {
	g  *ops.Grads
	to []mpi.Request
}

// gradient is accumulator.gradient of several ranks: the same bits on each. Its error is known to all.
func (s *ranks) gradient(ctx context.Context, a *accumulator, b Batch, done func(pieces int)) (*ops.Grads, error) {
	x := a.shared(b, s.world.Size())
	x.ranks, x.me, x.asked = s, s.world.Rank(), ctx
	ctx, x.stop = context.WithCancel(ctx)
	defer x.stop()
	x.begin()
	err := x.work(ctx, done)
	x.heard.Wait()
	s.wait(x.received...)
	s.wait(x.sent...)
	for len(x.sums) > 0 {
		x.putFirst()
	}
	if err := s.verdict(x.notes, err); err != nil {
		return nil, err
	}
	return x.gather(), nil
}

// divide shares out the work.
func (x *sharedStep) divide() {
	x.nodes, x.spans = x.h.subtrees(x.h.root(), x.size), make([][2]int, x.size)
	for _, n := range x.nodes {
		if span := &x.spans[owner(n.first, x.size)]; span[1] == 0 {
			*span = [2]int{n.from, n.to}
		} else {
			span[1] = n.to
		}
	}
}

// begin asks for all messages of the others but the last.
func (x *sharedStep) begin() {
	x.notes, x.slices = make([]note, x.size), make([][]float32, len(x.nodes))
	x.from, x.to = slice(x.me, x.size, x.a.params.Size())
	n := x.to - x.from
	if need := n * len(x.nodes); len(x.ranks.slices) < need {
		x.ranks.slices = make([]float32, need)
	}
	for i, node := range x.nodes {
		x.slices[i] = x.ranks.slices[i*n : (i+1)*n]
		if p := owner(node.first, x.size); p != x.me {
			x.received = append(x.received, x.world.Receive(p, tagPart, floats(x.slices[i])))
		}
	}
	for p := range x.peers {
		found := floats(x.b.Found(x.spans[p][0], x.spans[p][1]))
		word := make([]byte, noteBytes+len(found))
		q := x.world.Receive(p, tagWord, word)
		x.heard.Go(func() {
			x.wait(q)
			if x.notes[p] = readNote(word); x.notes[p].state != goesOn {
				x.stop()
			}
			copy(found, word[noteBytes:])
		})
	}
}

// work runs this rank's leaves and sends their sums. All messages are sent whatever happens, as the others wait for them; what is in them
// counts only where all ranks go on.
func (x *sharedStep) work(ctx context.Context, done func(pieces int)) (err error) {
	said := false
	try := func(f func() error) {
		if err != nil {
			return
		}
		if err = f(); err != nil {
			said = true
			err = x.say(err)
		}
	}
	from, to := x.spans[x.me][0], x.spans[x.me][1]
	if j, ok := x.b.(Joined); ok {
		if from < to {
			try(func() error { return x.a.forward(ctx, j, x.h, from, to) })
		}
		x.forwarded(j)
		try(j.Join)
	}
	var parts []Leaf
	for i := range x.own {
		n := x.nodes[i]
		parts = append(parts, x.h.parts(n.from, n.to, bits.Len(uint(n.parts))-1)...)
	}
	next := x.a.sums(ctx, x.b, x.h, parts, func(n int) { done(n * x.h.pieces(0, x.b.Len()) / x.h.pieces(from, to)) })
	for i := range x.own {
		var g *ops.Grads
		try(func() (err error) { g, err = x.a.add(x.h, x.nodes[i], next); return err })
		if g == nil {
			g = x.a.get()
		}
		x.send(i, g)
	}
	if !said {
		_ = x.say(nil)
	}
	return err
}

// own are the numbers of this rank's nodes.
func (x *sharedStep) own(yield func(int) bool) {
	for i, n := range x.nodes {
		if owner(n.first, x.size) == x.me && !yield(i) {
			return
		}
	}
}

// say tells the others that this rank has done its work, or why not, and what its leaves found. It gives the error as they see it.
func (x *sharedStep) say(err error) error {
	if err != nil && (x.asked.Err() != nil || !errors.Is(err, context.Canceled)) { // else another rank has said why
		err = x.stopped(x.asked, err)
		x.notes[x.me] = noteOf(err)
	}
	span := x.spans[x.me]
	word := append(make([]byte, noteBytes), floats(x.b.Found(span[0], span[1]))...)
	x.notes[x.me].write(word)
	for p := range x.peers {
		x.sent = append(x.sent, x.world.Send(p, tagWord, word))
	}
	return err
}

// forwarded gives every rank what the leaves of all have kept.
func (x *sharedStep) forwarded(j Joined) {
	var list []mpi.Request
	of := func(p int) []byte { return floats(j.Forwarded(x.spans[p][0], x.spans[p][1])) }
	for p := range x.peers {
		list = append(list, x.world.Receive(p, tagForwarded, of(p)), x.world.Send(p, tagForwarded, of(x.me)))
	}
	x.wait(list...)
}

// send sends the sum of a node, and hands back the buffers of those that have been sent.
func (x *sharedStep) send(i int, g *ops.Grads) {
	sum := sentSum{g: g}
	copy(x.slices[i], g.Flat()[x.from:x.to])
	for p := range x.peers {
		from, to := slice(p, x.size, len(g.Flat()))
		sum.to = append(sum.to, x.world.Send(p, tagPart, floats(g.Flat()[from:to])))
	}
	x.sums = append(x.sums, sum)
	for len(x.sums) > 0 && !slices.ContainsFunc(x.sums[0].to, func(q mpi.Request) bool { return !q.Done() }) {
		x.putFirst()
	}
}

func (x *sharedStep) putFirst() {
	x.wait(x.sums[0].to...)
	x.a.put(x.sums[0].g)
	x.sums = x.sums[1:]
}

// gather adds this rank's slice of all nodes and makes the gradient of the slices of all ranks.
func (x *sharedStep) gather() *ops.Grads {
	i := -1
	sum, _ := addTree(x.h.root(), func(n node) bool { return x.h.whole(n, x.size) }, func() ([]float32, error) { i++; return x.slices[i], nil }, x.a.addTo)
	g := x.a.get()
	own := g.Flat()[x.from:x.to]
	copy(own, sum)
	var list []mpi.Request
	for p := range x.peers {
		from, to := slice(p, x.size, len(g.Flat()))
		list = append(list, x.world.Receive(p, tagSum, floats(g.Flat()[from:to])), x.world.Send(p, tagSum, floats(own)))
	}
	x.wait(list...)
	return g
}

// together is a run that several ranks share.
func (r *trainer) together(ctx context.Context) error {
	s := r.ranks
	defer func() {
		if p := recover(); p != nil {
			if task, ok := p.(*cpu.TaskPanic); ok {
				p = task.Value
			}
			s.abort(fmt.Errorf("panic: %v", p))
		}
	}()
	if err := s.same(r.c); err != nil {
		return err
	}
	if s.world.Rank() > 0 {
		return r.follow(ctx)
	}
	err := r.lead(ctx)
	last := noteOf(err)
	last.state |= ended
	s.exchange(last)
	if err != nil {
		err = &agreed{err}
	}
	return err
}

// follow does the steps of a run that rank 0 leads, until that says that it has ended.
func (r *trainer) follow(ctx context.Context) error {
	r.c.Messages, r.c.After, r.progress = nil, nil, newProgress(&Config{})
	r.manifest = &run.Manifest{}
	err := r.start(ctx)
	for err == nil && r.state.Step < r.c.Steps {
		err = r.step(ctx)
	}
	var end *errEnded
	for !errors.As(err, &end) {
		err = r.ranks.agree(context.Background(), nil)
	}
	return end.err
}

// start gives all ranks the state that rank 0 has read.
func (r *trainer) start(ctx context.Context) error {
	s := r.ranks
	if err := s.agree(ctx, nil); s == nil || err != nil {
		return err
	}
	m, v := r.optimizer.Moments()
	tensors := [][]float32{m, v}
	for _, p := range r.params.List {
		tensors = append(tensors, p.Data)
	}
	if s.world.Rank() > 0 {
		if err := json.Unmarshal(s.receive(0), &r.state); err != nil {
			s.abort(err)
		}
		if r.state.Step > 0 {
			for _, t := range tensors {
				s.wait(s.world.Receive(0, tagBytes, floats(t)))
			}
			r.params.Touch()
		}
		return nil
	}
	text, err := json.Marshal(r.state)
	if err != nil {
		s.abort(err)
	}
	for p := range s.peers {
		s.send(p, text)
	}
	if r.state.Step > 0 {
		for _, t := range tensors {
			var list []mpi.Request
			for p := range s.peers {
				list = append(list, s.world.Send(p, tagBytes, floats(t)))
			}
			s.wait(list...)
		}
	}
	return nil
}

// send and receive are for bytes whose number only the sender knows.
func (s *ranks) send(p int, data []byte) {
	s.wait(s.world.Send(p, tagBytes, binary.LittleEndian.AppendUint64(nil, uint64(len(data)))), s.world.Send(p, tagBytes, data))
}

func (s *ranks) receive(p int) []byte {
	n := make([]byte, 8)
	s.wait(s.world.Receive(p, tagBytes, n))
	data := make([]byte, binary.LittleEndian.Uint64(n))
	s.wait(s.world.Receive(p, tagBytes, data))
	return data
}

// program is the hash of the running program.
var program = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err == nil {
		var f stream.File
		if f, err = stream.HashFile(path); err == nil {
			return f.SHA256
		}
	}
	return err.Error()
})

// same finds a rank that was not asked the same as rank 0, or is another program. All ranks get that error.
func (s *ranks) same(c *Config) error {
	mine := Fields{{Name: "program", Value: program()}, {Name: "numerics", Value: numeric.Version}, {Name: "output", Value: string(c.Dir)},
		{Name: "dry-run", Value: c.DryRun}}
	for _, f := range c.Data {
		mine = append(mine, Field{Name: f.Name + " data", Value: f.Value})
	}
	if c.Sources != nil {
		mine = append(mine, Field{Name: "weights", Value: c.Sources.Model})
	}
	mine = append(mine, c.Settings...)
	text, err := json.Marshal(mine)
	if err != nil {
		return s.agree(context.Background(), err)
	}
	if s.world.Rank() > 0 {
		s.send(0, text)
		return s.agree(context.Background(), nil)
	}
	for p := range s.peers {
		var theirs Fields
		e := json.Unmarshal(s.receive(p), &theirs)
		if err != nil {
			continue
		}
		if list := run.Changes(mine, theirs, []string{"threads"}); e == nil && len(list) > 0 {
			x := list[0]
			e = fmt.Errorf("ranks 0 and %d were not started alike: %s is %s on rank 0, %s on rank %d", p, x.Name, shortened(x.Was), shortened(x.Is), p)
		}
		err = e
	}
	return s.agree(context.Background(), err)
}

// shortened is a value that fits into a line.
func shortened(text string) string {
	if len(text) > 70 {
		return text[:67] + "..."
	}
	return text
}
