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
		genSoftmaxInt8()
		genDequantize()
		rows = 4
		if cur == avx512 {
			rows = 14
		}
		for r := rows; r > 0; r-- {
			genInt8Tile(r)
		}
		genRoundBF16("roundBF16", false)
		genRoundBF16("roundSwapBF16", true)
		rows = 6
		if cur == avx512 {
			rows = 14
		}
		for r := rows; r > 0; r-- {
			genBF16Twin(r)
		}
	}
	cur = avx512
	for r := 14; r > 0; r-- {
		genBF16Dot(r)
	}
	vnni := func(sum, a, b int) { bytesProduct(physical(a), physical(b), physical(sum)) }
	genPeakProduct("peakVNNI", vnni)
	genPeakProduct("peakDot", pairProduct)
	genPeakAMX("peakInt8AMX", tileInt8)
	genPeakAMX("peakBF16AMX", tileBF16)
	genNarrow()
	genNarrowPairs()
	for i, two := range []bool{false, true} {
		genAMX([]string{"int8OneAMX", "int8TwoAMX"}[i], tileInt8, two, "int8", "int32")
		genAMX([]string{"bf16OneAMX", "bf16TwoAMX"}[i], tileBF16, two, "float32", "float32")
	}
	cur = avxvnni
	for r := 6; r > 0; r-- {
		genInt8Tile(r)
	}
	genPeakProduct("peak", vnni)
	cur = avx2
	genPeakInt8()
	genTranspose()
	Generate()
}
