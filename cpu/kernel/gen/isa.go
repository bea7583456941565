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
	avx2   = isa{"AVX2", 32}
	avx512 = isa{"AVX512", 64}
	cur    isa
)

const group = 64 // bytes of 16 values

// vec is 16 values.
type vec []reg.VecVirtual

// mask chooses among 16 values: K registers with AVX-512, vectors of all-ones with AVX2.
type mask []Op

func parts() int { return group / cur.bytes }

func register() reg.VecVirtual {
	if cur.bytes == 32 {
		return YMM()
	}
	return ZMM()
}

func newVec() vec {
	v := make(vec, parts())
	for i := range v {
		v[i] = register()
	}
	return v
}

// at is the memory of part i of the group at base + index.
func at(base, index reg.Register, i int) Mem {
	m := Mem{Base: base, Disp: i * cur.bytes}
	if index != nil {
		m.Index, m.Scale = index, 1
	}
	return m
}

// constant gives memory that holds the 32 bits in every lane of a register.
var constants = map[uint32]Mem{}

func constantBits(bits uint32) Mem {
	m, ok := constants[bits]
	if !ok {
		m = GLOBL(fmt.Sprintf("c%08x", bits), RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, U32(bits))
		}
		constants[bits] = m
	}
	return m
}

func constant(v float32) Mem { return constantBits(math.Float32bits(v)) }

func load(m Mem) vec {
	v := newVec()
	for i := range v {
		VMOVUPS(m.Offset(i*cur.bytes), v[i])
	}
	return v
}

// splat broadcasts a float32 parameter.
func splat(param string) vec {
	c, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := newVec()
	VBROADCASTSS(c.Addr, v[0])
	for i := 1; i < len(v); i++ {
		VMOVAPS(v[0], v[i])
	}
	return v
}

func zero() vec {
	v := newVec()
	for i := range v {
		clearRegister(v[i])
	}
	return v
}

func clearRegister(r reg.VecVirtual) {
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

// operand of an instruction: a vec, or memory with the same bits in every lane.
func opOf(x any, i int) Op {
	switch x := x.(type) {
	case vec:
		return x[i]
	case Mem:
		return x
	}
	panic("operand")
}

// binary makes out = f(a, b) in Intel's order of operands (a first).
func binary(f func(ops ...Op), a vec, b any) vec {
	v := newVec()
	for i := range v {
		f(opOf(b, i), a[i], v[i])
	}
	return v
}

func add(a vec, b any) vec { return binary(VADDPS, a, b) }
func sub(a vec, b any) vec { return binary(VSUBPS, a, b) }
func mul(a vec, b any) vec { return binary(VMULPS, a, b) }
func div(a vec, b any) vec { return binary(VDIVPS, a, b) }

// maxOf is a where a > b, else b; minOf likewise.
func maxOf(a vec, b any) vec { return binary(VMAXPS, a, b) }
func minOf(a vec, b any) vec { return binary(VMINPS, a, b) }

func addTo(dst vec, b any) {
	for i := range dst {
		VADDPS(opOf(b, i), dst[i], dst[i])
	}
}

// fmaTo: dst = a*b + dst.
func fmaTo(dst, a vec, b any) {
	for i := range dst {
		VFMADD231PS(opOf(b, i), a[i], dst[i])
	}
}

// fnmaTo: dst = -(a*b) + dst.
func fnmaTo(dst, a vec, b any) {
	for i := range dst {
		VFNMADD231PS(opOf(b, i), a[i], dst[i])
	}
}

// fma is a*b + c.
func fma(a, b vec, c any) vec {
	v := copyOf(a)
	for i := range v {
		VFMADD213PS(opOf(c, i), b[i], v[i])
	}
	return v
}

// and zeroes bits.
func and(a vec, b any) vec {
	if cur.bytes == 32 {
		return binary(VANDPS, a, b)
	}
	return binary(VPANDD, a, b)
}

func or(a vec, b any) vec {
	if cur.bytes == 32 {
		return binary(VORPS, a, b)
	}
	return binary(VPORD, a, b)
}

// Predicates of VCMPPS, ordered and quiet.
const (
	cmpEQ = 0x00
	cmpLT = 0x11
	cmpGE = 0x1d
	cmpGT = 0x1e
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
			VCMPPS(U8(pred), opOf(b, i), a[i], k)
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

// drop is +0 where m, else a.
func drop(a vec, m mask) vec {
	v := newVec()
	for i := range v {
		if cur.bytes == 32 {
			VANDNPS(a[i], m[i], v[i])
		} else {
			k := K()
			KNOTW(m[i], k)
			VMOVAPS_Z(a[i], k, v[i])
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

// lower makes one register of the upper and lower half by op, down to one value in an XMM: the fixed tree of 16 lanes.
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

// loop runs body over the 16-value groups of n values and once more over the rest. The body's pointers are base + i; live masks what
// is computed from values beyond the end, and is all of them within.
type loop struct {
	i    reg.GPVirtual
	rest mask // nil within
}

func (l loop) load(base reg.Register) vec {
	v := newVec()
	for p := range v {
		m := at(base, l.i, p)
		switch {
		case l.rest == nil:
			VMOVUPS(m, v[p])
		case cur.bytes == 32:
			VMASKMOVPS(m, l.rest[p], v[p])
		default:
			VMOVUPS_Z(m, l.rest[p], v[p])
		}
	}
	return v
}

func (l loop) store(v vec, base reg.Register) {
	for p := range v {
		m := at(base, l.i, p)
		switch {
		case l.rest == nil:
			VMOVUPS(v[p], m)
		case cur.bytes == 32:
			VMASKMOVPS(v[p], l.rest[p], m)
		default:
			VMOVUPS(v[p], l.rest[p], m)
		}
	}
}

// live is v with +0 beyond the end.
func (l loop) live(v vec) vec {
	if l.rest == nil {
		return v
	}
	return keep(v, l.rest)
}

// masks are 16 all-ones then 16 zeros, from which a rest's AVX2 mask is read.
var maskTable Mem

func restMask(rest reg.GPVirtual) mask {
	if cur.bytes == 64 {
		one, k := GP64(), K()
		count := GP64()
		MOVQ(rest, count)
		MOVQ(U32(1), one)
		t := GP64()
		SHLXQ(count, one, t)
		DECQ(t)
		KMOVW(t.As32(), k)
		return mask{k}
	}
	base := GP64()
	LEAQ(maskTable, base)
	off := GP64()
	MOVQ(rest, off)
	NEGQ(off)
	m := make(mask, 2)
	for i := range m {
		r := YMM()
		VMOVUPS(Mem{Base: base, Index: off, Scale: 4, Disp: 64 + 32*i}, r)
		m[i] = r
	}
	return m
}

func makeMaskTable() {
	maskTable = GLOBL("lanemask", RODATA|NOPTR)
	for i := range 32 {
		v := uint32(0xffffffff)
		if i >= 16 {
			v = 0
		}
		DATA(4*i, U32(v))
	}
}

var labels int

func label(s string) string {
	labels++
	return fmt.Sprintf("%s%d", s, labels)
}

func forGroups(n reg.GPVirtual, body func(l loop)) {
	i, left := GP64(), GP64()
	XORQ(i, i)
	MOVQ(n, left)
	head, rest, done := label("loop"), label("rest"), label("done")
	SUBQ(U8(16), left)
	JLT(LabelRef(rest))
	Label(head)
	body(loop{i: i})
	ADDQ(U8(group), i)
	SUBQ(U8(16), left)
	JGE(LabelRef(head))
	Label(rest)
	ADDQ(U8(16), left)
	JEQ(LabelRef(done))
	body(loop{i: i, rest: restMask(left)})
	Label(done)
}

// begin starts a function with all pointer and integer parameters loaded.
func begin(name, signature string) {
	TEXT(name+cur.name, NOSPLIT, "func"+signature)
	Pragma("noescape")
}

func ptr(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

func end() {
	VZEROUPPER()
	RET()
}

// result returns the lowest value of an XMM.
func result(x reg.VecVirtual, i int) { Store(x, ReturnIndex(i)) }
