package task

import (
	"fmt"
	"slices"

	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/tokenizer"
)

// NoLabel marks a piece that has no label to learn, or an example without one.
const NoLabel = -1

// Example is an example as pieces, with what is to be learned from it.
type Example struct {
	Index  uint64               // keys its dropout
	Source int                  // its number in the training data, for the names of skipped ones
	Inputs []tokenizer.Encoding // one; of a choice one for each
	Label  int32                // Classify, Choice
	Values []float32
	Tags   []int32 // a label, or NoLabel, for each piece, special ones included
	// Start and End are rows of the answer; both 0, the row of [CLS], where there is none.
	Start, End int32
	Context    [2]int  // Answer: the rows of the context, [from, to)
	Texts      []int32 // Embed: a number for each input, the same for equal texts
	Window     *Window // Answer, where the text is asked for
}

// Pieces is the length of the example's sequences together.
func (e *Example) Pieces() int {
	n := 0
	for _, in := range e.Inputs {
		n += len(in.IDs)
	}
	return n
}

// Objective computes a head's loss over examples, and its gradients. The losses are those of transformers' classes: cross-entropy,
// mean over examples (over labelled pieces: Tag); the mean of the squared error; binary cross-entropy, mean over examples and
// labels (of Rank there is one); the mean of start's and end's cross-entropy over all pieces of a window. A model with the beam head learns as the released
// code has it (run_squad_v2.py): half of start's and end's over [CLS] and the context, the end's given the right start, and half the
// binary cross-entropy of there being no answer.
type Objective struct {
	Kind    model.Kind
	Model   *model.Model
	Device  ops.Device
	Drop    model.Dropouts // rates in the encoder; the key is the step's
	Dropout float32        // before the classifier, while training
	Seed    uint64
	Name    func(source int) string // where an example stands, for the log of skipped steps; nil: its Index
}

// Output is what the head gave for an example.
type Output struct {
	// Logits has one row, of a tagged text a row for each piece; of answering two, of starts and ends, each over all pieces. Of the beam
	// head the ends are those given the right start, and both are masked where no answer can be.
	Logits [][]float32
	Beam   *Beam   // of the beam head; without candidates while training
	Loss   float64 // its share of the sum, not divided
}

// Mean averages the outputs of an example's windows.
func Mean(outs []Output) Output {
	if len(outs) == 1 {
		return outs[0]
	}
	n := float32(len(outs))
	var sum Output
	for _, row := range outs[0].Logits {
		sum.Logits = append(sum.Logits, make([]float32, len(row)))
	}
	for _, o := range outs {
		sum.Loss += o.Loss / float64(n)
		for r, row := range o.Logits {
			for k, x := range row {
				sum.Logits[r][k] += x
			}
		}
	}
	for _, row := range sum.Logits {
		for k := range row {
			row[k] /= n
		}
	}
	return sum
}

// Batch lays the sequences of examples one after another, and gives the number of each example's first sequence and that of all.
func Batch(examples []Example) (b *ops.Batch, sequences []int) {
	b = &ops.Batch{Offsets: []int32{0}}
	for _, e := range examples {
		sequences = append(sequences, b.Len())
		for j, in := range e.Inputs {
			b.IDs = append(b.IDs, in.IDs...)
			b.Types = append(b.Types, in.Types...)
			b.Offsets = append(b.Offsets, int32(len(b.IDs)))
			b.Examples = append(b.Examples, e.Index*uint64(len(e.Inputs))+uint64(j))
		}
	}
	return b, append(sequences, b.Len())
}

// Logits runs the head of a kind over the last layer's output: a row for each sequence, of tagging and answering for each piece. drop is
// before a classifier.
func Logits(t *ops.Tape, m *model.Model, k model.Kind, b *ops.Batch, hidden *ops.Tensor, drop ops.Dropout) *ops.Tensor {
	switch k {
	case model.Answer:
		return m.SpanLogits(t, hidden)
	case model.Tag:
		return m.ClassifierLogits(t, t.Dropout(hidden, b, false, drop))
	case model.Order:
		return m.SOPLogits(t, m.Pool(t, b, hidden))
	}
	return m.ClassifierLogits(t, t.Dropout(m.Pool(t, b, hidden), b, true, drop))
}

// Infer runs model and head in inference for examples laid out by [Batch]; with count 0 there are no losses.
func (o *Objective) Infer(t *ops.Tape, b *ops.Batch, sequences []int, examples []Example, count int) []Output {
	var hidden *ops.Tensor
	if o.Kind == model.Answer || o.Kind == model.Tag {
		hidden = o.Model.Encode(t, b, model.NoDropout)
	} else {
		hidden = o.Model.EncodeFirst(t, b)
	}
	return o.Outputs(t, b, sequences, hidden, examples, ops.Dropout{}, count)
}

// Run computes the outputs of a step's examples and adds the gradients of the loss divided by count to g.
func (o *Objective) Run(g *ops.Grads, examples []Example, step, count int) []Output {
	b, sequences := Batch(examples)
	t := ops.NewTape(o.Device, g)
	defer t.Reset()
	drop := o.Drop
	drop.Key = ops.DropoutKey(o.Seed, uint32(step))
	hidden := o.Model.Encode(t, b, drop)
	out := o.Outputs(t, b, sequences, hidden, examples, ops.Dropout{Rate: o.Dropout, Key: drop.Key, Site: uint32(3*len(o.Model.Layers) + 1)}, count)
	t.Backward()
	return out
}

// Outputs runs the head over the last layer's output for examples laid out by [Batch]. On a recording tape it seeds the gradients of the
// loss divided by count; with count 0 there are no losses.
func (o *Objective) Outputs(t *ops.Tape, b *ops.Batch, sequences []int, hidden *ops.Tensor, examples []Example, drop ops.Dropout, count int) []Output {
	if o.beam() {
		return o.beamOutputs(t, b, hidden, examples, drop, count)
	}
	logits := Logits(t, o.Model, o.Kind, b, hidden, drop)
	var dx *ops.Tensor
	if t.Recording() {
		dx = t.Seed(logits)
	}
	out := make([]Output, len(examples))
	scale := 1 / float64(count)
	for i := range examples {
		rows := [2]int{sequences[i], sequences[i+1]}
		if o.Kind == model.Answer || o.Kind == model.Tag {
			rows = [2]int{int(b.Offsets[rows[0]]), int(b.Offsets[rows[1]])}
		}
		x := copyLogits(o.Kind, logits, rows)
		var g [][]float32
		if dx != nil {
			g = make([][]float32, len(x))
			for r := range g {
				g[r] = make([]float32, len(x[r]))
			}
		}
		out[i].Logits = x
		if count > 0 {
			out[i].Loss = examples[i].loss(o.Kind, x, g, scale)
		}
		for r := range g {
			for c, v := range g[r] {
				if byColumn(o.Kind) {
					dx.Row(rows[0] + c)[r] = v
				} else {
					dx.Row(rows[0] + r)[c] = v
				}
			}
		}
	}
	return out
}

// byColumn tells of a kind whose logits are asked for by column: the choices of an example, the starts and ends of a window.
func byColumn(k model.Kind) bool { return k == model.Choice || k == model.Answer }

// copyLogits copies an example's rows of logits into the form of [Output].
func copyLogits(k model.Kind, x *ops.Tensor, rows [2]int) [][]float32 {
	var out [][]float32
	if byColumn(k) {
		for c := range x.Cols {
			out = append(out, column(x, rows, c))
		}
		return out
	}
	for r := rows[0]; r < rows[1]; r++ {
		out = append(out, slices.Clone(x.Row(r)))
	}
	return out
}

// loss is an example's loss by its logits (see [Output]); with grads not nil they are set to its gradient times scale.
func (e *Example) loss(k model.Kind, rows, grads [][]float32, scale float64) float64 {
	grad := func(r int) []float32 {
		if grads == nil {
			return nil
		}
		return grads[r]
	}
	switch k {
	case model.Classify, model.Choice:
		return crossEntropy(rows[0], int(e.Label), grad(0), scale)
	case model.Regress:
		sum := 0.0
		each := scale / float64(len(rows[0]))
		for i, y := range rows[0] {
			d := float64(y) - float64(e.value(i))
			sum += d * d / float64(len(rows[0]))
			if g := grad(0); g != nil {
				g[i] = float32(2 * d * each)
			}
		}
		return sum
	case model.MultiLabel, model.Rank:
		sum := 0.0
		n := float64(len(rows[0]))
		for i, x := range rows[0] {
			loss, d := binaryCrossEntropy(float64(x), float64(e.value(i)))
			sum += loss / n
			if g := grad(0); g != nil {
				g[i] = float32(d * scale / n)
			}
		}
		return sum
	case model.Tag:
		sum := 0.0
		for r, row := range rows {
			label := e.Tags[r]
			if label == NoLabel {
				clear(grad(r))
				continue
			}
			sum += crossEntropy(row, int(label), grad(r), scale)
		}
		return sum
	case model.Answer:
		sum := 0.0
		for c, at := range []int32{e.Start, e.End} {
			sum += float64(0.5 * crossEntropy(rows[c], int(at), grad(c), 0.5*scale))
		}
		return sum
	}
	panic("task: kind " + k)
}

func (e *Example) value(i int) float32 {
	if i < len(e.Values) {
		return e.Values[i]
	}
	return 0
}

// crossEntropy is -log softmax(x)[label]; with g not nil its gradient times scale is written there. Without a label both are 0.
func crossEntropy(x []float32, label int, g []float32, scale float64) float64 {
	if label < 0 {
		clear(g)
		return 0
	}
	high := x[0]
	for _, v := range x {
		high = max(high, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += numeric.Exp64(float64(v) - float64(high))
	}
	for i := range g {
		p := numeric.Exp64(float64(x[i])-float64(high)) / sum
		if i == label {
			p--
		}
		g[i] = float32(p * scale)
	}
	return numeric.Log64(sum) - (float64(x[label]) - float64(high))
}

// binaryCrossEntropy is -y log p - (1-y) log(1-p) of p = sigmoid(x), and its derivative p - y.
func binaryCrossEntropy(x, y float64) (loss, d float64) {
	// max(x,0) - xy + log(1 + exp(-|x|))
	a := numeric.Exp64(-max(x, -x))
	p := 1 / (1 + a)
	if x < 0 {
		p = a / (1 + a)
	}
	return max(x, 0) - float64(x*y) + numeric.Log64(1+a), p - y
}

// Step is a step's examples, ready for the training loop.
type Step struct {
	Examples []Example

	objective *Objective
	step      int
	count     int
	found     []float64 // for each example: the loss, how many labels are right, and how many there are
}

var _ train.Batch = (*Step)(nil)

// NewStep makes a batch of a step's examples.
func (o *Objective) NewStep(step int, examples []Example) *Step {
	return &Step{Examples: examples, objective: o, step: step, count: o.divisor(examples), found: make([]float64, 3*len(examples))}
}

// divisor is what the sum of losses is divided by.
func (o *Objective) divisor(examples []Example) int {
	if o.Kind != model.Tag {
		return len(examples)
	}
	n := 0
	for _, e := range examples {
		for _, l := range e.Tags {
			if l != NoLabel {
				n++
			}
		}
	}
	return max(1, n)
}

// Len is the number of examples.
func (b *Step) Len() int { return len(b.Examples) }

// Pieces is the length of example i.
func (b *Step) Pieces(i int) int { return b.Examples[i].Pieces() }

// Leaf runs examples [from,to) forward and back, adding their gradients to g. It may be called by several goroutines.
func (b *Step) Leaf(g *ops.Grads, from, to int) error {
	for i, out := range b.objective.Run(g, b.Examples[from:to], b.step, b.count) {
		hits, n := b.Examples[from+i].hits(b.objective.Kind, out.Logits)
		copy(b.Found(from+i, from+i+1), []float64{out.Loss, float64(hits), float64(n)})
	}
	return nil
}

// Found is what Leaf found in examples [from,to).
func (b *Step) Found(from, to int) []float64 { return b.found[3*from : 3*to] }

// Report gives the step's loss and, where a label is chosen, how often the right one was.
func (b *Step) Report() train.Fields {
	var loss, hits, n float64
	for x := range slices.Chunk(b.found, 3) {
		loss, hits, n = loss+x[0], hits+x[1], n+x[2]
	}
	fields := train.Fields{{Name: "loss", Value: loss / float64(b.count)}}
	if n > 0 {
		fields = append(fields, train.Field{Name: "accuracy", Value: hits / n})
	}
	return fields
}

// hits counts what is right of an example's labels, and how many there are.
func (e *Example) hits(k model.Kind, rows [][]float32) (hits, count int) {
	is := func(x []float32, label int32) {
		if label >= 0 {
			count++
			if ArgMax(x) == int(label) {
				hits++
			}
		}
	}
	switch k {
	case model.Classify, model.Choice:
		is(rows[0], e.Label)
	case model.Tag:
		for r, l := range e.Tags {
			is(rows[r], l)
		}
	case model.Answer:
		is(rows[0], e.Start)
		is(rows[1], e.End)
	}
	return hits, count
}

// Sigmoid is 1 / (1 + exp(-x)).
func Sigmoid(x float32) float64 { return 1 / (1 + numeric.Exp64(-float64(x))) }

// ArgMax is the index of the highest value, the lowest where several are.
func ArgMax[F float32 | float64](x []F) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// Example names example i in the log of a skipped step.
func (b *Step) Example(i int) string { return b.Examples[i].name(b.objective.Name) }

func (e *Example) name(of func(source int) string) string {
	if of == nil {
		return fmt.Sprint(e.Index)
	}
	return of(e.Source)
}
