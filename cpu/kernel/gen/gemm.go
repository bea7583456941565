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

// genTile writes the product of tiles of mr rows with one panel of nv registers' width: C = (0 | C | bias) + A B, a chain over k for
// each element. The accumulators fill the register file: 6x2 of 16 YMM, 14x2 of 32 ZMM, two registers for a row of the panel, two for
// broadcasts, so that 12 and 28 independent chains hide the FMAs' latency of 4 at two a cycle. The loop over row tiles is inside, as
// a call costs as much as some rows of k. Rows of A are broadcast from where they lie, through one pointer for three rows.
func genTile(mr, nv int) {
	begin(fmt.Sprintf("tile%d", mr), "(kc int, a *float32, lda int, b, c *float32, ldc, tiles int, bias *float32, init int, next *float32)")
	kc, a, lda, b, c, ldc := ptr("kc"), ptr("a"), ptr("lda"), ptr("b"), ptr("c"), ptr("ldc")
	row := nv * cur.bytes // of the panel
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
	k, bp := GP64(), GP64()
	var next reg.GPVirtual
	if cur.bytes == 64 {
		next = ptr("next")
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
	Label("fromC")
	MOVQ(c, bp)
	for i := range acc {
		for j := range acc[i] {
			VMOVUPS(Mem{Base: bp, Disp: cur.bytes * j}, acc[i][j])
		}
		if i < mr-1 {
			ADDQ(ldc, bp)
		}
	}

	Label("go")
	MOVQ(a, base[0])
	if len(base) > 1 {
		LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, k)
		for i := 1; i < len(base); i++ {
			LEAQ(Mem{Base: base[i-1], Index: k, Scale: 1}, base[i])
		}
	}
	MOVQ(b, bp)
	step := func(u int, ahead bool) {
		for j := range nv {
			VMOVUPS(Mem{Base: bp, Disp: u*row + cur.bytes*j}, bv[j])
		}
		if ahead { // 2 KB: some 16 to 32 rows of the panel, the way to L2
			for l := 0; l < row; l += 64 {
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
	const unroll = 4
	MOVQ(kc, k)
	SUBQ(imm(unroll), k)
	JLT(LabelRef("tail"))
	Label("loop")
	if cur.bytes == 64 { // the next panel, an eighth of it while each tile is worked on
		PREFETCHT1(Mem{Base: next})
		ADDQ(imm(64), next)
	}
	for u := range unroll {
		step(u, true)
	}
	advance(unroll)
	SUBQ(imm(unroll), k)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(imm(unroll), k)
	JEQ(LabelRef("store"))
	Label("tailloop")
	step(0, false)
	advance(1)
	DECQ(k)
	JNE(LabelRef("tailloop"))

	Label("store")
	for i := range acc {
		for j := range acc[i] {
			VMOVUPS(acc[i][j], Mem{Base: c, Disp: cur.bytes * j})
		}
		ADDQ(ldc, c)
	}
	for range mr {
		ADDQ(lda, a)
	}
	p, err := Param("tiles").Resolve()
	if err != nil {
		panic(err)
	}
	DECQ(p.Addr)
	JNE(LabelRef("tile"))
	end()
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

// genPeak writes loops of FMAs on registers: as many accumulators as a tile has, factors of random bits that change from one
// instruction to the next, so that the multipliers switch as they do in a product.
func genPeak() {
	acc, factors := 10, 3
	if cur == avx512 {
		acc, factors = 24, 4
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
