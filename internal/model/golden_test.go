package model_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/files/safetensors"
	"albert/internal/formats"
	"albert/internal/learn/optim"
	"albert/internal/model"
)

// golden is a case of parity/golden/make.py: a random tiny model of transformers and what float64 arithmetic says of it.
type golden struct {
	m             *model.Model
	f             *safetensors.File
	batch         *ops.Batch
	rows, targets []int32
	labels        []int32
}

func (g *golden) float64s(t *testing.T, name string) []float64 {
	t.Helper()
	x, err := g.f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := x.Float64()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (g *golden) ints(t *testing.T, name string) []int32 {
	t.Helper()
	x, err := g.f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := x.Int64()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int32, len(v))
	for i := range v {
		out[i] = int32(v[i])
	}
	return out
}

// eachGolden runs f for every case.
func eachGolden(t *testing.T, f func(t *testing.T, g *golden)) {
	dirs, err := filepath.Glob("testdata/golden/*/golden.safetensors")
	if err != nil || len(dirs) < 10 {
		t.Fatalf("%d golden cases: %v", len(dirs), err)
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			opened, err := formats.Open(dir)
			if err != nil || len(opened.Unused) > 0 {
				t.Fatal(err, opened)
			}
			m := opened.Model
			g := &golden{m: m}
			if g.f, err = safetensors.Open(path); err != nil {
				t.Fatal(err)
			}
			defer g.f.Close()
			g.batch = &ops.Batch{IDs: g.ints(t, "input_ids"), Types: g.ints(t, "token_type_ids"), Offsets: g.ints(t, "offsets")}
			g.rows, g.targets, g.labels = g.ints(t, "masked_rows"), g.ints(t, "masked_ids"), g.ints(t, "sop_labels")
			f(t, g)
		})
	}
}

// distance is the norm of got - want and of want.
func distance(got []float32, want []float64) (d, norm float64) {
	for i, w := range want {
		d += (float64(got[i]) - w) * (float64(got[i]) - w)
		norm += w * w
	}
	return math.Sqrt(d), math.Sqrt(norm)
}

func flat(x *ops.Tensor) (out []float32) {
	for r := range x.Rows {
		out = append(out, x.Row(r)...)
	}
	return out
}

// relative is the bound of acceptance on logits, loss and gradients.
const relative = 1e-5

func TestForwardAgreesWithTransformers(t *testing.T) {
	dev := device(t, "", 2)
	eachGolden(t, func(t *testing.T, g *golden) {
		tape := ops.NewTape(dev, nil)
		defer tape.Reset()
		check := func(name string, x *ops.Tensor) {
			if d, n := distance(flat(x), g.float64s(t, name)); !(d <= relative*n) {
				t.Errorf("%s: off by %.2g of its norm", name, d/n)
			}
		}
		if _, err := g.f.Tensor("layers"); err == nil {
			all := g.float64s(t, "layers") // [layers+1, T, H]
			for k := range len(g.m.Layers) + 1 {
				x := flat(g.m.EncodeTo(tape, g.batch, model.NoDropout, k))
				if d, n := distance(x, all[k*len(x):(k+1)*len(x)]); !(d <= relative*n) {
					t.Errorf("layer %d: off by %.2g of its norm", k, d/n)
				}
			}
		}
		hidden := g.m.Encode(tape, g.batch, model.NoDropout)
		check("hidden", hidden)
		pooled := g.m.Pool(tape, g.batch, hidden)
		check("pooled", pooled)
		check("sop_logits", g.m.SOPLogits(tape, pooled))
		check("mlm_logits", g.m.MLMLogits(tape, hidden, g.rows))
	})
}

// step runs a forward and a backward pass; it gives the loss.
func (g *golden) step(dev *cpu.Device, grads *ops.Grads) float64 {
	tape := ops.NewTape(dev, grads)
	defer tape.Reset()
	hidden := g.m.Encode(tape, g.batch, model.NoDropout)
	loss := 0.0
	for _, l := range []ops.Loss{
		tape.SoftmaxLoss(g.m.SOPLogits(tape, g.m.Pool(tape, g.batch, hidden)), g.labels, 1/float32(len(g.labels))),
		g.m.MLMLoss(tape, hidden, g.rows, g.targets, 1/float32(len(g.rows))),
	} {
		sum := 0.0
		for _, v := range l.Values {
			sum += float64(v)
		}
		loss += sum / float64(len(l.Values))
	}
	tape.Backward()
	return loss
}

func TestGradientsAgreeWithTransformers(t *testing.T) {
	dev := device(t, "", 2)
	eachGolden(t, func(t *testing.T, g *golden) {
		grads := ops.NewGrads(g.m.Params)
		loss := g.step(dev, grads)
		if want := g.float64s(t, "losses")[0]; math.Abs(loss-want) > relative*want {
			t.Errorf("loss %v, want %v", loss, want)
		}
		for _, p := range g.m.Params.List {
			d, n := distance(grads.Of(p), g.float64s(t, "grad."+p.Name))
			if strings.HasSuffix(p.Name, "key.bias") { // its true gradient is 0: held against the key weight's
				n = 0
				for _, v := range g.float64s(t, "grad."+strings.Replace(p.Name, "key.bias", "key.weight", 1)) {
					n += v * v
				}
				n = math.Sqrt(n)
			}
			if !(d <= relative*n) {
				t.Errorf("%s: gradient off by %.2g of its norm", p.Name, d/n)
			}
		}
	})
}

// After 20 steps of LAMB all parameters together are within 1e-6 of their norm, each tensor within 3e-5 of how far it moved; key
// biases, whose gradient is rounding alone, excepted. AdamW, which turns the smallest gradients into whole steps, is held to ten times that.
func TestTwentySteps(t *testing.T) {
	dev := device(t, "", 2)
	for _, c := range []struct {
		kind  optim.Kind
		rate  float64
		slack float64
		cases int
	}{{optim.LAMB, 0.00176, 1, 6}, {optim.AdamW, 0.0002, 10, 2}} {
		t.Run(string(c.kind), func(t *testing.T) {
			ran := 0
			eachGolden(t, func(t *testing.T, g *golden) {
				if _, err := g.f.Tensor(string(c.kind) + ".steps"); err != nil {
					return
				}
				ran++
				start := map[string][]float32{}
				for _, p := range g.m.Params.List {
					start[p.Name] = append([]float32(nil), p.Data...)
				}
				opt := optim.New(optim.Config{Kind: c.kind, WeightDecay: 0.01, Clip: 1}, g.m.Params, dev)
				schedule := optim.Schedule{LearningRate: c.rate, Steps: 40, Warmup: 5}
				grads := ops.NewGrads(g.m.Params)
				for step, want := range slices.Collect(slices.Chunk(g.float64s(t, string(c.kind)+".steps"), 3)) {
					grads.Zero()
					loss := g.step(dev, grads)
					norm, rate := opt.Norm(grads), schedule.At(step+1)
					for i, got := range []float64{loss, norm, float64(rate)} {
						if math.Abs(got-want[i]) > 1e-5*math.Abs(want[i]) {
							t.Errorf("step %d: %s %v, want %v", step+1, []string{"loss", "gradient norm", "rate"}[i], got, want[i])
						}
					}
					opt.Step(step+1, grads, norm, rate)
				}
				var all, size float64
				for _, p := range g.m.Params.List {
					if strings.HasSuffix(p.Name, "key.bias") {
						continue
					}
					update := g.float64s(t, string(c.kind)+"."+p.Name)
					var off, moved float64
					for i, u := range update {
						d := float64(p.Data[i]) - float64(start[p.Name][i]) - u
						off += d * d
						moved += u * u
						size += float64(p.Data[i]) * float64(p.Data[i])
					}
					if off, moved = math.Sqrt(off), math.Sqrt(moved); !(off <= c.slack*3e-5*moved) {
						t.Errorf("%s: off by %.2g of its update", p.Name, off/moved)
					}
					all += off * off
				}
				r := math.Sqrt(all / size)
				t.Logf("all parameters: off by %.2g of their norm", r)
				if !(r <= c.slack*1e-6) {
					t.Errorf("all parameters: off by %.2g of their norm", r)
				}
			})
			if ran != c.cases {
				t.Errorf("%d cases with this optimizer, want %d", ran, c.cases)
			}
		})
	}
}
