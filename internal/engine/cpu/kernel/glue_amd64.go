package kernel

import (
	"math"

	"albert/internal/engine/numeric"

	"github.com/klauspost/cpuid/v2"
)

func init() { addSets() }

// addSets adds the sets that this CPU can run.
func addSets() {
	if cpuid.CPU.Supports(cpuid.AVX, cpuid.AVX2, cpuid.FMA3, cpuid.BMI2) {
		sets = append(sets, assemble("avx2", 6, 16, asmAVX2))
	}
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.BMI2, cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512BW, cpuid.AVX512VL) {
		sets = append(sets, assemble("avx512", 14, 32, asmAVX512))
	}
	addInt8()
	addBF16()
}

// tileFunc multiplies tiles of a fixed height, strides in bytes; of the last register's columns the first tail are C's.
type tileFunc func(kc int, a *float32, lda int, b, c *float32, ldc, tiles, tail int, bias *float32, init int, next, nextC *float32)

// asm is the generated functions of one instruction set. A float32 result of a row is finished in Go.
type asm struct {
	tiles, halves                                 []tileFunc // by height, for panels' full width and for the first half of it
	packRows                                      func(dst, src *float32, ld, k int)
	add                                           func(dst, a, b *float32, n int)
	scale, axpy                                   func(dst, a *float32, s float32, n int)
	finite                                        func(x *float32, n int) uint32
	dot                                           func(a, b *float32, n int) float32
	norm                                          func(y, x, gamma, beta *float32, eps float32, n int, count float32) (mean, rstd float32)
	normGrad                                      func(dx, dy, x, gamma *float32, mean, rstd float32, n int, count float32)
	normGradParams                                func(dgamma, dbeta, dy, x *float32, mean, rstd float32, n int)
	softmax                                       func(x *float32, scale float32, n int)
	softmaxGrad                                   func(dp, p *float32, scale float32, n int)
	max                                           func(x *float32, n int) float32
	expStore, expSum                              func(x *float32, m float32, n int) float32
	first                                         func(x *float32, m float32, n int) int
	geluTanh, geluErf, relu, tanh                 func(y, x *float32, n int)
	geluTanhGrad, geluErfGrad, reluGrad, tanhGrad func(dx, dy, x *float32, n int)
	dropout                                       func(y, x *float32, n int, drop uint32, scale float32, key0, key1, ctr0, ctr1, ctr2 uint32)
	dropoutAdd                                    func(y, x, res *float32, n int, drop uint32, scale float32, key0, key1, ctr0, ctr1, ctr2 uint32)
	adam                                          func(u, m, v, g, w *float32, gscale, beta1, beta2, c1, c2, eps, decay float32, n int)
	peak                                          func(n int, seeds *float32)
	peakFlops                                     int // of one iteration
}

// assemble wraps generated functions, which take pointers, into functions of slices. An empty slice does nothing. It is long
// because it is a table: a short wrapper for each function.
func assemble(name string, mr, nr int, f asm) *Set {
	unary := func(g func(y, x *float32, n int)) func(y, x []float32) {
		return func(y, x []float32) {
			if n := len(y); n > 0 {
				g(&y[0], &x[:n][0], n)
			}
		}
	}
	gradient := func(g func(dx, dy, x *float32, n int)) func(dx, dy, x []float32) {
		return func(dx, dy, x []float32) {
			if n := len(dx); n > 0 {
				g(&dx[0], &dy[:n][0], &x[:n][0], n)
			}
		}
	}
	// find is firstOf, 16 values at a time.
	find := func(x []float32, m float32) int {
		at := f.first(&x[0], m, len(x))
		for i, v := range x[at:] {
			if v == m {
				return at + i
			}
		}
		return 0
	}
	s := &Set{Name: name, MR: mr, NR: nr, transpose: transposeBlocks}
	s.halfMR = len(f.halves) - 1
	s.tile = func(kc int, a *float32, lda int, b, c *float32, ldc, tiles, rows, cols int, bias *float32, init int, next, nextC *float32) {
		if half := nr / 2; cols <= half {
			f.halves[rows](kc, a, lda, b, c, ldc, tiles, cols, bias, init, next, nextC)
		} else {
			f.tiles[rows](kc, a, lda, b, c, ldc, tiles, cols-half, bias, init, next, nextC)
		}
	}
	s.packRows = func(dst, src []float32, ld, k int) {
		_ = src[(k-1)*ld+nr-1]
		f.packRows(&dst[:k*nr][0], &src[0], ld, k)
	}
	s.Add = func(dst, a, b []float32) {
		if n := len(dst); n > 0 {
			f.add(&dst[0], &a[:n][0], &b[:n][0], n)
		}
	}
	s.AddTo = func(dst, a []float32) { s.Add(dst, dst, a) }
	s.Scale = func(dst, a []float32, x float32) {
		if n := len(dst); n > 0 {
			f.scale(&dst[0], &a[:n][0], x, n)
		}
	}
	s.Axpy = func(dst, a []float32, x float32) {
		if n := len(dst); n > 0 {
			f.axpy(&dst[0], &a[:n][0], x, n)
		}
	}
	s.LayerNorm = func(y, x, gamma, beta []float32, eps float32) (mean, rstd float32) {
		n := len(x)
		return f.norm(&y[:n][0], &x[0], &gamma[:n][0], &beta[:n][0], eps, n, float32(n))
	}
	s.LayerNormGrad = func(dx, dy, x, gamma []float32, mean, rstd float32) {
		n := len(x)
		f.normGrad(&dx[:n][0], &dy[:n][0], &x[0], &gamma[:n][0], mean, rstd, n, float32(n))
	}
	s.LayerNormGradParams = func(dgamma, dbeta, dy, x []float32, mean, rstd float32) {
		if n := len(dgamma); n > 0 {
			f.normGradParams(&dgamma[0], &dbeta[:n][0], &dy[:n][0], &x[:n][0], mean, rstd, n)
		}
	}
	s.Softmax = func(x []float32, scale float32) {
		if n := len(x); n > 0 {
			f.softmax(&x[0], scale, n)
		}
	}
	s.SoftmaxGrad = func(dp, p []float32, scale float32) {
		if n := len(p); n > 0 {
			f.softmaxGrad(&dp[:n][0], &p[0], scale, n)
		}
	}
	s.GeluTanh, s.GeluErf, s.Relu, s.Tanh = unary(f.geluTanh), unary(f.geluErf), unary(f.relu), unary(f.tanh)
	s.GeluTanhGrad, s.GeluErfGrad = gradient(f.geluTanhGrad), gradient(f.geluErfGrad)
	s.ReluGrad, s.TanhGrad = gradient(f.reluGrad), gradient(f.tanhGrad)
	s.LogSumExp = func(x []float32, target int) (loss float32, argmax int) {
		n, hit := len(x), x[target]
		m := f.max(&x[0], n)
		return lossOf(m, f.expSum(&x[0], m, n), hit), find(x, m)
	}
	s.CrossEntropy = func(x []float32, target int, scale float32) (loss float32, argmax int) {
		n, hit := len(x), x[target]
		m := f.max(&x[0], n)
		argmax = find(x, m)
		sum := f.expStore(&x[0], m, n)
		f.scale(&x[0], &x[0], scale/sum, n)
		x[target] -= scale
		return lossOf(m, sum, hit), argmax
	}
	s.Dropout = func(y, x []float32, drop uint32, scale float32, key [2]uint32, ctr [3]uint32) {
		if n := len(y); n > 0 {
			f.dropout(&y[0], &x[:n][0], n, drop, scale, key[0], key[1], ctr[0], ctr[1], ctr[2])
		}
	}
	s.DropoutAdd = func(y, x, res []float32, drop uint32, scale float32, key [2]uint32, ctr [3]uint32) {
		if n := len(y); n > 0 {
			f.dropoutAdd(&y[0], &x[:n][0], &res[:n][0], n, drop, scale, key[0], key[1], ctr[0], ctr[1], ctr[2])
		}
	}
	s.Dot = func(a, b []float32) float32 {
		n := len(a)
		if n == 0 {
			return 0
		}
		return f.dot(&a[0], &b[:n][0], n)
	}
	s.Max = func(x []float32) float32 {
		if len(x) == 0 {
			return float32(math.Inf(-1))
		}
		return f.max(&x[0], len(x))
	}
	s.SumSquares = func(x []float32) float64 {
		sum := 0.0
		for len(x) > 0 {
			n := min(len(x), numeric.Block)
			sum += float64(f.dot(&x[0], &x[0], n))
			x = x[n:]
		}
		return sum
	}
	s.Adam = func(u, m, v, g, w []float32, gscale float32, beta1, beta2 float64, eps, decay float32) {
		if n := len(u); n > 0 {
			f.adam(&u[0], &m[:n][0], &v[:n][0], &g[:n][0], &w[:n][0], gscale, float32(beta1), float32(beta2), float32(1-beta1), float32(1-beta2), eps, decay, n)
		}
	}
	s.Finite = func(x []float32) bool { return len(x) == 0 || f.finite(&x[0], len(x)) == 0 }
	s.PeakFMA = func(n int) int {
		f.peak(n, &peakSeeds[0])
		return n * f.peakFlops
	}
	return s
}

// peakSeeds are the operands of the peak loop: random, of both signs, around 1.
var peakSeeds = func() (x [1024]float32) {
	s := numeric.NewStream(1, numeric.PurposeInit, 0, 0, 0)
	for i := range x {
		x[i] = float32(math.Copysign(0.5+s.Float64(), s.Float64()-0.5))
	}
	return x
}()

// transposeBlocks cuts a matrix into strips of 8 rows for the generated blocks of 8 x 8; what is left goes one by one.
func transposeBlocks(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	_ = src[(rows-1)*lds+cols-1]
	_ = dst[(cols-1)*ldd+rows-1]
	r, c := rows&^7, cols&^7
	if c > 0 {
		for i := 0; i < r; i += 8 {
			transpose8xAVX2(&dst[i], 4*ldd, &src[i*lds], 4*lds, c/8)
		}
	}
	if c < cols && r > 0 {
		genericTranspose(dst[c*ldd:], ldd, src[c:], lds, r, cols-c)
	}
	if r < rows {
		genericTranspose(dst[r:], ldd, src[r*lds:], lds, rows-r, cols)
	}
}
