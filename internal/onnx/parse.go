package onnx

import (
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
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

// field is one field of a message: its number, and bytes or a number by its wire type.
type field struct {
	number protowire.Number
	wire   protowire.Type
	bytes  []byte
	value  uint64
}

// fields calls f for each field of a message.
func fields(b []byte, f func(field) error) error {
	for len(b) > 0 {
		number, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		x := field{number: number, wire: wire}
		switch wire {
		case protowire.VarintType:
			x.value, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			x.bytes, n = protowire.ConsumeBytes(b)
		case protowire.Fixed32Type:
			if _, n = protowire.ConsumeFixed32(b); n > 0 {
				x.bytes = b[:n]
			}
		default:
			n = protowire.ConsumeFieldValue(number, wire, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// parseModel reads a ModelProto: the main graph's initialisers and the metadata.
func parseModel(data []byte) (*content, error) {
	c := &content{metadata: map[string]string{}}
	graph := false
	err := fields(data, func(x field) error {
		switch {
		case x.number == 7 && x.wire == protowire.BytesType:
			if graph {
				return errors.New("two graphs")
			}
			graph = true
			return c.parseGraph(x.bytes)
		case x.number == 14 && x.wire == protowire.BytesType:
			return c.parseMetadata(x.bytes)
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
	err := fields(b, func(x field) error {
		switch x.number {
		case 1:
			key = string(x.bytes)
		case 2:
			value = string(x.bytes)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("metadata_props: %w", err)
	}
	if _, twice := c.metadata[key]; twice {
		return fmt.Errorf("metadata_props: %s stands twice", quote(key))
	}
	if len(c.metadata) == maxMetadata {
		return fmt.Errorf("more than %d metadata_props", maxMetadata)
	}
	c.metadata[key] = value
	return nil
}

func (c *content) parseGraph(b []byte) error {
	return fields(b, func(x field) error {
		if x.number != 5 || x.wire != protowire.BytesType {
			return nil
		}
		if len(c.tensors) == maxTensors {
			return fmt.Errorf("more than %d initialisers", maxTensors)
		}
		t, err := parseTensor(x.bytes)
		if err != nil {
			return fmt.Errorf("initialiser %d, %s: %w", len(c.tensors), quote(t.name), err)
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
			return fmt.Errorf("dimension %d is %d", len(t.shape), int64(v))
		}
		t.shape = append(t.shape, int(v))
		return nil
	}
	err = fields(b, func(x field) error {
		switch {
		case x.number == 1 && x.wire == protowire.VarintType:
			return dim(x.value)
		case x.number == 1 && x.wire == protowire.BytesType: // packed
			for p := x.bytes; len(p) > 0; {
				v, n := protowire.ConsumeVarint(p)
				if n < 0 {
					return protowire.ParseError(n)
				}
				if err := dim(v); err != nil {
					return err
				}
				p = p[n:]
			}
		case x.number == 2 && x.wire == protowire.VarintType:
			if x.value > 1<<16 {
				return fmt.Errorf("data_type %d", x.value)
			}
			t.kind = int(x.value)
		case x.number == 4 && (x.wire == protowire.BytesType || x.wire == protowire.Fixed32Type):
			if len(x.bytes)%4 != 0 {
				return fmt.Errorf("float_data of %d bytes", len(x.bytes))
			}
			t.floats = append(t.floats, x.bytes)
		case x.number == 8 && x.wire == protowire.BytesType:
			t.name = string(x.bytes)
		case x.number == 9 && x.wire == protowire.BytesType:
			t.raw = x.bytes
		case x.number == 13, x.number == 14 && x.value != 0:
			t.external = true
		}
		return nil
	})
	return t, err
}

// elements is the number of values by the shape; what is over limit counts as limit+1.
func elements(shape []int, limit int) int {
	n := 1
	for _, d := range shape {
		if d == 0 {
			return 0
		}
		if n > limit/d {
			return limit + 1
		}
		n *= d
	}
	return n
}

// quote shows a name that a file gives, and never much of it.
func quote(s string) string {
	if len(s) > 120 {
		s = s[:120] + "..."
	}
	return strconv.Quote(s)
}
