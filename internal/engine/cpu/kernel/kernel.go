// Package kernel is the arithmetic of one row and one tile: matrix products over packed panels, normalisation, softmax, activations,
// dropout, cross-entropy, and the optimizer's elementwise steps. It knows no threads and no tensors, only slices.
//
// Every function stands three times: in plain Go, where it is defined, and generated for AVX2+FMA and AVX-512, the products of int8 for
// AVX-VNNI, too, and those of int8 and bf16 for AMX. All give the same bits: a product is one chain of fused multiply-adds over ascending k, a row sum has 16 lanes and a
// fixed tree, an elementwise formula is a written sequence of operations.
//
//	k, err := kernel.Select("")          // the best this CPU has
//	p := kernel.Panels{K: in, N: out, Data: make([]float32, k.PanelsLen(in, out))}
//	k.PackCols(&p, weight, in, 0, panels)
//	k.Gemm(rows, x, ldx, &p, 0, panels, y, ldy, bias, kernel.Bias)
package kernel

import (
	"fmt"
	"slices"
	"strings"
)

// Set is the kernels of one instruction set. Slices that belong together must have the length of the first one at least.
type Set struct {
	Name string
	MR   int // rows of a tile
	NR   int // columns of a panel

	halfMR int // rows of a tile that is at most NR/2 columns wide
	// tile multiplies tiles of one height with a panel, whose first cols columns are C's; strides in bytes. What lies at next and
	// nextC will be wanted afterwards.
	tile func(kc int, a *float32, lda int, b, c *float32, ldc, tiles, rows, cols int, bias *float32, init int, next, nextC *float32)

	packRows  func(dst, src []float32, ld, k int) // one full panel from rows
	transpose func(dst []float32, ldd int, src []float32, lds, rows, cols int)

	// Add: dst = a + b.
	Add func(dst, a, b []float32)
	// AddTo: dst += a.
	AddTo func(dst, a []float32)
	// Scale: dst = s*a.
	Scale func(dst, a []float32, s float32)
	// Axpy: dst = FMA(s, a, dst).
	Axpy func(dst, a []float32, s float32)

	// LayerNorm: y = FMA((x-mean)*rstd, gamma, beta), with mean = sum/n and rstd = 1/sqrt(variance + eps), in two passes.
	LayerNorm func(y, x, gamma, beta []float32, eps float32) (mean, rstd float32)
	// LayerNormGrad: with g = dy*gamma and h = (x-mean)*rstd, dx = rstd*((g - mean(g)) - h*mean(g*h)). dx may be dy.
	LayerNormGrad func(dx, dy, x, gamma []float32, mean, rstd float32)
	// LayerNormGradParams: dgamma = FMA(dy, (x-mean)*rstd, dgamma), dbeta += dy.
	LayerNormGradParams func(dgamma, dbeta, dy, x []float32, mean, rstd float32)

	// Softmax: x = softmax(scale*x), scale > 0.
	Softmax func(x []float32, scale float32)
	// SoftmaxGrad: dp = (p*(dp - sum(dp*p)))*scale.
	SoftmaxGrad func(dp, p []float32, scale float32)

	// Activations and their gradients; dx may be dy. TanhGrad takes the output.
	GeluTanh, GeluErf, Relu, Tanh                 func(y, x []float32)
	GeluTanhGrad, GeluErfGrad, ReluGrad, TanhGrad func(dx, dy, x []float32)

	// CrossEntropy turns logits into scale*(softmax - onehot(target)); loss is log(sum(exp)) - x[target], argmax the lowest index
	// of the maximum.
	CrossEntropy func(x []float32, target int, scale float32) (loss float32, argmax int)
	// LogSumExp is CrossEntropy's loss and argmax without the gradient.
	LogSumExp func(x []float32, target int) (loss float32, argmax int)

	// Dropout: y[e] = x[e]*scale or +0 where word e is below drop. Word e is word (e%64)/16 of
	// Philox(key, {(e/64)*16 + e%16, ctr...}). y may be x.
	Dropout func(y, x []float32, drop uint32, scale float32, key [2]uint32, ctr [3]uint32)
	// DropoutAdd: y = res + dropout(x). y may be x or res.
	DropoutAdd func(y, x, res []float32, drop uint32, scale float32, key [2]uint32, ctr [3]uint32)

	// Dot is the sum of a*b: a row sum of fused multiply-adds.
	Dot func(a, b []float32) float32
	// Max is numeric.LaneMax.
	Max func(x []float32) float32
	// SumSquares is numeric.SumSquares.
	SumSquares func(x []float32) float64
	// Adam: with g' = g*gscale: m = FMA(b1, m, (1-b1)*g'), v = FMA(b2, v, ((1-b2)*g')*g'), u = FMA(decay, w, m/(sqrt(v)+eps)).
	Adam func(u, m, v, g, w []float32, gscale float32, beta1, beta2 float64, eps, decay float32)
	// Finite tells whether no value is NaN or infinite.
	Finite func(x []float32) bool

	// PeakFMA runs n rounds of independent chains of FMAs on registers, or of the products that [Set.ForRule] or [Set.ForInt8] chose, and
	// returns the operations done, a multiply-add being two.
	PeakFMA func(n int) int

	int8  int8Set    // products of int8
	rules [2]bf16Set // products by Tile and by Dot
	bf16  *bf16Set   // of a set that [Set.ForRule] made
	fp32  *Set       // what it was made of
}

// Panels is a right operand B[K,N] cut into panels of NR columns: panel p, at p*K*NR, holds row after row, its last columns zero
// where N ends.
type Panels struct {
	K, N int
	Data []float32
}

// Init says what a product starts from.
type Init int

// The starts: +0, the bias of the column, what stands in C.
const (
	Zero Init = iota
	Accumulate
	Bias
)

// sets are those that this CPU can run, the best last.
var sets = []*Set{generic}

// names of all sets, whether this CPU has them or not.
var names = []string{"generic", "avx2", "avxvnni", "avx512", "amx"}

// Available lists the instruction sets of this CPU, the best last.
func Available() []string {
	var out []string
	for _, s := range sets {
		out = append(out, s.Name)
	}
	return out
}

// Select gives the kernels of the named instruction set, the best one for "".
func Select(name string) (*Set, error) {
	if name == "" {
		return sets[len(sets)-1], nil
	}
	for _, s := range sets {
		if s.Name == name {
			return s, nil
		}
	}
	if slices.Contains(names, name) {
		return nil, fmt.Errorf("this CPU has no %s (it has %s)", name, strings.Join(Available(), ", "))
	}
	return nil, fmt.Errorf("unknown instruction set %q (%s)", name, strings.Join(names, ", "))
}
