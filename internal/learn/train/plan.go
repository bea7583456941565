package train

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/files/disk"
	"albert/internal/model"
	"albert/internal/run"
)

// assumedFraction is the share of the peak that a plan assumes until steps were measured: less for small models, whose leaves run side by side.
func (c *Config) assumedFraction() float64 {
	if c.Together > 1 {
		return 0.5
	}
	return 0.7
}

// GCPercent is how much garbage may grow on top of what a run holds, for debug.SetGCPercent: its large buffers are kept and used again,
// so that collecting often costs little, and memory stays close to the plan.
const GCPercent = 4

// ProgramBytes is about what code, runtime and tokenizer take.
const ProgramBytes = 64 << 20

// readable is a meter with tensors that a loss may read and write: all have the same memory, whose values mean nothing.
type readable struct {
	*cpu.Meter
	shared []float32
}

func (m *readable) New(rows, cols int) *ops.Tensor {
	t := m.Meter.New(rows, cols)
	if n := rows * t.Stride; n > len(m.shared) {
		m.shared = make([]float32, n)
	}
	t.Data = m.shared[:rows*t.Stride]
	return t
}

// LeafMemory says what the weights take, and the passes over as many leaves as run at once: measured on the largest leaf of each batch. runOn
// runs sequences [from,to) of a batch forward and back on a device that computes nothing.
func LeafMemory(dev *cpu.Device, m *model.Model, batches []Batch, micro int, runOn func(device ops.Device, b Batch, from, to int)) []Memory {
	packed, most, pieces, leaves := 0, 0, 0, 1
	for _, b := range batches {
		largest := Leaf{}
		for _, l := range Leaves(b) {
			if l.Pieces > largest.Pieces {
				largest = l
			}
		}
		meter := &readable{Meter: dev.Meter()}
		runOn(meter, b, largest.From, largest.To)
		packed = max(packed, meter.PackedBytes())
		leaves = max(leaves, LeavesTogether(b, Together(m.Config.ActivationBytes(), dev.Threads()), micro))
		if meter.Peak > most {
			most, pieces = meter.Peak, largest.Pieces
		}
	}
	activations := int64(leaves) * int64(most)
	return []Memory{{Name: "parameters", Bytes: 4 * int64(m.Params.Size())}, {Name: "packed weights", Bytes: int64(packed)},
		{Name: fmt.Sprintf("activations (%d times %d pieces)", leaves, pieces), Bytes: activations},
		{Name: "buffers kept for other lengths", Bytes: activations / 6}} // as many as the device keeps
}

// plan is what a run will take, known before its first step.
type plan struct {
	Precision      any      `json:"precision,omitempty"` // of matrix products, as in the settings
	Parameters     int      `json:"parameters"`
	Steps          int      `json:"steps"`
	FirstStep      int      `json:"first_step"`
	Sequences      int      `json:"sequences"` // of the first batch, as are the next four
	Pieces         int      `json:"pieces"`
	Leaves         int      `json:"leaves"`
	LargestLeaf    int      `json:"largest_leaf"` // in pieces
	Flops          float64  `json:"flops_per_step"`
	Peak           float64  `json:"peak_flops"`
	Fraction       float64  `json:"peak_fraction"` // of it that Seconds takes for reached; 0: it does not come from the peak
	Memory         []Memory `json:"memory"`
	MemoryNeeded   int64    `json:"memory_needed"`
	MemoryThere    int64    `json:"memory_available"` // 0: not known
	CheckpointSize int64    `json:"checkpoint_bytes"`
	DiskFree       int64    `json:"disk_free"` // -1: not known
	Seconds        float64  `json:"seconds"`   // to the end; 0: not known
	Rate           string   `json:"rate"`      // where the time comes from

	Forecast  *forecast `json:"ranks,omitempty"`
	gradients string    // their name in Memory
}

// newPlan is the plan of a run whose first batch is b. A forecast is measured, which may fail.
func (r *trainer) newPlan(ctx context.Context, b Batch) (*plan, error) {
	p := &plan{Precision: r.c.Settings.Get("precision"), Parameters: r.params.Size(), Steps: r.c.Steps, FirstStep: r.state.Step + 1,
		Sequences: b.Len(), Peak: r.c.Peak, MemoryThere: availableMemory(), CheckpointSize: r.checkpoints.size(), DiskFree: disk.Free(string(r.c.Dir))}
	for _, l := range Leaves(b) {
		p.Leaves++
		p.Pieces += l.Pieces
		p.LargestLeaf = max(p.LargestLeaf, l.Pieces)
	}
	p.Flops = r.flops(b)
	if r.c.Memory != nil {
		p.Memory = append(p.Memory, r.c.Memory(b)...)
	}
	size := 4 * int64(r.params.Size())
	width := LeavesTogether(b, r.c.Together, r.c.MicroBatch)
	buffers := GradientBuffers(b) + width - 1
	gradients := Memory{fmt.Sprintf("gradients (%d)", buffers), int64(buffers) * size}
	if r.ranks != nil {
		gradients = r.gradients.shared(b, r.ranks.world.Size()).gradientMemory(width)
	}
	p.gradients = gradients.Name
	p.Memory = append(p.Memory, gradients, Memory{"moments (2)", 2 * size})
	for _, m := range p.Memory {
		p.MemoryNeeded += m.Bytes
	}
	garbage := p.MemoryNeeded * GCPercent / 100
	p.Memory = append(p.Memory, Memory{fmt.Sprintf("garbage (%d %%)", GCPercent), garbage})
	p.MemoryNeeded += garbage
	left := float64(r.c.Steps - r.state.Step)
	if s, ok := r.manifest.SecondsPerStep(); ok {
		p.Seconds, p.Rate = left*s, "as measured when it last ran"
	} else if p.Flops > 0 && p.Peak > 0 {
		p.Fraction = r.c.assumedFraction()
		p.Rate = fmt.Sprintf("assuming %.0f %% of the peak", 100*p.Fraction)
		if r.c.Forecast.Ranks > 0 && r.ranks == nil && (p.MemoryThere == 0 || p.MemoryNeeded <= p.MemoryThere) {
			sequences, measured, err := r.speed(ctx, b)
			if err != nil {
				return nil, err
			}
			if sequences > 0 {
				p.Fraction = measured
				p.Rate = fmt.Sprintf("measured on %s sequences: %.0f %% of the peak", grouped(sequences), 100*measured)
			}
		}
		p.Seconds = left * p.Flops / (p.Fraction * p.Peak) / float64(r.c.ranks())
	}
	if f := r.c.Forecast; f.Ranks > 0 {
		p.Forecast = r.newForecast(b, p, f)
	}
	return p, nil
}

// A forecast is measured on as many sequences as take about measuredSeconds; not if one of them takes longestSeconds.
const measuredSeconds, longestSeconds = 2, 10

// head is a batch's first sequences.
type head struct {
	Batch
	n int
}

func (h head) Len() int { return h.n }

// speed runs the first sequences of a batch forward and back, and gives how many and the share of the peak that they reached, the median of three
// passes; none if that would take too long. The first pass, of one sequence, packs the weights and does not count.
func (r *trainer) speed(ctx context.Context, b Batch) (sequences int, fraction float64, err error) {
	seconds := func(n int) float64 { return r.flops(head{b, n}) / (r.c.assumedFraction() * r.c.Peak) }
	if seconds(1) > longestSeconds {
		return 0, 0, nil
	}
	n, pieces, most := 1, b.Pieces(0), max(1, r.c.Together)*LeafPieces
	for n < b.Len() && pieces+b.Pieces(n) <= most && seconds(n+1) < measuredSeconds {
		pieces += b.Pieces(n)
		n++
	}
	var took []time.Duration
	for pass, n := range []int{1, n, n, n} {
		b, err := r.learner.Batch(r.state.Step + 1)
		if err != nil {
			return 0, 0, err
		}
		began := time.Now()
		g, err := r.gradients.gradient(ctx, head{b, n}, func(int) {})
		if err != nil {
			return 0, 0, err
		}
		if pass > 0 {
			took = append(took, time.Since(began))
		}
		r.gradients.put(g)
	}
	slices.Sort(took)
	return n, r.flops(head{b, n}) / took[len(took)/2].Seconds() / r.c.Peak, nil
}

// String is the plan for people, a line for each point.
func (p *plan) String() string {
	var s strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&s, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("parameters", "%s", grouped(p.Parameters))
	if text := fmt.Sprint(p.Precision); strings.HasPrefix(text, "bf16") {
		line("precision", "%s", text)
	}
	steps := fmt.Sprintf("%s of %s sequences, %s pieces a step", grouped(p.Steps), grouped(p.Sequences), grouped(p.Pieces))
	if p.Leaves > 1 {
		steps += fmt.Sprintf(", computed in %s parts", grouped(p.Leaves))
	}
	if p.FirstStep > 1 {
		steps += fmt.Sprintf("; from step %s on", grouped(p.FirstStep))
	}
	line("steps", "%s", steps)
	if p.Flops > 0 {
		line("arithmetic", "%s a step", flopsText(p.Flops, "FLOP"))
	}
	var parts []string
	for _, m := range p.Memory {
		parts = append(parts, m.Name+" "+run.SizeText(m.Bytes))
	}
	there := ""
	if p.MemoryThere > 0 {
		there = fmt.Sprintf(" of %s available", run.SizeText(p.MemoryThere))
	}
	line("memory", "%s%s: %s", run.SizeText(p.MemoryNeeded), there, strings.Join(parts, ", "))
	space := run.SizeText(p.CheckpointSize) + " a checkpoint"
	if p.DiskFree >= 0 {
		space += fmt.Sprintf(", %s free", run.SizeText(p.DiskFree))
	}
	line("disk", "%s", space)
	if p.Seconds > 0 {
		rate := p.Rate
		if p.Peak > 0 {
			rate += fmt.Sprintf(" (peak %s)", flopsText(p.Peak, "FLOP/s"))
		}
		line("time", "about %s, %s", durationText(p.Seconds), rate)
	}
	if p.Forecast != nil {
		line("ranks", "%s", p.Forecast)
	}
	return s.String()
}

// flops is what training on a batch takes; 0 if it is not known.
func (r *trainer) flops(b Batch) float64 {
	if r.c.Flops == nil {
		return 0
	}
	n := 0.0
	for i := range b.Len() {
		n += r.c.Flops(b.Pieces(i))
	}
	return n
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func flopsText(n float64, unit string) string {
	for _, p := range []struct {
		size   float64
		prefix string
	}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}} {
		if n >= p.size {
			return fmt.Sprintf("%.3g %s%s", n/p.size, p.prefix, unit)
		}
	}
	return fmt.Sprintf("%.3g M%s", n/1e6, unit)
}

// durationText is a time for people: two units at most.
func durationText(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
