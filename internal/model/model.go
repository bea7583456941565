// Package model defines ALBERT, and BERT as a configuration of it, once, over the operations of package ops: its configuration, its parameters under their Hugging
// Face names, embeddings, encoder and pretraining heads. What runs it is a device; this package never knows which.
//
// The paper is arXiv 1909.11942; the layer is that of the released modeling.py.
//
//	m := model.New(config, seed)
//	t := ops.NewTape(device, nil)
//	hidden := m.Encode(t, batch, model.NoDropout)     // [T,H]
package model

import (
	"hash/fnv"
	"math"

	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
)

// Norm is a layer normalisation's scale and shift.
type Norm struct{ Gamma, Beta *ops.Param }

// Layer is one transformer block. Blocks that share parameters point to the same ones.
type Layer struct {
	Query, Key, Value, Dense ops.Affine
	AttentionNorm            Norm
	FFN, FFNOutput           ops.Affine
	FullNorm                 Norm
}

// Model is ALBERT with its heads.
type Model struct {
	Config Config
	Params *ops.Params // each distinct parameter once

	Word, Position, TokenType *ops.Param
	EmbeddingNorm             Norm
	Projection                ops.Affine // E to H; W nil where there is none
	Layers                    []Layer    // in the order in which they run: layers times inner groups
	Pooler                    ops.Affine

	// MLM head: dense, activation, norm, then the word table with a bias. W nil in a model without it.
	MLMDense ops.Affine
	MLMNorm  Norm
	MLMBias  *ops.Param
	// SOP head; W nil in a model without it.
	SOP ops.Affine
	// Classifier is over the pooled output (sequence classification; one output for multiple choice) or over every piece (token
	// classification); Spans gives every piece's start and end logit (question answering). W nil in a model without it.
	Classifier, Spans ops.Affine
	// Beam is SQuAD 2.0's head; Start.W nil in a model without it.
	Beam Beam

	act  ops.Activation
	disk []diskTensor
}

// diskTensor is a tensor of a model file: its name, and the parameter with its values. Several names have one parameter where layers share it.
type diskTensor struct {
	name string
	p    *ops.Param
}

// Heads says which heads a model has.
type Heads struct {
	Pooler, MLM, SOP bool
	Labels           int  // of the classifier; 0: none
	Spans            bool // of question answering
	Beam             bool // of question answering as the released code has it for SQuAD 2.0
}

// PretrainingHeads are the heads of AlbertForPreTraining.
var PretrainingHeads = Heads{Pooler: true, MLM: true, SOP: true}

// build lays out the parameters of a model; newParam makes them.
func build(c Config, heads Heads, newParam func(name string, shape ...int) *ops.Param) *Model {
	m := &Model{Config: c}
	m.act, _ = c.Activation()
	var list []*ops.Param
	made := map[string]*ops.Param{}
	add := func(name string, shape ...int) *ops.Param {
		first := c.TensorName(c.Repeats(name))
		p := made[first]
		if p == nil {
			p = newParam(first, shape...)
			made[first], list = p, append(list, p)
		}
		m.disk = append(m.disk, diskTensor{c.TensorName(name), p})
		return p
	}
	affine := func(name string, out, in int) ops.Affine {
		return ops.Affine{W: add(name+".weight", out, in), B: add(name+".bias", out)}
	}
	norm := func(name string, n int) Norm { return Norm{Gamma: add(name+".weight", n), Beta: add(name+".bias", n)} }

	e, h := c.EmbeddingSize, c.HiddenSize
	m.Word = add("albert.embeddings.word_embeddings.weight", c.VocabSize, e)
	m.Position = add("albert.embeddings.position_embeddings.weight", c.MaxPositionEmbeddings, e)
	m.TokenType = add("albert.embeddings.token_type_embeddings.weight", c.TypeVocabSize, e)
	m.EmbeddingNorm = norm("albert.embeddings.LayerNorm", e)
	if c.Projects() {
		m.Projection = affine("albert.encoder.embedding_hidden_mapping_in", h, e)
	}
	groups := make([][]Layer, c.groups())
	for g := range groups {
		for j := range c.InnerGroupNum {
			name := c.LayerName(g, j)
			groups[g] = append(groups[g], Layer{
				Query: affine(name+"attention.query", h, h), Key: affine(name+"attention.key", h, h),
				Value: affine(name+"attention.value", h, h), Dense: affine(name+"attention.dense", h, h),
				AttentionNorm: norm(name+"attention.LayerNorm", h),
				FFN:           affine(name+"ffn", c.IntermediateSize, h), FFNOutput: affine(name+"ffn_output", h, c.IntermediateSize),
				FullNorm: norm(name+"full_layer_layer_norm", h),
			})
		}
	}
	for i := range c.NumHiddenLayers {
		m.Layers = append(m.Layers, groups[c.Group(i)]...)
	}
	if heads.Pooler {
		m.Pooler = affine("albert.pooler", h, h)
	}
	if heads.MLM {
		m.MLMBias = add("predictions.bias", c.VocabSize)
		m.MLMNorm = norm("predictions.LayerNorm", e)
		m.MLMDense = affine("predictions.dense", e, h)
	}
	if heads.SOP {
		m.SOP = affine("sop_classifier.classifier", 2, h)
	}
	if heads.Labels > 0 {
		m.Classifier = affine("classifier", heads.Labels, h)
	}
	if heads.Spans {
		m.Spans = affine("qa_outputs", 2, h)
	}
	if heads.Beam {
		m.Beam = Beam{Start: affine("start_logits.dense", 1, h), EndDense: affine("end_logits.dense_0", h, 2*h),
			EndNorm: norm("end_logits.LayerNorm", h), End: affine("end_logits.dense_1", 1, h),
			ClassDense: affine("answer_class.dense_0", h, 2*h), Class: ops.Affine{W: add("answer_class.dense_1.weight", 1, h)}}
	}
	m.Params = ops.NewParams(list)
	return m
}

// New makes a model for pretraining with the released initialisation: kernels and tables from a normal distribution of standard deviation
// initializer_range, redrawn beyond two deviations; biases 0; normalisations the identity. (modeling.py, create_initializer.)
// Each tensor's values depend on the seed and its name only.
func New(c Config, seed uint64) *Model { return NewWith(c, PretrainingHeads, seed) }

// NewWith is New with other heads.
func NewWith(c Config, heads Heads, seed uint64) *Model {
	m := build(c, heads, ops.NewParam)
	norms := map[*ops.Param]bool{m.EmbeddingNorm.Gamma: true, m.MLMNorm.Gamma: true, m.Beam.EndNorm.Gamma: true}
	for _, l := range m.Layers {
		norms[l.AttentionNorm.Gamma], norms[l.FullNorm.Gamma] = true, true
	}
	for _, p := range m.Params.List {
		switch {
		case norms[p]:
			for i := range p.Data {
				p.Data[i] = 1
			}
		case len(p.Shape) == 2:
			truncatedNormal(p, c.InitializerRange, seed)
		}
	}
	m.Params.Touch()
	return m
}

func truncatedNormal(p *ops.Param, std float32, seed uint64) {
	h := fnv.New64a()
	h.Write([]byte(p.Name))
	name := h.Sum64()
	s := numeric.NewStream(seed, numeric.PurposeInit, uint32(name), uint32(name>>32), 0)
	for i := range p.Data {
		z := s.Normal()
		for z < -2 || z > 2 {
			z = s.Normal()
		}
		p.Data[i] = float32(z * float64(std))
	}
}

// Dropouts is how much a forward pass drops, and the key of the step's draws.
type Dropouts struct {
	Hidden, Attention float32
	Key               [2]uint32
}

// NoDropout drops nothing, for inference.
var NoDropout = Dropouts{}

// hidden is the dropout of hidden values at a site, of those that a forward pass has: the embedding is site 0, layer l has 3l+1
// (attention's probabilities), 3l+2 (after attention) and 3l+3 (after the feed-forward net).
func (d Dropouts) hidden(site int) ops.Dropout {
	return ops.Dropout{Rate: d.Hidden, Key: d.Key, Site: uint32(site)}
}

// Encode runs embeddings and encoder: the last layer's output, [T,H].
func (m *Model) Encode(t *ops.Tape, b *ops.Batch, drop Dropouts) *ops.Tensor {
	return m.EncodeTo(t, b, drop, len(m.Layers))
}

// EncodeFirst is Encode in inference for who reads the row of each sequence's first piece alone, as [Model.Pool] does: the last layer's feed-forward
// net is computed for those rows, 6 % of base's work less. The other rows have no meaning.
func (m *Model) EncodeFirst(t *ops.Tape, b *ops.Batch) *ops.Tensor {
	return m.encodeGroups(t, b, NoDropout, len(m.Layers), true)
}

// EncodeTo stops after the given number of layers (inner groups counted one by one); 0 gives the embedding, projected to H.
func (m *Model) EncodeTo(t *ops.Tape, b *ops.Batch, drop Dropouts, layers int) *ops.Tensor {
	return m.encodeGroups(t, b, drop, layers, false)
}

func (m *Model) encodeGroups(t *ops.Tape, b *ops.Batch, drop Dropouts, layers int, first bool) *ops.Tensor {
	var groups []group
	if !t.Recording() && b.Len() > 1 {
		groups = split(b, t.Threads())
	}
	if groups == nil {
		return m.encode(t, b, drop, layers, first)
	}
	y := t.New(b.Rows(), m.Config.HiddenSize)
	t.Apart(len(groups), func(i int, own *ops.Tape) {
		part, from := groups[i].of(b)
		x := m.encode(own, part, drop, layers, first)
		for r := range x.Rows {
			copy(y.Row(from+r), x.Row(r))
		}
	})
	return y
}

func (m *Model) encode(t *ops.Tape, b *ops.Batch, drop Dropouts, layers int, first bool) *ops.Tensor {
	x := m.Embed(t, b, drop)
	for i, l := range m.Layers[:layers] {
		x = m.layer(t, b, &l, i, x, drop, first && i == layers-1)
		if !t.Recording() && spoiled(x, b) {
			break
		}
	}
	return x
}

// spoiled tells whether each sequence begins with NaN, and then makes all values NaN, as the next layer would: there every piece attends to the first.
// Nothing else can come of a model whose weights are broken, and in a server it need not take the time of others.
func spoiled(x *ops.Tensor, b *ops.Batch) bool {
	for s := range b.Len() {
		first, end := b.Offsets[s], b.Offsets[s+1]
		if first == end || !math.IsNaN(float64(x.Row(int(first))[0])) {
			return false
		}
	}
	for r := range x.Rows {
		row := x.Row(r)
		for i := range row {
			row[i] = float32(math.NaN())
		}
	}
	return true
}

// Embed is the sum of word, token type and position embedding, normalised, dropped, and mapped from E to H.
func (m *Model) Embed(t *ops.Tape, b *ops.Batch, drop Dropouts) *ops.Tensor {
	s := t.Embed(b, m.Word, m.Position, m.TokenType)
	n := t.Norm(s, nil, m.EmbeddingNorm.Gamma, m.EmbeddingNorm.Beta, m.Config.LayerNormEps, b, ops.Dropout{})
	t.Release(s)
	x := t.Dropout(n, b, false, drop.hidden(0))
	if m.Projection.W == nil {
		return x
	}
	y := t.Linear(x, ops.Identity, m.Projection)
	t.Release(x)
	return y
}

// layer is one post-norm transformer block: attention, then the feed-forward net, each added to its input and normalised. It takes x over. In
// inference all but the attention goes through it some rows at a time, so that what it makes of them stays in the cores' L2 and little memory is
// needed. With first, the rows of the sequences' first pieces go through it alone.
func (m *Model) layer(t *ops.Tape, b *ops.Batch, l *Layer, i int, x *ops.Tensor, drop Dropouts, first bool) *ops.Tensor {
	ctx := t.SelfAttention(x, b, m.Config.NumAttentionHeads, ops.Dropout{Rate: drop.Attention, Key: drop.Key, Site: uint32(3*i + 1)},
		l.Query, l.Key, l.Value)
	if t.Recording() || drop.Hidden > 0 {
		return m.feedForward(t, b, l, i, x, ctx, drop)
	}
	if first {
		rows := b.Offsets[:b.Len()]
		own := t.Gather(ctx, rows)
		y := m.feedForward(t, b, l, i, t.Gather(x, rows), own, drop)
		for s, r := range rows {
			copy(x.Row(int(r)), y.Row(s))
		}
		for _, z := range []*ops.Tensor{ctx, own, y} {
			t.Release(z)
		}
		return x
	}
	n := rounds(x.Rows, 1)
	for k := range n {
		from, to := x.Rows*k/n, x.Rows*(k+1)/n
		m.feedForward(t, b, l, i, x.Part(from, to), ctx.Part(from, to), drop)
	}
	t.Release(ctx)
	return x
}

// feedForward is what follows the attention's products in a layer. In inference its result takes the place of x.
func (m *Model) feedForward(t *ops.Tape, b *ops.Batch, l *Layer, i int, x, ctx *ops.Tensor, drop Dropouts) *ops.Tensor {
	eps := m.Config.LayerNormEps
	a := t.Linear(ctx, ops.Identity, l.Dense)
	h := t.Norm(a, x, l.AttentionNorm.Gamma, l.AttentionNorm.Beta, eps, b, drop.hidden(3*i+2))
	t.Release(a)
	o := t.FeedForward(h, m.act, l.FFN, l.FFNOutput)
	y := t.Norm(o, h, l.FullNorm.Gamma, l.FullNorm.Beta, eps, b, drop.hidden(3*i+3))
	t.Release(o)
	return y
}

// Pool is the pooled output [sequences,H]: tanh of a map of each sequence's first piece.
func (m *Model) Pool(t *ops.Tape, b *ops.Batch, hidden *ops.Tensor) *ops.Tensor {
	first := t.Gather(hidden, b.Offsets[:b.Len()])
	return t.Linear(first, ops.Tanh, m.Pooler)
}

// MLMTransform is the MLM head without its decoder, [len(rows),E], for the given rows of hidden.
func (m *Model) MLMTransform(t *ops.Tape, hidden *ops.Tensor, rows []int32) *ops.Tensor {
	x := t.Linear(t.Gather(hidden, rows), m.act, m.MLMDense)
	return t.Norm(x, nil, m.MLMNorm.Gamma, m.MLMNorm.Beta, m.Config.LayerNormEps, nil, ops.Dropout{})
}

// MLMLogits is the MLM head's output [len(rows), vocabulary] for the given rows of hidden. Inference only: training uses MLMLoss.
func (m *Model) MLMLogits(t *ops.Tape, hidden *ops.Tensor, rows []int32) *ops.Tensor {
	x := m.MLMTransform(t, hidden, rows)
	return t.Linear(x, ops.Identity, ops.Affine{W: m.Word, B: m.MLMBias})
}

// MLMLoss is the cross-entropy of the pieces at the given rows of hidden.
func (m *Model) MLMLoss(t *ops.Tape, hidden *ops.Tensor, rows, targets []int32, scale float32) ops.Loss {
	return t.DecoderLoss(m.MLMTransform(t, hidden, rows), m.Word, m.MLMBias, targets, scale)
}

// SOPLogits is the sentence-order head's output [sequences,2]: in order, swapped.
func (m *Model) SOPLogits(t *ops.Tape, pooled *ops.Tensor) *ops.Tensor {
	return t.Linear(pooled, ops.Identity, m.SOP)
}

// ClassifierLogits is the classifier's output, [R, labels], for the rows of x: pooled sequences [sequences,H], or pieces [T,H].
func (m *Model) ClassifierLogits(t *ops.Tape, x *ops.Tensor) *ops.Tensor {
	return t.Linear(x, ops.Identity, m.Classifier)
}

// SpanLogits is each piece's logits of being the answer's start and end, [T,2].
func (m *Model) SpanLogits(t *ops.Tape, hidden *ops.Tensor) *ops.Tensor {
	return t.Linear(hidden, ops.Identity, m.Spans)
}
