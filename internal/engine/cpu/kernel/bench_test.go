package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// The benchmarks take the processor time of their own thread and report medians over bursts, as machines are shared: an op is a burst,
// so that its time says nothing.

// timed is the seconds that f takes.
func timed(f func()) float64 {
	start := threadTime()
	f()
	return (threadTime() - start).Seconds()
}

// repeat gives a function that calls f as often as fits in about the given seconds, and that number.
func repeat(f func(), seconds float64) (burst func(), calls int) {
	f()
	calls = 1
	for timed(func() {
		for range calls {
			f()
		}
	}) < seconds/2 {
		calls *= 2
	}
	return func() {
		for range calls {
			f()
		}
	}, calls
}

// againstPeak measures f, which does flops operations, and the FMA loop of s by turns, so that both meet the same clock and the same
// neighbours: GFLOP/s, and the percentage of the peak.
func againstPeak(b *testing.B, s *Set, flops float64, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	burst, calls := repeat(f, 1e-3)
	const rounds = 1000
	done := 0.0
	peak, peaks := repeat(func() { done = float64(s.PeakFMA(rounds)) }, 1e-3)
	var speed, share []float64
	for b.Loop() {
		own := flops * float64(calls) / timed(burst)
		speed, share = append(speed, own), append(share, own/(done*float64(peaks)/timed(peak)))
	}
	b.ReportMetric(median(speed)/1e9, "GFLOP/s")
	b.ReportMetric(100*median(share), "%peak")
	b.ReportMetric(0, "ns/op")
}

// perValue measures f, which handles n values and reads and writes so many bytes for each.
func perValue(b *testing.B, n int, bytes float64, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	burst, calls := repeat(f, 50e-6)
	var times []float64
	for b.Loop() {
		times = append(times, timed(burst))
	}
	ns := median(times) / float64(calls*n) * 1e9
	b.ReportMetric(ns*1000, "ps/value")
	b.ReportMetric(bytes/ns, "GB/s")
	b.ReportMetric(0, "ns/op")
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// BenchmarkGemm: [m,k] x [k,n] by one thread in blocks of 128 rows, the right operand packed beforehand, as package cpu does it.
func BenchmarkGemm(b *testing.B) {
	for _, s := range sets[1:] {
		for _, c := range []struct {
			gemmCase
			init Init
		}{
			{gemmCase{128, 768, 768}, Bias}, {gemmCase{128, 768, 3072}, Bias}, {gemmCase{128, 3072, 768}, Bias}, {gemmCase{1024, 768, 3072}, Bias},
			{gemmCase{3072, 1024, 768}, Accumulate}, {gemmCase{768, 1024, 3072}, Accumulate}, // gradients of weights
			{gemmCase{64, 64, 64}, Zero}, {gemmCase{128, 64, 128}, Zero}, {gemmCase{128, 64, 512}, Zero}, {gemmCase{100, 64, 100}, Zero}, {gemmCase{25, 64, 25}, Zero}, // attention scores
			{gemmCase{128, 128, 64}, Zero}, {gemmCase{128, 512, 64}, Zero}, {gemmCase{100, 100, 64}, Zero}, {gemmCase{25, 25, 64}, Zero}, // attention sums
			{gemmCase{128, 32, 128}, Zero}, {gemmCase{128, 128, 32}, Zero},
			{gemmCase{25, 768, 3072}, Bias}, {gemmCase{8, 768, 3072}, Bias}, {gemmCase{1, 768, 768}, Bias}, {gemmCase{128, 768, 2}, Bias},
		} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", s.Name, c.m, c.k, c.n), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 1))
				a, w, bias := randomValues(rng, c.m*(c.k+16), 1, false), randomValues(rng, c.n*c.k, 1, false), randomValues(rng, c.n, 1, false)
				p := &Panels{K: c.k, N: c.n, Data: make([]float32, s.PanelsLen(c.k, c.n))}
				panels := (c.n + s.NR - 1) / s.NR
				s.PackCols(p, w, c.k, 0, panels)
				ldc := (c.n+15)/16*16 + 16
				out := make([]float32, c.m*ldc)
				againstPeak(b, s, 2*float64(c.m*c.k*c.n), func() {
					for r := 0; r < c.m; r += 128 {
						s.Gemm(min(128, c.m-r), a[r*(c.k+16):], c.k+16, p, 0, panels, out[r*ldc:], ldc, bias, c.init)
					}
				})
			})
		}
		b.Run(s.Name+"/peak", func(b *testing.B) { againstPeak(b, s, float64(s.PeakFMA(10000)), func() { s.PeakFMA(10000) }) })
	}
}

// BenchmarkGemmInt8: products of int8 by one thread, both operands quantised and packed beforehand.
func BenchmarkGemmInt8(b *testing.B) {
	for _, s := range sets[1:] {
		s = s.ForInt8()
		for _, c := range []gemmCase{{128, 768, 3072}, {128, 3072, 768}, {16, 768, 3072}, {128, 64, 128}, {1, 768, 768}} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", s.Name, c.m, c.k, c.n), func(b *testing.B) {
				ld, out, acc := Int8Stride(c.k), make([]float32, c.m*c.n), make([]int32, Int8Scratch(c.m))
				var p Int8Panels
				p.Resize(c.k, c.n)
				a, rows := make([]int8, c.m*ld), make([]Int8Row, c.m)
				againstPeak(b, s, 2*float64(c.m*c.k*c.n), func() { s.GemmInt8(a, ld, rows, &p, 0, p.Panels(), out, c.n, nil, acc) })
			})
		}
	}
}

// BenchmarkRows: every row function, on rows of a base model.
func BenchmarkRows(b *testing.B) {
	const n = 768
	for _, s := range sets {
		rng := rand.New(rand.NewPCG(1, 1))
		row := func() []float32 { return randomValues(rng, n, 1, false) }
		a, x, y, z, gamma := row(), row(), row(), row(), row()
		positive := row()
		for i, v := range positive {
			positive[i] = float32(math.Abs(float64(v)))
		}
		logits := randomValues(rng, 30_000, 3, false)
		work := slices.Clone(logits)
		key, ctr := [2]uint32{1, 2}, [3]uint32{3, 4, 5}
		for _, c := range []struct {
			name  string
			n     int
			bytes float64 // read and written for a value
			f     func()
		}{
			{"Add", n, 12, func() { s.Add(a, x, y) }},
			{"AddTo", n, 12, func() { s.AddTo(a, x); a[0] = 0 }},
			{"Scale", n, 8, func() { s.Scale(a, x, 1.1) }},
			{"Axpy", n, 12, func() { s.Axpy(a, x, 1e-9) }},
			{"LayerNorm", n, 16, func() { s.LayerNorm(a, x, gamma, y, 1e-12) }},
			{"LayerNormGrad", n, 16, func() { s.LayerNormGrad(a, y, x, gamma, 0.1, 1.1) }},
			{"LayerNormGradParams", n, 24, func() { s.LayerNormGradParams(a, z, y, x, 0.1, 1e-9) }},
			{"Softmax", n, 8, func() { copy(a, x); s.Softmax(a, 0.125) }},
			{"Softmax128", 128, 8, func() { copy(a, x[:128]); s.Softmax(a[:128], 0.125) }},
			{"Softmax25", 25, 8, func() { copy(a, x[:25]); s.Softmax(a[:25], 0.125) }},
			{"SoftmaxGrad", n, 12, func() { copy(a, x); s.SoftmaxGrad(a, positive, 0.125) }},
			{"GeluTanh", n, 8, func() { s.GeluTanh(a, x) }},
			{"GeluTanhGrad", n, 12, func() { s.GeluTanhGrad(a, y, x) }},
			{"GeluErf", n, 8, func() { s.GeluErf(a, x) }},
			{"GeluErfGrad", n, 12, func() { s.GeluErfGrad(a, y, x) }},
			{"Relu", n, 8, func() { s.Relu(a, x) }},
			{"ReluGrad", n, 12, func() { s.ReluGrad(a, y, x) }},
			{"Tanh", n, 8, func() { s.Tanh(a, x) }},
			{"TanhGrad", n, 12, func() { s.TanhGrad(a, y, x) }},
			{"CrossEntropy30k", len(logits), 8, func() { copy(work, logits); s.CrossEntropy(work, 5, 0.01) }},
			{"LogSumExp30k", len(logits), 4, func() { s.LogSumExp(logits, 5) }},
			{"Dropout", n, 8, func() { s.Dropout(a, x, 1<<28, 1.1, key, ctr) }},
			{"Dropout100", 100, 8, func() { s.Dropout(a[:100], x, 1<<28, 1.1, key, ctr) }},
			{"DropoutAdd", n, 12, func() { s.DropoutAdd(a, x, y, 1<<28, 1.1, key, ctr) }},
			{"SumSquares", n, 4, func() { s.SumSquares(x) }},
			{"Finite", n, 4, func() { s.Finite(x) }},
			{"Adam", n, 32, func() { s.Adam(a, z, positive, y, x, 1, 0.9, 0.999, 1e-6, 0.01) }},
		} {
			b.Run(s.Name+"/"+c.name, func(b *testing.B) { perValue(b, c.n, c.bytes, c.f) })
		}
	}
}

// BenchmarkPack: packing and transposing, bytes read plus bytes written.
func BenchmarkPack(b *testing.B) {
	for _, s := range sets {
		for _, c := range [][2]int{{768, 3072}, {128, 64}, {100, 64}} { // rows and columns of the source
			rows, cols := c[0], c[1]
			src := randomValues(rand.New(rand.NewPCG(1, 1)), rows*(cols+16), 1, false)
			dst := make([]float32, s.PanelsLen(max(rows, cols)+64, max(rows, cols)+64))
			byRows, byCols := &Panels{K: rows, N: cols, Data: dst}, &Panels{K: cols, N: rows, Data: dst}
			for _, f := range []struct {
				name string
				f    func()
			}{
				{"PackRows", func() { s.PackRows(byRows, src, cols+16, 0, (cols+s.NR-1)/s.NR) }},
				{"PackCols", func() { s.PackCols(byCols, src, cols+16, 0, (rows+s.NR-1)/s.NR) }},
				{"Transpose", func() { s.Transpose(dst, rows+16, src, cols+16, rows, cols) }},
			} {
				b.Run(fmt.Sprintf("%s/%s/%dx%d", s.Name, f.name, rows, cols), func(b *testing.B) { perValue(b, rows*cols, 8, f.f) })
			}
		}
	}
}
