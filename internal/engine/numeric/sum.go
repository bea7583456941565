package numeric

import (
	"math"
	"slices"
)

// Lanes is the number of partial sums of a row: two AVX2 registers, one AVX-512 register, four NEON registers.
const Lanes = 16

// Block is how many values of a tensor are summed as a row before block results are added in float64.
const Block = 4096

// Tree adds 16 lanes in the fixed order: halves onto halves.
func Tree(l *[Lanes]float32) float32 {
	for w := Lanes / 2; w > 0; w /= 2 {
		for j := range w {
			l[j] += l[j+w]
		}
	}
	return l[0]
}

// LaneSum adds a row: lane j takes values j, j+16, ...
func LaneSum(x []float32) float32 {
	var l [Lanes]float32
	for i, v := range x {
		l[i%Lanes] += v
	}
	return Tree(&l)
}

// LaneMax is the maximum of a row, -Inf of none; NaN is passed over. The order of comparisons changes no more than the sign of a zero.
func LaneMax(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// SumSquares adds the squares of the values of a tensor by fused multiply-adds: rows of 4,096, their sums in float64.
func SumSquares(x []float32) float64 {
	s := 0.0
	for block := range slices.Chunk(x, Block) {
		var l [Lanes]float32
		for i, v := range block {
			l[i%Lanes] = FMA(v, v, l[i%Lanes])
		}
		s += float64(Tree(&l))
	}
	return s
}
