// Package bench measures what this machine does against its own peak: matrix products, forward passes, training steps and
// tokenisation, in rounds interleaved with a loop of FMAs that touches no memory.
//
// The scripts beside it stand alone: one checks the bits of runs, the others make data and compare runs. Each says how to run it.
package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/infer"
	"albert/internal/model"

	"github.com/klauspost/cpuid/v2"
)

// Report is the outcome, in the shape of `albert bench --json`.
type Report struct {
	CPU            string             `json:"cpu"`
	InstructionSet string             `json:"instruction_set"`
	PeakGflops     map[string]float64 `json:"peak_gflops"` // of fp32, by number of threads
	// Peaks are those of the precisions that were measured, and fp32's.
	Peaks map[infer.Precision]map[string]float64 `json:"peaks"`
	Work  []Result                               `json:"work"`
}

// Result is one piece of work on a number of threads. Gflops and FractionOfPeak, of its precision, are 0 where operations are not counted.
type Result struct {
	Name           string  `json:"name"`
	Precision      string  `json:"precision"`
	Threads        int     `json:"threads"`
	Ms             float64 `json:"ms"` // median
	Gflops         float64 `json:"gflops,omitempty"`
	FractionOfPeak float64 `json:"fraction_of_peak,omitempty"`
	BytesPerSecond float64 `json:"bytes_per_second,omitempty"` // tokenize, search
	// FractionOfBandwidth is, of search, how fast vectors are read, by how fast the same threads read the same memory and do nothing else.
	FractionOfBandwidth float64 `json:"fraction_of_bandwidth,omitempty"`
}

// Default is what is measured when nothing is named.
var Default = []string{"gemm-128x768x3072", "forward-base-1x128", "train-base-8x128", "tokenize"}

// defaultInt8 is what can be measured of it in int8.
var defaultInt8 = Default[:2]

// Options of [Run].
type Options struct {
	Work    []string
	Threads []int // nil: 1 and all
	// Precisions are fp32, the default, bf16 by either rule, and int8, for products and forward passes.
	Precisions []infer.Precision
	Rounds     int // at least 5
	Log        func(format string, args ...any)
}

// work is something to time: run does it once.
type work struct {
	name  string
	flops float64
	bytes float64
	run   func() error
	read  func() // reads the memory that run reads; nil where that does not count
	close func() error
}

// done gives back what the work took.
func (w *work) done() error {
	if w.close == nil {
		return nil
	}
	return w.close()
}

// burst is the least time that a piece of work runs in a round.
const burst = 60 * time.Millisecond

// In each round, peakBursts of the peak loop, half a millisecond together, follow 10 ms of a matrix product: under such load many
// processors lower their clock for about a millisecond, and the peak is wanted at that clock. (A Xeon that does 217 GFLOP/s of AVX-512 in the
// loop alone does 184 in it right after a product.)
const (
	peakBursts = 10
	peakLoad   = 10 * time.Millisecond
	peakAfter  = "gemm-128x768x3072"
)

// Run measures. Each piece of work has its rounds, each a burst of the work and then bursts of the peak loop. A time is the median over
// the rounds; the peak is the median, over all rounds, of the highest burst in each.
func Run(ctx context.Context, o Options) (*Report, error) {
	if len(o.Threads) == 0 {
		o.Threads = []int{1}
		if n := runtime.GOMAXPROCS(0); n > 1 {
			o.Threads = append(o.Threads, n)
		}
	}
	if len(o.Precisions) == 0 {
		o.Precisions = []infer.Precision{infer.FP32}
	}
	o.Rounds = max(o.Rounds, 5)
	r := &Report{CPU: cpuid.CPU.BrandName, Peaks: map[infer.Precision]map[string]float64{}}
	for _, threads := range o.Threads {
		dev, err := cpu.New("", threads)
		if err != nil {
			return nil, err
		}
		r.InstructionSet = dev.InstructionSet()
		for _, p := range o.Precisions {
			if err = r.measure(ctx, dev, p, o); err != nil {
				break
			}
		}
		dev.Close()
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// repeat runs a piece of work for some time, and counts how often.
func repeat(w *work, long time.Duration) (n int, err error) {
	for start := time.Now(); n == 0 || time.Since(start) < long; n++ {
		if err := w.run(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// peak is measured after a product in its precision.
type peak struct {
	precision infer.Precision
	load      *work
	dev       *cpu.Device
	bursts    []float64
}

func (p *peak) on(dev *cpu.Device) (err error) {
	if p.load, err = newWork(peakAfter, dev, p.precision); err == nil {
		p.dev, err = in(dev, p.precision, &ops.Params{}, nil)
	}
	return err
}

func (r *Report) measure(ctx context.Context, dev *cpu.Device, precision infer.Precision, o Options) error {
	threads := strconv.Itoa(dev.Threads())
	measured := []*peak{{precision: precision}}
	if precision != infer.FP32 && r.Peaks[infer.FP32][threads] == 0 {
		measured = append(measured, &peak{precision: infer.FP32})
	}
	for _, p := range measured {
		if err := p.on(dev); err != nil {
			return err
		}
	}
	var results []Result
	list := o.Work
	if len(list) == 0 {
		list = Default
		if precision == infer.Int8 {
			list = defaultInt8
		}
	}
	for _, name := range list {
		w, err := newWork(name, dev, precision)
		if err != nil {
			return err
		}
		res := Result{Name: name, Precision: string(precision), Threads: dev.Threads()}
		err = res.rounds(ctx, w, measured, o.Rounds)
		if err := errors.Join(err, w.done()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		results = append(results, res)
		if o.Log != nil {
			o.Log("%s on %s thread(s): %.3f ms", name, threads, res.Ms)
		}
	}
	for _, p := range measured {
		slices.Sort(p.bursts)
		if r.Peaks[p.precision] == nil {
			r.Peaks[p.precision] = map[string]float64{}
		}
		r.Peaks[p.precision][threads] = p.bursts[len(p.bursts)/2]
	}
	for i := range results {
		results[i].FractionOfPeak = results[i].Gflops / r.Peaks[precision][threads]
	}
	r.PeakGflops = r.Peaks[infer.FP32]
	r.Work = append(r.Work, results...)
	return nil
}

// rounds measures a piece of work, and the peaks after each of its rounds.
func (r *Result) rounds(ctx context.Context, w *work, peaks []*peak, rounds int) error {
	if err := w.run(); err != nil { // buffers, packed weights
		return err
	}
	var times, reads []float64
	for range rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		n, err := repeat(w, burst)
		if err != nil {
			return err
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/1e6/float64(n))
		if w.read != nil {
			start := time.Now()
			w.read()
			reads = append(reads, float64(time.Since(start).Nanoseconds())/1e6)
		}
		for _, p := range peaks {
			if _, err := repeat(p.load, peakLoad); err != nil {
				return err
			}
			p.bursts = append(p.bursts, p.dev.Peak(peakBursts)/1e9)
		}
	}
	slices.Sort(times)
	slices.Sort(reads)
	r.Ms = times[len(times)/2]
	r.Gflops = w.flops / r.Ms / 1e6
	if w.bytes > 0 {
		r.BytesPerSecond = w.bytes / r.Ms * 1e3
	}
	if reads != nil {
		r.FractionOfBandwidth = reads[0] / r.Ms // of the fastest
	}
	return nil
}

func newWork(name string, dev *cpu.Device, precision infer.Precision) (*work, error) {
	bad := func() (*work, error) {
		return nil, fmt.Errorf("work %q: want gemm-MxKxN, forward-CONFIG-BxS, train-CONFIG-BxS, search-NxD-qQ or tokenize", name)
	}
	kind, rest, _ := strings.Cut(name, "-")
	if precision == infer.Int8 && kind != "gemm" && kind != "forward" {
		return nil, fmt.Errorf("work %q: in int8 there are gemm and forward", name)
	}
	if kind == "search" && precision != infer.FP32 {
		return nil, fmt.Errorf("work %q: search is in fp32", name)
	}
	switch kind {
	case "tokenize":
		return tokenizeWork()
	case "search":
		size, q, _ := strings.Cut(rest, "-q")
		d, ok := sizes(size, 2)
		n, some := sizes(q, 1)
		if !ok || !some {
			return bad()
		}
		return searchWork(dev, d[0], d[1], n[0])
	case "gemm":
		d, ok := sizes(rest, 3)
		if !ok {
			return bad()
		}
		return gemmWork(dev, precision, d[0], d[1], d[2])
	case "forward", "train":
		i := strings.LastIndexByte(rest, '-')
		if i < 0 {
			return bad()
		}
		d, ok := sizes(rest[i+1:], 2)
		c, known := model.NamedConfig(rest[:i])
		if !ok {
			return bad()
		}
		if !known {
			return nil, fmt.Errorf("work %q: no configuration %q (%s)", name, rest[:i], strings.Join(model.ConfigNames(), ", "))
		}
		if d[1] > c.MaxPositionEmbeddings {
			return nil, fmt.Errorf("work %q: %d pieces, but the model has %d positions", name, d[1], c.MaxPositionEmbeddings)
		}
		c.HiddenDropoutProb, c.AttentionProbsDropoutProb = 0, 0
		if kind == "forward" {
			return forwardWork(dev, precision, c, d[0], d[1])
		}
		dev, err := dev.In(precision)
		if err != nil {
			return nil, fmt.Errorf("work %q: %w", name, err)
		}
		return trainWork(dev, c, d[0], d[1]), nil
	}
	return bad()
}

// sizes reads n numbers joined by "x", each from 1 to a million, their product at most 2^36.
func sizes(s string, n int) ([]int, bool) {
	parts := strings.Split(s, "x")
	if len(parts) != n {
		return nil, false
	}
	var d []int
	product := 1
	for _, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 1 || v > 1_000_000 {
			return nil, false
		}
		if product *= v; product > 1<<36 {
			return nil, false
		}
		d = append(d, v)
	}
	return d, true
}
