package onnx

import (
	"encoding/binary"
	"math"

	"albert/internal/files/safetensors"
)

// What follows a quantised weight's name in the file: its int8 values, [out, in] like the weight or [in, out] as MatMulInteger wants it,
// and the scale of each output.
const (
	quantizedSuffix  = "_quantized"
	transposedSuffix = "_transposed_quantized"
	scaleSuffix      = "_scale"
)

// quantizeRows gives each row r of w [rows, cols], little-endian float32, as int8 of -127 to 127 times scale r, a float32: the largest magnitude
// becomes 127, the rest is rounded to nearest even. A row of zeros, or so small that its scale would be subnormal, becomes zeros. bad is
// the first value that is no number, -1 if there is none.
func quantizeRows(w []byte, rows, cols int) (q, scales []byte, bad int) {
	q, scales = make([]byte, rows*cols), make([]byte, 4*rows)
	row := make([]float32, cols)
	for r := range rows {
		largest := float32(0)
		for i := range row {
			row[i] = math.Float32frombits(binary.LittleEndian.Uint32(w[4*(r*cols+i):]))
			if a := float32(math.Abs(float64(row[i]))); !(a <= math.MaxFloat32) {
				return nil, nil, r*cols + i
			} else if a > largest {
				largest = a
			}
		}
		scale := largest / 127
		if scale < 0x1p-126 {
			scale = 1
		}
		binary.LittleEndian.PutUint32(scales[4*r:], math.Float32bits(scale))
		for i, v := range row {
			q[r*cols+i] = byte(int8(math.RoundToEven(float64(v / scale))))
		}
	}
	return q, scales, -1
}

// quantize puts a weight [out, in] into the main graph as int8, transposed or not, and gives the names of values and scales.
func (e *export) quantize(name string, out, in int, transposed bool) (values, scales string) {
	name = e.stored(name)
	values, scales = name+quantizedSuffix, name+scaleSuffix
	if transposed {
		values = name + transposedSuffix
	}
	if e.graph.have[values] {
		return values, scales
	}
	t := e.tensor(name, out, in)
	if e.err != nil {
		return values, scales
	}
	q, s, bad := quantizeRows(t.Data, out, in)
	if bad >= 0 {
		e.fail("tensor %s: the value at [%d, %d] is not finite and cannot be quantised", name, bad/in, bad%in)
		return values, scales
	}
	shape := []int{out, in}
	if transposed {
		q, shape = safetensors.Transpose(q, out, in, 1), []int{in, out}
	}
	e.graph.constant(initializer{values, typeInt8, shape, q})
	e.graph.constant(initializer{scales, typeFloat, []int{out}, s})
	return values, scales
}

// linearInt8 is x W^T + b with W as int8 and x quantised on the way.
func (e *export) linearInt8(g *graph, x, name, bias string, out, in int) string {
	w, scales := e.quantize(name+".weight", out, in, true)
	return e.product(g, x, w, scales, bias)
}

// product is x W + b for W [in, out] of int8, by the nodes that onnxruntime's quantize_dynamic writes, which become one on loading.
func (e *export) product(g *graph, x, w, scales, bias string) string {
	if e.quantized == nil {
		e.quantized = map[string][]string{}
	}
	if e.quantized[x] == nil {
		e.quantized[x] = g.ops("DynamicQuantizeLinear", 3, []string{x})
	}
	u := e.quantized[x] // values, scale, zero point
	zero := g.constant(initializer{"const/int8 0", typeInt8, nil, []byte{0}})
	y := g.op("Cast", []string{g.op("MatMulInteger", []string{u[0], w, u[2], zero})}, attrInt("to", typeFloat))
	y = g.op("Mul", []string{y, g.op("Mul", []string{u[1], scales})})
	return g.op("Add", []string{y, bias})
}

// wordInt8 looks pieces up in the word table, which has one scale a row.
func (e *export) wordInt8(ids string) string {
	g, size := e.graph, e.c.EmbeddingSize
	table, scales := e.quantize(wordTable, e.c.VocabSize, size, false)
	rows := g.op("Reshape", []string{ids, g.ints(-1)})
	x := g.op("Gather", []string{table, rows})
	x = g.op("DequantizeLinear", []string{x, g.op("Gather", []string{scales, rows})}, attrInt("axis", 0))
	return e.sequences(x, size)
}

// decoderInt8 is the map to the vocabulary. The word table is turned around by a node, once, when a runtime folds constants.
func (e *export) decoderInt8(x, bias string) string {
	g := e.graph
	table, scales := e.quantize(wordTable, e.c.VocabSize, e.c.EmbeddingSize, false)
	return e.product(g, x, g.op("Transpose", []string{table}, attrInts("perm", 1, 0)), scales, bias)
}
