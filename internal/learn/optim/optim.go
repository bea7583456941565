package optim

import (
	"math"
	"regexp"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
)

// Constants of the released optimizers.
const (
	Beta1   = 0.9
	Beta2   = 0.999
	Epsilon = 1e-6
)

// Kind is an optimizer.
type Kind string

// The optimizers.
const (
	LAMB  Kind = "lamb"
	AdamW Kind = "adamw"
)

// Config is what can be chosen about an optimizer.
type Config struct {
	Kind        Kind
	WeightDecay float32 // released: 0.01
	Clip        float64 // largest global norm of the gradient; 0: not clipped; released: 1
	// BiasCorrection divides AdamW's m by 1 - Beta1^t and v by 1 - Beta2^t in step t, as Adam's paper and PyTorch do; released: not.
	BiasCorrection bool
}

// excluded matches the names of tensors that neither decay nor adapt. The released pattern, a search for "LayerNorm", "layer_norm"
// or "bias" in TensorFlow's names, finds the same tensors by their Hugging Face names: every bias, predictions.bias included, and
// LayerNorm.weight, full_layer_layer_norm.weight for the normalisations' gamma.
var excluded = regexp.MustCompile(`LayerNorm|layer_norm|bias`)

// Excluded tells whether the tensor of that Hugging Face name is left out of weight decay and of LAMB's ratio.
func Excluded(name string) bool { return excluded.MatchString(name) }

// Device is what the optimizer's arithmetic runs on; a cpu.Device is one.
type Device interface {
	Kernels() *kernel.Set
	// Run calls f(0) ... f(n-1), in any order and on several threads, and returns when all are done.
	Run(n int, f func(task int))
	// RunLarge is Run for tasks of many operations each.
	RunLarge(n int, f func(task int))
}

// taskBlocks is how many blocks of 4,096 values a task takes: 64 KiB of each of m, v, gradient and weights stay in a core's L2
// between the update and its norms, and a task is still some 10 us of work.
const taskBlocks = 4

// task is a run of blocks of one parameter.
type task struct {
	param    int
	from, to int // in p.Data
	block    int // number of its first block among all blocks
}

// Optimizer updates the weights of params. It holds m and v, as flat buffers in the layout of the parameters.
type Optimizer struct {
	config Config
	params *ops.Params
	dev    Device
	m, v   []float32

	tasks      []task
	firstBlock []int     // the number of each parameter's first block, then that of all blocks
	squares    []float64 // per block: of the gradient, then of the update
	weights    []float64 // per block: of the weights
	excluded   []bool
	scale      []float32 // per parameter: rate times ratio
}

// New makes an optimizer with m = v = 0.
func New(c Config, params *ops.Params, dev Device) *Optimizer {
	n := len(params.List)
	o := &Optimizer{config: c, params: params, dev: dev, m: make([]float32, params.Size()), v: make([]float32, params.Size()),
		firstBlock: make([]int, n+1), excluded: make([]bool, n), scale: make([]float32, n)}
	blocks := 0
	for i, p := range params.List {
		o.firstBlock[i] = blocks
		o.excluded[i] = Excluded(p.Name)
		for from := 0; from < len(p.Data); from += taskBlocks * numeric.Block {
			to := min(from+taskBlocks*numeric.Block, len(p.Data))
			o.tasks = append(o.tasks, task{param: i, from: from, to: to, block: blocks})
			blocks += (to - from + numeric.Block - 1) / numeric.Block
		}
	}
	o.firstBlock[n] = blocks
	o.squares, o.weights = make([]float64, blocks), make([]float64, blocks)
	return o
}

// Moments are m and v, in the layout of the parameters: to be saved, or filled from what was saved.
func (o *Optimizer) Moments() (m, v []float32) { return o.m, o.v }

// each calls f on every block: from and to are indices in p.Data, at is that of from in flat buffers.
func (o *Optimizer) each(f func(k *kernel.Set, t *task, p *ops.Param, from, to, at, block int)) {
	k := o.dev.Kernels()
	o.dev.Run(len(o.tasks), func(i int) {
		t := &o.tasks[i]
		p := o.params.List[t.param]
		base, block := o.params.Offset(p), t.block
		for from := t.from; from < t.to; from += numeric.Block {
			f(k, t, p, from, min(from+numeric.Block, t.to), base+from, block)
			block++
		}
	})
}

// sum adds the block sums of a parameter.
func (o *Optimizer) sum(blocks []float64, param int) float64 {
	s := 0.0
	for _, b := range blocks[o.firstBlock[param]:o.firstBlock[param+1]] {
		s += b
	}
	return s
}

// Norm is the norm of the gradient over all parameters: each tensor's sum of squares, added in float64 in their order. It is NaN or
// infinite if any gradient is, and infinite where a square overflows float32.
func (o *Optimizer) Norm(g *ops.Grads) float64 {
	flat := g.Flat()
	o.each(func(k *kernel.Set, _ *task, _ *ops.Param, from, to, at, block int) {
		o.squares[block] = k.SumSquares(flat[at : at+to-from])
	})
	total := 0.0
	for i := range o.params.List {
		total += o.sum(o.squares, i)
	}
	return math.Sqrt(total)
}

// Step t, from 1, clips the gradient, whose norm is given, updates m and v, and moves the weights at the given rate. It overwrites g and
// tells the devices that the weights changed. A gradient that is not finite must not come here.
func (o *Optimizer) Step(t int, g *ops.Grads, norm float64, rate float32) {
	correct, eps := 1.0, float32(Epsilon) // of the update, and so of epsilon and the decay the other way round
	if o.config.BiasCorrection {
		root := math.Sqrt(1 - power(Beta2, t))
		correct, eps = root/(1-power(Beta1, t)), float32(Epsilon*root)
	}
	clip := float32(1)
	if c := o.config.Clip; c > 0 && norm > c {
		clip = float32(c / norm)
	}
	adapt := o.config.Kind == LAMB
	u := g.Flat() // each value is read before its update takes its place
	o.each(func(k *kernel.Set, t *task, p *ops.Param, from, to, at, block int) {
		end := at + to - from
		decay := float32(float64(o.config.WeightDecay) / correct)
		if o.excluded[t.param] {
			decay = 0
		}
		w := p.Data[from:to]
		k.Adam(u[at:end], o.m[at:end], o.v[at:end], u[at:end], w, clip, Beta1, Beta2, eps, decay)
		if adapt && !o.excluded[t.param] {
			o.squares[block] = k.SumSquares(u[at:end])
			o.weights[block] = k.SumSquares(w)
		}
	})
	for i := range o.params.List {
		ratio := 1.0
		if adapt && !o.excluded[i] {
			if w, u := math.Sqrt(o.sum(o.weights, i)), math.Sqrt(o.sum(o.squares, i)); w > 0 && u > 0 {
				ratio = w / u
			}
		}
		o.scale[i] = float32(float64(rate) * ratio * correct)
	}
	o.each(func(k *kernel.Set, t *task, p *ops.Param, from, to, at, _ int) {
		k.Axpy(p.Data[from:to], u[at:at+to-from], -o.scale[t.param])
	})
	o.params.Touch()
}

// power is x^t by products alone, whose bits are the same everywhere.
func power(x float64, t int) float64 {
	p := 1.0
	for range t {
		p = float64(p * x)
	}
	return p
}
