package main

import (
	le "encoding/binary"
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Neither avo nor Go's assembler knows the tile instructions: they are written as bytes.

// raw emits an instruction, in as few words as hold it; reads are the registers that it reads.
func raw(reads []Op, code ...byte) {
	for len(code) > 0 {
		ins, n := &ir.Instruction{Inputs: reads}, 1
		switch {
		case len(code) >= 4:
			ins.Opcode, ins.Operands, n = "LONG", []Op{U32(le.LittleEndian.Uint32(code))}, 4
		case len(code) >= 2:
			ins.Opcode, ins.Operands, n = "WORD", []Op{U16(le.LittleEndian.Uint16(code))}, 2
		default:
			ins.Opcode, ins.Operands = "BYTE", []Op{U8(code[0])}
		}
		Instruction(ins)
		reads, code = nil, code[n:]
	}
}

// numbers of the registers that hold addresses; R12 would need another form.
var numbers = map[reg.Register]byte{reg.RAX: 0, reg.RCX: 1, reg.RDX: 2, reg.RBX: 3, reg.RSI: 6, reg.RDI: 7, reg.R8: 8, reg.R9: 9, reg.R10: 10,
	reg.R11: 11, reg.R13: 13, reg.R15: 15}

// tileMemory is VEX.128.pp.0F38.W0 4B with a tile and memory at base + index + 32 bits: rows of a tile are index bytes apart.
func tileMemory(prefix, tile byte, base, index reg.GPPhysical, disp int32) {
	b, x := numbers[base], numbers[index]
	raw([]Op{base, index}, 0xc4, 0x80|(^x>>3&1)<<6|(^b>>3&1)<<5|2, 0x78|prefix, 0x4b, 0x84|tile<<3, (x&7)<<3|b&7,
		byte(disp), byte(disp>>8), byte(disp>>16), byte(disp>>24))
}

func tileLoad(tile byte, base, index reg.GPPhysical, disp int32) {
	tileMemory(3, tile, base, index, disp)
}

// tileStream is tileLoad of what is not read again soon: it takes little room in L1.
func tileStream(tile byte, base, index reg.GPPhysical, disp int32) {
	tileMemory(1, tile, base, index, disp)
}
func tileStore(tile byte, base, index reg.GPPhysical, disp int32) {
	tileMemory(2, tile, base, index, disp)
}
func tileZero(tile byte) { raw(nil, 0xc4, 0xe2, 0x7b, 0x49, 0xc0|tile<<3) }
func tileRelease()       { raw(nil, 0xc4, 0xe2, 0x78, 0x49, 0xc0) }
func tileConfig(base reg.GPPhysical) {
	b := numbers[base]
	raw([]Op{base}, 0xc4, 0xc0|(^b>>3&1)<<5|2, 0x78, 0x49, 0x80|b&7, 0, 0, 0, 0)
}

// tileProduct adds a product of tiles: op is TDPBUSD, bytes of a without a sign, those of b with, or TDPBF16PS.
func tileProduct(op tileOp, sum, a, b byte) {
	raw(nil, 0xc4, 0xe2, (^b&15)<<3|op.prefix, op.code, 0xc0|sum<<3|a)
}

type tileOp struct{ prefix, code byte }

var (
	tileInt8 = tileOp{1, 0x5e}
	tileBF16 = tileOp{2, 0x5c}
)

// genAMX writes products of rows with 32 columns: two tiles of up to 16 rows (two) or one, times two tiles of 16 columns. Tiles 0 to 3
// are the sums, which start from what stands at from, 4 and 5 of A, 6 and 7 of B. A is read from where it lies; steps of 64 bytes along k. So
// that B and the sums stay in L1, two tiles of A pass it by; while the first four pairs of them go along k, what is at next, of B's size, is
// fetched into L2. One tile meets B once, and does neither. The state of tiles is set up and given up in each call: Go does not keep it
// when a goroutine moves to another thread, and between calls it may.
func genAMX(name string, op tileOp, two bool, in, out string) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(steps int, a *%[1]s, lda int, b *%[1]s, strip int, from *%[2]s, ldfrom int, c *%[2]s, ldc int, tiles int, config *byte, next *%[1]s)", in, out))
	Pragma("noescape")
	a, a2, b, lda, row := reg.R8, reg.R9, reg.R11, reg.R10, reg.RSI
	c, k, strip, t, t2 := reg.RDI, reg.RCX, reg.R13, reg.RBX, reg.RDX
	next, next2, ahead := reg.RAX, reg.R12, reg.R15
	Load(Param("config"), t)
	tileConfig(t)
	Load(Param("lda"), lda)
	Load(Param("c"), c)
	Load(Param("strip"), strip)
	MOVQ(U32(64), row)
	rows, loadA := 16, tileLoad
	if two {
		rows, loadA = 32, tileStream
		Load(Param("next"), next)
		LEAQ(Mem{Base: next, Index: strip, Scale: 1}, next2)
		MOVQ(U32(4), ahead)
	}
	// sums moves the sums; ld, which it leaves alone, is the distance of their rows. base moves on to the rows below.
	sums := func(move func(tile byte, base, index reg.GPPhysical, disp int32), base, ld reg.GPPhysical) {
		for i := range byte(rows / 16) {
			move(2*i, base, ld, 0)
			move(2*i+1, base, ld, stripRow)
			MOVQ(ld, t)
			SHLQ(U8(4), t)
			ADDQ(t, base)
		}
	}
	Label("tile")
	Load(Param("a"), a)
	MOVQ(lda, a2)
	SHLQ(U8(4), a2)
	ADDQ(a, a2)
	Load(Param("b"), b)
	Load(Param("from"), t2)
	Load(Param("ldfrom"), k)
	sums(tileLoad, t2, k)
	MOVQ(t2, param("from"))
	Load(Param("steps"), k)
	loop := func(label string, fetch func(line int)) {
		Label(label)
		LEAQ(Mem{Base: b, Index: strip, Scale: 1}, t2)
		tileLoad(6, b, row, 0)
		loadA(4, a, lda, 0)
		tileProduct(op, 0, 4, 6)
		fetch(0)
		fetch(1)
		tileLoad(7, t2, row, 0)
		tileProduct(op, 1, 4, 7)
		if two {
			loadA(5, a2, lda, 0)
			tileProduct(op, 2, 5, 6)
			tileProduct(op, 3, 5, 7)
		}
		fetch(2)
		fetch(3)
		ADDQ(imm(64), a)
		ADDQ(imm(64), a2)
		ADDQ(U32(16*stripRow), b)
		DECQ(k)
		JNE(LabelRef(label))
	}
	if two {
		TESTQ(ahead, ahead)
		JE(LabelRef("loop"))
		DECQ(ahead)
		loop("fetching", func(line int) {
			for _, p := range []reg.GPPhysical{next, next2} {
				PREFETCHT1(Mem{Base: p, Disp: 64 * line})
				if line == 3 {
					ADDQ(U32(256), p)
				}
			}
		})
		JMP(LabelRef("looped"))
	}
	loop("loop", func(int) {})
	Label("looped")
	Load(Param("ldc"), k)
	sums(tileStore, c, k)
	IMUL3Q(imm(rows), lda, t)
	ADDQ(t, param("a"))
	DECQ(param("tiles"))
	JNE(LabelRef("tile"))
	tileRelease()
	RET()
}
