package onnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"albert/internal/files/protobuf"
)

// The file's versions: opset 17 is the first with LayerNormalization, IR 8 is that of its time, so that runtimes from 2022 on read it.
const (
	irVersion = 8
	opset     = 17
)

// Types of onnx.proto's TensorProto.DataType.
const (
	typeFloat    = 1
	typeInt8     = 3
	typeInt64    = 7
	typeBool     = 9
	typeFloat16  = 10
	typeDouble   = 11
	typeBfloat16 = 16
)

// maxModel is the size that a protobuf message may have.
const maxModel = math.MaxInt32

// graph is a GraphProto being written. Values are known by name; every name is used once.
type graph struct {
	name            string
	nodes           []byte // fields of GraphProto, encoded
	inputs, outputs []byte
	initializers    []initializer
	have            map[string]bool // the initialisers' names
	scope           string          // what the next nodes belong to, the start of their names
	count           *int            // nodes so far, of the whole model
}

// initializer is a constant tensor; data is little-endian and not copied.
type initializer struct {
	name  string
	kind  int
	shape []int
	data  []byte
}

// attribute is an encoded AttributeProto.
type attribute []byte

// attr makes one of a kind (AttributeProto.AttributeType), whose value is a field of it.
func attr(name string, kind uint64, value []byte) attribute {
	return protobuf.AppendVarint(append(protobuf.AppendBytes(nil, 1, name), value...), 20, kind)
}

func attrInt(name string, v int) attribute {
	return attr(name, 2, protobuf.AppendVarint(nil, 3, uint64(v)))
}

func attrFloat(name string, v float32) attribute {
	return attr(name, 1, protobuf.AppendFloat(nil, 2, v))
}

func attrInts(name string, v ...int) attribute {
	var value []byte
	for _, x := range v {
		value = protobuf.AppendVarint(value, 8, uint64(x))
	}
	return attr(name, 7, value)
}

func attrGraph(name string, g *graph) attribute {
	head, tail, size := g.encode()
	return attr(name, 5, slices.Concat(protobuf.AppendHead(nil, 6, size), head, bytes.Join(tail, nil)))
}

// op adds a node with one output and gives the output's name.
func (g *graph) op(kind string, inputs []string, attrs ...attribute) string {
	return g.ops(kind, 1, inputs, attrs...)[0]
}

// ops adds a node with n outputs.
func (g *graph) ops(kind string, n int, inputs []string, attrs ...attribute) []string {
	*g.count++
	name := fmt.Sprintf("%s/%s_%d", g.scope, kind, *g.count)
	outputs := []string{name}
	for i := 1; i < n; i++ {
		outputs = append(outputs, fmt.Sprintf("%s.%d", name, i))
	}
	g.node(kind, name, inputs, outputs, attrs...)
	return outputs
}

func (g *graph) node(kind, name string, inputs, outputs []string, attrs ...attribute) {
	var b []byte
	for _, x := range inputs {
		b = protobuf.AppendBytes(b, 1, x)
	}
	for _, y := range outputs {
		b = protobuf.AppendBytes(b, 2, y)
	}
	b = protobuf.AppendBytes(b, 3, name)
	b = protobuf.AppendBytes(b, 4, kind)
	for _, a := range attrs {
		b = protobuf.AppendBytes(b, 5, a)
	}
	g.nodes = protobuf.AppendBytes(g.nodes, 1, b)
}

// constant adds a tensor unless one of that name is there, and gives the name.
func (g *graph) constant(t initializer) string {
	if !g.have[t.name] {
		g.have[t.name] = true
		g.initializers = append(g.initializers, t)
	}
	return t.name
}

// ints is a constant vector of int64.
func (g *graph) ints(v ...int) string {
	return g.constant(initializer{"const/ints" + fmt.Sprint(v), typeInt64, []int{len(v)}, int64Bytes(v)})
}

// int is a constant scalar of int64.
func (g *graph) int(v int) string {
	return g.constant(initializer{fmt.Sprintf("const/int %d", v), typeInt64, nil, int64Bytes([]int{v})})
}

// float is a constant scalar.
func (g *graph) float(v float32) string {
	b := binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
	return g.constant(initializer{fmt.Sprintf("const/float %v", v), typeFloat, nil, b})
}

func int64Bytes(v []int) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, uint64(x))
	}
	return b
}

// input declares an input. A dimension is a number or, if dynamic, a name.
func (g *graph) input(name string, kind int, dims ...any) {
	g.inputs = protobuf.AppendBytes(g.inputs, 11, valueInfo(name, kind, dims))
}

// output declares that the value from is the output of that name.
func (g *graph) output(name, from string, kind int, dims ...any) {
	g.node("Identity", name, []string{from}, []string{name})
	g.outputs = protobuf.AppendBytes(g.outputs, 12, valueInfo(name, kind, dims))
}

// valueInfo encodes a ValueInfoProto.
func valueInfo(name string, kind int, dims []any) []byte {
	var shape []byte
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			shape = protobuf.AppendBytes(shape, 1, protobuf.AppendVarint(nil, 1, uint64(d)))
		case string:
			shape = protobuf.AppendBytes(shape, 1, protobuf.AppendBytes(nil, 2, d))
		}
	}
	tensor := protobuf.AppendBytes(protobuf.AppendVarint(nil, 1, uint64(kind)), 2, shape)
	return protobuf.AppendBytes(protobuf.AppendBytes(nil, 1, name), 2, protobuf.AppendBytes(nil, 1, tensor))
}

// encode gives the graph's fields: first all but the initialisers, then those in pieces, their values as they lie; size is that of all.
func (g *graph) encode() (head []byte, tail [][]byte, size int) {
	head = protobuf.AppendBytes(slices.Clone(g.nodes), 2, g.name)
	head = append(append(head, g.inputs...), g.outputs...)
	size = len(head)
	for _, t := range g.initializers {
		var b []byte
		for _, d := range t.shape {
			b = protobuf.AppendVarint(b, 1, uint64(d))
		}
		b = protobuf.AppendVarint(b, 2, uint64(t.kind))
		b = protobuf.AppendBytes(b, 8, t.name)
		b = protobuf.AppendHead(b, 9, len(t.data))
		b = append(protobuf.AppendHead(nil, 5, len(b)+len(t.data)), b...)
		tail = append(tail, b, t.data)
		size += len(b) + len(t.data)
	}
	return head, tail, size
}

// writeModel writes the ModelProto that holds the graph.
func (g *graph) writeModel(w io.Writer, metadata map[string]string) error {
	head, tail, n := g.encode()
	b := protobuf.AppendVarint(nil, 1, irVersion)
	b = protobuf.AppendBytes(b, 2, "albert")
	b = protobuf.AppendBytes(b, 8, protobuf.AppendVarint(protobuf.AppendBytes(nil, 1, ""), 2, opset))
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		b = protobuf.AppendBytes(b, 14, protobuf.AppendBytes(protobuf.AppendBytes(nil, 1, k), 2, metadata[k]))
	}
	b = protobuf.AppendHead(b, 7, n)
	if len(b)+n > maxModel {
		return errors.New("onnx: the model has more than 2 GB, the limit of an ONNX file")
	}
	for _, part := range append([][]byte{b, head}, tail...) {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}
