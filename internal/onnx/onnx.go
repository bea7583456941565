// Package onnx writes ALBERT and BERT models as ONNX files, in fp32 or int8, and reads their tensors back.
//
//	err := onnx.WriteTo(file, m.Config, m.Tensors(), onnx.Options{Head: onnx.MaskedLM, Int8: true})
//	f, err := onnx.Open("model.onnx")          // a safetensors.Reader, under Hugging Face's names
//	m, _, err := model.FromFile(*f.Config(), f)
//
// The graph is written from the configuration and the tensors, not recorded through ops.Device. What a device sees is one batch: rows
// of ragged sequences, offsets and gathered rows that are numbers by then. A graph for any batch and length needs shapes as values, a
// padding mask, and a layer that is there once and runs many times, and none of these can be told from one run. So this package is a second
// place that knows ALBERT's layer, and parity/onnx.sh holds it to transformers.
//
// Each weight is in the file once, under its Hugging Face name: layers that share all their weights are the body of a Loop. Unrolled
// layers that name the same weights make a file as small and as fast, but a runtime may repack a weight for each node that uses it:
// onnxruntime 1.20 needs 83 MB for base as a Loop and 395 MB unrolled (1.32: 84 and 97 MB), and takes three times as long to load it.
//
// In int8 the weights of every map but the small classifiers are whole numbers from -127 to 127 times a scale, one for each output.
// Activations are quantised while the graph runs, with one scale a tensor, so that a row's result depends a little on the rest of its batch. On x86 without VNNI onnxruntime adds pairs of
// products in 16 bits, which can overflow; its session option session.x64quantprecision avoids that. What this package does not do: run ONNX.
package onnx

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"albert/internal/files/safetensors"
	"albert/internal/model"
)

// Head says what a graph computes; its names are those of Hugging Face's classes and of the outputs of optimum's exports.
type Head string

// The heads and their outputs, for inputs input_ids, attention_mask and token_type_ids [batch, sequence] of int64.
const (
	// Base is AlbertModel: last_hidden_state [batch, sequence, H], and pooler_output [batch, H] if the model has a pooler.
	Base Head = "base"
	// Pretraining: prediction_logits [batch, sequence, V], and sop_logits, or of BERT seq_relationship_logits, [batch, 2].
	Pretraining Head = "pretraining"
	// NextSentence, which ALBERT does not have: logits [batch, 2].
	NextSentence Head = "next-sentence"
	// MaskedLM: logits [batch, sequence, V].
	MaskedLM Head = "masked-lm"
	// SequenceClassification: logits [batch, labels].
	SequenceClassification Head = "sequence-classification"
	// TokenClassification: logits [batch, sequence, labels].
	TokenClassification Head = "token-classification"
	// QuestionAnswering: start_logits and end_logits [batch, sequence].
	QuestionAnswering Head = "question-answering"
	// MultipleChoice: logits [batch, choices], for inputs [batch, choices, sequence].
	MultipleChoice Head = "multiple-choice"
)

// Heads lists the heads.
func Heads() []Head {
	return []Head{Base, Pretraining, NextSentence, MaskedLM, SequenceClassification, TokenClassification, QuestionAnswering, MultipleChoice}
}

// Options say what is written. The zero value is the base model in fp32.
type Options struct {
	Head Head
	Int8 bool // weights in int8, a scale for each output
}

// WriteTo writes the model that a configuration and its fp32 tensors, under Hugging Face's names, make. Tensors that the head does not
// need are left out. The bytes depend on the arguments alone. A tensor that is missing, of another shape than the configuration
// says, or (int8) not finite is an error that names it.
func WriteTo(w io.Writer, c model.Config, tensors []safetensors.Tensor, o Options) error {
	if o.Head == "" {
		o.Head = Base
	}
	if !slices.Contains(Heads(), o.Head) {
		return fmt.Errorf("onnx: unknown head %q, want one of %v", o.Head, Heads())
	}
	if err := c.Validate(); err != nil {
		return err
	}
	text, err := c.JSON()
	if err != nil {
		return err
	}
	e := &export{c: c, int8: o.Int8, graph: &graph{name: c.ModelType, have: map[string]bool{}, count: new(int)}, tensors: map[string]safetensors.Tensor{}}
	bare := !slices.ContainsFunc(tensors, func(t safetensors.Tensor) bool { return strings.HasPrefix(t.Name, c.Prefix()) })
	for _, t := range tensors {
		e.tensors[t.Name] = t
		if bare {
			e.tensors[c.Prefix()+t.Name] = t
		}
	}
	e.build(o.Head)
	if e.err != nil {
		return e.err
	}
	return e.graph.writeModel(w, map[string]string{configKey: string(text), headKey: string(o.Head)})
}

// prefix is what AlbertModel's tensors are called within the models that have a head. The graph is written by ALBERT's names, and
// [model.Config.TensorName] makes BERT's of them.
const prefix = "albert."

// Keys of metadata_props, under which a file holds its configuration and its head.
const (
	configKey = "config.json"
	headKey   = "head"
)

// minFloat is what transformers adds to the score of a padding piece.
const minFloat = -math.MaxFloat32
