package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"albert/internal/files/protobuf"
	"albert/internal/files/safetensors"
)

// Bounds on what a file may hold; an export of ALBERT has some hundred tensors of at most two dimensions.
const (
	maxTensors    = 1 << 16
	maxDimensions = 16
	maxMetadata   = 1 << 12
)

// content is what is read of a ModelProto. Everything points into the file's bytes.
type content struct {
	tensors  []tensorProto
	metadata map[string]string
}

// tensorProto is an initialiser: its values are raw, or floats one after another.
type tensorProto struct {
	name     string
	kind     int
	shape    []int
	raw      []byte
	floats   [][]byte // packed float_data, each piece 4 bytes a value
	external bool
}

// parseModel reads a ModelProto: the main graph's initialisers and the metadata.
func parseModel(data []byte) (*content, error) {
	c := &content{metadata: map[string]string{}}
	graph := false
	err := protobuf.Read(data, func(x protobuf.Field) error {
		switch {
		case x.Number == 7 && x.Type == protobuf.Bytes:
			if graph {
				return errors.New("two graphs")
			}
			graph = true
			return c.parseGraph(x.Bytes)
		case x.Number == 14 && x.Type == protobuf.Bytes:
			return c.parseMetadata(x.Bytes)
		}
		return nil
	})
	if err == nil && !graph {
		err = errors.New("no graph in it")
	}
	if err != nil {
		return nil, fmt.Errorf("not an ONNX file that can be read: %w", err)
	}
	return c, nil
}

func (c *content) parseMetadata(b []byte) error {
	var key, value string
	err := protobuf.Read(b, func(x protobuf.Field) error {
		switch x.Number {
		case 1:
			key = string(x.Bytes)
		case 2:
			value = string(x.Bytes)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("metadata_props: %w", err)
	}
	if _, twice := c.metadata[key]; twice {
		return fmt.Errorf("metadata_props: %s appears twice", safetensors.Quote(key))
	}
	if len(c.metadata) == maxMetadata {
		return fmt.Errorf("more than %d metadata_props", maxMetadata)
	}
	c.metadata[key] = value
	return nil
}

func (c *content) parseGraph(b []byte) error {
	return protobuf.Read(b, func(x protobuf.Field) error {
		if x.Number != 5 || x.Type != protobuf.Bytes {
			return nil
		}
		if len(c.tensors) == maxTensors {
			return fmt.Errorf("more than %d initialisers", maxTensors)
		}
		t, err := parseTensor(x.Bytes)
		if err != nil {
			return fmt.Errorf("initialiser %d, %s: %w", len(c.tensors), safetensors.Quote(t.name), err)
		}
		c.tensors = append(c.tensors, t)
		return nil
	})
}

func parseTensor(b []byte) (t tensorProto, err error) {
	dim := func(v uint64) error {
		if len(t.shape) == maxDimensions {
			return fmt.Errorf("more than %d dimensions", maxDimensions)
		}
		if v > maxModel {
			return fmt.Errorf("dimension %d is %d, want 0 to %d", len(t.shape), int64(v), maxModel)
		}
		t.shape = append(t.shape, int(v))
		return nil
	}
	err = protobuf.Read(b, func(x protobuf.Field) error {
		switch {
		case x.Number == 1 && x.Type == protobuf.Varint:
			return dim(x.Value)
		case x.Number == 1 && x.Type == protobuf.Bytes: // packed
			for p := x.Bytes; len(p) > 0; {
				v, n := protowire.ConsumeVarint(p)
				if n < 0 {
					return protowire.ParseError(n)
				}
				if err := dim(v); err != nil {
					return err
				}
				p = p[n:]
			}
		case x.Number == 2 && x.Type == protobuf.Varint:
			if x.Value > 1<<16 {
				return fmt.Errorf("data_type %d, which ONNX does not have", x.Value)
			}
			t.kind = int(x.Value)
		case x.Number == 4 && x.Type == protobuf.Fixed32:
			t.floats = append(t.floats, x.Raw[len(x.Raw)-4:])
		case x.Number == 4 && x.Type == protobuf.Bytes: // packed
			if len(x.Bytes)%4 != 0 {
				return fmt.Errorf("float_data of %d bytes, no multiple of 4", len(x.Bytes))
			}
			t.floats = append(t.floats, x.Bytes)
		case x.Number == 8 && x.Type == protobuf.Bytes:
			t.name = string(x.Bytes)
		case x.Number == 9 && x.Type == protobuf.Bytes:
			t.raw = x.Bytes
		case x.Number == 13, x.Number == 14 && x.Value != 0:
			t.external = true
		}
		return nil
	})
	return t, err
}
