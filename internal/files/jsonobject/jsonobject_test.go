package jsonobject

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

func TestMarshal(t *testing.T) {
	f := Fields{{"step", 3}, {"loss", math.NaN()}, {"rate", float32(0.1)}, {"norm", math.Inf(1)}, {"small", float32(math.Inf(-1))}, {"x", 1e-9},
		{`na"me<`, "a\"<b"}, {"skipped", true}, {"inner", Fields{{"z", 1}, {"a", []string{"q&"}}, {"n", math.NaN()}}}, {"none", nil},
		{"raw", json.RawMessage(`{"b": 1.0}`)}, {"empty", Fields{}}}
	const want = `{"step":3,"loss":null,"rate":0.1,"norm":null,"small":null,"x":1e-9,"na\"me<":"a\"<b","skipped":true,` +
		`"inner":{"z":1,"a":["q&"],"n":null},"none":null,"raw":{"b":1.0},"empty":{}}`
	if got, err := Marshal(f); err != nil || string(got) != want {
		t.Errorf("%s, %v; want\n%s", got, err, want)
	}
	escaped := strings.NewReplacer("<", `\u003c`, "&", `\u0026`).Replace(want)
	if got, err := json.Marshal(f); err != nil || string(got) != escaped {
		t.Errorf("with HTML's escapes: %s, %v; want\n%s", got, err, escaped)
	}
	for _, v := range []any{func() {}, []float64{math.NaN()}, json.RawMessage("{")} {
		if got, err := Marshal(Fields{{"a", v}}); err == nil {
			t.Errorf("%s", got)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	const text = `{"b":1.50,"a":{"z":[1,2]},"b":null}`
	var f Fields
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	if back, err := Marshal(f); err != nil || string(back) != text {
		t.Errorf("%s, %v", back, err)
	}
	if s := fmt.Sprintf("%s", f.Get("b")); s != "1.50" || f.Get("c") != nil {
		t.Errorf("b is %s, c %v", s, f.Get("c"))
	}
	if err := json.Unmarshal([]byte("null"), &f); err != nil || f != nil {
		t.Errorf("null: %v, %v", f, err)
	}
	for _, bad := range []string{"[]", "1", `"x"`} {
		if err := json.Unmarshal([]byte(bad), &f); !errors.Is(err, ErrNoObject) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestNumber(t *testing.T) {
	f := Fields{{"a", 1}, {"b", int64(2)}, {"c", float32(3)}, {"d", 4.5}, {"e", "5"}}
	for name, want := range map[string]float64{"a": 1, "b": 2, "c": 3, "d": 4.5} {
		if got := f.Number(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !math.IsNaN(f.Number("e")) || !math.IsNaN(f.Number("f")) {
		t.Error("a number where there is none")
	}
}

func TestRead(t *testing.T) {
	read := func(text string) (names string, err error) {
		d := json.NewDecoder(strings.NewReader(text))
		err = Read(d, func(name string) error {
			var v int
			names += name
			return d.Decode(&v)
		})
		return names, err
	}
	if names, err := read(`{"b": 1, "a": 2, "b": 3} x`); names != "bab" || err != nil {
		t.Error(names, err)
	}
	if _, err := read(`{"b": 1, `); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	for _, bad := range []string{`{"b" 1}`, `{1: 1}`, `{"a": "x"}`, "", "[1]"} {
		if _, err := read(bad); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}
