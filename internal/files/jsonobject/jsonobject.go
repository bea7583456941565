// Package jsonobject is JSON objects whose fields keep their order: lines of logs, settings, answers.
//
//	row := jsonobject.Fields{{Name: "step", Value: 3}, {Name: "loss", Value: math.NaN()}}
//	text, err := json.Marshal(row) // {"step":3,"loss":null}
package jsonobject

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
)

// Field is a name and its value, of any type that encoding/json can write.
type Field struct {
	Name  string
	Value any
}

// Fields is an object: its fields in the order in which they are written.
type Fields []Field

// Get gives the value of a field, nil if there is none of that name.
func (f Fields) Get(name string) any {
	for _, x := range f {
		if x.Name == name {
			return x.Value
		}
	}
	return nil
}

// Number gives the value of a field as float64, NaN if there is none or it is no number.
func (f Fields) Number(name string) float64 {
	v := reflect.ValueOf(f.Get(name))
	switch {
	case v.CanFloat():
		return v.Float()
	case v.CanInt():
		return float64(v.Int())
	}
	return math.NaN()
}

// MarshalJSON writes the object on one line. A field whose value is a number that is not finite becomes null; one inside a slice or a
// struct is an error, as JSON has none. A RawMessage is written as it is, without its spaces.
func (f Fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, x := range f {
		v := x.Value
		if n := reflect.ValueOf(v); n.CanFloat() && (math.IsNaN(n.Float()) || math.IsInf(n.Float(), 0)) {
			v = nil
		}
		name, _ := Marshal(x.Name)
		value, err := Marshal(v)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads an object and keeps the order of its fields. Values become json.RawMessage.
func (f *Fields) UnmarshalJSON(text []byte) error {
	*f = nil
	if string(text) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	return Read(d, func(name string) error {
		var value json.RawMessage
		err := d.Decode(&value)
		*f = append(*f, Field{name, value})
		return err
	})
}

// ErrNoObject is the error of [Read] for a value that is no object.
var ErrNoObject = errors.New("not a JSON object")

// Read reads an object from d. It calls value with each field's name, in order and as often as it is there; value reads the field's
// value from d. Errors are those of d and of value.
func Read(d *json.Decoder, value func(name string) error) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ErrNoObject
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if err := value(name.(string)); err != nil { // an object's names are strings, or Token fails
			return err
		}
	}
	_, err := d.Token()
	return err
}

// Marshal gives a value of any type in JSON on one line, without the escapes that [json.Marshal] puts in for HTML: "<" stays "<".
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}
