package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// loop runs body over the 16-value groups of n values and once more over the rest. A value's address is
// its slice's base + i.
type loop struct {
	i    reg.GPVirtual
	rest mask // of the values that are left; nil for a whole group
}

func (l loop) load(base reg.Register) vec {
	v := newVec()
	for p := range v {
		v[p] = loadPart(at(base, l.i, p), l.part(p))
	}
	return v
}

func (l loop) store(v vec, base reg.Register) {
	for p := range v {
		storePart(v[p], at(base, l.i, p), l.part(p))
	}
}

// part is the mask of part p, nil for all of it.
func (l loop) part(p int) Op {
	if l.rest == nil {
		return nil
	}
	return l.rest[p]
}

// loadPart loads the lanes that m holds, all for nil; the others are +0 and not touched in memory.
func loadPart(from Mem, m Op) reg.VecVirtual {
	v := register()
	switch {
	case m == nil:
		VMOVUPS(from, v)
	case cur.bytes == 32:
		VMASKMOVPS(from, m, v)
	default:
		VMOVUPS_Z(from, m, v)
	}
	return v
}

// storePart stores the lanes that m holds, all for nil.
func storePart(v reg.VecVirtual, to Mem, m Op) {
	switch {
	case m == nil:
		VMOVUPS(v, to)
	case cur.bytes == 32:
		VMASKMOVPS(v, m, to)
	default:
		VMOVUPS(v, m, to)
	}
}

// live is v, with +0 in the lanes beyond the end of the slices.
func (l loop) live(v vec) vec {
	if l.rest == nil {
		return v
	}
	return keep(v, l.rest)
}

// maskTable is 16 words of all ones, then 16 zeros. An AVX2 mask of the first n lanes is read from n words before the zeros.
var maskTable Mem

// restMask is the mask of the first rest lanes.
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

// wide is how many groups a loop does at a time, with AVX-512 and with AVX2. A CPU looks some 100 to 200 instructions ahead: a long
// chain such as that of an exponential leaves it idle, if the chains of other groups are not among those.
func wide(with512, with2 int) int {
	if cur.bytes == 64 {
		return with512
	}
	return with2
}

// forGroups writes a loop over n values.
func forGroups(n reg.GPVirtual, body func(l loop)) { forGroupsBy(1, n, body) }

// forGroupsBy does several groups at a time while there are so many, then one.
func forGroupsBy(groups int, n reg.GPVirtual, body func(l loop)) {
	i, left := GP64(), GP64()
	XORQ(i, i)
	MOVQ(n, left)
	repeat := func(groups int) {
		head, end := label("loop"), label("end")
		SUBQ(imm(16*groups), left)
		JLT(LabelRef(end))
		Label(head)
		width = groups
		body(loop{i: i})
		width = 1
		ADDQ(imm(group*groups), i)
		SUBQ(imm(16*groups), left)
		JGE(LabelRef(head))
		Label(end)
		ADDQ(imm(16*groups), left)
	}
	done := label("done")
	if groups > 1 {
		repeat(groups)
	}
	repeat(1)
	TESTQ(left, left)
	JEQ(LabelRef(done))
	body(loop{i: i, rest: restMask(left)})
	Label(done)
}
