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
	switch v := f.Get(name).(type) {
	case float64:
		return v
	case float32:
		return float64(v)
	case int:
		return float64(v)
	case int64:
		return float64(v)
	}
	return math.NaN()
}

// MarshalJSON writes the object on one line. A field whose value is a number that is not finite becomes null; one inside a slice or a
// struct is an error, as JSON has none. A RawMessage is written as it is, without its spaces.
func (f Fields) MarshalJSON() ([]byte, error) {
	b := &bytes.Buffer{}
	e := encoder(b)
	write := func(v any, then byte) error {
		if err := e.Encode(v); err != nil {
			return err
		}
		b.Bytes()[b.Len()-1] = then // in place of the encoder's line feed
		return nil
	}
	b.WriteByte('{')
	for _, x := range f {
		if err := write(x.Name, ':'); err != nil {
			return nil, err
		}
		v := x.Value
		if n, ok := v.(float64); ok && !finite(n) {
			v = nil
		}
		if n, ok := v.(float32); ok && !finite(float64(n)) {
			v = nil
		}
		if err := write(v, ','); err != nil {
			return nil, err
		}
	}
	if len(f) == 0 {
		return []byte("{}"), nil
	}
	b.Bytes()[b.Len()-1] = '}'
	return b.Bytes(), nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

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
	err := encoder(&b).Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

func encoder(b *bytes.Buffer) *json.Encoder {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e
}
