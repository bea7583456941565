// Command gen writes the assembly of package kernel.
//
//	cd cpu/kernel/gen && go run . -out ../kernel_amd64.s -stubs ../kernel_amd64.go -pkg kernel
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64")
	makeMaskTable()
	for _, cur = range []isa{avx2, avx512} {
		rows, half := 6, 12
		if cur == avx512 {
			rows, half = 14, 14
		}
		for r := rows; r > 0; r-- {
			genTile("tile", r, 2)
		}
		for r := half; r > 0; r-- {
			genTile("half", r, 1)
		}
		genPackRows(2)
		genElementwise()
		genNorm()
		genSoftmax()
		genActivations()
		genDropout()
		genOptimizer()
		genPeak()
		genSpan()
		genQuantize()
		genDequantize()
		rows = 4
		if cur == avx512 {
			rows = 14
		}
		for r := rows; r > 0; r-- {
			genInt8Tile(r)
		}
	}
	genInt8AMX("int8TwoAMX", true)
	genInt8AMX("int8OneAMX", false)
	cur = avx2
	genTranspose()
	Generate()
}
