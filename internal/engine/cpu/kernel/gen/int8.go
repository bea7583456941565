package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	int8Levels = 254        // as in package kernel
	minusMax   = 0xffffff81 // -int8Max

	stripRow = 64           // bytes of four rows of a strip of B: 16 columns of four bytes
	accRow   = 2 * stripRow // bytes of a row of sums: 32 columns
)

// genSpan finds the least and the greatest of values and 0, NaN aside, and whether all are finite: a sum of zero times each is NaN if not.
func genSpan() {
	begin("span", "(x *float32, n int) (lo, hi, check float32)")
	x, n := ptr("x"), ptr("n")
	groups := wide(4, 1)
	width = groups
	lo, hi, check := zero(), zero(), zero()
	width = 1
	nothing := zero()
	forGroupsBy(groups, n, func(l loop) {
		v := l.load(x)
		for i := range v {
			VMINPS(lo[i], v[i], lo[i])
			VMAXPS(hi[i], v[i], hi[i])
			VFMADD231PS(nothing[0], v[i], check[i])
		}
	})
	for i := parts(); i < len(lo); i++ {
		VMINPS(lo[i], lo[i%parts()], lo[i%parts()])
		VMAXPS(hi[i], hi[i%parts()], hi[i%parts()])
		VADDPS(check[i], check[i%parts()], check[i%parts()])
	}
	result(tree(lo, VMINPS), 0)
	result(tree(hi, VMAXPS), 1)
	result(tree(check, VADDPS), 2)
	end()
}

// genQuantize rounds values to bytes, 16 at a time: what lies beyond the end in the last 16 is written, too.
func genQuantize() {
	begin("quantize", "(dst *int8, x *float32, inv float32, zero int32, flip uint32, n int)")
	dst, x, n := ptr("dst"), ptr("x"), ptr("n")
	inv := splat("inv")
	zero := register()
	VBROADCASTSS(param("zero"), zero)
	quantized(dst, n, zero, func(l loop) vec { return mul(l.load(x), inv) })
	end()
}

// quantized writes the values that f gives, rounded, plus zero, as bytes; the parameter flip is there for all four of a word.
func quantized(dst, n reg.GPVirtual, zero reg.VecVirtual, f func(l loop) vec) {
	flip := XMM()
	VBROADCASTSS(param("flip"), flip)
	forGroupsBy(wide(4, 2), n, func(l loop) {
		v := f(l)
		for i := range v {
			VCVTPS2DQ(v[i], v[i])
			VPADDD(zero, v[i], v[i])
		}
		for i := 0; i < len(v); i += parts() {
			out := XMM()
			if cur == avx512 {
				VPMOVSDB(v[i], out)
			} else {
				VPACKSSDW(v[i+1], v[i], v[i])
				VPERMQ(U8(0xd8), v[i], v[i]) // the halves of the registers were packed apart
				VEXTRACTI128(U8(1), v[i], out)
				VPACKSSWB(out, v[i].AsX(), out)
			}
			VPXOR(flip, out, out)
			VMOVDQU(out, Mem{Base: dst, Disp: 16 * i / parts()})
		}
		ADDQ(imm(16*len(v)/parts()), dst)
	})
}

// genSoftmaxInt8 is softmax and quantize in one: the greatest of the results is the reciprocal of the sum, as e^0 is 1 and
// [exponentials] gives nothing greater.
func genSoftmaxInt8() {
	begin("softmaxInt8", "(dst *int8, x *float32, scale float32, flip uint32, n int) float32")
	dst, x, n := ptr("dst"), ptr("x"), ptr("n")
	sum := exponentials(x, n)
	most := reciprocal(tree(sum, VADDPS))
	result(most, 0)
	r := spread(most)
	inv := div(load(constant(int8Levels)), r)
	quantized(dst, n, load(constantBits(minusMax))[0], func(l loop) vec { return mul(mul(r, l.load(x)), inv) })
	end()
}

// genDequantize turns sums of m rows into float32: y = FMA((acc - zero*sum)*rowScale, scale, bias).
func genDequantize() {
	begin("dequantize", "(y *float32, ldy int, acc *int32, rows *float32, m int, sum *int32, scale, bias *float32, n int)")
	y, ldy, acc, sum, scale, n := ptr("y"), ptr("ldy"), ptr("acc"), ptr("sum"), ptr("scale"), ptr("n")
	SHLQ(U8(2), ldy)
	bias, row, m, to, from := GP64(), GP64(), GP64(), GP64(), GP64()
	forGroupsBy(wide(2, 1), n, func(l loop) {
		s, f, b := l.load(sum), l.load(scale), zero()
		noBias, head := label("nobias"), label("row")
		Load(Param("bias"), bias)
		TESTQ(bias, bias)
		JEQ(LabelRef(noBias))
		for i := range b {
			MOVU(loadPart(at(bias, l.i, i), l.part(i)), b[i])
		}
		Label(noBias)
		Load(Param("rows"), row)
		Load(Param("m"), m)
		LEAQ(Mem{Base: y, Index: l.i, Scale: 1}, to)
		LEAQ(Mem{Base: acc, Index: l.i, Scale: 1}, from)
		Label(head)
		for i := 0; i < len(s)*cur.bytes; i += 64 { // rows of y lie further apart than a CPU fetches ahead by itself
			PREFETCHT0(Mem{Base: to, Index: ldy, Scale: 8, Disp: i})
		}
		rowScale, rowZero := register(), register()
		VBROADCASTSS(Mem{Base: row}, rowScale)
		VPBROADCASTD(Mem{Base: row, Disp: 4}, rowZero)
		for i := range s {
			v, t := register(), register()
			VMOVUPS(Mem{Base: from, Disp: cur.bytes * i}, v)
			VPMULLD(s[i], rowZero, t)
			VPSUBD(t, v, v)
			VCVTDQ2PS(v, v)
			VMULPS(rowScale, v, v)
			VFMADD213PS(b[i], f[i], v)
			storePart(v, Mem{Base: to, Disp: cur.bytes * i}, l.part(i))
		}
		ADDQ(imm(8), row)
		ADDQ(ldy, to)
		ADDQ(imm(accRow), from)
		DECQ(m)
		JNE(LabelRef(head))
	})
	end()
}

// MOVU copies a register.
func MOVU(from, to reg.VecVirtual) { VMOVAPS(from, to) }

// bytesProduct is VPDPBUSD: sum += a b of each four bytes, those of a without a sign. Go's assembler has the form of AVX-512 alone;
// AVX-VNNI's, VEX.256.66.0F38.W0 50 /r, is written as bytes, for registers that are chosen here.
func bytesProduct(b, a, sum Op) {
	if cur == avx512 {
		VPDPBUSD(b, a, sum)
		return
	}
	number := func(x Op) byte { return byte(x.(reg.Physical).PhysicalIndex()) }
	to, y := number(sum), number(b)
	raw(nil, 0xc4, (^to>>3&1)<<7|0x40|(^y>>3&1)<<5|2, (^number(a)&15)<<3|5, 0x50, 0xc0|to&7<<3|y&7)
}

// genInt8Tile writes the sums of tiles of mr rows with 32 columns (AVX-512, VPDPBUSD on bytes without a sign) or 16 (AVX-VNNI, which has
// the same instruction for YMM registers, and AVX2). k is a multiple of 16. AVX2 has the product of a byte without a sign and one with:
// |a| times b with the sign of a, two of which fit 16 bits as both are at most 127.
//
// AVX-512: 14x2 sums of 32 registers, two for B, two for A, as in [genTile]. AVX-VNNI: 6x2 sums of 16, and the same. AVX2: 4x2 sums of
// 16, two for B, and A, |a|, ones, two products.
func genInt8Tile(mr int) {
	begin(fmt.Sprintf("int8Tile%d", mr), "(k int, a *int8, lda int, b *int8, strip int, c *int32, tiles int, next *int8)")
	lda, strip := ptr("lda"), ptr("strip")
	rowParts := parts()
	strips := 2 / rowParts
	var sums [][]Op
	used := 0
	registers := func(n int) (r []Op) {
		for range n {
			if cur == avxvnni {
				r = append(r, physical(used))
			} else {
				r = append(r, register())
			}
			used++
		}
		return r
	}
	for range mr {
		sums = append(sums, registers(2))
	}
	b, v := registers(2), registers(2)
	var ones reg.VecVirtual
	if cur == avx2 {
		ones = YMM()
		VPCMPEQW(ones, ones, ones)
		VPSRLW(U8(15), ones, ones)
	}
	a := rowPointers(mr)
	k, p, next := GP64(), GP64(), ptr("next")
	Label("tile")
	for _, row := range sums {
		for _, s := range row {
			clearRegister(s)
		}
	}
	pointAtRows(a, lda, k)
	Load(Param("b"), p)
	Load(Param("k"), k)
	Label("loop")
	PREFETCHT1(Mem{Base: next})
	ADDQ(imm(64), next)
	const unroll = 4
	for u := range unroll {
		for s := range strips {
			for i := range rowParts {
				m := Mem{Base: p, Disp: u*stripRow + i*cur.bytes}
				if s > 0 {
					m.Index, m.Scale = strip, 1
				}
				VMOVUPS(m, b[s*rowParts+i])
			}
		}
		for i, row := range sums {
			m := ofRow(a, lda, i, u)
			if cur != avx2 {
				x := v[i%2]
				VPBROADCASTD(m, x)
				bytesProduct(b[0], x, row[0])
				bytesProduct(b[1], x, row[1])
				continue
			}
			VPBROADCASTD(m, v[0])
			VPABSB(v[0], v[1])
			for j, sum := range row {
				t := YMM()
				VPSIGNB(v[0], b[j], t)
				VPMADDUBSW(t, v[1], t)
				VPMADDWD(ones, t, t)
				VPADDD(t, sum, sum)
			}
		}
	}
	ADDQ(imm(unroll*stripRow), p)
	for _, r := range a {
		ADDQ(imm(4*unroll), r)
	}
	SUBQ(imm(4*unroll), k)
	JGT(LabelRef("loop"))
	Load(Param("c"), p)
	for _, row := range sums {
		for j, s := range row {
			VMOVUPS(s, Mem{Base: p, Disp: cur.bytes * j})
		}
		ADDQ(imm(accRow), p)
	}
	MOVQ(p, param("c"))
	IMUL3Q(imm(mr), lda, k)
	ADDQ(k, param("a"))
	DECQ(param("tiles"))
	JNE(LabelRef("tile"))
	end()
}
