package train

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"albert/internal/engine/cpu"
	"albert/internal/engine/mpi"
	"albert/internal/engine/numeric"
	"albert/internal/files/stream"
	"albert/internal/run"
)

// How several ranks do the steps of one run. Of the 64 parts of a step's gradient rank r of K owns those from 64r/K to 64(r+1)/K, computes the
// sums of its largest whole subtrees, and sends each as soon as it is there: to every rank one slice of K. A rank adds its slice of all subtrees
// as the tree has it and sends the sum to all. So all have the gradient, with the bits of one process, and make the same update.
// That is sharedstep.go; who leads and what ranks tell each other stands here.
//
// Rank 0 leads: it alone reads and writes the run directory, and says when the run ends; the others follow, that is, do their part of its steps
// and evaluations (sharedeval.go) until then. A rank that is told to stop, or fails, says so to all in the middle of a step, which all then drop.

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
	tagWord             // a note in the middle of a step, and what the leaves found; of an evaluation whether rank 0 has all of it
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
	var known *agreed
	var end *errEnded
	if s == nil || errors.As(err, &known) || errors.As(err, &end) {
		return err
	}
	if err == nil {
		err = ctx.Err()
	}
	err = s.stopped(ctx, err)
	return s.verdict(s.exchange(noteOf(err)), err)
}

// agreeElsewhere is agree for the error of what may have been [Shared].
func (s *ranks) agreeElsewhere(ctx context.Context, err error) error {
	if errors.Is(err, ErrElsewhere) {
		err = nil
	}
	return s.agree(ctx, err)
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
	for err == nil {
		if r.evaluationDue() {
			_, err = r.evaluate(ctx)
		}
		if err != nil || r.ended() {
			break
		}
		err = r.step(ctx)
	}
	if err == nil {
		err = r.measure(ctx)
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
	if s.world.Rank() > 0 {
		if err := json.Unmarshal(s.receive(0), &r.state); err != nil {
			s.abort(err)
		}
	} else {
		text, err := json.Marshal(r.state)
		if err != nil {
			s.abort(err)
		}
		for p := range s.peers {
			s.send(p, text)
		}
	}
	if r.state.Step > 0 {
		s.spread(m, v)
		r.spreadWeights()
	}
	return nil
}

// spread gives all ranks the values that rank 0 has.
func (s *ranks) spread(tensors ...[]float32) {
	for _, t := range tensors {
		var list []mpi.Request
		if s.world.Rank() > 0 {
			list = append(list, s.world.Receive(0, tagBytes, floats(t)))
		} else {
			for p := range s.peers {
				list = append(list, s.world.Send(p, tagBytes, floats(t)))
			}
		}
		s.wait(list...)
	}
}

// spreadWeights gives all ranks the weights that rank 0 has.
func (r *trainer) spreadWeights() {
	for _, p := range r.params.List {
		r.ranks.spread(p.Data)
	}
	if r.ranks.world.Rank() > 0 {
		r.params.Touch()
	}
}

// spreadCount gives all ranks the number that rank 0 has.
func (s *ranks) spreadCount(n int) int {
	if s == nil {
		return n
	}
	if s.world.Rank() > 0 {
		return int(binary.LittleEndian.Uint64(s.receive(0)))
	}
	for p := range s.peers {
		s.send(p, binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	return n
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
	return s.alike(append(mine, c.Settings...))
}

// Alike finds a rank that has other values than rank 0. All ranks must call it, and get that error.
func Alike(w mpi.World, mine Fields) error {
	if s := newRanks(w, os.Stderr); s != nil {
		return s.alike(mine)
	}
	return nil
}

func (s *ranks) alike(mine Fields) error {
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
