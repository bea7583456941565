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
		rows, vectors := 6, 2
		if cur == avx512 {
			rows = 14
		}
		for r := rows; r > 0; r-- {
			genTile(r, vectors)
		}
		genPackRows(vectors)
		genElementwise()
		genNorm()
		genSoftmax()
		genActivations()
		genDropout()
		genOptimizer()
		genPeak()
	}
	cur = avx2
	genTranspose()
	Generate()
}
