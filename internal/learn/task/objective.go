package task

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/learn/train"
	"albert/internal/model"
)

// NoLabel marks a piece that has no label to learn, or an example without one.
const NoLabel = -1

// Example is an example as pieces, with what is to be learned from it.
type Example struct {
	Index  uint64  // keys its dropout
	Inputs []Input // one; of a choice one for each
	Label  int32   // Classify, Choice
	Values []float32
	Tags   []int32 // a label, or NoLabel, for each piece, special ones included
	// Start and End are rows of the answer; both 0, the row of [CLS], where there is none.
	Start, End int32
	Context    [2]int // Answer: the rows of the context, [from, to)
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
// labels; the mean of start's and end's cross-entropy over all pieces of a window. A model with the beam head learns as the released
// code has it (run_squad_v2.py): half of start's and end's over [CLS] and the context, the end's given the right start, and half the
// binary cross-entropy of there being no answer.
type Objective struct {
	Kind    model.Kind
	Model   *model.Model
	Device  ops.Device
	Drop    model.Dropouts // rates in the encoder; the key is the step's
	Dropout float32        // before the classifier, while training
	Seed    uint64
}

// Output is what the head gave for an example.
type Output struct {
	// Logits has a row for the example, for each choice, or for each piece. Of the beam head the columns are start and end given the
	// right start, masked where no answer can be.
	Logits [][]float32
	Beam   *Beam   // of the beam head; without candidates while training
	Loss   float64 // its share of the sum, not divided
}

// Run computes the outputs of examples; with g not nil it also adds the gradients of the loss divided by count to g.
func (o *Objective) Run(g *ops.Grads, examples []Example, step, count int) []Output {
	b := &ops.Batch{Offsets: []int32{0}}
	var first []int // the first sequence of each example, and the number of all
	for _, e := range examples {
		first = append(first, b.Len())
		for j, in := range e.Inputs {
			b.IDs = append(b.IDs, in.IDs...)
			b.Types = append(b.Types, in.Types...)
			b.Offsets = append(b.Offsets, int32(len(b.IDs)))
			b.Examples = append(b.Examples, e.Index*uint64(len(e.Inputs))+uint64(j))
		}
	}
	first = append(first, b.Len())
	t := ops.NewTape(o.Device, g)
	defer t.Reset()
	drop, key := model.NoDropout, [2]uint32{}
	if g != nil {
		key = ops.DropoutKey(o.Seed, uint32(step))
		drop = o.Drop
		drop.Key = key
	}
	hidden := o.Model.Encode(t, b, drop)
	site := ops.Dropout{Key: key, Site: uint32(3*len(o.Model.Layers) + 1)}
	if g != nil {
		site.Rate = o.Dropout
	}
	var logits *ops.Tensor
	if o.beam() {
		return o.runBeam(t, b, hidden, examples, site, count)
	}
	switch o.Kind {
	case model.Answer:
		logits = o.Model.SpanLogits(t, hidden)
	case model.Tag:
		logits = o.Model.ClassifierLogits(t, t.Dropout(hidden, b, false, site))
	default:
		logits = o.Model.ClassifierLogits(t, t.Dropout(o.Model.Pool(t, b, hidden), b, true, site))
	}
	var dx *ops.Tensor
	if g != nil {
		dx = t.Seed(logits)
	}
	out := make([]Output, len(examples))
	scale := 1 / float64(count)
	for i := range examples {
		from, to := first[i], first[i+1] // sequences are rows
		if o.Kind == model.Answer || o.Kind == model.Tag {
			from, to = int(b.Offsets[from]), int(b.Offsets[to])
		}
		rows := make([][]float32, to-from)
		var grads [][]float32
		for r := range rows {
			rows[r] = slices.Clone(logits.Row(from + r))
			if dx != nil {
				grads = append(grads, dx.Row(from+r))
			}
		}
		out[i] = Output{Logits: rows, Loss: examples[i].loss(o.Kind, rows, grads, scale)}
	}
	t.Backward()
	return out
}

// loss is an example's loss; with grads not nil they are set to its gradient times scale.
func (e *Example) loss(k model.Kind, rows, grads [][]float32, scale float64) float64 {
	grad := func(r int) []float32 {
		if grads == nil {
			return nil
		}
		return grads[r]
	}
	switch k {
	case model.Classify:
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
	case model.MultiLabel:
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
	case model.Choice:
		column, g := Column(rows, 0), make([]float32, len(rows))
		l := crossEntropy(column, int(e.Label), g, scale)
		for r := range grads {
			grads[r][0] = g[r]
		}
		return l
	case model.Answer:
		sum := 0.0
		g := make([]float32, len(rows))
		for c, at := range []int32{e.Start, e.End} {
			sum += float64(0.5 * crossEntropy(Column(rows, c), int(at), g, 0.5*scale))
			for r := range grads {
				grads[r][c] = g[r]
			}
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

// Column is column c of rows.
func Column(rows [][]float32, c int) []float32 {
	x := make([]float32, len(rows))
	for r, row := range rows {
		x[r] = row[c]
	}
	return x
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

// Batch is a step's examples, ready for the training loop.
type Batch struct {
	Examples []Example

	objective *Objective
	step      int
	count     int

	mu     sync.Mutex
	leaves map[int][]Output // of the leaf that begins at an example
}

var _ train.Batch = (*Batch)(nil)

// NewBatch makes a batch of a step's examples.
func (o *Objective) NewBatch(step int, examples []Example) *Batch {
	return &Batch{Examples: examples, objective: o, step: step, count: o.divisor(examples), leaves: map[int][]Output{}}
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
func (b *Batch) Len() int { return len(b.Examples) }

// Pieces is the length of example i.
func (b *Batch) Pieces(i int) int { return b.Examples[i].Pieces() }

// Leaf runs examples [from,to) forward and back, adding their gradients to g. It may be called by several goroutines.
func (b *Batch) Leaf(g *ops.Grads, from, to int) error {
	out := b.objective.Run(g, b.Examples[from:to], b.step, b.count)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaves[from] = out
	return nil
}

// Report gives the step's loss and, where a label is chosen, how often the right one was.
func (b *Batch) Report() train.Fields {
	loss := 0.0
	hits, n := 0, 0
	for _, from := range slices.Sorted(maps.Keys(b.leaves)) {
		for i, out := range b.leaves[from] {
			loss += out.Loss
			h, c := b.Examples[from+i].hits(b.objective.Kind, out.Logits)
			hits, n = hits+h, n+c
		}
	}
	fields := train.Fields{{Name: "loss", Value: loss / float64(b.count)}}
	if n > 0 {
		fields = append(fields, train.Field{Name: "accuracy", Value: float64(hits) / float64(n)})
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
	case model.Classify:
		is(rows[0], e.Label)
	case model.Choice:
		is(Column(rows, 0), e.Label)
	case model.Tag:
		for r, l := range e.Tags {
			is(rows[r], l)
		}
	case model.Answer:
		is(Column(rows, 0), e.Start)
		is(Column(rows, 1), e.End)
	}
	return hits, count
}

// ArgMax is the place of the highest value, the lowest where several are.
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
func (b *Batch) Example(i int) string { return fmt.Sprint(b.Examples[i].Index) }
