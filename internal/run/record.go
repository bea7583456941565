package run

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"albert/internal/files/jsonobject"
)

// A record is a struct that says all that a run is asked. Its fields carry the tags of the command line (name, help, default) and
//
//	resume:"change"   a resume may change it: it reaches no bit of the result
//	resume:"-"        no setting: where the run is kept, or what its data's hashes stand for
//
// Settings in a manifest, what is compared when a run is resumed, the table of a model's card and the flags all come from the record.

// Common is what pretraining and fine-tuning are asked alike.
type Common struct {
	// Optimizer is lamb or adamw.
	Optimizer string `default:"${optimizer}" enum:"lamb,adamw" help:"${optimizers}."`
	// MicroBatchSize bounds the sequences whose activations are in memory at once; 0: no bound.
	MicroBatchSize int     `help:"Sequences held at once at most (0: no bound); changes no bits." resume:"change"`
	WeightDecay    float32 `default:"0.01" help:"Weight decay."`
	// Clip is the largest norm of the gradient; 0: it is not clipped.
	Clip float64 `default:"1" help:"Largest norm of the gradient (0: not clipped)."`
	// Keep is how many checkpoints are kept beside the best one.
	Keep int `default:"${keep}" help:"Checkpoints kept, beside the best." resume:"change"`
	// MaxTime saves and stops the run after that time; 0: no limit.
	MaxTime time.Duration `help:"Save and stop after this time (60m, 2h)." resume:"change"`
	Seed    uint64        `default:"12345" help:"Seed of everything random."`
	// Threads is how many are used; 0: as many as there are processors.
	Threads int `help:"Threads (0: all)." resume:"change"`
	// Quiet leaves out plan and progress; warnings are shown all the same.
	Quiet bool `negatable:"" help:"No progress." resume:"change"`
}

// FieldError tells that a field of a record, or of options with the same fields, has a value that cannot be.
type FieldError struct {
	Field   string // as it is named in Go
	Value   any
	Problem string
}

func (e *FieldError) Error() string { return e.Field + e.text() }

// Flag is the error for people who gave a flag of the command line.
func (e *FieldError) Flag() string { return "--" + FlagName(e.Field) + e.text() }

func (e *FieldError) text() string {
	switch v := reflect.ValueOf(e.Value); {
	case e.Value == nil:
		return ": " + e.Problem
	case v.Kind() == reflect.String && (v.Len() == 0 || strings.ContainsFunc(v.String(), unicode.IsSpace)):
		return fmt.Sprintf(" %q: %s", e.Value, e.Problem)
	}
	return fmt.Sprintf(" %v: %s", e.Value, e.Problem)
}

// FlagName is the flag of a field: its words in small letters, with hyphens between.
func FlagName(field string) string {
	var b strings.Builder
	letters := []rune(strings.ReplaceAll(field, "NGram", "Ngram")) // one word
	for i, c := range letters {
		if unicode.IsUpper(c) && i > 0 && (unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// field is a field of a record, also one of a struct that is embedded in it.
type field struct {
	reflect.StructField
	value reflect.Value
	set   map[string]string // what ${...} stands for in its tags
}

func fields(record reflect.Value, set map[string]string) (list []field) {
	for i := range record.NumField() {
		f := field{record.Type().Field(i), record.Field(i), set}
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			list = append(list, fields(f.value, variables(f.Tag))...)
		case f.IsExported() && f.Tag.Get("kong") != "-":
			list = append(list, f)
		}
	}
	return list
}

// variables reads tags of the form set:"name=value", of which there may be several.
func variables(tag reflect.StructTag) map[string]string {
	m := map[string]string{}
	for rest := string(tag); ; {
		_, after, found := strings.Cut(rest, `set:"`)
		if !found {
			return m
		}
		text, more, _ := strings.Cut(after, `"`)
		name, value, _ := strings.Cut(text, "=")
		m[name], rest = value, more
	}
}

func of(record any) []field { return fields(reflect.Indirect(reflect.ValueOf(record)), nil) }

// Settings lists a record's fields in their order, under the names of their flags. Those that were resolved, as the task's own where
// none was given, have the resolved value, and those that are no field follow.
func Settings(record any, resolved jsonobject.Fields) (list jsonobject.Fields) {
	resolved = slices.Clone(resolved)
	for _, f := range of(record) {
		if f.Tag.Get("resume") == "-" {
			continue
		}
		name := FlagName(f.Name)
		x := jsonobject.Field{Name: name, Value: f.value.Interface()}
		if d, ok := x.Value.(time.Duration); ok {
			x.Value = d.String()
		}
		if i := slices.IndexFunc(resolved, func(r jsonobject.Field) bool { return r.Name == name }); i >= 0 {
			x = resolved[i]
			resolved = slices.Delete(resolved, i, i+1)
		} else if f.value.Kind() == reflect.Pointer && !f.value.IsNil() {
			x.Value = f.value.Elem().Interface()
		}
		list = append(list, x)
	}
	return append(list, resolved...)
}

// Changeable lists the settings that a resume may change.
func Changeable(record any) (names []string) {
	for _, f := range of(record) {
		if f.Tag.Get("resume") == "change" {
			names = append(names, FlagName(f.Name))
		}
	}
	return names
}

// SetDefaults fills a pointer to a record with the defaults of its tags.
func SetDefaults(record any) {
	for _, f := range of(record) {
		text := f.Tag.Get("default")
		for name, value := range f.set {
			text = strings.ReplaceAll(text, "${"+name+"}", value)
		}
		if text == "" {
			continue
		}
		var err error
		switch f.value.Kind() {
		case reflect.String:
			f.value.SetString(text)
		case reflect.Bool:
			var b bool
			b, err = strconv.ParseBool(text)
			f.value.SetBool(b)
		case reflect.Int, reflect.Int64:
			var n int64
			n, err = strconv.ParseInt(text, 10, 64)
			f.value.SetInt(n)
		case reflect.Uint64:
			var n uint64
			n, err = strconv.ParseUint(text, 10, 64)
			f.value.SetUint(n)
		case reflect.Float32, reflect.Float64:
			var x float64
			x, err = strconv.ParseFloat(text, 64)
			f.value.SetFloat(x)
		default:
			err = fmt.Errorf("a default of type %s", f.Type)
		}
		if err != nil {
			panic(fmt.Sprintf("field %s: %v", f.Name, err)) // a wrong tag
		}
	}
}

// CheckNumbers gives an error for the first number of a record that is negative or not finite.
func CheckNumbers(record any) error {
	for _, f := range of(record) {
		v := reflect.Indirect(f.value)
		switch {
		case !v.IsValid(): // nil: not given
		case v.CanInt() && v.Int() < 0:
			return &FieldError{f.Name, v.Interface(), "want 0 or more"}
		case v.CanFloat() && !(v.Float() >= 0 && !math.IsInf(v.Float(), 0)):
			return &FieldError{f.Name, v.Interface(), "want a finite number, 0 or more"}
		}
	}
	return nil
}
