package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func imm(v int) Op {
	if v >= -128 && v < 128 {
		return I8(int8(v))
	}
	return I32(int32(v))
}

// genTile writes the product of tiles of mr rows with one panel, nv registers of its width: C = (0 | C | bias) + A B, a chain over k
// for each element; of the last register's columns the first tail are C's. The accumulators fill the register file: 6x2 of 16 YMM,
// 14x2 of 32 ZMM, two registers for a row of the panel, two for broadcasts: 12 and 28 independent chains hide the FMAs' latency of 4
// at two a cycle. Where C ends in the first half of a panel one register is enough, and 12x1 or 14x1 accumulators are used. The loop
// over row tiles is inside, as a call costs as much as some rows of k. Rows of A are broadcast from where they lie, through one
// pointer for three rows.
func genTile(name string, mr, nv int) {
	begin(fmt.Sprintf("%s%d", name, mr), "(kc int, a *float32, lda int, b, c *float32, ldc, tiles, tail int, bias *float32, init int, next, nextC *float32)")
	lda, ldc := ptr("lda"), ptr("ldc")
	lanes := cur.bytes / 4
	row := 2 * cur.bytes // of the panel
	acc := make([][]reg.VecVirtual, mr)
	for i := range acc {
		for range nv {
			acc[i] = append(acc[i], register())
		}
	}
	var bv, tmp []reg.VecVirtual
	for range nv {
		bv = append(bv, register())
	}
	for range 2 {
		tmp = append(tmp, register())
	}
	base := make([]reg.GPVirtual, (mr+2)/3)
	for i := range base {
		base[i] = GP64()
	}
	k, bp, rest, ahead, aheadStep := GP64(), GP64(), GP64(), GP64(), GP64()
	next := ptr("next")
	// The mask of the last register's columns: a K register, or bv[0], which is free before and after the loop over k.
	var valid Op = bv[0]
	if cur.bytes == 64 {
		valid = K()
		Load(Param("tail"), k)
		ones := GP32()
		MOVL(U32(0xffff), ones)
		BZHIL(k.As32(), ones, ones)
		KMOVW(ones, valid)
	}
	loadMask := func() {
		if cur.bytes == 32 {
			Load(Param("tail"), k)
			NEGQ(k)
			t := base[0]
			LEAQ(maskTable, t)
			VMOVUPS(Mem{Base: t, Index: k, Scale: 4, Disp: 64}, bv[0])
		}
	}

	Label("tile")
	start := Load(Param("init"), bp)
	CMPQ(start, U8(1))
	JEQ(LabelRef("fromC"))
	JGT(LabelRef("fromBias"))
	for i := range acc {
		for j := range acc[i] {
			clearRegister(acc[i][j])
		}
	}
	JMP(LabelRef("go"))
	Label("fromBias")
	bias := Load(Param("bias"), k)
	for j := range nv {
		VMOVUPS(Mem{Base: bias, Disp: cur.bytes * j}, acc[0][j])
		for i := 1; i < mr; i++ {
			VMOVAPS(acc[0][j], acc[i][j])
		}
	}
	JMP(LabelRef("go"))
	// walk calls f for every register of C, masked or not.
	walk := func(p reg.GPVirtual, masked bool, f func(m Mem, r reg.VecVirtual, masked bool)) {
		for i := range acc {
			for j := range acc[i] {
				f(Mem{Base: p, Disp: cur.bytes * j}, acc[i][j], masked && j == nv-1)
			}
			ADDQ(ldc, p)
		}
	}
	Label("fromC")
	Load(Param("c"), bp)
	fromC := func(m Mem, r reg.VecVirtual, masked bool) {
		switch {
		case !masked:
			VMOVUPS(m, r)
		case cur.bytes == 32:
			VMASKMOVPS(m, valid, r)
		default:
			VMOVUPS_Z(m, valid, r)
		}
	}
	CMPQ(param("tail"), imm(lanes))
	JNE(LabelRef("fromPart"))
	walk(bp, false, fromC)
	JMP(LabelRef("go"))
	Label("fromPart")
	loadMask()
	walk(bp, true, fromC)

	Label("go")
	Load(Param("a"), base[0])
	if len(base) > 1 {
		LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, k)
		for i := 1; i < len(base); i++ {
			LEAQ(Mem{Base: base[i-1], Index: k, Scale: 1}, base[i])
		}
	}
	Load(Param("b"), bp)
	step := func(u int, fetch bool) {
		for j := range nv {
			VMOVUPS(Mem{Base: bp, Disp: u*row + cur.bytes*j}, bv[j])
		}
		if fetch { // 2 KB: some 16 to 32 rows of the panel, the way to L2
			for l := 0; l < row*nv/2; l += 64 {
				PREFETCHT0(Mem{Base: bp, Disp: 2048 + u*row + l})
			}
		}
		for i := range mr {
			m := Mem{Base: base[i/3], Disp: 4 * u}
			if i%3 > 0 {
				m.Index, m.Scale = lda, uint8(i%3)
			}
			VBROADCASTSS(m, tmp[i%2])
			for j := range nv {
				VFMADD231PS(bv[j], tmp[i%2], acc[i][j])
			}
		}
	}
	advance := func(u int) {
		ADDQ(imm(u*row), bp)
		for i := range base {
			ADDQ(imm(4*u), base[i])
		}
	}
	// The first mr rounds bring C's next rows closer, one each: those of the tile below, or the next panel's. All at once they would
	// hold up the panel. Later rounds stay where the last ended.
	const unroll = 4
	IMUL3Q(imm(mr), ldc, ahead)
	ADDQ(param("c"), ahead)
	CMPQ(param("tiles"), imm(1))
	CMOVQEQ(param("nextC"), ahead)
	MOVQ(ldc, aheadStep)
	Load(Param("kc"), rest)
	SHRQ(U8(2), rest)
	JEQ(LabelRef("rest"))
	MOVQ(U32(uint32(mr)), k)
	CMPQ(rest, k)
	CMOVQLT(rest, k)
	SUBQ(k, rest)
	Label("loop")
	PREFETCHT1(Mem{Base: next})
	ADDQ(imm(64), next)
	for u := range unroll {
		step(u, true)
		if u < nv*cur.bytes/64 {
			PREFETCHT0(Mem{Base: ahead, Disp: 64 * u})
		}
	}
	ADDQ(aheadStep, ahead)
	advance(unroll)
	DECQ(k)
	JNE(LabelRef("loop"))
	XORQ(aheadStep, aheadStep)
	ORQ(rest, k)
	MOVQ(U32(0), rest)
	JNE(LabelRef("loop"))
	Label("rest")
	Load(Param("kc"), k)
	ANDQ(imm(unroll-1), k)
	JEQ(LabelRef("store"))
	Label("restloop")
	step(0, false)
	advance(1)
	DECQ(k)
	JNE(LabelRef("restloop"))

	Label("store")
	toC := func(m Mem, r reg.VecVirtual, masked bool) {
		switch {
		case !masked:
			VMOVUPS(r, m)
		case cur.bytes == 32:
			VMASKMOVPS(r, valid, m)
		default:
			VMOVUPS(r, valid, m)
		}
	}
	Load(Param("c"), bp)
	CMPQ(param("tail"), imm(lanes))
	JNE(LabelRef("storePart"))
	walk(bp, false, toC)
	JMP(LabelRef("stored"))
	Label("storePart")
	loadMask()
	walk(bp, true, toC)
	Label("stored")
	MOVQ(bp, param("c"))
	IMUL3Q(imm(mr), lda, k)
	ADDQ(k, param("a"))
	DECQ(param("tiles"))
	JNE(LabelRef("tile"))
	end()
}

// param is the place of a parameter on the stack.
func param(name string) Mem {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// genPackRows copies rows of a panel's width together.
func genPackRows(nv int) {
	begin("packRows", "(dst, src *float32, ld, k int)")
	dst, src, ld, k := ptr("dst"), ptr("src"), ptr("ld"), ptr("k")
	SHLQ(U8(2), ld)
	Label("loop")
	var v []reg.VecVirtual
	for j := range nv {
		v = append(v, register())
		VMOVUPS(Mem{Base: src, Disp: cur.bytes * j}, v[j])
	}
	for j := range nv {
		VMOVUPS(v[j], Mem{Base: dst, Disp: cur.bytes * j})
	}
	ADDQ(ld, src)
	ADDQ(imm(nv*cur.bytes), dst)
	DECQ(k)
	JNE(LabelRef("loop"))
	end()
}

// genTranspose turns blocks of 8 x 8: columns/8 of them from 8 rows. ldd and lds in bytes.
func genTranspose() {
	begin("transpose8x", "(dst *float32, ldd int, src *float32, lds int, blocks int)")
	dst, ldd, src, lds, n := ptr("dst"), ptr("ldd"), ptr("src"), ptr("lds"), ptr("blocks")
	d3, s3, sh, dh := GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: ldd, Index: ldd, Scale: 2}, d3)
	LEAQ(Mem{Base: lds, Index: lds, Scale: 2}, s3)
	Label("block")
	LEAQ(Mem{Base: src, Index: lds, Scale: 4}, sh)
	LEAQ(Mem{Base: dst, Index: ldd, Scale: 4}, dh)
	rows := func(p, h, ld, ld3 reg.GPVirtual) []Mem {
		var m []Mem
		for _, b := range []reg.GPVirtual{p, h} {
			m = append(m, Mem{Base: b}, Mem{Base: b, Index: ld, Scale: 1}, Mem{Base: b, Index: ld, Scale: 2}, Mem{Base: b, Index: ld3, Scale: 1})
		}
		return m
	}
	in := rows(src, sh, lds, s3)
	// Rows i and i+4 side by side in 128-bit halves, then 4x4 transposes within the halves.
	var t [8]reg.VecVirtual
	for half := range 2 { // columns 0-3 and 4-7
		var r [4]reg.VecVirtual
		for i := range r {
			r[i] = YMM()
			VMOVUPS(in[i].Offset(16*half), r[i].AsX())
			VINSERTF128(U8(1), in[i+4].Offset(16*half), r[i], r[i])
		}
		a, b, c, d := YMM(), YMM(), YMM(), YMM()
		VUNPCKLPS(r[1], r[0], a)
		VUNPCKHPS(r[1], r[0], b)
		VUNPCKLPS(r[3], r[2], c)
		VUNPCKHPS(r[3], r[2], d)
		for i := range 4 {
			t[4*half+i] = YMM()
		}
		VSHUFPS(U8(0x44), c, a, t[4*half])
		VSHUFPS(U8(0xee), c, a, t[4*half+1])
		VSHUFPS(U8(0x44), d, b, t[4*half+2])
		VSHUFPS(U8(0xee), d, b, t[4*half+3])
	}
	for i, m := range rows(dst, dh, ldd, d3) {
		VMOVUPS(t[i], m)
	}
	ADDQ(U8(32), src)
	LEAQ(Mem{Base: dst, Index: ldd, Scale: 8}, dst)
	DECQ(n)
	JNE(LabelRef("block"))
	end()
}

// genPeak writes loops of FMAs on registers: factors of random bits that change from one instruction to the next, so that the
// multipliers switch as they do in a product. With 8 accumulators, all that latency 4 at two a cycle needs, a Zen 5 does 90 % of what
// it does with 12 or more, with 10 it does 96 %; more than 12 bring nothing.
func genPeak() {
	acc, factors := 12, 2
	if cur == avx512 {
		acc, factors = 24, 3
	}
	begin("peak", "(n int, seeds *float32)")
	n, seeds := ptr("n"), ptr("seeds")
	var a, x, y []reg.VecVirtual
	disp := 0
	next := func() reg.VecVirtual {
		r := register()
		VMOVUPS(Mem{Base: seeds, Disp: disp}, r)
		disp += cur.bytes
		return r
	}
	for range factors {
		x, y = append(x, next()), append(y, next())
	}
	for range acc {
		a = append(a, next())
	}
	Label("loop")
	for round := range 2 {
		for i := range a {
			VFMADD231PS(x[i%factors], y[(i/factors+round)%factors], a[i])
		}
	}
	DECQ(n)
	JNE(LabelRef("loop"))
	end()
}
