package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The multipliers of Philox4x32 (Salmon and others, SC 2011).
const (
	philoxM0 = 0xD2511F53
	philoxM1 = 0xCD9E8D57
)

// counters is one word of the counters of a register's lanes, the even and the odd lanes apart: each word is the lower half of a 64-bit
// lane, where VPMULUDQ wants it, and the upper half is whatever was left there. So a product needs no shuffling but the one that brings
// its upper half down.
type counters [2]reg.VecVirtual

// philox is Philox4x32-10 on the counters of part p's lanes, for several blocks in step: a round waits for the one before, and one
// block does not fill the time. Word 0 is a block's number plus the lane, words 1 to 3 are parameters; keys holds the two keys of
// every round. The results' lanes are in their order.
func philox(p int, numbers []reg.VecVirtual, keys Mem) [][4]reg.VecVirtual {
	c := make([][4]counters, len(numbers))
	for i := 1; i < 4; i++ {
		r := register()
		VBROADCASTSS(param(fmt.Sprintf("ctr%d", i-1)), r)
		for b := range c {
			c[b][i] = counters{r, r}
		}
	}
	for b := range c {
		for odd := range 2 {
			c[b][0][odd] = register()
			VPADDD(laneTable().Offset(64*odd+cur.bytes*p), numbers[b], c[b][0][odd])
		}
	}
	for round := range 10 {
		for b := range c {
			var next [4]counters
			for odd := range 2 {
				low0, low1, high0, high1 := register(), register(), register(), register()
				mulUDQ(constantBits(philoxM0), c[b][0][odd], low0)
				mulUDQ(constantBits(philoxM1), c[b][2][odd], low1)
				for _, x := range []struct{ low, high reg.VecVirtual }{{low0, high0}, {low1, high1}} {
					if odd == 0 { // one in one way, one in the other, for the sake of CPUs that do each in one place only
						VPSRLQ(U8(32), x.low, x.high)
					} else {
						VPSHUFD(U8(0xf5), x.low, x.high)
					}
				}
				xorKey(high1, c[b][1][odd], keys.Offset(8*round))
				xorKey(high0, c[b][3][odd], keys.Offset(8*round+4))
				next[0][odd], next[1][odd], next[2][odd], next[3][odd] = high1, low1, high0, low0
			}
			c[b] = next
		}
	}
	out := make([][4]reg.VecVirtual, len(c))
	for b := range c {
		for i, w := range c[b] {
			out[b][i] = register()
			if cur.bytes == 32 {
				VPSLLQ(U8(32), w[1], w[1])
				VPBLENDD(U8(0xaa), w[1], w[0], out[b][i])
			} else {
				VMOVDQA32(w[0], out[b][i])
				VPSHUFD(U8(0xa0), w[1], oddLanes, out[b][i])
			}
		}
	}
	return out
}

// oddLanes is the mask of every second lane, with AVX-512.
var oddLanes reg.Register

// xorKey: x ^= c ^ key.
func xorKey(x, c reg.VecVirtual, key Mem) {
	if cur.bytes == 64 {
		VPTERNLOGD_BCST(U8(0x96), key, c, x)
		return
	}
	k := register()
	VPBROADCASTD(key, k)
	VPXOR(c, k, k) // x comes last
	VPXOR(k, x, x)
}

var lanes Mem

// laneTable is the even numbers below 16 in 64-bit lanes, the odd ones, and 0 to 63 in 32-bit lanes.
func laneTable() Mem {
	if lanes.Symbol.Name == "" {
		lanes = GLOBL("lanes", RODATA|NOPTR)
		for i := range 16 {
			DATA(8*i, U64(uint64(i%8*2+i/8)))
		}
		for i := range 64 {
			DATA(128+4*i, U32(uint32(i)))
		}
	}
	return lanes
}

// genDropout writes dropout: 64 values a block, whose 16 counters give four words each, word w for values 16 w to 16 w + 15.
func genDropout() {
	for _, residual := range []bool{false, true} {
		name, signature := "dropout", "(y, x *float32"
		if residual {
			name, signature = "dropoutAdd", "(y, x, res *float32"
		}
		signature += ", n int, drop uint32, scale float32, key0, key1, ctr0, ctr1, ctr2 uint32)"
		begin(name, signature)
		y, x, left := ptr("y"), ptr("x"), ptr("n")
		var res reg.GPVirtual
		if residual {
			res = ptr("res")
		}
		offset := GP64()
		XORQ(offset, offset)
		keys := AllocLocal(10 * 8) // the two of every round
		k0, k1 := Load(Param("key0"), GP32()), Load(Param("key1"), GP32())
		for round := range 10 {
			MOVL(k0, keys.Offset(8*round))
			MOVL(k1, keys.Offset(8*round+4))
			ADDL(U32(0x9E3779B9), k0)
			ADDL(U32(0xBB67AE85), k1)
		}
		number := register()
		clearRegister(number)
		if cur.bytes == 64 {
			k := GP32()
			MOVL(U32(0xaaaa), k)
			oddLanes = K()
			KMOVW(k, oddLanes)
		}
		// blocks does the 64 values of each block from offset on, or those that valid gives masks of.
		blocks := func(numbers []reg.VecVirtual, valid func(w, p int) Op) {
			for p := range parts() {
				for b, words := range philox(p, numbers, keys) {
					for w, word := range words {
						at := func(base reg.GPVirtual) Mem {
							return Mem{Base: base, Index: offset, Scale: 1, Disp: 4*group*b + group*w + cur.bytes*p}
						}
						var m Op
						if valid != nil {
							m = valid(w, p)
						}
						v := aboveOrEqual(word, func() reg.VecVirtual { return loadPart(at(x), m) })
						if residual {
							VADDPS(loadPart(at(res), m), v, v)
						}
						storePart(v, at(y), m)
					}
				}
			}
		}
		repeat := func(n int) {
			head, end := label("block"), label("end")
			SUBQ(imm(64*n), left)
			JLT(LabelRef(end))
			Label(head)
			numbers := []reg.VecVirtual{number}
			for len(numbers) < n {
				next := register()
				addD(constantBits(16), numbers[len(numbers)-1], next)
				numbers = append(numbers, next)
			}
			blocks(numbers, nil)
			ADDQ(imm(4*group*n), offset)
			addD(constantBits(uint32(16*n)), number, number)
			SUBQ(imm(64*n), left)
			JGE(LabelRef(head))
			Label(end)
			ADDQ(imm(64*n), left)
		}
		if cur.bytes == 64 {
			repeat(2)
		}
		repeat(1)
		TESTQ(left, left)
		JEQ(LabelRef("done"))
		numbers := []reg.VecVirtual{number}
		if cur.bytes == 64 {
			ones, all := GP64(), K()
			MOVQ(I32(-1), ones)
			BZHIQ(left, ones, ones)
			KMOVQ(ones, all)
			blocks(numbers, func(w, _ int) Op {
				k := K()
				KSHIFTRQ(U8(16*w), all, k)
				return k
			})
		} else {
			blocks(numbers, func(w, p int) Op {
				m := register()
				VMOVQ(left, m.AsX())
				VPBROADCASTD(m.AsX(), m)
				VPCMPGTD(laneTable().Offset(128+group*w+cur.bytes*p), m, m)
				return m
			})
		}
		Label("done")
		end()
	}
}

// aboveOrEqual is what load gives times the parameter scale where a word is at least the parameter drop, +0 elsewhere.
func aboveOrEqual(word reg.VecVirtual, load func() reg.VecVirtual) reg.VecVirtual {
	limit, scale := register(), register()
	VBROADCASTSS(param("drop"), limit)
	VBROADCASTSS(param("scale"), scale)
	v := load()
	if cur.bytes == 64 {
		k := K()
		VPCMPUD(U8(5), limit, word, k) // not less
		VMULPS_Z(scale, v, k, v)
		return v
	}
	VPMAXUD(word, limit, limit)
	VPCMPEQD(limit, word, limit)
	VMULPS(scale, v, v)
	VANDPS(limit, v, v)
	return v
}
