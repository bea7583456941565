package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// flushing sets MXCSR so that subnormal operands and results are zero, and gives the function that sets it back.
func flushing() (restore func()) {
	mx := AllocLocal(8)
	setFlush(mx, GP32())
	return func() { LDMXCSR(mx) }
}

// setFlush keeps MXCSR at mx and sets FTZ and DAZ.
func setFlush(mx Mem, t reg.GPVirtual) {
	STMXCSR(mx)
	MOVL(mx, t)
	ORL(U32(flushBits), t)
	MOVL(t, mx.Offset(4))
	LDMXCSR(mx.Offset(4))
}

// flushIf is flushing for calls whose init has a bit set, which is taken away.
func flushIf(bit int) (restore func()) {
	mx, t := AllocLocal(8), GP32()
	MOVL(U32(0), mx)
	MOVQ(param("init"), t.As64())
	TESTL(U32(uint32(bit)), t)
	JEQ(LabelRef("keep"))
	SUBQ(imm(bit), param("init"))
	setFlush(mx, t)
	Label("keep")
	return func() {
		CMPL(mx, imm(0))
		JEQ(LabelRef("kept"))
		LDMXCSR(mx)
		Label("kept")
	}
}

// flushBits are MXCSR's FTZ and DAZ.
const flushBits = 0x8040

// roundBF16 rounds values to bf16, nearest even, and leaves them as float32. Subnormal ones become zero of their sign.
func roundBF16(x vec, one, nan vec) vec {
	last := newVec()
	for i := range x {
		VPSRLD(U8(16), x[i], last[i])
	}
	r := and(binary(addD, binary(addD, x, and(last, one)), constantBits(0x7fff)), constantBits(0xffff0000))
	r = choose(compare(cmpUnordered, x, x), nan, r)
	return choose(compare(cmpLT, and(x, constantBits(0x7fffffff)), constantBits(0x00800000)), and(x, constantBits(0x80000000)), r)
}

// genRoundBF16 rounds values, 16 at a time: behind the end of the last 16 zeros are written. swap: the two values of each pair change
// places.
func genRoundBF16(name string, swap bool) {
	begin(name, "(dst, src *float32, n int)")
	dst, src, n := ptr("dst"), ptr("src"), ptr("n")
	one, nan := register(), register()
	VBROADCASTSS(constantBits(1), one)
	VBROADCASTSS(constantBits(0x7fc00000), nan)
	forGroups(n, func(l loop) {
		for i, v := range roundBF16(l.load(src), same(one), same(nan)) {
			if swap {
				VPERMILPS(U8(0xb1), v, v)
			}
			VMOVUPS(v, at(dst, l.i, i))
		}
	})
	end()
}

// genBF16Twin writes AMX's TDPBF16PS with fused multiply-adds, for tiles of mr rows with one panel: for each 32 of k a chain over the even
// ones, one over the odd ones, and C += even + odd. Operands are float32 that bf16 holds. C starts from what stands at from. The even chains'
// sums wait in memory, as all registers are taken.
func genBF16Twin(mr int) {
	begin(fmt.Sprintf("bf16Twin%d", mr), "(blocks int, a *float32, lda int, b *float32, from *float32, ldfrom int, c *float32, ldc int, tiles int, even *float32)")
	restore := flushing()
	t := &tile{mr: mr, nv: 2, lda: ptr("lda"), k: GP64(), p: GP64()}
	t.a = rowPointers(mr)
	for range mr {
		t.sums = append(t.sums, []reg.VecVirtual{register(), register()})
	}
	t.panel, t.broadcast = []reg.VecVirtual{register(), register()}, []reg.VecVirtual{register(), register()}
	from, ldfrom, c, ldc := GP64(), GP64(), GP64(), ptr("ldc")
	blocks := AllocLocal(8)
	Label("tile")
	t.pointAtA()
	Load(Param("b"), t.p)
	Load(Param("from"), from)
	Load(Param("ldfrom"), ldfrom)
	Load(Param("blocks"), t.k)
	MOVQ(t.k, blocks)
	Label("block")
	for half, name := range []string{"even", "odd"} {
		for _, row := range t.sums {
			for _, s := range row {
				clearRegister(s)
			}
		}
		MOVQ(U32(4), t.k)
		Label(name)
		for u := half; u < 8; u += 2 {
			t.step(u, half == 0)
		}
		t.advance(8)
		DECQ(t.k)
		JNE(LabelRef(name))
		if half == 1 {
			break
		}
		Load(Param("even"), t.k)
		for i, row := range t.sums {
			for j, s := range row {
				VMOVUPS(s, Mem{Base: t.k, Disp: (2*i + j) * cur.bytes})
			}
		}
		t.advance(-32)
	}
	Load(Param("even"), t.k)
	Load(Param("c"), c)
	for i, row := range t.sums {
		for j, s := range row {
			VADDPS(Mem{Base: t.k, Disp: (2*i + j) * cur.bytes}, s, s)
			VADDPS(Mem{Base: from, Disp: cur.bytes * j}, s, s)
			VMOVUPS(s, Mem{Base: c, Disp: cur.bytes * j})
		}
		ADDQ(ldfrom, from)
		ADDQ(ldc, c)
	}
	Load(Param("c"), from)
	MOVQ(ldc, ldfrom)
	DECQ(blocks)
	JNE(LabelRef("block"))
	MOVQ(c, param("c"))
	Load(Param("ldfrom"), t.k)
	IMUL3Q(imm(mr), t.k, t.k)
	ADDQ(t.k, param("from"))
	IMUL3Q(imm(mr), t.lda, t.k)
	ADDQ(t.k, param("a"))
	DECQ(param("tiles"))
	JNE(LabelRef("tile"))
	restore()
	end()
}

// Neither avo nor Go's assembler knows the instructions of AVX512_BF16: they are written as bytes, for registers that are chosen here.

// zmm gives register i.
func zmm(i int) reg.VecPhysical {
	return []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14,
		reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}[i]
}

// physical is register i of the current width.
func physical(i int) reg.Register {
	if cur.bytes == 32 {
		return zmm(i).AsY()
	}
	return zmm(i)
}

// evex is EVEX.512.F3.0F38.W0 on registers: to = op(a, b).
func evex(op byte, to, a, b int) {
	not := func(x, bit int) byte { return byte(^x>>bit) & 1 }
	raw(nil, 0x62, not(to, 3)<<7|not(b, 4)<<6|not(b, 3)<<5|not(to, 4)<<4|2, byte(^a&15)<<3|6, 0x40|not(a, 4)<<3, op, 0xc0|byte(to&7)<<3|byte(b&7))
}

// pairProduct is VDPBF16PS: sum += a b of each pair, the odd one first.
func pairProduct(sum, a, b int) { evex(0x52, sum, a, b) }

// narrow is VCVTNEPS2BF16: 16 values of x to bf16 in the lower half of to.
func narrow(to, x int) { evex(0x72, to, 0, x) }

// genBF16Dot writes the product of tiles of mr rows with the 32 columns of a panel by VDPBF16PS: a chain over k, of each pair the odd one first.
// C starts from what stands at from. Registers as in [genInt8Tile].
func genBF16Dot(mr int) {
	begin(fmt.Sprintf("bf16Dot%d", mr), "(pairs int, a *float32, lda int, b *float32, strip int, from *float32, ldfrom int, c *float32, ldc int, tiles int)")
	lda, strip := ptr("lda"), ptr("strip")
	a := rowPointers(mr)
	const b, v = 28, 30
	k, p, ld, rest := GP64(), GP64(), GP64(), GP64()
	Label("tile")
	Load(Param("from"), p)
	Load(Param("ldfrom"), ld)
	for i := range mr {
		for j := range 2 {
			VMOVUPS(Mem{Base: p, Disp: 64 * j}, zmm(2*i+j))
		}
		ADDQ(ld, p)
	}
	MOVQ(p, param("from"))
	pointAtRows(a, lda, k)
	Load(Param("b"), p)
	step := func(u int) {
		VMOVUPS(Mem{Base: p, Disp: u * stripRow}, zmm(b))
		VMOVUPS(Mem{Base: p, Index: strip, Scale: 1, Disp: u * stripRow}, zmm(b+1))
		PREFETCHT0(Mem{Base: p, Disp: 1024 + u*stripRow})
		PREFETCHT0(Mem{Base: p, Index: strip, Scale: 1, Disp: 1024 + u*stripRow})
		for i := range mr {
			VPBROADCASTD(ofRow(a, lda, i, u), zmm(v+i%2))
			pairProduct(2*i, v+i%2, b)
			pairProduct(2*i+1, v+i%2, b+1)
		}
	}
	advance := func(n int) {
		ADDQ(imm(n*stripRow), p)
		for _, r := range a {
			ADDQ(imm(4*n), r)
		}
	}
	const unroll = 4
	Load(Param("pairs"), k)
	MOVQ(k, rest)
	ANDQ(imm(unroll-1), rest)
	SHRQ(U8(2), k)
	JEQ(LabelRef("rest"))
	Label("loop")
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	DECQ(k)
	JNE(LabelRef("loop"))
	Label("rest")
	TESTQ(rest, rest)
	JEQ(LabelRef("store"))
	Label("restloop")
	step(0)
	advance(1)
	DECQ(rest)
	JNE(LabelRef("restloop"))
	Label("store")
	Load(Param("c"), p)
	Load(Param("ldc"), ld)
	for i := range mr {
		for j := range 2 {
			VMOVUPS(zmm(2*i+j), Mem{Base: p, Disp: 64 * j})
		}
		ADDQ(ld, p)
	}
	MOVQ(p, param("c"))
	IMUL3Q(imm(mr), lda, k)
	ADDQ(k, param("a"))
	DECQ(param("tiles"))
	JNE(LabelRef("tile"))
	end()
}

// genNarrow rounds values to bf16, 16 at a time: behind the end of the last 16 zeros are written.
func genNarrow() {
	begin("narrow", "(dst, src *float32, n int)")
	dst, src, n := ptr("dst"), ptr("src"), ptr("n")
	whole := func(groups int) {
		for g := range groups {
			VMOVUPS(Mem{Base: src, Disp: 64 * g}, zmm(g))
			narrow(g, g)
			VMOVUPS(zmm(g).AsY(), Mem{Base: dst, Disp: 32 * g})
		}
		ADDQ(imm(64*groups), src)
		ADDQ(imm(32*groups), dst)
	}
	for _, groups := range []int{4, 1} {
		head, after := label("loop"), label("end")
		SUBQ(imm(16*groups), n)
		JLT(LabelRef(after))
		Label(head)
		whole(groups)
		SUBQ(imm(16*groups), n)
		JGE(LabelRef(head))
		Label(after)
		ADDQ(imm(16*groups), n)
	}
	TESTQ(n, n)
	JEQ(LabelRef("done"))
	VMOVUPS_Z(Mem{Base: src}, restMask(n)[0], reg.Z0)
	narrow(0, 0)
	VMOVUPS(reg.Y0, Mem{Base: dst})
	Label("done")
	end()
}

// genNarrowPairs packs pairs of rows of 32 values as two strips of words: the lower half is of the first row.
func genNarrowPairs() {
	begin("narrowPairs", "(dst *float32, strip int, src *float32, ld int, pairs int)")
	dst, strip, src, ld, n := ptr("dst"), ptr("strip"), ptr("src"), ptr("ld"), ptr("pairs")
	Label("loop")
	for j := range 2 {
		VMOVUPS(Mem{Base: src, Disp: 64 * j}, zmm(2*j))
		VMOVUPS(Mem{Base: src, Index: ld, Scale: 1, Disp: 64 * j}, zmm(2*j+1))
		narrow(2*j, 2*j)
		narrow(2*j+1, 2*j+1)
		VPMOVZXWD(zmm(2*j).AsY(), zmm(2*j))
		VPMOVZXWD(zmm(2*j+1).AsY(), zmm(2*j+1))
		VPSLLD(U8(16), zmm(2*j+1), zmm(2*j+1))
		VPORD(zmm(2*j+1), zmm(2*j), zmm(2*j))
	}
	VMOVUPS(reg.Z0, Mem{Base: dst})
	VMOVUPS(reg.Z2, Mem{Base: dst, Index: strip, Scale: 1})
	LEAQ(Mem{Base: src, Index: ld, Scale: 2}, src)
	ADDQ(imm(64), dst)
	DECQ(n)
	JNE(LabelRef("loop"))
	end()
}

// genPeakProduct writes a loop of products on registers, as [genPeak] does of fused multiply-adds: 24 sums (12 of 16 registers), factors that
// change.
func genPeakProduct(name string, product func(sum, a, b int)) {
	begin(name, "(n int, seeds *float32)")
	n, seeds := ptr("n"), ptr("seeds")
	sums, factors := 24, 3
	if cur.bytes == 32 {
		sums, factors = 12, 2
	}
	for i := range sums + 2*factors {
		VMOVUPS(Mem{Base: seeds, Disp: cur.bytes * i}, physical(i))
	}
	Label("loop")
	for round := range 2 {
		for i := range sums {
			product(i, sums+i%factors, sums+factors+(i/factors+round)%factors)
		}
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	end()
}

// genPeakInt8 is AVX2's way of a product of bytes on registers, see [genInt8Tile].
func genPeakInt8() {
	begin("peakInt8", "(n int, seeds *float32)")
	n, seeds := ptr("n"), ptr("seeds")
	var v []reg.VecVirtual
	for i := range 12 {
		v = append(v, YMM())
		VMOVUPS(Mem{Base: seeds, Disp: 32 * i}, v[i])
	}
	ones, t := v[11], YMM()
	Label("loop")
	for i := range 8 {
		VPSIGNB(v[8], v[9], t)
		VPMADDUBSW(t, v[10], t)
		VPMADDWD(ones, t, t)
		VPADDD(t, v[i], v[i])
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	end()
}

// genPeakAMX is a loop of products on tiles, four sums of 16 x 16.
func genPeakAMX(name string, op tileOp) {
	TEXT(name, NOSPLIT, "func(n int, seeds *float32, config *byte)")
	Pragma("noescape")
	n, seeds, t, row := reg.RCX, reg.RSI, reg.RBX, reg.RDX
	Load(Param("config"), t)
	tileConfig(t)
	Load(Param("n"), n)
	Load(Param("seeds"), seeds)
	MOVQ(U32(64), row)
	for i := range byte(4) {
		tileZero(i)
		tileLoad(4+i, seeds, row, 256*int32(i))
	}
	Label("loop")
	for i := range byte(4) {
		tileProduct(op, i, 4+i/2, 6+i%2)
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	tileRelease()
	RET()
}
