package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func genElementwise() {
	begin("add", "(dst, a, b *float32, n int)")
	{
		dst, a, b, n := ptr("dst"), ptr("a"), ptr("b"), ptr("n")
		forGroups(n, func(l loop) { l.store(add(l.load(a), l.load(b)), dst) })
		end()
	}
	begin("scale", "(dst, a *float32, s float32, n int)")
	{
		dst, a, n := ptr("dst"), ptr("a"), ptr("n")
		s := splat("s")
		forGroups(n, func(l loop) { l.store(mul(s, l.load(a)), dst) })
		end()
	}
	begin("axpy", "(dst, a *float32, s float32, n int)")
	{
		dst, a, n := ptr("dst"), ptr("a"), ptr("n")
		s := splat("s")
		forGroups(n, func(l loop) {
			d := l.load(dst)
			fmaTo(d, s, l.load(a))
			l.store(d, dst)
		})
		end()
	}
	begin("finite", "(x *float32, n int) uint32")
	{
		x, n := ptr("x"), ptr("n")
		bad := zero()
		exponent := load(constantBits(0x7f800000))
		one := load(constantBits(1))
		forGroups(n, func(l loop) {
			v := and(l.load(x), exponent)
			// A finite value's exponent is below; subtracting it leaves a sign only where v is smaller.
			m := make(mask, len(v))
			for i := range v {
				if cur.bytes == 32 {
					r := YMM()
					VPCMPEQD(exponent[i], v[i], r)
					m[i] = r
				} else {
					k := K()
					VPCMPEQD(exponent[i], v[i], k)
					m[i] = k
				}
			}
			hit := keep(one, m)
			for i := range bad {
				if cur.bytes == 32 {
					VPOR(hit[i], bad[i], bad[i])
				} else {
					VPORD(hit[i], bad[i], bad[i])
				}
			}
		})
		x0 := tree(bad, VPORish)
		r := GP32()
		VMOVD(x0, r)
		Store(r, ReturnIndex(0))
		end()
	}
}

// VPORish joins bits in any register width.
func VPORish(ops ...Op) { VORPS(ops...) }

func genNorm() {
	begin("sum", "(x *float32, n int) float32")
	{
		x, n := ptr("x"), ptr("n")
		s := zero()
		forGroups(n, func(l loop) { addTo(s, l.load(x)) })
		result(tree(s, VADDPS), 0)
		end()
	}
	begin("dot", "(a, b *float32, n int) float32")
	{
		a, b, n := ptr("a"), ptr("b"), ptr("n")
		s := zero()
		forGroups(n, func(l loop) { fmaTo(s, l.load(a), l.load(b)) })
		result(tree(s, VADDPS), 0)
		end()
	}
	begin("squares", "(x *float32, mean float32, n int) float32")
	{
		x, n := ptr("x"), ptr("n")
		mean := splat("mean")
		s := zero()
		forGroups(n, func(l loop) {
			d := l.live(sub(l.load(x), mean))
			fmaTo(s, d, d)
		})
		result(tree(s, VADDPS), 0)
		end()
	}
	begin("normalize", "(y, x, gamma, beta *float32, mean, rstd float32, n int)")
	{
		y, x, gamma, beta, n := ptr("y"), ptr("x"), ptr("gamma"), ptr("beta"), ptr("n")
		mean, rstd := splat("mean"), splat("rstd")
		forGroups(n, func(l loop) {
			h := mul(sub(l.load(x), mean), rstd)
			l.store(fma(h, l.load(gamma), l.load(beta)), y)
		})
		end()
	}
	begin("normGradSums", "(dy, x, gamma *float32, mean, rstd float32, n int) (total, weighted float32)")
	{
		dy, x, gamma, n := ptr("dy"), ptr("x"), ptr("gamma"), ptr("n")
		mean, rstd := splat("mean"), splat("rstd")
		sg, sgh := zero(), zero()
		forGroups(n, func(l loop) {
			g := mul(l.load(dy), l.load(gamma)) // 0 beyond the end
			h := l.live(mul(sub(l.load(x), mean), rstd))
			addTo(sg, g)
			fmaTo(sgh, g, h)
		})
		result(tree(sg, VADDPS), 0)
		result(tree(sgh, VADDPS), 1)
		end()
	}
	begin("normGrad", "(dx, dy, x, gamma *float32, mean, rstd, a, b float32, n int)")
	{
		dx, dy, x, gamma, n := ptr("dx"), ptr("dy"), ptr("x"), ptr("gamma"), ptr("n")
		mean, rstd, a, b := splat("mean"), splat("rstd"), splat("a"), splat("b")
		forGroups(n, func(l loop) {
			g := sub(mul(l.load(dy), l.load(gamma)), a)
			h := mul(sub(l.load(x), mean), rstd)
			fnmaTo(g, h, b)
			l.store(mul(rstd, g), dx)
		})
		end()
	}
	begin("normGradParams", "(dgamma, dbeta, dy, x *float32, mean, rstd float32, n int)")
	{
		dgamma, dbeta, dy, x, n := ptr("dgamma"), ptr("dbeta"), ptr("dy"), ptr("x"), ptr("n")
		mean, rstd := splat("mean"), splat("rstd")
		forGroups(n, func(l loop) {
			d := l.load(dy)
			h := mul(sub(l.load(x), mean), rstd)
			g := l.load(dgamma)
			fmaTo(g, d, h)
			l.store(g, dgamma)
			l.store(add(l.load(dbeta), d), dbeta)
		})
		end()
	}
}

const (
	expMin  = -87.3
	expMax  = 88.72283
	log2E   = 1.44269504
	ln2High = 0.693359375
	ln2Low  = -2.12194440e-4
)

var expPoly = []float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}

// exp is numeric.Exp. Without upper the argument is known to be below 88.
func exp(x vec, upper bool) vec {
	n := mul(x, constant(log2E))
	for i := range n {
		if cur.bytes == 32 {
			VROUNDPS(U8(8), n[i], n[i])
		} else {
			VRNDSCALEPS(U8(8), n[i], n[i])
		}
	}
	r := copyOf(x)
	fnmaTo(r, n, constant(ln2High))
	fnmaTo(r, n, constant(ln2Low))
	p := load(constant(expPoly[0]))
	for _, c := range expPoly[1:] {
		for i := range p {
			VFMADD213PS(constant(c), r[i], p[i])
		}
	}
	y := fma(p, mul(r, r), r)
	addTo(y, constant(1))
	for i := range n {
		VCVTPS2DQ(n[i], n[i])
		VPSLLD(U8(23), n[i], n[i])
		VPADDD(n[i], y[i], y[i])
	}
	y = drop(y, compare(cmpLT, x, constant(expMin)))
	if upper {
		y = choose(compare(cmpGT, x, constant(expMax)), load(constant(float32(math.Inf(1)))), y)
	}
	return y
}

func genSoftmax() {
	begin("max", "(x *float32, n int) float32")
	{
		x, n := ptr("x"), ptr("n")
		inf := constant(float32(math.Inf(-1)))
		m := load(inf)
		forGroups(n, func(l loop) {
			v := l.load(x)
			if l.rest != nil {
				v = choose(l.rest, v, load(inf))
			}
			for i := range m {
				VMAXPS(m[i], v[i], m[i]) // v > m ? v : m
			}
		})
		result(tree(m, VMAXPS), 0)
		end()
	}
	for _, store := range []bool{true, false} {
		name := "expSum"
		if store {
			name = "expStore"
		}
		begin(name, "(x *float32, m, scale float32, n int) float32")
		x, n := ptr("x"), ptr("n")
		m, scale := splat("m"), splat("scale")
		s := zero()
		forGroups(n, func(l loop) {
			e := exp(mul(sub(l.load(x), m), scale), false)
			if store {
				l.store(e, x)
			}
			addTo(s, l.live(e))
		})
		result(tree(s, VADDPS), 0)
		end()
	}
	begin("softmaxGrad", "(dp, p *float32, s, scale float32, n int)")
	{
		dp, p, n := ptr("dp"), ptr("p"), ptr("n")
		s, scale := splat("s"), splat("scale")
		forGroups(n, func(l loop) { l.store(mul(mul(l.load(p), sub(l.load(dp), s)), scale), dp) })
		end()
	}
	begin("first", "(x *float32, m float32, n int) int")
	{
		// The index of the first group of 16 that holds m; n if none does.
		x, n := ptr("x"), ptr("n")
		m := splat("m")
		found := GP64()
		XORQ(found, found)
		left := GP64()
		MOVQ(n, left)
		Label("look")
		SUBQ(U8(16), left)
		JLT(LabelRef("out"))
		hit := compare(cmpEQ, m, load0(x))
		bits := GP32()
		if cur.bytes == 32 {
			other := GP32()
			VMOVMSKPS(hit[0], bits)
			VMOVMSKPS(hit[1], other)
			ORL(other, bits)
		} else {
			KMOVW(hit[0], bits)
		}
		TESTL(bits, bits)
		JNE(LabelRef("out"))
		ADDQ(U8(group), x)
		ADDQ(U8(16), found)
		JMP(LabelRef("look"))
		Label("out")
		Store(found, ReturnIndex(0))
		end()
	}
}

func load0(p reg.GPVirtual) vec { return load(Mem{Base: p}) }

func genOptimizer() {
	begin("adam", "(u, m, v, grad, w *float32, gscale, beta1, beta2, c1, c2, eps, decay float32, n int)")
	u, mp, vp, gp, wp, n := ptr("u"), ptr("m"), ptr("v"), ptr("grad"), ptr("w"), ptr("n")
	gscale, beta1, beta2 := splat("gscale"), splat("beta1"), splat("beta2")
	c1, c2, eps, decay := splat("c1"), splat("c2"), splat("eps"), splat("decay")
	if cur.bytes == 32 { // not enough registers for all constants twice: both halves use the same
		for _, c := range []vec{gscale, beta1, beta2, c1, c2, eps, decay} {
			c[1] = c[0]
		}
	}
	one := func(l loop) {
		d := mul(l.load(gp), gscale)
		m := fma(l.load(mp), beta1, mul(c1, d))
		l.store(m, mp)
		v := fma(l.load(vp), beta2, mul(mul(c2, d), d))
		l.store(v, vp)
		for i := range v {
			VSQRTPS(v[i], v[i])
		}
		addTo(v, eps)
		q := div(m, v)
		fmaTo(q, l.load(wp), decay)
		l.store(q, u)
	}
	forGroups(n, one)
	end()
}
