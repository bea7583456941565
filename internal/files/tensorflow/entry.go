package tensorflow

import (
	"errors"
	"fmt"

	"albert/internal/files/protobuf"
	"albert/internal/files/safetensors"
)

// dtypes are TensorFlow's numbers of the types that we know (DataType in types.proto).
var dtypes = map[uint64]safetensors.DType{1: "F32", 2: "F64", 3: "I32", 4: "U8", 5: "I16", 6: "I8", 9: "I64", 10: "BOOL", 14: "BF16", 17: "U16", 19: "F16",
	22: "U32", 23: "U64"}

// otherTypes name some of those that we do not, for messages.
var otherTypes = map[uint64]string{7: "DT_STRING", 8: "DT_COMPLEX64", 18: "DT_COMPLEX128", 20: "DT_RESOURCE", 21: "DT_VARIANT"}

func typeName(dtype uint64) string {
	if n, ok := otherTypes[dtype]; ok {
		return n
	}
	return fmt.Sprintf("number %d", dtype)
}

// maxRank is TensorFlow's bound on the dimensions of a tensor.
const maxRank = 254

// maxShards is what five digits in a file's name can count.
const maxShards = 99999

// entry says where a tensor is (BundleEntryProto).
type entry struct {
	dtype        uint64
	shape        []int
	shard        uint64
	offset, size uint64
	sum          uint32 // masked CRC-32C of its bytes
	sliced       bool   // a partitioned variable, whose parts have keys of their own
}

// types are those of the fields of a message that are looked at.
type types map[protobuf.Number]protobuf.Type

// fields calls each for a message's fields of these types; those not repeated may be there once.
func fields(message []byte, repeated protobuf.Number, of types, each func(f protobuf.Field) error) error {
	seen := map[protobuf.Number]bool{}
	return protobuf.Read(message, func(f protobuf.Field) error {
		if seen[f.Number] {
			return fmt.Errorf("field %d appears twice", f.Number)
		}
		seen[f.Number] = f.Number != repeated && f.Number < 64
		if t, ok := of[f.Number]; ok && f.Type != t {
			return fmt.Errorf("field %d has another type", f.Number)
		}
		return each(f)
	})
}

// parseHeader reads an index's first entry (BundleHeaderProto): how many data files there are.
func parseHeader(b []byte) (shards uint64, err error) {
	err = fields(b, 0, types{1: protobuf.Varint, 2: protobuf.Varint, 3: protobuf.Bytes}, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			shards = f.Value
		case 2:
			if f.Value != 0 {
				return errors.New("written on a big-endian machine, which is not supported")
			}
		case 3:
			return fields(f.Bytes, 3, nil, func(f protobuf.Field) error {
				if f.Number == 2 && f.Value > bundleVersion {
					return fmt.Errorf("needs a reader of version %d, this one has version %d", f.Value, bundleVersion)
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && (shards < 1 || shards > maxShards) {
		err = fmt.Errorf("%d data files", shards)
	}
	return shards, err
}

// entryTypes are the types of an entry's fields.
var entryTypes = types{1: protobuf.Varint, 2: protobuf.Bytes, 3: protobuf.Varint, 4: protobuf.Varint, 5: protobuf.Varint, 6: protobuf.Fixed32,
	7: protobuf.Bytes}

func parseEntry(b []byte) (entry, error) {
	e := entry{shape: []int{}}
	err := fields(b, 7, entryTypes, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			e.dtype = f.Value
		case 2:
			return e.parseShape(f.Bytes)
		case 3:
			e.shard = f.Value
		case 4:
			e.offset = f.Value
		case 5:
			e.size = f.Value
		case 6:
			e.sum = uint32(f.Value)
		case 7:
			e.sliced = true
		}
		return nil
	})
	return e, err
}

func (e *entry) parseShape(b []byte) error {
	return fields(b, 2, types{2: protobuf.Bytes}, func(f protobuf.Field) error {
		if f.Number == 3 && f.Value != 0 {
			return errors.New("a shape that is not known")
		}
		if f.Number != 2 {
			return nil
		}
		var size uint64
		err := fields(f.Bytes, 0, types{1: protobuf.Varint}, func(f protobuf.Field) error {
			if f.Number == 1 {
				size = f.Value
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case len(e.shape) == maxRank:
			return fmt.Errorf("more than %d dimensions", maxRank)
		case int64(size) < 0:
			return errors.New("a negative dimension")
		case uint64(int(size)) != size:
			return errors.New("a dimension that does not fit this machine")
		}
		e.shape = append(e.shape, int(size))
		return nil
	})
}

// check holds an entry's size against its type and shape.
func (e *entry) check() error {
	t, known := dtypes[e.dtype]
	if !known || e.sliced {
		return nil
	}
	want := uint64(t.Size())
	for _, d := range e.shape {
		if d != 0 && want > 1<<62/uint64(d) {
			return fmt.Errorf("%s does not fit any file", shapeOf(t, e.shape))
		}
		want *= uint64(d)
	}
	if want != e.size {
		return fmt.Errorf("%s does not fit its %d bytes", shapeOf(t, e.shape), e.size)
	}
	return nil
}

func shapeOf(t safetensors.DType, shape []int) string {
	return string(t) + safetensors.Clip(fmt.Sprint(shape))
}

// appendTo adds an entry's message to b. The fields are as TensorFlow writes them: in order of their numbers, zeros left out, the
// shape always there.
func (e *entry) appendTo(b []byte) []byte {
	var shape []byte
	for _, d := range e.shape {
		shape = protobuf.AppendBytes(shape, 2, appendNumber(nil, 1, uint64(d)))
	}
	b = appendNumber(b, 1, e.dtype)
	b = protobuf.AppendBytes(b, 2, shape)
	b = appendNumber(b, 4, e.offset)
	b = appendNumber(b, 5, e.size)
	if e.sum != 0 {
		b = protobuf.AppendFixed32(b, 6, e.sum)
	}
	return b
}

// appendNumber adds a number unless it is 0, which is what an absent one means.
func appendNumber(b []byte, number protobuf.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protobuf.AppendVarint(b, number, v)
}

// bundleVersion is the version of the format that is read and written.
const bundleVersion = 1

// headerMessage is the header of a checkpoint with one data file.
var headerMessage = protobuf.AppendBytes(protobuf.AppendVarint(nil, 1, 1), 3, protobuf.AppendVarint(nil, 1, bundleVersion))
