package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func splatWord(m Op) vec {
	v := newVec()
	VPBROADCASTD(m, v[0])
	for i := 1; i < len(v); i++ {
		VMOVDQA_(v[0], v[i])
	}
	return v
}

// VMOVDQA_ copies a register.
func VMOVDQA_(a, b Op) { VMOVAPS(a, b) }

// mulWords gives the high and low words of m*a, where m holds the constant.
func mulWords(a reg.VecVirtual, m Mem) (high, low reg.VecVirtual) {
	even, odd := register(), register()
	VPMULUDQ(m, a, even)
	VPSRLQ(U8(32), a, odd)
	VPMULUDQ(m, odd, odd)
	high, low = register(), register()
	VPSRLQ(U8(32), even, high)
	VPSLLQ(U8(32), odd, low)
	if cur.bytes == 32 {
		VPBLENDD(U8(0xaa), odd, high, high)
		VPBLENDD(U8(0xaa), low, even, low)
	} else {
		k := K()
		r := GP32()
		MOVL(U32(0xaaaa), r)
		KMOVW(r, k)
		VMOVDQA32(odd, k, high)
		t := register()
		VMOVDQA32(even, t)
		VMOVDQA32(low, k, t)
		low = t
	}
	return high, low
}

func xor(a reg.VecVirtual, b Op, dst reg.VecVirtual) {
	if cur.bytes == 32 {
		VPXOR(b, a, dst)
	} else {
		VPXORD(b, a, dst)
	}
}

// philox is Philox4x32-10 on 16 counters: word 0 from number, words 1 to 3 the same for all.
func philox(number Mem, key, ctr reg.GPVirtual) [4]vec {
	var c [4]vec
	c[0] = load(number)
	for i := range 3 {
		c[i+1] = splatWord(Mem{Base: ctr, Disp: 4 * i})
	}
	k0, k1 := GP32(), GP32()
	MOVL(Mem{Base: key}, k0)
	MOVL(Mem{Base: key, Disp: 4}, k1)
	for range 10 {
		for p := range parts() {
			h0, l0 := mulWords(c[0][p], constantBits(0xD2511F53))
			h1, l1 := mulWords(c[2][p], constantBits(0xCD9E8D57))
			for _, x := range []struct {
				key  reg.GPVirtual
				h, c reg.VecVirtual
			}{{k0, h1, c[1][p]}, {k1, h0, c[3][p]}} {
				kv := register()
				VMOVD(x.key, kv.AsX())
				VPBROADCASTD(kv.AsX(), kv)
				xor(x.h, x.c, x.h)
				xor(x.h, kv, x.h)
			}
			c[0][p], c[1][p], c[2][p], c[3][p] = h1, l1, h0, l0
		}
		ADDL(U32(0x9E3779B9), k0)
		ADDL(U32(0xBB67AE85), k1)
	}
	return c
}

// aboveOrEqual is the mask of words >= limit, unsigned.
func aboveOrEqual(w vec, limit reg.Register) mask {
	m := make(mask, len(w))
	d := register()
	VMOVD(limit, d.AsX())
	VPBROADCASTD(d.AsX(), d)
	for i := range w {
		top := register()
		VPMAXUD(w[i], d, top)
		if cur.bytes == 32 {
			r := YMM()
			VPCMPEQD(top, w[i], r)
			m[i] = r
		} else {
			k := K()
			VPCMPEQD(top, w[i], k)
			m[i] = k
		}
	}
	return m
}
