package task

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
	"albert/internal/model"
	"albert/tokenizer"
)

const goldenBeam = "testdata/golden-beam"

// beamExamples are the golden windows.
func beamExamples(t *testing.T, f *safetensors.File) []Example {
	examples := goldenExamples(t, model.Answer, f)
	contexts := int32s(t, f, "contexts")
	for i := range examples {
		examples[i].Context = [2]int{int(contexts[2*i]), int(contexts[2*i+1])}
	}
	return examples
}

func openBeam(t *testing.T) (*model.Model, *safetensors.File) {
	t.Helper()
	opened, err := formats.Open(goldenBeam)
	if err != nil || len(opened.Unused) > 0 {
		t.Fatal(err, opened)
	}
	m := opened.Model
	f, err := safetensors.Open(filepath.Join(goldenBeam, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return m, f
}

func device(t *testing.T, threads int) *cpu.Device {
	t.Helper()
	dev, err := cpu.New("", threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dev.Close)
	return dev
}

// Logits, loss, gradients and candidates of the beam head against float64 arithmetic (parity/golden/beam.py).
func TestBeamHeadAgreesWithTheReleasedOne(t *testing.T) {
	m, f := openBeam(t)
	if m.Class() != model.Bare {
		t.Errorf("class %s: transformers has none with this head", m.Class())
	}
	examples := beamExamples(t, f)
	o := &Objective{Kind: model.Answer, Model: m, Device: device(t, 2)}
	g := ops.NewGrads(m.Params)
	b := o.NewStep(1, examples)
	if err := b.Leaf(g, 0, len(examples)); err != nil {
		t.Fatal(err)
	}
	near := func(what string, got float32, want float64) {
		t.Helper()
		if d := math.Abs(float64(got) - want); !(d <= 2e-5) {
			t.Errorf("%s is %v, off by %.2g", what, got, d)
		}
	}
	starts, ends, classes := float64s(t, f, "start_logits"), float64s(t, f, "end_logits"), float64s(t, f, "cls_logits")
	at := 0
	for i, out := range o.Run(ops.NewGrads(m.Params), examples, 1, b.count) {
		near("cls logit", out.Beam.NoAnswer, classes[i])
		for r := range out.Beam.Start {
			near("start logit", out.Beam.Start[r], starts[at])
			if e := &examples[i]; r == 0 || r >= e.Context[0] && r < e.Context[1] {
				near("start logit", out.Logits[0][r], starts[at])
				near("end logit", out.Logits[1][r], ends[at])
			} else if out.Logits[0][r] != masked || out.Logits[1][r] != masked {
				t.Errorf("window %d, row %d is not masked: %v, %v", i, r, out.Logits[0][r], out.Logits[1][r])
			}
			at++
		}
		if len(out.Beam.Candidates) > 0 {
			t.Error("training looked for candidates")
		}
	}
	loss, want := b.Report().Get("loss").(float64), float64s(t, f, "loss")[0]
	if !(math.Abs(loss-want) <= 1e-5*want) {
		t.Errorf("loss %v, want %v", loss, want)
	}
	for _, p := range m.Params.List {
		d, n := distance(g.Of(p), float64s(t, f, "grad."+p.Name))
		// In exact arithmetic softmax does not see these: held against the size of their weights' gradients.
		if strings.HasSuffix(p.Name, "attention.key.bias") || p.Name == "start_logits.dense.bias" || p.Name == "end_logits.dense_1.bias" ||
			p.Name == "end_logits.LayerNorm.bias" {
			_, n = distance(nil, float64s(t, f, "grad."+strings.TrimSuffix(p.Name, "bias")+"weight"))
		}
		if !(d <= 1e-5*n) {
			t.Errorf("gradient of %s is off by %.2g of %.2g", p.Name, d, n)
		}
	}

	counts, rows, logs := int32s(t, f, "candidates"), int32s(t, f, "candidate_rows"), float64s(t, f, "candidate_log_probs")
	for i, out := range forward(o, examples) {
		if len(out.Beam.Candidates) != int(counts[i]) {
			t.Fatalf("window %d: %d candidates, want %d", i, len(out.Beam.Candidates), counts[i])
		}
		for _, c := range out.Beam.Candidates {
			if c.Start != int(rows[0]) || c.End != int(rows[1]) {
				t.Errorf("window %d: candidate %d-%d, want %d-%d", i, c.Start, c.End, rows[0], rows[1])
			}
			near("start's log-probability", c.StartLogProb, logs[0])
			near("end's log-probability", c.EndLogProb, logs[1])
			rows, logs = rows[2:], logs[2:]
		}
	}
}

// What a window gives depends on no other window of the batch and on no number of threads, by whichever way it is asked; gradients
// depend on no number of threads either.
func TestBeamHeadHasItsOwnBits(t *testing.T) {
	m, f := openBeam(t)
	examples := beamExamples(t, f)
	all := forward(&Objective{Kind: model.Answer, Model: m, Device: device(t, 1)}, examples)
	dev := device(t, 3)
	o := &Objective{Kind: model.Answer, Model: m, Device: dev, Dropout: 0.1, Seed: 5}
	for i := range examples {
		one := forward(o, examples[i:i+1])[0]
		in := examples[i].Inputs[0]
		b := &ops.Batch{IDs: in.IDs, Types: in.Types, Offsets: []int32{0, int32(len(in.IDs))}}
		tape := ops.NewTape(dev, nil)
		alone := Beams(tape, m, b, m.Encode(tape, b, model.NoDropout), [][2]int{examples[i].Context})[0]
		tape.Reset()
		for _, got := range []*Beam{one.Beam, alone} {
			if got.NoAnswer != all[i].Beam.NoAnswer || !slices.Equal(got.Start, all[i].Beam.Start) || !slices.Equal(got.Candidates, all[i].Beam.Candidates) {
				t.Errorf("window %d alone differs", i)
			}
		}
		if one.Loss != all[i].Loss {
			t.Errorf("window %d alone: loss %v, %v among others", i, one.Loss, all[i].Loss)
		}
	}
	grads := func(threads int) []float32 {
		g := ops.NewGrads(m.Params)
		o := *o
		o.Device = device(t, threads)
		o.Run(g, examples, 3, len(examples))
		return g.Flat()
	}
	a := grads(1)
	if !slices.Equal(a, grads(4)) {
		t.Error("gradients depend on the threads")
	}
	if o.Dropout = 0; slices.Equal(a, grads(1)) {
		t.Error("nothing was dropped")
	}
}

// The best candidate of all windows answers; what cannot be an answer never does, and none stands for itself.
func TestBeamSpans(t *testing.T) {
	context := "ab cd ef"
	places := [][2]int{{0, 2}, {3, 5}, {6, 8}}
	ws := []Window{
		{Encoding: tokenizer.Encoding{B: tokenizer.Part{At: 3}}, Offsets: places, MaxContext: []bool{true, true, false}},
		{Encoding: tokenizer.Encoding{B: tokenizer.Part{At: 3, From: 1}}, Offsets: places[1:], MaxContext: []bool{false, true}},
	}
	beams := []*Beam{
		{NoAnswer: 2, Candidates: []BeamSpan{
			{0, 0, -0.1, -0.1}, // [CLS]
			{1, 3, -0.1, -0.1}, // begins in the question
			{4, 3, -0.2, -0.1}, // ends before it begins
			{5, 5, -0.2, -0.1}, // the other window has more context
			{3, 5, -0.5, -0.1}, // too long
			{3, 4, -1, -0.5},
			{4, 4, -1, -0.25},
			{4, 4, -1, -0.75}, // the same text again
		}},
		{NoAnswer: -1, Candidates: []BeamSpan{{4, 4, -0.5, -0.25}}},
	}
	o := DefaultSpanOptions
	o.MaxAnswerLength = 2
	s := BestBeamSpans(ws, beams, context, o)
	var texts []string
	for _, b := range s.Best {
		texts = append(texts, b.Text)
	}
	if !slices.Equal(texts, []string{"ef", "cd", "ab cd"}) {
		t.Fatalf("%q", texts)
	}
	if b := s.Best[0]; b.Logit != -0.75 || b.Begin != 6 || b.End != 8 || b.Window != 1 || math.Abs(float64(b.Score)-math.Exp(-0.75)) > 1e-6 {
		t.Errorf("%+v", b)
	}
	if s.NullScore() != -1 || s.Null.Window != 1 || math.Abs(float64(s.Null.Score)-1/(1+math.E)) > 1e-6 {
		t.Errorf("none: %v, %+v", s.NullScore(), s.Null)
	}
	if s := BestBeamSpans(ws[:1], []*Beam{{}}, context, o); !math.IsInf(float64(s.NullScore()), 1) {
		t.Error("without a span none is certain")
	}
}

// forward runs a head without learning.
func forward(o *Objective, examples []Example) []Output {
	b, sequences := Batch(examples)
	t := ops.NewTape(o.Device, nil)
	defer t.Reset()
	return o.Outputs(t, b, sequences, o.Model.Encode(t, b, model.NoDropout), examples, ops.Dropout{}, 1)
}
