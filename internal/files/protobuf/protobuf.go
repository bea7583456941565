// Package protobuf reads and writes protobuf messages field by field, for formats of which only a few fields matter: SentencePiece
// models, ONNX files, TensorFlow's indices. There is no generated code and no reflection.
//
//	err := protobuf.Read(message, func(f protobuf.Field) error {
//		if f.Number == 3 { number = f.Value }
//		return nil
//	})
package protobuf

import (
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Number and the types of fields in a message, with their names in protobuf's documentation.
type (
	Number = protowire.Number
	Type   = protowire.Type
)

// The types whose values [Read] gives.
const (
	Varint  = protowire.VarintType
	Fixed32 = protowire.Fixed32Type
	Bytes   = protowire.BytesType
)

// Field is one field of a message.
type Field struct {
	Number Number
	Type   Type
	Value  uint64 // of Varint and Fixed32
	Bytes  []byte // of Bytes: a string, a message, packed numbers
	Raw    []byte // the whole field as it is in the message
}

// Float gives the value of a Fixed32 field that is a float.
func (f Field) Float() float32 { return math.Float32frombits(uint32(f.Value)) }

// errDamaged is the error for what is no message.
var errDamaged = errors.New("damaged: not a protobuf message")

// Read calls each for the fields of a message in order. Their bytes are the message's own.
func Read(message []byte, each func(Field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errDamaged
		}
		value := message[n:]
		size := protowire.ConsumeFieldValue(number, kind, value)
		if size < 0 {
			return errDamaged
		}
		f := Field{Number: number, Type: kind, Raw: message[:n+size]}
		switch kind {
		case Varint:
			f.Value, _ = protowire.ConsumeVarint(value)
		case Fixed32:
			v, _ := protowire.ConsumeFixed32(value)
			f.Value = uint64(v)
		case Bytes:
			f.Bytes, _ = protowire.ConsumeBytes(value)
		}
		message = message[n+size:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// AppendVarint adds a field with an integer to a message. One below zero is given as its two's complement.
func AppendVarint(b []byte, number Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, Varint), v)
}

// AppendFixed32 adds a field with 32 bits to a message.
func AppendFixed32(b []byte, number Number, v uint32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(b, number, Fixed32), v)
}

// AppendFloat adds a field with a float to a message.
func AppendFloat(b []byte, number Number, v float32) []byte {
	return AppendFixed32(b, number, math.Float32bits(v))
}

// AppendBytes adds a field with bytes to a message: a string, another message, packed numbers.
func AppendBytes[T ~string | ~[]byte](b []byte, number Number, v T) []byte {
	return append(AppendHead(b, number, len(v)), v...)
}

// AppendHead begins a field of so many bytes, which the caller puts behind it.
func AppendHead(b []byte, number Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, Bytes), uint64(size))
}
