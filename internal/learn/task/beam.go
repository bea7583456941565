package task

import (
	"slices"

	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/model"
)

// The beam of the released code: so many starts, and for each so many ends (run_squad_v2.py, start_n_top and end_n_top).
const (
	BeamStarts = 5
	BeamEnds   = 5
)

// masked is the logit of a piece at which no answer begins or ends: one of the question, or [SEP].
const masked = -1e30

// Beam is what the beam head gives for a window. Places are rows of the window; [CLS], row 0, stands for no answer.
type Beam struct {
	Start      []float32 // each piece's logit of being the start, not masked
	NoAnswer   float32   // the logit of there being no answer
	Candidates []BeamSpan
}

// BeamSpan is a candidate: one of the likeliest starts, and one of the likeliest ends given it, either before or after it.
type BeamSpan struct {
	Start        int     `json:"start"`
	End          int     `json:"end"`
	StartLogProb float32 `json:"start_log_prob"`
	EndLogProb   float32 `json:"end_log_prob"`
}

// answerable tells of the rows of windows whether an answer may begin or end there: [CLS] and the context of each.
func answerable(b *ops.Batch, contexts [][2]int) []bool {
	list := make([]bool, b.Rows())
	for s, c := range contexts {
		at := int(b.Offsets[s])
		list[at] = true
		for r := c[0]; r < c[1]; r++ {
			list[at+r] = true
		}
	}
	return list
}

// Beams runs the beam head over the last layer's output for windows whose contexts stand in the given rows of each, [from, to):
// starts and ends, likeliest first, the earlier one where they are equal.
func Beams(t *ops.Tape, m *model.Model, b *ops.Batch, hidden *ops.Tensor, contexts [][2]int) []*Beam {
	use := answerable(b, contexts)
	start := m.StartLogits(t, hidden)
	beams := newBeams(b, start, m.NoAnswerLogits(t, b, hidden, start, use, ops.Dropout{}))
	findCandidates(t, m, b, hidden, beams, use)
	return beams
}

// newBeams are the beams of a batch's windows, without candidates.
func newBeams(b *ops.Batch, start, noAnswer *ops.Tensor) []*Beam {
	beams := make([]*Beam, b.Len())
	for s := range beams {
		rows := rowsOf(b, s)
		beams[s] = &Beam{NoAnswer: noAnswer.Row(s)[0], Start: column(start, rows, 0)}
	}
	return beams
}

// column is column c of some rows.
func column(x *ops.Tensor, rows [2]int, c int) []float32 {
	out := make([]float32, rows[1]-rows[0])
	for r := range out {
		out[r] = x.Row(rows[0] + r)[c]
	}
	return out
}

func rowsOf(b *ops.Batch, s int) [2]int { return [2]int{int(b.Offsets[s]), int(b.Offsets[s+1])} }

// findCandidates finds the candidates of windows whose start logits are known.
func findCandidates(t *ops.Tape, m *model.Model, b *ops.Batch, hidden *ops.Tensor, beams []*Beam, use []bool) {
	starts, logs := make([][]int, len(beams)), make([][]float32, len(beams))
	for s := range beams {
		rows := rowsOf(b, s)
		logs[s] = logSoftmax(beams[s].Start, use[rows[0]:rows[1]])
		starts[s] = likeliest(logs[s], use[rows[0]:rows[1]], BeamStarts)
	}
	at := make([]int32, b.Rows())
	for k := range BeamStarts { // the k-th start of every window at once
		for s := range beams {
			rows := rowsOf(b, s)
			row := int32(rows[0])
			if k < len(starts[s]) {
				row += int32(starts[s][k])
			}
			for r := rows[0]; r < rows[1]; r++ {
				at[r] = row
			}
		}
		end := m.EndLogits(t, hidden, at)
		for s := range beams {
			if k >= len(starts[s]) {
				continue
			}
			rows := rowsOf(b, s)
			ends := logSoftmax(column(end, rows, 0), use[rows[0]:rows[1]])
			i := starts[s][k]
			for _, j := range likeliest(ends, use[rows[0]:rows[1]], BeamEnds) {
				beams[s].Candidates = append(beams[s].Candidates, BeamSpan{Start: i, End: j, StartLogProb: logs[s][i], EndLogProb: ends[j]})
			}
		}
		t.Release(end)
	}
}

// logSoftmax is the logarithm of the softmax over the values in use, [masked] at the others.
func logSoftmax(x []float32, use []bool) []float32 {
	y := mask(x, use)
	high := float32(masked)
	for _, v := range y {
		high = max(high, v)
	}
	sum := 0.0
	for i, v := range y {
		if use[i] {
			sum += numeric.Exp64(float64(v) - float64(high))
		}
	}
	log := numeric.Log64(sum)
	for i := range y {
		if use[i] {
			y[i] = float32(float64(y[i]) - float64(high) - log)
		}
	}
	return y
}

// mask is x where it is in use.
func mask(x []float32, use []bool) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = masked
		if use[i] {
			y[i] = v
		}
	}
	return y
}

// likeliest gives the indices of the n highest values in use.
func likeliest(x []float32, use []bool, n int) []int {
	return slices.DeleteFunc(Top(x, n), func(i int) bool { return !use[i] })
}

// BestBeamSpans is [BestSpans] of the beam head: the likeliest candidates of all windows by the product of their probabilities, under
// the same conditions.
func BestBeamSpans(ws []Window, beams []*Beam, context string, o SpanOptions) Spans {
	out := Spans{Beam: true}
	found := newCandidates(context, o)
	for k := range ws {
		w, b := &ws[k], beams[k]
		if k == 0 || b.NoAnswer < out.Null.Logit {
			out.Null = Span{Logit: b.NoAnswer, Score: float32(Sigmoid(b.NoAnswer)), Window: k}
		}
		for _, c := range b.Candidates {
			if i, j := c.Start-w.B.At, c.End-w.B.At; i >= 0 && j >= 0 && found.fits(w, i, j) {
				logit := c.StartLogProb + c.EndLogProb
				found.add(w, i, j, Span{StartLogit: c.StartLogProb, EndLogit: c.EndLogProb, Logit: logit,
					Score: float32(numeric.Exp64(float64(logit))), Window: k})
			}
		}
	}
	out.Best = found.best()
	return out
}

// beam tells whether the beam head learns.
func (o *Objective) beam() bool { return o.Kind == model.Answer && o.Model.Beam.Start.W != nil }

// beamOutputs is [Objective.Outputs] of the beam head.
func (o *Objective) beamOutputs(t *ops.Tape, b *ops.Batch, hidden *ops.Tensor, examples []Example, drop ops.Dropout, count int) []Output {
	contexts, gold := make([][2]int, len(examples)), make([]int32, b.Rows())
	for i, e := range examples { // an example is a sequence
		contexts[i] = e.Context
		for r := b.Offsets[i]; r < b.Offsets[i+1]; r++ {
			gold[r] = b.Offsets[i] + e.Start
		}
	}
	use := answerable(b, contexts)
	start := o.Model.StartLogits(t, hidden)
	end := o.Model.EndLogits(t, hidden, gold)
	no := o.Model.NoAnswerLogits(t, b, hidden, start, use, drop)
	var grads [3]*ops.Tensor
	if t.Recording() {
		grads = [3]*ops.Tensor{t.Seed(start), t.Seed(end), t.Seed(no)}
	}
	beams := newBeams(b, start, no)
	scale := 1 / float64(count)
	out := make([]Output, len(examples))
	for i := range examples {
		e, rows := &examples[i], rowsOf(b, i)
		inUse := use[rows[0]:rows[1]]
		out[i] = Output{Logits: [][]float32{mask(beams[i].Start, inUse), mask(column(end, rows, 0), inUse)}, Beam: beams[i]}
		g := make([]float32, rows[1]-rows[0])
		for c, label := range []int32{e.Start, e.End} {
			out[i].Loss += float64(0.5 * crossEntropy(out[i].Logits[c], int(label), g, 0.5*scale))
			for r := range g {
				if grads[c] != nil {
					grads[c].Row(rows[0] + r)[0] = g[r]
				}
			}
		}
		impossible := 0.0
		if e.Start == 0 {
			impossible = 1
		}
		loss, d := binaryCrossEntropy(float64(beams[i].NoAnswer), impossible)
		out[i].Loss += float64(0.5 * loss)
		if grads[2] != nil {
			grads[2].Row(i)[0] = float32(0.5 * d * scale)
		}
	}
	if !t.Recording() {
		findCandidates(t, o.Model, b, hidden, beams, use)
	}
	return out
}
