package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"albert/internal/engine/ops"
	"albert/internal/files/safetensors"
	"albert/internal/model"
)

// export is a model on its way into a graph. The first error stays and is looked at in the end; what is built after it is not used.
// Activations are [rows, n], a row for each of the batch times sequence pieces, so that a map is one Gemm, bias included.
type export struct {
	c       model.Config
	int8    bool
	tensors map[string]safetensors.Tensor
	graph   *graph // the main graph, which holds the weights
	err     error

	shape string // the value [batch, sequence]
	split string // the value [batch, sequence, heads, H/heads]
	mask  string // [batch, 1, 1, sequence]: 0, and minFloat for padding

	quantized map[string][]string // of a value, its DynamicQuantizeLinear
}

// Names of the inputs.
const (
	inputIDs      = "input_ids"
	attentionMask = "attention_mask"
	tokenTypeIDs  = "token_type_ids"
)

func (e *export) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
}

// build writes the graph of a head.
func (e *export) build(head Head) {
	g := e.graph
	g.scope = "inputs"
	ids, mask, types, choices := e.inputs(head)
	e.shape = g.op("Shape", []string{ids})
	heads := e.c.NumAttentionHeads
	e.split = g.op("Concat", []string{e.shape, g.ints(heads, e.c.HiddenSize/heads)}, attrInt("axis", 0))
	pad := g.op("Sub", []string{g.float(1), g.op("Cast", []string{mask}, attrInt("to", typeFloat))})
	e.mask = g.op("Mul", []string{g.op("Unsqueeze", []string{pad, g.ints(1, 2)}), g.float(minFloat)})
	x := e.encode(e.embed(ids, types))
	h, v := e.c.HiddenSize, e.c.VocabSize
	g.scope = "head"
	switch head {
	case Base:
		g.output("last_hidden_state", e.sequences(x, h), typeFloat, "batch", "sequence", h)
		if e.has(prefix + "pooler.weight") {
			g.output("pooler_output", e.pool(x), typeFloat, "batch", h)
		}
	case Pretraining:
		g.output("prediction_logits", e.sequences(e.decode(x), v), typeFloat, "batch", "sequence", v)
		order := "sop_logits"
		if e.c.IsBERT() {
			order = "seq_relationship_logits"
		}
		g.output(order, e.linear(g, e.pool(x), "sop_classifier.classifier", 2, h), typeFloat, "batch", 2)
	case NextSentence:
		g.output("logits", e.linear(g, e.pool(x), "sop_classifier.classifier", 2, h), typeFloat, "batch", 2)
	case MaskedLM:
		g.output("logits", e.sequences(e.decode(x), v), typeFloat, "batch", "sequence", v)
	case SequenceClassification:
		n := e.labels("classifier")
		g.output("logits", e.linear(g, e.pool(x), "classifier", n, h), typeFloat, "batch", n)
	case TokenClassification:
		n := e.labels("classifier")
		g.output("logits", e.sequences(e.linear(g, x, "classifier", n, h), n), typeFloat, "batch", "sequence", n)
	case QuestionAnswering:
		logits := e.sequences(e.linear(g, x, "qa_outputs", 2, h), 2)
		for i, name := range []string{"start_logits", "end_logits"} {
			g.output(name, g.op("Gather", []string{logits, g.int(i)}, attrInt("axis", 2)), typeFloat, "batch", "sequence")
		}
	case MultipleChoice:
		logits := e.linear(g, e.pool(x), "classifier", 1, h)
		g.output("logits", g.op("Reshape", []string{logits, choices}), typeFloat, "batch", "choices")
	}
}

// inputs declares the inputs and gives them as [batch, sequence]; of several choices each is a sequence of its own, and choices is the
// value [batch, choices].
func (e *export) inputs(head Head) (ids, mask, types, choices string) {
	g := e.graph
	dims := []any{"batch", "sequence"}
	if head == MultipleChoice {
		dims = []any{"batch", "choices", "sequence"}
	}
	for _, name := range []string{inputIDs, attentionMask, tokenTypeIDs} {
		g.input(name, typeInt64, dims...)
	}
	if head != MultipleChoice {
		return inputIDs, attentionMask, tokenTypeIDs, ""
	}
	choices = g.op("Shape", []string{inputIDs}, attrInt("start", 0), attrInt("end", 2))
	length := g.op("Shape", []string{inputIDs}, attrInt("start", 2), attrInt("end", 3))
	flat := g.op("Concat", []string{g.ints(-1), length}, attrInt("axis", 0))
	reshape := func(x string) string { return g.op("Reshape", []string{x, flat}) }
	return reshape(inputIDs), reshape(attentionMask), reshape(tokenTypeIDs), choices
}

// embed is the sum of word, token type and position embedding, normalised, and mapped from E to H.
func (e *export) embed(ids, types string) string {
	g, c := e.graph, e.c
	g.scope = "embeddings"
	const name = prefix + "embeddings."
	size := c.EmbeddingSize
	word := e.word(ids)
	tokenType := g.op("Gather", []string{e.weight(name+"token_type_embeddings.weight", c.TypeVocabSize, size), types})
	length := g.op("Shape", []string{ids}, attrInt("start", 1), attrInt("end", 2))
	position := g.op("Slice", []string{e.weight(name+"position_embeddings.weight", c.MaxPositionEmbeddings, size), g.ints(0), length, g.ints(0)})
	x := g.op("Add", []string{g.op("Add", []string{word, tokenType}), position})
	x = e.norm(g, g.op("Reshape", []string{x, g.ints(-1, size)}), name+"LayerNorm", size)
	if c.Projects() {
		x = e.linear(g, x, prefix+"encoder.embedding_hidden_mapping_in", c.HiddenSize, size)
	}
	return x
}

// encode runs the layers. Layers that follow one another and are of the same group are one Loop.
func (e *export) encode(x string) string {
	c, g := e.c, e.graph
	for i := 0; i < c.NumHiddenLayers; {
		group, n := c.Group(i), 1
		for i+n < c.NumHiddenLayers && c.Group(i+n) == group {
			n++
		}
		g.scope = fmt.Sprintf("layer%d", i)
		if n == 1 {
			x = e.layers(g, x, group)
		} else {
			b := &graph{name: g.scope, scope: g.scope, have: map[string]bool{}, count: g.count} // may use g's values
			b.input("iteration"+b.scope, typeInt64)
			b.input("condition"+b.scope, typeBool)
			b.input("hidden"+b.scope, typeFloat, "rows", c.HiddenSize)
			b.output("go_on"+b.scope, "condition"+b.scope, typeBool)
			b.output("next"+b.scope, e.layers(b, "hidden"+b.scope, group), typeFloat, "rows", c.HiddenSize)
			x = g.op("Loop", []string{g.int(n), "", x}, attrGraph("body", b))
		}
		i += n
	}
	return x
}

// layers are the inner layers of a group.
func (e *export) layers(g *graph, x string, group int) string {
	for j := range e.c.InnerGroupNum {
		x = e.layer(g, x, e.c.LayerName(group, j))
	}
	return x
}

// layer is one transformer block: attention, then the feed-forward net, each added to its input and normalised.
func (e *export) layer(g *graph, x, name string) string {
	c := e.c
	h, f := c.HiddenSize, c.IntermediateSize
	part := func(of string, perm ...int) string {
		y := e.linear(g, x, name+"attention."+of, h, h)
		return g.op("Transpose", []string{g.op("Reshape", []string{y, e.split})}, attrInts("perm", perm...))
	}
	q, k, v := part("query", 0, 2, 1, 3), part("key", 0, 2, 3, 1), part("value", 0, 2, 1, 3)
	scores := g.op("MatMul", []string{q, k})
	scores = g.op("Mul", []string{scores, g.float(float32(1 / math.Sqrt(float64(h/c.NumAttentionHeads))))})
	scores = g.op("Add", []string{scores, e.mask})
	context := g.op("MatMul", []string{g.op("Softmax", []string{scores}, attrInt("axis", -1)), v})
	context = g.op("Reshape", []string{g.op("Transpose", []string{context}, attrInts("perm", 0, 2, 1, 3)), g.ints(-1, h)})
	a := e.linear(g, context, name+"attention.dense", h, h)
	x = e.norm(g, g.op("Add", []string{a, x}), name+"attention.LayerNorm", h)
	y := e.linear(g, e.activation(g, e.linear(g, x, name+"ffn", f, h)), name+"ffn_output", h, f)
	return e.norm(g, g.op("Add", []string{y, x}), name+"full_layer_layer_norm", h)
}

// activation is the configuration's hidden_act.
func (e *export) activation(g *graph, x string) string {
	act, _ := e.c.Activation() // the configuration was validated
	switch act {
	case ops.Relu:
		return g.op("Relu", []string{x})
	case ops.Tanh:
		return g.op("Tanh", []string{x})
	case ops.GeluErf: // 0.5x(1+erf(x/sqrt 2))
		y := g.op("Erf", []string{g.op("Div", []string{x, g.float(math.Sqrt2)})})
		y = g.op("Mul", []string{x, g.op("Add", []string{y, g.float(1)})})
		return g.op("Mul", []string{y, g.float(0.5)})
	case ops.GeluTanh: // 0.5x(1+tanh(sqrt(2/pi)(x+0.044715x^3)))
		y := g.op("Mul", []string{g.op("Pow", []string{x, g.float(3)}), g.float(0.044715)})
		y = g.op("Mul", []string{g.op("Add", []string{x, y}), g.float(float32(math.Sqrt(2 / math.Pi)))})
		y = g.op("Add", []string{g.op("Tanh", []string{y}), g.float(1)})
		return g.op("Mul", []string{g.op("Mul", []string{x, g.float(0.5)}), y})
	}
	return x
}

func (e *export) norm(g *graph, x, name string, n int) string {
	gamma, beta := e.weight(name+".weight", n), e.weight(name+".bias", n)
	return g.op("LayerNormalization", []string{x, gamma, beta}, attrInt("axis", -1), attrFloat("epsilon", e.c.LayerNormEps))
}

// sequences gives [rows, n] as [batch, sequence, n].
func (e *export) sequences(x string, n int) string {
	g := e.graph
	return g.op("Reshape", []string{x, g.op("Concat", []string{e.shape, g.ints(n)}, attrInt("axis", 0))})
}

// pool is the pooled output, [batch, H]: tanh of a map of each sequence's first piece.
func (e *export) pool(x string) string {
	g, h := e.graph, e.c.HiddenSize
	first := g.op("Gather", []string{e.sequences(x, h), g.int(0)}, attrInt("axis", 1))
	return g.op("Tanh", []string{e.linear(g, first, prefix+"pooler", h, h)})
}

// decode is the masked LM's head, [rows, V]; its last map is the word table.
func (e *export) decode(x string) string {
	g, size := e.graph, e.c.EmbeddingSize
	x = e.activation(g, e.linear(g, x, "predictions.dense", size, e.c.HiddenSize))
	return e.decoder(e.norm(g, x, "predictions.LayerNorm", size))
}

// labels is the number of rows of a classifier.
func (e *export) labels(name string) int {
	t, ok := e.tensors[name+".weight"]
	if !ok || len(t.Shape) != 2 || t.Shape[0] < 1 {
		e.fail("tensor %s.weight [labels, %d] is missing: the model has no such head", name, e.c.HiddenSize)
		return 1
	}
	return t.Shape[0]
}

// has tells whether there is a tensor, by ALBERT's name.
func (e *export) has(name string) bool {
	_, ok := e.tensors[e.c.TensorName(name)]
	return ok
}

// stored is the name that a tensor, given by ALBERT's, has in the file: that of the first where layers share it.
func (e *export) stored(name string) string { return e.c.TensorName(e.c.Repeats(name)) }

// tensor gives a tensor, by the name that it has in the file, of the shape that the configuration asks for.
func (e *export) tensor(name string, shape ...int) safetensors.Tensor {
	t, ok := e.tensors[name]
	if !ok && name == e.c.TensorName("predictions.bias") {
		t, ok = e.tensors[e.c.TensorName("predictions.decoder.bias")]
	}
	switch {
	case !ok:
		e.fail("tensor %s is missing", name)
	case !slices.Equal(t.Shape, shape):
		e.fail("tensor %s has shape %v, want %v by the configuration", name, t.Shape, shape)
	case t.DType != "F32":
		e.fail("tensor %s is %s, want F32", name, t.DType)
	default:
		return t
	}
	return safetensors.Tensor{Name: name, DType: "F32", Shape: shape}
}

// weight is a tensor as it is, in the main graph.
func (e *export) weight(name string, shape ...int) string {
	name = e.stored(name)
	if e.graph.have[name] {
		return name
	}
	return e.graph.constant(initializer{name, typeFloat, shape, e.tensor(name, shape...).Data})
}

// linear is x W^T + b, [rows, out] from [rows, in].
func (e *export) linear(g *graph, x, name string, out, in int) string {
	bias := e.weight(name+".bias", out)
	if e.int8 && !slices.ContainsFunc(classifiers, func(c string) bool { return strings.HasPrefix(name, c) }) {
		return e.linearInt8(g, x, name, bias, out, in)
	}
	return g.op("Gemm", []string{x, e.weight(name+".weight", out, in), bias}, attrInt("transB", 1))
}

// classifiers are the last maps of the heads. They stay fp32: they are too small for int8 to save time, and their rounding would go straight
// into the answer.
var classifiers = []string{"classifier", "qa_outputs", "sop_classifier"}

// word looks the pieces up in the word table: [batch, sequence, E].
func (e *export) word(ids string) string {
	if e.int8 {
		return e.wordInt8(ids)
	}
	return e.graph.op("Gather", []string{e.weight(wordTable, e.c.VocabSize, e.c.EmbeddingSize), ids})
}

// decoder is the map to the vocabulary by the word table: [rows, V] from [rows, E].
func (e *export) decoder(x string) string {
	bias := e.weight("predictions.bias", e.c.VocabSize)
	if e.int8 {
		return e.decoderInt8(x, bias)
	}
	return e.graph.op("Gemm", []string{x, e.weight(wordTable, e.c.VocabSize, e.c.EmbeddingSize), bias}, attrInt("transB", 1))
}

const wordTable = prefix + "embeddings.word_embeddings.weight"
