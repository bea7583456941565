package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is the instruction set that is being written. Everything but the matrix product works on groups of 16 values: two YMM
// registers or one ZMM.
type isa struct {
	name  string
	bytes int // of a register
}

var (
	avx2    = isa{"AVX2", 32}
	avxvnni = isa{"AVXVNNI", 32} // has the products of int8 alone
	avx512  = isa{"AVX512", 64}
	cur     isa
)

const group = 64 // bytes of a group of 16 values

// vec is one group of values or, inside forGroups, several. Where vectors meet, a shorter one is repeated.
type vec []reg.VecVirtual

// mask chooses among 16 values: K registers with AVX-512, vectors of all-ones with AVX2.
type mask []Op

// parts is the number of registers of a group.
func parts() int { return group / cur.bytes }

// width is how many groups a new vec has.
var width = 1

// register is a new one of the current width.
func register() reg.VecVirtual {
	if cur.bytes == 32 {
		return YMM()
	}
	return ZMM()
}

func newVec() vec {
	v := make(vec, parts()*width)
	for i := range v {
		v[i] = register()
	}
	return v
}

func (v vec) at(i int) reg.VecVirtual { return v[i%len(v)] }

// at is the memory of part i of the group at base + index.
func at(base, index reg.Register, i int) Mem {
	m := Mem{Base: base, Disp: i * cur.bytes}
	if index != nil {
		m.Index, m.Scale = index, 1
	}
	return m
}

// constants are 32 bits in each of the eight lanes of a YMM; AVX-512 instructions broadcast the first. (Go aligns data to 32 bytes: of
// 64-byte constants half would lie across cache lines.)
var constants = map[uint32]Mem{}

func constantBits(bits uint32) Mem {
	m, ok := constants[bits]
	if !ok {
		m = GLOBL(fmt.Sprintf("c%08x", bits), RODATA|NOPTR)
		for i := range 8 {
			DATA(4*i, U32(bits))
		}
		constants[bits] = m
	}
	return m
}

// instruction is one in whose first operand a constant may stand.
type instruction func(ops ...Op)

// either is full, or with AVX-512 and a constant its form that broadcasts.
func either(full, broadcast func(ops ...Op)) instruction {
	return func(ops ...Op) {
		if _, ok := ops[0].(Mem); ok && cur.bytes == 64 {
			broadcast(ops...)
		} else {
			full(ops...)
		}
	}
}

var (
	addPS     = either(VADDPS, VADDPS_BCST)
	subPS     = either(VSUBPS, VSUBPS_BCST)
	mulPS     = either(VMULPS, VMULPS_BCST)
	divPS     = either(VDIVPS, VDIVPS_BCST)
	minPS     = either(VMINPS, VMINPS_BCST)
	maxPS     = either(VMAXPS, VMAXPS_BCST)
	fmadd213  = either(VFMADD213PS, VFMADD213PS_BCST)
	fmadd231  = either(VFMADD231PS, VFMADD231PS_BCST)
	fnmadd231 = either(VFNMADD231PS, VFNMADD231PS_BCST)
	addD      = either(VPADDD, VPADDD_BCST)
	mulUDQ    = either(VPMULUDQ, VPMULUDQ_BCST)
)

func constant(v float32) Mem { return constantBits(math.Float32bits(v)) }

// load fills a new vec with a constant.
func load(m Mem) vec {
	v := newVec()
	for i := range v {
		if cur.bytes == 64 {
			VBROADCASTSS(m, v[i])
		} else {
			VMOVUPS(m, v[i])
		}
	}
	return v
}

// same is one register for all parts of a vec that will not be written.
func same(r reg.VecVirtual) vec {
	v := make(vec, parts())
	for i := range v {
		v[i] = r
	}
	return v
}

// splat broadcasts a float32 parameter.
func splat(name string) vec {
	r := register()
	VBROADCASTSS(param(name), r)
	return same(r)
}

func zero() vec {
	v := newVec()
	for i := range v {
		clearRegister(v[i])
	}
	return v
}

func clearRegister(r Op) {
	if cur.bytes == 32 {
		VXORPS(r, r, r)
	} else {
		VPXORQ(r, r, r)
	}
}

func copyOf(a vec) vec {
	v := newVec()
	for i := range v {
		VMOVAPS(a[i], v[i])
	}
	return v
}

// opOf is operand x of an instruction for part i: a vec's register, or memory with the same bits in every lane.
func opOf(x any, i int) Op {
	switch x := x.(type) {
	case vec:
		return x.at(i)
	case Mem:
		return x
	}
	panic("operand")
}

// binary makes out = f(a, b) in Intel's order of operands (a first).
func binary(f instruction, a vec, b any) vec {
	v := newVec()
	for i := range v {
		f(opOf(b, i), a.at(i), v[i])
	}
	return v
}

func add(a vec, b any) vec { return binary(addPS, a, b) }
func sub(a vec, b any) vec { return binary(subPS, a, b) }
func mul(a vec, b any) vec { return binary(mulPS, a, b) }
func div(a vec, b any) vec { return binary(divPS, a, b) }

// minOf is a where a < b, else b; maxOf is a where a > b, else b: of a NaN among them, b.
func minOf(a vec, b any) vec { return binary(minPS, a, b) }
func maxOf(a vec, b any) vec { return binary(maxPS, a, b) }

// addTo: dst += b, group after group.
func addTo(dst vec, b any) {
	for i := range longest(dst, b) {
		addPS(opOf(b, i), dst.at(i), dst.at(i))
	}
}

// fmaTo: dst = a*b + dst, group after group.
func fmaTo(dst, a vec, b any) {
	for i := range longest(dst, a, b) {
		fmadd231(opOf(b, i), a.at(i), dst.at(i))
	}
}

// fnmaTo: dst = -(a*b) + dst.
func fnmaTo(dst, a vec, b any) {
	for i := range dst {
		fnmadd231(opOf(b, i), a.at(i), dst[i])
	}
}

func longest(operands ...any) int {
	n := 0
	for _, o := range operands {
		if v, ok := o.(vec); ok {
			n = max(n, len(v))
		}
	}
	return n
}

// fma is a*b + c.
func fma(a, b vec, c any) vec {
	v := copyOf(a)
	mulAdd(v, b, c)
	return v
}

// mulAdd: dst = dst*b + c.
func mulAdd(dst, b vec, c any) {
	for i := range dst {
		fmadd213(opOf(c, i), b.at(i), dst[i])
	}
}

// and zeroes bits.
func and(a vec, b any) vec {
	if cur.bytes == 32 {
		return binary(VANDPS, a, b)
	}
	return binary(either(VPANDD, VPANDD_BCST), a, b)
}

func or(a vec, b any) vec {
	if cur.bytes == 32 {
		return binary(VORPS, a, b)
	}
	return binary(either(VPORD, VPORD_BCST), a, b)
}

// Predicates of VCMPPS, ordered and quiet.
const (
	cmpEQ = 0x00
	cmpLT = 0x11
	cmpGE = 0x1d
	cmpGT = 0x1e

	cmpUnordered = 0x03 // one is NaN

	cmpNLT = 0x15 // not less, true of NaN
)

// compare gives the mask of a pred b.
func compare(pred uint8, a vec, b any) mask {
	m := make(mask, len(a))
	for i := range a {
		if cur.bytes == 32 {
			r := YMM()
			VCMPPS(U8(pred), opOf(b, i), a[i], r)
			m[i] = r
		} else {
			k := K()
			if c, ok := b.(Mem); ok {
				VCMPPS_BCST(U8(pred), c, a[i], k)
			} else {
				VCMPPS(U8(pred), opOf(b, i), a[i], k)
			}
			m[i] = k
		}
	}
	return m
}

// keep is a where m, else +0.
func keep(a vec, m mask) vec {
	v := newVec()
	for i := range v {
		if cur.bytes == 32 {
			VANDPS(a[i], m[i], v[i])
		} else {
			VMOVAPS_Z(a[i], m[i], v[i])
		}
	}
	return v
}

// choose is b where m, else a.
func choose(m mask, b any, a vec) vec {
	v := newVec()
	for i := range v {
		if cur.bytes == 32 {
			VBLENDVPS(m[i], opOf(b, i), a[i], v[i])
		} else {
			VMOVAPS(a[i], v[i])
			VMOVAPS(opOf(b, i), m[i], v[i])
		}
	}
	return v
}

// tree joins the lanes of v by op, upper half onto lower, down to one value in an XMM: the fixed tree of 16 lanes.
func tree(v vec, op func(ops ...Op)) reg.VecVirtual {
	var y reg.VecVirtual
	if cur.bytes == 32 {
		y = YMM()
		op(v[1], v[0], y)
	} else {
		h := YMM()
		VEXTRACTF64X4(U8(1), v[0], h)
		y = YMM()
		op(h, v[0].AsY(), y)
	}
	x, t := XMM(), XMM()
	VEXTRACTF128(U8(1), y, t)
	op(t, y.AsX(), x)
	for _, imm := range []uint8{0x4e, 0xb1} {
		VPERMILPS(U8(imm), x, t)
		op(t, x, x)
	}
	return x
}

// spread puts the lowest value of an XMM into all lanes.
func spread(x reg.VecVirtual) vec {
	r := register()
	VBROADCASTSS(x, r)
	return same(r)
}

// reciprocal is 1/x of the lowest value.
func reciprocal(x reg.VecVirtual) reg.VecVirtual {
	one := XMM()
	VMOVSS(constant(1), one)
	VDIVSS(x, one, one)
	return one
}

// begin starts a function of the current instruction set, whose name is appended. Parameters are loaded where they are needed.
func begin(name, signature string) {
	TEXT(name+cur.name, NOSPLIT, "func"+signature)
	Pragma("noescape")
}

// ptr loads a pointer or integer parameter.
func ptr(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

func end() {
	VZEROUPPER()
	RET()
}

// result returns the lowest value of a register.
func result(x reg.VecVirtual, i int) { Store(x.AsX(), ReturnIndex(i)) }
