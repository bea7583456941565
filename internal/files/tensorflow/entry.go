package tensorflow

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

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

// entry is a tensor's place (BundleEntryProto).
type entry struct {
	dtype        uint64
	shape        []int
	shard        uint64
	offset, size uint64
	sum          uint32 // masked CRC-32C of its bytes
	sliced       bool   // a partitioned variable, whose parts stand under keys of their own
}

// field is one field of a message: a number, or bytes.
type field struct {
	num    protowire.Number
	typ    protowire.Type
	number uint64
	bytes  []byte
}

// fields calls each for a message's fields; those not repeated may stand once.
func fields(message []byte, repeated protowire.Number, each func(f field) error) error {
	var seen uint64
	for len(message) > 0 {
		var f field
		var n int
		f.num, f.typ, n = protowire.ConsumeTag(message)
		if n < 0 {
			return errors.New("damaged")
		}
		message = message[n:]
		switch f.typ {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(message)
			f.number = uint64(v)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(f.num, f.typ, message)
		}
		if n < 0 {
			return errors.New("damaged")
		}
		message = message[n:]
		if f.num < 64 && f.num != repeated {
			if seen>>f.num&1 == 1 {
				return fmt.Errorf("field %d stands twice", f.num)
			}
			seen |= 1 << f.num
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// want checks a field's wire type.
func (f field) want(typ protowire.Type) error {
	if f.typ != typ {
		return fmt.Errorf("field %d has another type", f.num)
	}
	return nil
}

// parseHeader reads an index's first entry (BundleHeaderProto): how many data files there are.
func parseHeader(b []byte) (shards uint64, err error) {
	err = fields(b, 0, func(f field) error {
		switch f.num {
		case 1:
			shards = f.number
			return f.want(protowire.VarintType)
		case 2:
			if f.number != 0 {
				return errors.New("written on a big-endian machine, which is not supported")
			}
			return f.want(protowire.VarintType)
		case 3:
			if err := f.want(protowire.BytesType); err != nil {
				return err
			}
			return fields(f.bytes, 3, func(f field) error {
				if f.num == 2 && f.number > bundleVersion {
					return fmt.Errorf("needs a reader of version %d, this one is %d", f.number, bundleVersion)
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

func parseEntry(b []byte) (entry, error) {
	e := entry{shape: []int{}}
	err := fields(b, 7, func(f field) error {
		switch f.num {
		case 1:
			e.dtype = f.number
		case 2:
			if err := f.want(protowire.BytesType); err != nil {
				return err
			}
			return e.parseShape(f.bytes)
		case 3:
			e.shard = f.number
		case 4:
			e.offset = f.number
		case 5:
			e.size = f.number
		case 6:
			e.sum = uint32(f.number)
			return f.want(protowire.Fixed32Type)
		case 7:
			e.sliced = true
			return f.want(protowire.BytesType)
		default:
			return nil
		}
		return f.want(protowire.VarintType)
	})
	return e, err
}

func (e *entry) parseShape(b []byte) error {
	return fields(b, 2, func(f field) error {
		switch f.num {
		case 2:
			if err := f.want(protowire.BytesType); err != nil {
				return err
			}
			var size uint64
			err := fields(f.bytes, 0, func(f field) error {
				if f.num != 1 {
					return nil
				}
				size = f.number
				return f.want(protowire.VarintType)
			})
			if err != nil {
				return err
			}
			if len(e.shape) == maxRank {
				return fmt.Errorf("more than %d dimensions", maxRank)
			}
			if int64(size) < 0 {
				return errors.New("a negative dimension")
			}
			if uint64(int(size)) != size {
				return errors.New("a dimension that does not fit this machine")
			}
			e.shape = append(e.shape, int(size))
		case 3:
			if f.number != 0 {
				return errors.New("a shape that is not known")
			}
		}
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
	return string(t) + clip(fmt.Sprint(shape))
}

// appendTo adds an entry's message to b. The fields stand as TensorFlow writes them: in order of their numbers, zeros left out, the
// shape always there.
func (e *entry) appendTo(b []byte) []byte {
	var shape []byte
	for _, d := range e.shape {
		var dim []byte
		if d != 0 {
			dim = appendNumber(nil, 1, uint64(d))
		}
		shape = protowire.AppendTag(shape, 2, protowire.BytesType)
		shape = protowire.AppendBytes(shape, dim)
	}
	b = appendNumber(b, 1, e.dtype)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendBytes(b, shape)
	b = appendNumber(b, 4, e.offset)
	b = appendNumber(b, 5, e.size)
	if e.sum != 0 {
		b = protowire.AppendTag(b, 6, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, e.sum)
	}
	return b
}

// appendNumber adds a number unless it is 0, which is what an absent one means.
func appendNumber(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

// bundleVersion is the version of the format that is read and written.
const bundleVersion = 1

// headerMessage is the header of a checkpoint with one data file.
func headerMessage() []byte {
	b := appendNumber(nil, 1, 1)
	b = protowire.AppendTag(b, 3, protowire.BytesType)
	return protowire.AppendBytes(b, appendNumber(nil, 1, bundleVersion))
}

// clip shortens what a file says, for a message.
func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "..."
	}
	return s
}

// show writes a name that a file gives: as it is if it is plain, in Go's notation otherwise, and never much of it.
func show(name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return fmt.Sprintf("%q", clip(name))
	}
	return clip(name)
}
