package search

import (
	"math"

	"albert/internal/engine/cpu"
	"albert/internal/engine/cpu/kernel"
)

// Vectors are rows of so many values, and what scales each to length 1. Their memory may be a mapped file's.
type Vectors struct {
	Rows, Width int
	Data        []float32
	scales      []float32 // NaN where a row has no length: then its score is that of no document
}

// NewVectors measures rows. It reads all of data.
func NewVectors(dev *cpu.Device, data []float32, width int) *Vectors {
	v := &Vectors{Rows: len(data) / width, Width: width, Data: data}
	v.scales = make([]float32, v.Rows)
	const block = 256 // rows of a task
	dev.Run((v.Rows+block-1)/block, func(t int) {
		for r := t * block; r < min(v.Rows, (t+1)*block); r++ {
			v.scales[r] = scaleOf(dev.Kernels(), data[r*width:(r+1)*width])
		}
	})
	return v
}

// Broken is the first row with a value that is NaN or infinite, -1 if there is none.
func (v *Vectors) Broken() int {
	for r, s := range v.scales {
		if s != s {
			return r
		}
	}
	return -1
}

// scaleOf is 1 by a vector's length; 0 for one of zeros, NaN where a value is not finite.
func scaleOf(k *kernel.Set, x []float32) float32 {
	sum := k.SumSquares(x)
	if !(sum > 1e-30 && sum < 1e30) { // zeros, or squares that float32 cannot hold
		sum = 0
		for _, v := range x {
			sum += float64(float64(v) * float64(v))
		}
	}
	switch {
	case sum < 1e-76: // the inverse of so small a length is no float32: as good as zeros
		return 0
	case math.IsInf(sum, 0):
		return float32(math.NaN())
	}
	return float32(1 / math.Sqrt(sum))
}
