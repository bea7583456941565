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

// tile is the state of [genTile].
type tile struct {
	mr, nv    int // rows, and registers in a row
	lda, ldc  reg.GPVirtual
	sums      [][]reg.VecVirtual // [mr][nv]
	panel     []reg.VecVirtual   // a row of the panel
	broadcast []reg.VecVirtual   // values of A, in turn
	a         []reg.GPVirtual    // rows 0, 3, 6 ... of A
	k, p      reg.GPVirtual      // a counter, and a pointer into the panel or C
	rest      reg.GPVirtual      // rounds without a new row of C to fetch
	ahead     reg.GPVirtual      // C's row to fetch
	aheadStep reg.GPVirtual
	next      reg.GPVirtual // what will be wanted of the next panel
	valid     Op            // the mask of the last register's columns: a K register, or panel[0], which is free before and after the loop over k
}

// genTile writes the product of tiles of mr rows with one panel, nv registers of its width: C = (0 | C | bias) + A B, a chain over k
// for each element; of the last register's columns the first tail are C's. The accumulators fill the register file: 6x2 of 16 YMM,
// 14x2 of 32 ZMM, two registers for a row of the panel, two for broadcasts: 12 and 28 independent chains hide the FMAs' latency of 4
// at two a cycle. Where C ends in the first half of a panel one register is enough, and 12x1 or 14x1 accumulators are used. The loop
// over row tiles is inside, as a call costs as much as some rows of k. Rows of A are broadcast from where they lie, through one
// pointer for three rows. A start of 4 more than 0, C or bias is of products of bf16, where subnormal numbers are zero.
func genTile(name string, mr, nv int) {
	begin(fmt.Sprintf("%s%d", name, mr), "(kc int, a *float32, lda int, b, c *float32, ldc, tiles, tail int, bias *float32, init int, next, nextC *float32)")
	restore := flushIf(4)
	t := newTile(mr, nv)
	Label("tile")
	t.start()
	Label("go")
	t.pointAtA()
	t.multiply()
	Label("store")
	t.eachOfC("store", "stored", t.toC)
	Label("stored")
	MOVQ(t.p, param("c"))
	IMUL3Q(imm(mr), t.lda, t.k)
	ADDQ(t.k, param("a"))
	DECQ(param("tiles"))
	JNE(LabelRef("tile"))
	restore()
	end()
}

func newTile(mr, nv int) *tile {
	t := &tile{mr: mr, nv: nv, lda: ptr("lda"), ldc: ptr("ldc")}
	registers := func(n int) (r []reg.VecVirtual) {
		for range n {
			r = append(r, register())
		}
		return r
	}
	for range mr {
		t.sums = append(t.sums, registers(nv))
	}
	t.panel, t.broadcast = registers(nv), registers(2)
	t.a = rowPointers(mr)
	t.k, t.p, t.rest, t.ahead, t.aheadStep = GP64(), GP64(), GP64(), GP64(), GP64()
	t.next = ptr("next")
	t.valid = t.panel[0]
	if cur.bytes == 64 {
		t.valid = K()
		Load(Param("tail"), t.k)
		ones := GP32()
		MOVL(U32(0xffff), ones)
		BZHIL(t.k.As32(), ones, ones)
		KMOVW(ones, t.valid)
	}
	return t
}

// loadMask makes valid where it has no register of its own.
func (t *tile) loadMask() {
	if cur.bytes == 32 {
		Load(Param("tail"), t.k)
		NEGQ(t.k)
		table := t.a[0]
		LEAQ(maskTable, table)
		VMOVUPS(Mem{Base: table, Index: t.k, Scale: 4, Disp: 64}, t.panel[0])
	}
}

// start sets the sums to 0, the bias or C, and goes on at "go".
func (t *tile) start() {
	start := Load(Param("init"), t.p)
	CMPQ(start, U8(1))
	JEQ(LabelRef("fromC"))
	JGT(LabelRef("fromBias"))
	for _, row := range t.sums {
		for _, sum := range row {
			clearRegister(sum)
		}
	}
	JMP(LabelRef("go"))
	Label("fromBias")
	bias := Load(Param("bias"), t.k)
	for j := range t.nv {
		VMOVUPS(Mem{Base: bias, Disp: cur.bytes * j}, t.sums[0][j])
		for i := 1; i < t.mr; i++ {
			VMOVAPS(t.sums[0][j], t.sums[i][j])
		}
	}
	JMP(LabelRef("go"))
	Label("fromC")
	t.eachOfC("from", "go", t.fromC)
}

// eachOfC calls f for every register of C, for the last of a row with its mask if it is not full, and goes on at the label after.
func (t *tile) eachOfC(label, after string, f func(m Mem, sum reg.VecVirtual, masked bool)) {
	walk := func(masked bool) {
		for _, row := range t.sums {
			for j, sum := range row {
				f(Mem{Base: t.p, Disp: cur.bytes * j}, sum, masked && j == t.nv-1)
			}
			ADDQ(t.ldc, t.p)
		}
	}
	Load(Param("c"), t.p)
	CMPQ(param("tail"), imm(cur.bytes/4))
	JNE(LabelRef(label + "Part"))
	walk(false)
	JMP(LabelRef(after))
	Label(label + "Part")
	t.loadMask()
	walk(true)
}

func (t *tile) fromC(m Mem, sum reg.VecVirtual, masked bool) {
	switch {
	case !masked:
		VMOVUPS(m, sum)
	case cur.bytes == 32:
		VMASKMOVPS(m, t.valid, sum)
	default:
		VMOVUPS_Z(m, t.valid, sum)
	}
}

func (t *tile) toC(m Mem, sum reg.VecVirtual, masked bool) {
	switch {
	case !masked:
		VMOVUPS(sum, m)
	case cur.bytes == 32:
		VMASKMOVPS(sum, t.valid, m)
	default:
		VMOVUPS(sum, t.valid, m)
	}
}

// pointAtA sets the pointers to rows of A.
func (t *tile) pointAtA() { pointAtRows(t.a, t.lda, t.k) }

// rowPointers are pointers to mr rows, one for three rows.
func rowPointers(mr int) (a []reg.GPVirtual) {
	for range (mr + 2) / 3 {
		a = append(a, GP64())
	}
	return a
}

// pointAtRows sets the pointers to rows of A, lda bytes apart.
func pointAtRows(a []reg.GPVirtual, lda, scratch reg.GPVirtual) {
	Load(Param("a"), a[0])
	if len(a) > 1 {
		LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, scratch)
		for i := 1; i < len(a); i++ {
			LEAQ(Mem{Base: a[i-1], Index: scratch, Scale: 1}, a[i])
		}
	}
}

// ofRow is word u of row i.
func ofRow(a []reg.GPVirtual, lda reg.GPVirtual, i, u int) Mem {
	m := Mem{Base: a[i/3], Disp: 4 * u}
	if i%3 > 0 {
		m.Index, m.Scale = lda, uint8(i%3)
	}
	return m
}

// multiply is the loop over k, four at a time. Its first mr rounds bring C's next rows closer, one each: those of the tile below, or the
// next panel's. All at once they would hold up the panel. Later rounds stay where the last ended.
func (t *tile) multiply() {
	const unroll = 4
	Load(Param("b"), t.p)
	IMUL3Q(imm(t.mr), t.ldc, t.ahead)
	ADDQ(param("c"), t.ahead)
	CMPQ(param("tiles"), imm(1))
	CMOVQEQ(param("nextC"), t.ahead)
	MOVQ(t.ldc, t.aheadStep)
	Load(Param("kc"), t.rest)
	SHRQ(U8(2), t.rest)
	JEQ(LabelRef("rest"))
	MOVQ(U32(uint32(t.mr)), t.k)
	CMPQ(t.rest, t.k)
	CMOVQLT(t.rest, t.k)
	SUBQ(t.k, t.rest)
	Label("loop")
	PREFETCHT1(Mem{Base: t.next})
	ADDQ(imm(64), t.next)
	for u := range unroll {
		t.step(u, true)
		if u < t.nv*cur.bytes/64 {
			PREFETCHT0(Mem{Base: t.ahead, Disp: 64 * u})
		}
	}
	ADDQ(t.aheadStep, t.ahead)
	t.advance(unroll)
	DECQ(t.k)
	JNE(LabelRef("loop"))
	XORQ(t.aheadStep, t.aheadStep)
	ORQ(t.rest, t.k)
	MOVQ(U32(0), t.rest)
	JNE(LabelRef("loop"))
	Label("rest")
	Load(Param("kc"), t.k)
	ANDQ(imm(unroll-1), t.k)
	JEQ(LabelRef("store"))
	Label("restloop")
	t.step(0, false)
	t.advance(1)
	DECQ(t.k)
	JNE(LabelRef("restloop"))
}

// rowBytes is a row of the panel.
func (t *tile) rowBytes() int { return 2 * cur.bytes }

// step adds the products of row u of the panel, from where p is.
func (t *tile) step(u int, fetch bool) {
	at := u * t.rowBytes()
	for j, r := range t.panel {
		VMOVUPS(Mem{Base: t.p, Disp: at + cur.bytes*j}, r)
	}
	if fetch { // 2 KB: some 16 to 32 rows of the panel, the way to L2
		for l := 0; l < t.rowBytes()*t.nv/2; l += 64 {
			PREFETCHT0(Mem{Base: t.p, Disp: 2048 + at + l})
		}
	}
	for i, sums := range t.sums {
		v := t.broadcast[i%2]
		VBROADCASTSS(ofRow(t.a, t.lda, i, u), v)
		for j, sum := range sums {
			VFMADD231PS(t.panel[j], v, sum)
		}
	}
}

// advance goes n rows of the panel on.
func (t *tile) advance(n int) {
	ADDQ(imm(n*t.rowBytes()), t.p)
	for _, a := range t.a {
		ADDQ(imm(4*n), a)
	}
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
