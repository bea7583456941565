// Package cpu is the device that runs package ops on processors: threads, packed weights and the order of every sum. The
// arithmetic of one row or one tile is in cpu/kernel.
//
// The bits of every result depend on the inputs alone: threads share out rows, columns or heads, never a sum.
//
//	dev, err := cpu.New("", 0)     // the best instruction set, all threads
package cpu

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"weak"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
)

// rowBlock is how many rows of activations a task multiplies at most: 128 rows of 768 values are 0.4 MB, which stay in a core's L2
// while the panels of the weight pass by.
const rowBlock = 128

// Device implements [ops.Device]. It may be used by several goroutines; one at a time has the helper threads.
type Device struct {
	*memory
	k    *kernel.Set
	pool *pool
	int8 bool // products are in int8
}

// memory is what a device and its [Device.Single] share.
type memory struct {
	mu     sync.Mutex
	free   map[int][]*ops.Tensor // by number of values
	counts counts
	packed map[weak.Pointer[ops.Param]]*packedParam // packed weights go with their parameters
	slab   []float32                                // where Keep has the packed forms made
	arena  arena                                    // what Reserve made

	scratch sync.Pool
}

var _ ops.Device = (*Device)(nil)

// maxThreads is far above what helps. A million threads would spend minutes waiting for each other.
const maxThreads = 1024

// New makes a device with the kernels of the named instruction set ("": what ALBERT_CPU says, else the best this CPU has) and a
// number of threads (0: GOMAXPROCS).
func New(instructionSet string, threads int) (*Device, error) {
	if instructionSet == "" {
		instructionSet = os.Getenv("ALBERT_CPU")
	}
	k, err := kernel.Select(instructionSet)
	if err != nil {
		return nil, fmt.Errorf("ALBERT_CPU: %w", err)
	}
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	if threads > maxThreads {
		return nil, fmt.Errorf("%d threads: at most %d, and more than the machine's %d only cost time", threads, maxThreads, runtime.NumCPU())
	}
	m := &memory{free: map[int][]*ops.Tensor{}, packed: map[weak.Pointer[ops.Param]]*packedParam{}}
	m.scratch.New = func() any { return new(scratch) }
	return &Device{memory: m, k: k, pool: newPool(threads)}, nil
}

// Single gives the same device, with its kernels, packed weights and buffers, but each operation runs on its caller's thread alone: for
// callers that run several small batches at once, a goroutine for each. The bits are the same. It needs no Close.
func (d *Device) Single() *Device {
	return &Device{memory: d.memory, k: d.k, pool: newPool(1), int8: d.int8}
}

// Close ends the helper threads when the operation that they work on is done, and gives up the buffers that are kept free. It may be called more than
// once; the device still works afterwards, each operation on its caller's thread alone.
func (d *Device) Close() {
	d.pool.close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.drop(0) {
	}
}

// Rest tells the helper threads that no operation is expected soon: they park at once, where they would look for work for [spinTime]. Whoever gets
// the results has the cores then.
func (d *Device) Rest() { d.pool.rest.Store(true) }

// InstructionSet is the name of the kernels in use.
func (d *Device) InstructionSet() string { return d.k.Name }

// Kernels gives the kernels in use, for code that works on plain slices (the optimizer).
func (d *Device) Kernels() *kernel.Set { return d.k }

// Threads is the number of threads.
func (d *Device) Threads() int { return d.pool.threads }

// Peak measures what the device's threads can do at most, in FLOP/s of its precision: the best of some bursts of FMAs, or of the instruction
// that its products are made with, without memory, of about 50 us each. Where a processor lowers its clock under load, bursts right after
// other work find the clock that the work left, for about a millisecond, and later ones a higher one.
func (d *Device) Peak(bursts int) float64 {
	const iterations = 5_000
	flops := make([]int, d.Threads())
	best := 0.0
	for range bursts {
		start := time.Now()
		d.Run(d.Threads(), func(i int) { flops[i] = d.k.PeakFMA(iterations) })
		seconds := time.Since(start).Seconds()
		sum := 0
		for _, f := range flops {
			sum += f
		}
		best = max(best, float64(sum)/seconds)
	}
	return best
}

// Run calls f(0) ... f(n-1) on the device's threads and returns when all are done. If one panics on threads that share the work, Run
// panics with a [*TaskPanic] when the others have ended.
func (d *Device) Run(n int, f func(task int)) { d.pool.run(n, f) }

// RunLarge is Run for tasks of many operations each, such as passes through a model.
func (d *Device) RunLarge(n int, f func(task int)) { d.pool.runLarge(n, f) }

// Apart calls f(0) ... f(n-1) as [Device.RunLarge] does, each with the device of [Device.Single].
func (d *Device) Apart(n int, f func(i int, d ops.Device)) {
	single := d.Single()
	d.RunLarge(n, func(i int) { f(i, single) })
}

// stride is the distance between rows of n values: an odd number of cache lines, so that the rows of a tile fall into different cache sets.
func stride(n int) int { return ((n+15)/16 | 1) * 16 }

// counts are numbers of values of tensors: those in use, the most that ever were, and those in use or kept free.
type counts struct{ used, most, all int }

// New gives a [rows, cols] tensor whose values are not set.
func (d *Device) New(rows, cols int) *ops.Tensor {
	ld := stride(cols)
	d.mu.Lock()
	if t := d.arena.take(rows * ld); t != nil {
		d.mu.Unlock()
		t.Rows, t.Cols, t.Stride = rows, cols, ld
		return t
	}
	class := classSize(rows * ld)
	t := d.take(class, 2*class)
	if t == nil {
		// What is kept free stays within a sixth of the most that was in use: batches of other sizes would leave a set of buffers each. An
		// inference pass needs a seventh: one small buffer more than the most that it uses, while its largest is free.
		m := &d.counts
		for limit := max(m.most, m.used+class) / 6 * 7; m.all+class > limit && d.drop(class); {
		}
		t = &ops.Tensor{}
		m.all += class
	}
	size := max(class, len(t.Data))
	d.counts.used += size
	d.counts.most = max(d.counts.most, d.counts.used)
	d.mu.Unlock()
	if t.Data == nil {
		t.Data = make([]float32, class)
		giveBack(t.Data) // what the heap gives again was zeroed, also the end that no tensor may reach
	}
	t.Rows, t.Cols, t.Stride = rows, cols, ld
	return t
}

// take takes a free buffer of at least from and below to values, the smallest there is, or nil. The mutex is held.
func (d *Device) take(from, to int) *ops.Tensor {
	for class := classSize(from); class < to; class = classSize(class + 1) {
		if l := d.free[class]; len(l) > 0 {
			t := l[len(l)-1]
			l[len(l)-1] = nil
			d.free[class] = l[:len(l)-1]
			return t
		}
	}
	return nil
}

// drop gives up a free buffer, and its pages at once: the largest that is too small for a class, or else the largest. It is false if there is none.
func (d *Device) drop(class int) bool {
	small, large := 0, 0
	for c, l := range d.free {
		if len(l) > 0 {
			large = max(large, c)
			if c < class {
				small = max(small, c)
			}
		}
	}
	c := small
	if c == 0 {
		c = large
	}
	if c == 0 {
		return false
	}
	giveBack(d.take(c, c+1).Data)
	d.counts.all -= c
	return true
}

// classSize rounds a number of values up: buffers come in eight sizes to the octave, so that ragged batches of about the same size
// share them.
func classSize(n int) int {
	step := 256
	for 16*step < n {
		step *= 2
	}
	return max(256, (n+step-1)/step*step)
}

// Free takes a tensor of New back.
func (d *Device) Free(t *ops.Tensor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.arena.free(t) {
		return
	}
	class := len(t.Data)
	d.free[class] = append(d.free[class], t)
	d.counts.used -= class
}

// scratch is memory that one task has for itself while it runs.
type scratch struct {
	buffers [3][]float32
	packed  [4]kernel.Panels
	int8    int8Scratch
}

func (d *Device) getScratch() *scratch  { return d.scratch.Get().(*scratch) }
func (d *Device) putScratch(s *scratch) { d.scratch.Put(s) }

// floats gives buffer i with room for n values, not set.
func (s *scratch) floats(i, n int) []float32 {
	if cap(s.buffers[i]) < n {
		s.buffers[i] = make([]float32, n+n/4)
	}
	return s.buffers[i][:n]
}

// packRows packs src[K][N] into panels i.
func (s *scratch) packRows(k *kernel.Set, i int, src []float32, ld, K, N int) *kernel.Panels {
	p := s.panels(k, i, K, N)
	k.PackRows(p, src, ld, 0, panelCount(k, N))
	return p
}

// packCols packs the transpose of src[N][K] into panels i.
func (s *scratch) packCols(k *kernel.Set, i int, src []float32, ld, K, N int) *kernel.Panels {
	p := s.panels(k, i, K, N)
	k.PackCols(p, src, ld, 0, panelCount(k, N))
	return p
}

// panels gives panels i, not filled.
func (s *scratch) panels(k *kernel.Set, i, K, N int) *kernel.Panels {
	p := &s.packed[i]
	n := k.PanelsLen(K, N)
	if cap(p.Data) < n {
		p.Data = make([]float32, n+n/4)
	}
	p.K, p.N, p.Data = K, N, p.Data[:n]
	return p
}

// panelCount is the number of panels of a matrix of n columns.
func panelCount(k *kernel.Set, n int) int { return (n + k.NR - 1) / k.NR }

// packedParam is a weight [out,in] in the two forms that products want, made anew when its version changes.
type packedParam struct {
	mu      sync.Mutex
	forward [kernel.Rules]form // B = W^T: [in, out], for y = x W^T
	back    [kernel.Rules]form // B = W: [out, in], for dx = dy W
	int8    int8Form
}

type form struct {
	made    bool
	version uint64
	kernel.Panels
}

// weight gives the packed form of p: of its transpose for the forward pass, of itself for the backward pass.
func (d *Device) weight(p *ops.Param, forward bool) *kernel.Panels {
	pk := d.packedOf(p)
	pk.mu.Lock()
	defer pk.mu.Unlock()
	f, k, n := &pk.back[d.k.Rule()], p.Rows(), p.Cols()
	if forward {
		f, k, n = &pk.forward[d.k.Rule()], p.Cols(), p.Rows()
	}
	if f.made && f.version == p.Version() {
		return &f.Panels // others may be reading it: nothing in it is written
	}
	f.K, f.N = k, n
	if n := d.k.PanelsLen(f.K, f.N); len(f.Data) != n {
		f.Data = d.packedFloats(n)
	}
	panels := panelCount(d.k, f.N)
	chunks := min(panels, 4*d.pool.threads)
	d.pool.run(chunks, func(c int) {
		p0, p1 := panels*c/chunks, panels*(c+1)/chunks
		if forward {
			d.k.PackCols(&f.Panels, p.Data, p.Cols(), p0, p1)
		} else {
			d.k.PackRows(&f.Panels, p.Data, p.Cols(), p0, p1)
		}
	})
	f.made, f.version = true, p.Version()
	return &f.Panels
}

// Keep packs weights of products as the device's products want them and gives up their values: for models that only answer from then on.
// The packed forms lie one after another, so that only one of them begins on a page's boundary.
func (d *Device) Keep(weights []*ops.Param) {
	n := 0
	for _, p := range weights {
		n += lineUp(d.packedLen(p))
	}
	d.mu.Lock()
	d.slab = hugeFloats(n)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.slab = nil
		d.mu.Unlock()
	}()
	for _, p := range weights {
		if d.int8 {
			d.weightInt8(p)
		} else {
			d.weight(p, true)
		}
		p.Data, p.Int8 = nil, nil
	}
}

// packedLen is how many values the packed form of p takes that answers are computed from.
func (d *Device) packedLen(p *ops.Param) int {
	if d.int8 {
		return kernel.Int8PanelsLen(p.Cols(), p.Rows()) / 4
	}
	return d.k.PanelsLen(p.Cols(), p.Rows())
}

// lineUp is n values rounded up to whole cache lines.
func lineUp(n int) int { return (n + 15) &^ 15 }

// packedFloats gives n zeroed values for a packed weight.
func (m *memory) packedFloats(n int) []float32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := lineUp(n); k <= len(m.slab) {
		s := m.slab[:n:n]
		m.slab = m.slab[k:]
		return s
	}
	return hugeFloats(n)
}

// packedOf gives the packed forms of p, empty ones where there are none yet. They are given up when p is garbage.
func (m *memory) packedOf(p *ops.Param) *packedParam {
	key := weak.Make(p)
	m.mu.Lock()
	defer m.mu.Unlock()
	pk := m.packed[key]
	if pk == nil {
		pk = new(packedParam)
		m.packed[key] = pk
		device := weak.Make(m) // a parameter must not keep a device's memory either
		runtime.AddCleanup(p, func(key weak.Pointer[ops.Param]) {
			if m := device.Value(); m != nil {
				m.mu.Lock()
				delete(m.packed, key)
				m.mu.Unlock()
			}
		}, key)
	}
	return pk
}
