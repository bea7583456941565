package onnx_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"albert/internal/model"
	"albert/internal/onnx"
)

// message encodes fields, given as number and value by turns: an int is a varint, a string or []byte is bytes, a float32 is fixed.
func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		n := protowire.Number(fields[i].(int))
		switch v := fields[i+1].(type) {
		case int:
			b = protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
		case []byte:
			b = protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
		case float32:
			b = protowire.AppendFixed32(protowire.AppendTag(b, n, protowire.Fixed32Type), math.Float32bits(v))
		}
	}
	return b
}

// foreign is a model of the given initialisers (encoded TensorProtos).
func foreign(tensors ...[]byte) []byte {
	var graph []byte
	for _, t := range tensors {
		graph = append(graph, message(5, t)...)
	}
	return message(1, 8, 7, graph)
}

func floats(v ...float32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func TestForeignTensorsWithNamesAreRead(t *testing.T) {
	const name = "albert.pooler.bias"
	for how, tensor := range map[string][]byte{
		"raw":         message(1, 2, 2, 1, 8, name, 9, floats(1.5, -2)),
		"packed":      message(1, []byte{2}, 2, 1, 4, floats(1.5, -2), 8, name),
		"one by one":  message(1, 2, 2, 1, 4, float32(1.5), 4, float32(-2), 8, name),
		"half":        message(1, 2, 2, 10, 8, name, 9, []byte{0x00, 0x3e, 0x00, 0xc0}),
		"with a doc":  message(1, 2, 2, 1, 8, name, 9, floats(1.5, -2), 12, "the pooler's bias"),
		"two doubles": message(1, 2, 2, 11, 8, name, 9, binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, math.Float64bits(1.5)), math.Float64bits(-2))),
	} {
		f, err := onnx.Parse(foreign(message(1, 1, 2, 7, 8, "/Constant_1", 9, make([]byte, 8)), tensor))
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		v, shape, err := f.Float32(name)
		if err != nil || !slices.Equal(v, []float32{1.5, -2}) || !slices.Equal(shape, []int{2}) {
			t.Errorf("%s: %v %v %v", how, v, shape, err)
		}
		if f.Config() != nil || f.Head() != "" || !slices.Equal(f.Names(), []string{name}) {
			t.Errorf("%s: names %v", how, f.Names())
		}
	}
}

func TestWhatCannotBeOpenedIsSaid(t *testing.T) {
	good := message(1, 2, 2, 1, 8, "albert.pooler.bias", 9, floats(1, 2))
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":           {nil, "no graph"},
		"text":            {[]byte("hello, this is text"), "not an ONNX file"},
		"no tensors":      {foreign(), "no tensor with a name"},
		"other names":     {foreign(message(1, 2, 2, 1, 8, "gpt.pooler.bias", 9, floats(1, 2))), "no tensor with a name"},
		"a RoBERTa":       {foreign(message(1, 2, 2, 1, 8, "roberta.pooler.dense.bias", 9, floats(1, 2))), "its tensors have the names of a RoBERTa"},
		"renamed":         {foreign(good, message(1, 1, 1, 1, 2, 1, 8, "onnx::MatMul_123", 9, floats(1))), "onnx::MatMul_123 lost its name"},
		"external":        {foreign(message(1, 2, 2, 1, 8, "albert.pooler.bias", 13, message(1, "location", 2, "x.bin"), 14, 1)), "external data"},
		"twice":           {foreign(good, good), "appears twice"},
		"two graphs":      {append(foreign(good), foreign(good)...), "two graphs"},
		"negative":        {foreign(message(1, -2, 2, 1, 8, "albert.pooler.bias")), "dimension 0 is -2"},
		"many dimensions": {foreign(message(1, bytes.Repeat([]byte{1}, 17), 8, "x")), "more than 16 dimensions"},
		"bad config":      {append(foreign(good), message(14, message(1, "config.json", 2, `{"hidden_size": 0}`))...), "config.json: config: hidden_size is 0"},
		"metadata twice":  {append(foreign(good), message(14, message(1, "a"), 14, message(1, "a"))...), ": a appears twice"},
	} {
		_, err := onnx.Parse(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ... %s ...", what, err, c.want)
		}
	}
	m := model.New(tiny(t, ""), 1)
	data := write(t, m.Config, m.Tensors(), onnx.Options{})
	for n := 1; n < len(data); n += 997 {
		if _, err := onnx.Parse(data[:n]); err == nil {
			t.Fatalf("cut to %d bytes: no error", n)
		}
	}
	path := filepath.Join(t.TempDir(), "x.onnx")
	if err := os.WriteFile(path, data[:1000], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := onnx.Open(path); err == nil || !strings.HasPrefix(err.Error(), path) {
		t.Error(err)
	}
}

func TestTensorsThatDoNotFitAreErrors(t *testing.T) {
	const name = "albert.pooler.weight"
	scale := message(1, 2, 2, 1, 8, name+"_scale", 9, floats(1, 2))
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"short":        {foreign(message(1, 2, 1, 2, 2, 1, 8, name, 9, floats(1, 2))), "do not fit"},
		"ints":         {foreign(message(1, 1, 2, 7, 8, name, 9, make([]byte, 8))), "data_type 7"},
		"huge":         {foreign(message(1, 1<<30, 1, 1<<30, 1, 1<<30, 2, 1, 8, name, 9, floats(1))), "do not fit"},
		"odd half":     {foreign(message(1, 1, 2, 10, 8, name, 9, []byte{1})), "do not fit"},
		"three scales": {foreign(message(1, 3, 1, 2, 2, 3, 8, name+"_quantized", 9, make([]byte, 6)), scale), "2 scales for 3 outputs"},
		"short int8":   {foreign(message(1, 2, 1, 2, 2, 3, 8, name+"_transposed_quantized", 9, make([]byte, 3)), scale), "not an int8 matrix"},
	} {
		f, err := onnx.Parse(c.data)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if _, _, err := f.Float32(name); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ... %s ...", what, err, c.want)
		}
	}
	f, err := onnx.Parse(foreign(message(1, 2, 1, 3, 2, 3, 8, "x.y_quantized"), message(1, 2, 1, 1, 2, 3, 8, name+"_quantized", 9, []byte{3, 255}), scale))
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := f.Float32(name); err != nil || !slices.Equal(v, []float32{3, -2}) {
		t.Error(v, err)
	}
}

func FuzzOpen(f *testing.F) {
	m := model.New(tiny(f, `, "sharing": "ffn", "vocab_size": 5, "embedding_size": 1, "hidden_size": 1, "num_attention_heads": 1, "num_hidden_layers": 2,
		"intermediate_size": 1, "max_position_embeddings": 2`), 1)
	for _, int8 := range []bool{false, true} {
		f.Add(write(f, m.Config, m.Tensors(), onnx.Options{Head: onnx.Pretraining, Int8: int8}))
	}
	f.Add(foreign(message(1, 2, 2, 1, 4, float32(1), 4, float32(2), 8, "albert.pooler.bias")))
	f.Add(foreign(message(1, 2, 1, 1, 2, 3, 8, "classifier.weight_quantized", 9, []byte{3, 255}), message(1, 2, 2, 1, 8, "classifier.weight_scale", 9, floats(1, 2))))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := onnx.Parse(data)
		if err != nil {
			return
		}
		for _, name := range x.Names() {
			v, shape, err := x.Float32(name)
			if err != nil {
				continue
			}
			n := 1
			for _, d := range shape {
				n *= d
			}
			if n != len(v) {
				t.Fatalf("%s: %d values of shape %v", name, len(v), shape)
			}
		}
	})
}
