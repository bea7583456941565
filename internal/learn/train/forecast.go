package train

import (
	"fmt"
	"math/bits"

	"albert/internal/run"
)

// Forecast asks a dry run what a run shared by ranks would take.
type Forecast struct {
	Ranks     int     // 1 to 64
	Bandwidth float64 // between ranks, bytes a second, in each direction at once
	Latency   float64 // seconds a message
}

// forecast is what a run shared by ranks takes. Of its times only what no rank can hide behind its leaves counts as communication: the messages of
// its last subtree, and those of the sums.
type forecast struct {
	Ranks         int     `json:"ranks"`
	Idle          int     `json:"idle_ranks"`      // that have no part of the batch
	Compute       float64 `json:"compute_seconds"` // of a step, on the rank with the most work; 0: not known
	Communication float64 `json:"communication_seconds"`
	Step          float64 `json:"seconds_per_step"`
	BytesSent     int64   `json:"bytes_sent"`     // in a step by the rank that sends most
	BytesReceived int64   `json:"bytes_received"` // in a step by the rank that receives most
	Memory        int64   `json:"memory_needed"`  // a rank
	Seconds       float64 `json:"seconds"`        // to the end; 0: not known
}

// traffic is what a rank sends and receives in a step.
type traffic struct {
	sent, received int64 // bytes
	last           int64 // bytes that are sent after the last leaf, or received, whichever are more
	messages       int   // sent after the last leaf
}

// traffic counts the messages of gradient and of the agreement before it.
func (x *sharedStep) traffic(rank int) (t traffic) {
	n := x.a.params.Size()
	size := func(rank int) int64 {
		from, to := slice(rank, x.size, n)
		return 4 * int64(to-from)
	}
	small := func(rank int) int64 { // the notes, what was found and what is kept for Join
		span := x.spans[rank]
		bytes := 2*noteBytes + 8*int64(len(x.b.Found(span[0], span[1])))
		if j, ok := x.b.(Joined); ok {
			bytes += 4 * int64(len(j.Forwarded(span[0], span[1])))
		}
		return bytes
	}
	own, others := 0, map[int]bool{}
	for _, node := range x.nodes {
		if p := owner(node.first, x.size); p == rank {
			own++
		} else {
			others[p] = true
		}
	}
	rest := 4*int64(n) - size(rank)
	for p := range x.size {
		if p != rank {
			t.sent += small(rank) + size(rank)
			t.received += small(p)
		}
	}
	t.sent += int64(own) * rest
	t.received += int64(len(x.nodes)-own)*size(rank) + rest
	out, in := int64(min(own, 1))*rest, int64(len(others))*size(rank)
	t.last = max(out, in) + max(int64(x.size-1)*size(rank), rest)
	t.messages = (3 + min(own, 1)) * (x.size - 1)
	return t
}

// buffers is how many whole gradients a rank holds at most while its parts are computed, where none has been sent before the last is there.
func (x *sharedStep) buffers(rank int) (most int) {
	kept := 0
	for _, n := range x.nodes {
		if owner(n.first, x.size) == rank {
			most = max(most, kept+x.h.buffers(n.from, n.to, bits.Len(uint(n.parts))-1))
			kept++
		}
	}
	return max(1, most)
}

// shared is a step on b as so many ranks would do it.
func (a *accumulator) shared(b Batch, ranks int) *sharedStep {
	x := &sharedStep{a: a, b: b, h: newHalving(b), size: ranks}
	x.divide()
	return x
}

// gradientMemory is what the gradients of a rank take.
func (x *sharedStep) gradientMemory(width int) Memory {
	n, most := x.a.params.Size(), 0
	for r := range x.size {
		most = max(most, x.buffers(r))
	}
	_, first := slice(0, x.size, n)
	most += width - 1
	return Memory{fmt.Sprintf("gradients (%d, and %d slices)", most, len(x.nodes)), 4 * (int64(most)*int64(n) + int64(len(x.nodes))*int64(first))}
}

// newForecast is the forecast for ranks like this machine, given the plan of one.
func (r *trainer) newForecast(b Batch, p *plan, f Forecast) *forecast {
	x := r.gradients.shared(b, f.Ranks)
	out := &forecast{Ranks: f.Ranks, Memory: p.MemoryNeeded}
	left := float64(r.c.Steps - r.state.Step)
	for rank := range f.Ranks {
		span := x.spans[rank]
		if span[0] == span[1] {
			out.Idle++
		}
		if p.Seconds > 0 && p.Flops > 0 {
			flops := 0.0
			for i := span[0]; i < span[1]; i++ {
				flops += r.c.Flops(b.Pieces(i))
			}
			out.Compute = max(out.Compute, p.Seconds/left*flops/p.Flops)
		}
	}
	if f.Ranks > 1 {
		for rank := range f.Ranks {
			t := x.traffic(rank)
			out.BytesSent, out.BytesReceived = max(out.BytesSent, t.sent), max(out.BytesReceived, t.received)
			out.Communication = max(out.Communication, float64(t.last)/f.Bandwidth+float64(t.messages)*f.Latency)
		}
		g := x.gradientMemory(LeavesTogether(b, r.c.Together, r.c.MicroBatch))
		for _, m := range p.Memory {
			if m.Name == p.gradients {
				out.Memory += (g.Bytes - m.Bytes) * (100 + GCPercent) / 100
			}
		}
	}
	out.Step = max(out.Compute+out.Communication, float64(max(out.BytesSent, out.BytesReceived))/f.Bandwidth)
	if out.Compute > 0 {
		out.Seconds = left * out.Step
	}
	return out
}

// String is the forecast in a line.
func (f *forecast) String() string {
	s := fmt.Sprintf("%d: ", f.Ranks)
	if f.Compute > 0 {
		s += fmt.Sprintf("a step %s, ", secondsText(f.Step))
	}
	s += fmt.Sprintf("communication %s (%s sent by a rank), memory %s a rank", secondsText(f.Communication), run.SizeText(f.BytesSent),
		run.SizeText(f.Memory))
	if f.Seconds > 0 {
		s += ", to the end about " + durationText(f.Seconds)
	}
	return s
}

// secondsText is the time of a step for people.
func secondsText(seconds float64) string {
	if seconds < 120 {
		return fmt.Sprintf("%.3g s", seconds)
	}
	return durationText(seconds)
}

// idleText warns of ranks without work; "" if there are none.
func (x *sharedStep) idleText() string {
	idle, parts := 0, len(x.h.parts(0, x.b.Len(), treeLevels))
	for _, span := range x.spans {
		if span[0] == span[1] {
			idle++
		}
	}
	if idle == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d ranks have nothing to do: a step of %s sequences has %d parts to share out", idle, x.size, grouped(x.b.Len()), parts)
}
