package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
)

// opCase is one operation: inputs and parameters in, one tensor out.
type opCase struct {
	name   string
	inputs [][2]int
	params [][]int
	run    func(t *ops.Tape, in []*ops.Tensor, ps []*ops.Param) *ops.Tensor
}

// random gives an operation's inputs and parameters, of random values.
func (c *opCase) random(dev *cpu.Device, rng *rand.Rand) (inputs []*ops.Tensor, params []*ops.Param) {
	for i, s := range c.params {
		params = append(params, ops.NewParam(fmt.Sprint(i), s...))
		for j := range params[i].Data {
			params[i].Data[j] = float32(rng.NormFloat64())
		}
	}
	for _, s := range c.inputs {
		inputs = append(inputs, randomRows(dev.New(s[0], s[1]), rng))
	}
	return inputs, params
}

// randomRows fills x with random values.
func randomRows(x *ops.Tensor, rng *rand.Rand) *ops.Tensor {
	for r := range x.Rows {
		for j := range x.Cols {
			x.Row(r)[j] = float32(rng.NormFloat64())
		}
	}
	return x
}

func testBatch(lengths ...int) *ops.Batch {
	b := &ops.Batch{Offsets: []int32{0}}
	for s, n := range lengths {
		for i := range n {
			b.IDs = append(b.IDs, int32((7*i+3*s)%11))
			b.Types = append(b.Types, int32(i*2/n))
		}
		b.Offsets = append(b.Offsets, int32(len(b.IDs)))
	}
	return b
}

// someRows are rows in use: all but every third and the one row of the second sequence.
func someRows(n int) []bool {
	use := make([]bool, n)
	for r := range use {
		use[r] = r%3 != 1 && r != 5
	}
	return use
}

func opCases() []opCase {
	b := testBatch(5, 1, 19, 8) // 33 rows
	drop := ops.Dropout{Rate: 0.25, Key: ops.DropoutKey(7, 3), Site: 2}
	cases := []opCase{
		{"embed", nil, [][]int{{11, 20}, {19, 20}, {2, 20}}, func(t *ops.Tape, _ []*ops.Tensor, p []*ops.Param) *ops.Tensor {
			return t.Embed(b, p[0], p[1], p[2])
		}},
		{"linear parts", [][2]int{{33, 13}}, [][]int{{17, 13}, {17}, {5, 13}, {40, 13}, {40}}, func(t *ops.Tape, in []*ops.Tensor, p []*ops.Param) *ops.Tensor {
			return t.Linear(in[0], ops.Identity, ops.Affine{W: p[0], B: p[1]}, ops.Affine{W: p[2]}, ops.Affine{W: p[3], B: p[4]})
		}},
		{"linear used twice", [][2]int{{9, 8}}, [][]int{{8, 8}, {8}}, func(t *ops.Tape, in []*ops.Tensor, p []*ops.Param) *ops.Tensor {
			a := ops.Affine{W: p[0], B: p[1]}
			return t.Linear(t.Linear(in[0], ops.Tanh, a), ops.Tanh, a)
		}},
		{"norm", [][2]int{{33, 24}}, [][]int{{24}, {24}}, func(t *ops.Tape, in []*ops.Tensor, p []*ops.Param) *ops.Tensor {
			return t.Norm(in[0], nil, p[0], p[1], 1e-12, b, ops.Dropout{})
		}},
		{"norm residual dropout", [][2]int{{33, 70}, {33, 70}}, [][]int{{70}, {70}}, func(t *ops.Tape, in []*ops.Tensor, p []*ops.Param) *ops.Tensor {
			return t.Norm(in[0], in[1], p[0], p[1], 1e-12, b, drop)
		}},
		{"dropout", [][2]int{{33, 70}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
			return t.Dropout(in[0], b, false, drop)
		}},
		{"dropout by sequence", [][2]int{{4, 70}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
			return t.Dropout(in[0], b, true, drop)
		}},
		{"attention", [][2]int{{33, 3 * 24}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
			return t.Attention(in[0], b, 3, ops.Dropout{})
		}},
		{"attention dropout", [][2]int{{33, 3 * 34}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
			return t.Attention(in[0], b, 2, drop)
		}},
		{"gather", [][2]int{{33, 18}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
			return t.Gather(in[0], []int32{4, 0, 4, 32})
		}},
		{"concat", [][2]int{{9, 18}, {9, 5}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
			return t.Concat(in[0], in[1])
		}},
		{"concat of rows used twice", [][2]int{{9, 18}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
			return t.Concat(in[0], t.Gather(in[0], []int32{3, 3, 3, 0, 0, 1, 1, 8, 8}))
		}},
		{"softmax sum", [][2]int{{33, 18}, {33, 1}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
			return t.SoftmaxSum(in[0], in[1], b, someRows(33))
		}},
		{"softmax sum of its own logits", [][2]int{{33, 18}}, [][]int{{1, 18}, {1}}, func(t *ops.Tape, in []*ops.Tensor, p []*ops.Param) *ops.Tensor {
			return t.SoftmaxSum(in[0], t.Linear(in[0], ops.Identity, ops.Affine{W: p[0], B: p[1]}), b, someRows(33))
		}},
	}
	for name, act := range map[string]ops.Activation{"gelu tanh": ops.GeluTanh, "gelu erf": ops.GeluErf, "relu": ops.Relu, "tanh": ops.Tanh} {
		cases = append(cases, opCase{"linear " + name, [][2]int{{7, 12}}, [][]int{{21, 12}, {21}}, func(t *ops.Tape, in []*ops.Tensor, p []*ops.Param) *ops.Tensor {
			return t.Linear(in[0], act, ops.Affine{W: p[0], B: p[1]})
		}})
	}
	return cases
}

// TestGradients holds every operation's gradient against finite differences: along random directions of all inputs and parameters,
// the change of a random linear function of the output.
func TestGradients(t *testing.T) {
	dev, err := cpu.New("", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			inputs, params := c.random(dev, rng)
			ps := ops.NewParams(params)
			var weights [][]float32
			value := func() float64 {
				ps.Touch()
				tape := ops.NewTape(dev, nil)
				defer tape.Reset()
				var own []*ops.Tensor // inference may write its results in their place
				for _, x := range inputs {
					own = append(own, &ops.Tensor{Rows: x.Rows, Cols: x.Cols, Stride: x.Stride, Data: slices.Clone(x.Data)})
				}
				y := c.run(tape, own, params)
				sum := 0.0
				for r := range y.Rows {
					for j, v := range y.Row(r) {
						sum += float64(v) * float64(weights[r][j])
					}
				}
				return sum
			}
			g := ops.NewGrads(ps)
			tape := ops.NewTape(dev, g)
			y := c.run(tape, inputs, params)
			dy := tape.Seed(y)
			for r := range dy.Rows {
				weights = append(weights, make([]float32, dy.Cols))
				for j := range dy.Cols {
					weights[r][j] = float32(rng.NormFloat64())
				}
				copy(dy.Row(r), weights[r])
			}
			tape.Backward()
			for trial := range 4 {
				const eps = 1.0 / 256
				want := 0.0
				var moved []*float32
				var by []float32
				move := func(x, grad []float32) {
					for i := range x {
						by = append(by, float32(rng.NormFloat64()))
						moved = append(moved, &x[i])
						want += float64(grad[i]) * float64(by[len(by)-1])
					}
				}
				for _, p := range params {
					move(p.Data, g.Of(p))
				}
				for _, x := range inputs {
					for r := range x.Rows {
						move(x.Row(r), x.Grad().Row(r))
					}
				}
				keep := make([]float32, len(moved))
				at := func(e float32) float64 {
					for i, p := range moved {
						keep[i] = *p
						*p += e * by[i]
					}
					v := value()
					for i, p := range moved {
						*p = keep[i]
					}
					return v
				}
				// Two step sizes, extrapolated: the error of the central difference is of the fourth order in eps.
				got := (8*(at(eps)-at(-eps)) - (at(2*eps) - at(-2*eps))) / (12 * eps)
				size := 0.0
				for i := range by {
					size += float64(by[i]) * float64(by[i])
				}
				if math.Abs(got-want) > 2e-3*(math.Abs(want)+math.Sqrt(size)) {
					t.Errorf("direction %d: finite difference %.6f, gradient %.6f", trial, got, want)
				}
			}
			tape.Reset()
		})
	}
}

// TestLossGradients holds the losses and their gradients against float64 arithmetic.
func TestLossGradients(t *testing.T) {
	dev, err := cpu.New("", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	rng := rand.New(rand.NewPCG(3, 4))
	const rows, width, classes = 150, 20, 77 // more rows than a block
	table, bias := ops.NewParam("t", classes, width), ops.NewParam("b", classes)
	for _, p := range []*ops.Param{table, bias} {
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64())
		}
	}
	ps := ops.NewParams([]*ops.Param{table, bias})
	x := dev.New(rows, width)
	targets := make([]int32, rows)
	for r := range rows {
		targets[r] = int32(rng.IntN(classes))
		for j := range width {
			x.Row(r)[j] = float32(rng.NormFloat64())
		}
	}
	g := ops.NewGrads(ps)
	tape := ops.NewTape(dev, g)
	const scale = 1.0 / rows
	loss := tape.DecoderLoss(x, table, bias, targets, scale)
	tape.Backward()

	wantTable, wantBias := make([]float64, classes*width), make([]float64, classes)
	for r := range rows {
		z := make([]float64, classes)
		sum := 0.0
		for c := range classes {
			z[c] = float64(bias.Data[c])
			for j := range width {
				z[c] += float64(x.Row(r)[j]) * float64(table.Data[c*width+j])
			}
			sum += math.Exp(z[c])
		}
		if want := math.Log(sum) - z[targets[r]]; math.Abs(float64(loss.Values[r])-want) > 1e-5*(1+want) {
			t.Fatalf("row %d: loss %v, want %v", r, loss.Values[r], want)
		}
		dx := make([]float64, width)
		for c := range classes {
			d := math.Exp(z[c]) / sum
			if int32(c) == targets[r] {
				d--
			}
			d *= scale
			wantBias[c] += d
			for j := range width {
				wantTable[c*width+j] += d * float64(x.Row(r)[j])
				dx[j] += d * float64(table.Data[c*width+j])
			}
		}
		for j := range width {
			if math.Abs(float64(x.Grad().Row(r)[j])-dx[j]) > 1e-7 {
				t.Fatalf("row %d: dx[%d] = %v, want %v", r, j, x.Grad().Row(r)[j], dx[j])
			}
		}
	}
	for i, w := range wantTable {
		if math.Abs(float64(g.Of(table)[i])-w) > 1e-6 {
			t.Fatalf("table gradient %d: %v, want %v", i, g.Of(table)[i], w)
		}
	}
	for i, w := range wantBias {
		if math.Abs(float64(g.Of(bias)[i])-w) > 1e-6 {
			t.Fatalf("bias gradient %d: %v, want %v", i, g.Of(bias)[i], w)
		}
	}
}

// TestGradientsAddUp: an input that two operations use, or one operation twice, gets the sum of both gradients, with the same bits on
// every instruction set and on one thread or two.
func TestGradientsAddUp(t *testing.T) {
	cases := opCases()
	b := testBatch(5, 1, 19, 8)
	drop := ops.Dropout{Rate: 0.25, Key: ops.DropoutKey(7, 3), Site: 2}
	cases = append(cases, opCase{"norm of its own residual", [][2]int{{33, 24}}, [][]int{{24}, {24}}, func(t *ops.Tape, in []*ops.Tensor, p []*ops.Param) *ops.Tensor {
		return t.Norm(in[0], in[0], p[0], p[1], 1e-12, b, drop)
	}}, opCase{"concat with itself", [][2]int{{9, 18}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
		return t.Concat(in[0], in[0])
	}}, opCase{"softmax loss", [][2]int{{9, 7}}, nil, func(t *ops.Tape, in []*ops.Tensor, _ []*ops.Param) *ops.Tensor {
		t.SoftmaxLoss(in[0], []int32{0, 6, 2, 3, 0, 1, 1, 5, 4}, 0.5)
		return nil
	}}, opCase{"decoder loss", [][2]int{{150, 20}}, [][]int{{40, 20}, {40}}, func(t *ops.Tape, in []*ops.Tensor, p []*ops.Param) *ops.Tensor {
		t.DecoderLoss(in[0], p[0], p[1], make([]int32, 150), 0.5)
		return nil
	}})
	for _, c := range cases {
		if len(c.inputs) == 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			var want [][]float32 // of the portable kernels
			for _, set := range kernel.Available() {
				for threads := range 2 {
					single := inputGradients(t, c, set, threads+1, 1)
					twice := inputGradients(t, c, set, threads+1, 2)
					for i := range single {
						for j, v := range single[i] {
							if got := twice[i][j]; math.Abs(float64(got-2*v)) > 1e-4*(1+math.Abs(float64(v))) {
								t.Fatalf("%s: gradient %d of input %d is %v with two uses, %v with one", set, j, i, got, v)
							}
						}
					}
					if want == nil {
						want = twice
					}
					for i := range want {
						if !slices.Equal(twice[i], want[i]) {
							t.Errorf("%s on %d threads: the bits of input %d's gradient differ", set, threads+1, i)
						}
					}
				}
			}
		})
	}
}

// inputGradients runs an operation a number of times on the same random inputs and gives the gradient of each input.
func inputGradients(t *testing.T, c opCase, set string, threads, times int) [][]float32 {
	dev, err := cpu.New(set, threads)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	rng := rand.New(rand.NewPCG(5, 6))
	inputs, params := c.random(dev, rng)
	tape := ops.NewTape(dev, ops.NewGrads(ops.NewParams(params)))
	defer tape.Reset()
	for range times {
		rng = rand.New(rand.NewPCG(7, 8))
		if y := c.run(tape, inputs, params); y != nil {
			randomRows(tape.Seed(y), rng)
		}
	}
	tape.Backward()
	var gradients [][]float32
	for _, x := range inputs {
		var g []float32
		for r := range x.Rows {
			g = append(g, x.Grad().Row(r)...)
		}
		gradients = append(gradients, g)
	}
	return gradients
}
