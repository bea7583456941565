package ops

import "fmt"

// Int8 is a matrix's values in int8, row by row: value c of row r is Scale[r]*Data[r*columns+c].
type Int8 struct {
	Data  []int8
	Scale []float32
}

// Row writes row r, len(dst) columns, as float32.
func (q *Int8) Row(dst []float32, r int) {
	s := q.Scale[r]
	for i, v := range q.Data[r*len(dst) : (r+1)*len(dst)] {
		dst[i] = float32(v) * s
	}
}

// Values are p's values in float32: Data, or made anew where there is only Int8. To ask for values that were given up is a bug.
func (p *Param) Values() []float32 {
	if p.Data != nil {
		return p.Data
	}
	if p.Int8 == nil {
		panic(fmt.Sprintf("ops: the values of %s were given up", p.Name))
	}
	x, n := make([]float32, len(p.Int8.Data)), p.Cols()
	for r := range p.Rows() {
		p.Int8.Row(x[r*n:(r+1)*n], r)
	}
	return x
}
