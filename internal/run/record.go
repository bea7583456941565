package run

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"albert/internal/engine/mpi"
	"albert/internal/files/jsonobject"
)

// A record is a struct with all settings of a run. Its fields carry the tags of the command line (name, help, default) and
//
//	resume:"change"   a resume may change it: it reaches no bit of the result
//	resume:"-"        no setting: where the run is kept, or what its data's hashes stand for
//	range:"[0,1)"     the values that a number may have; "[1,)" has no upper end, "0 or [8,)" has 0, too; "-" is all
//
// Settings in a manifest, what is compared when a run is resumed, the table of a model's card and the flags all come from the record.

// Common has the settings that pretraining and fine-tuning share.
type Common struct {
	// Optimizer is lamb or adamw.
	Optimizer string `default:"${optimizer}" enum:"lamb,adamw" help:"${optimizers}."`
	// MicroBatchSize bounds the sequences whose activations are in memory at once; 0: no bound.
	MicroBatchSize int `help:"Sequences computed at once at most: less memory, the same result (0: no bound)." resume:"change"`
	// Precision is that of matrix products; bf16 becomes a rule, which the run keeps.
	Precision   string  `default:"fp32" enum:"fp32,bf16,bf16-tile,bf16-dot,int8" help:"Of matrix products: fp32, bf16 (by the rule that this CPU is fast at, which the run keeps), bf16-tile or bf16-dot." placeholder:"P"`
	WeightDecay float32 `default:"0.01" help:"Weight decay."`
	// Clip is the largest norm of the gradient; 0: it is not clipped.
	Clip float64 `default:"1" help:"Largest norm of the gradient (0: not clipped)."`
	// Patience ends the run as finished after so many evaluations in a row that were not better than the best one; 0: never.
	Patience int `help:"Finish after so many evaluations in a row that were not better than the best one${better} (0: do all steps)."`
	// Keep is how many checkpoints are kept beside the best one.
	Keep int `default:"${keep}" help:"Checkpoints kept, beside the best one." resume:"change"`
	// MaxTime saves and stops the run after that time; 0: no limit.
	MaxTime time.Duration `help:"Save and stop after this time, such as 60m or 2h; the same command goes on." resume:"change"`
	Seed    uint64        `default:"12345" help:"Seed of everything random."`
	// Threads is how many are used; 0: as many as there are processors.
	Threads int `help:"Threads (0: all)." resume:"change"`
	// OverfitOneBatch only checks whether the setup can learn: see docs/finetuning.md. No file is written.
	OverfitOneBatch bool `negatable:"" help:"Only check whether this setup can learn: train on one batch of at most 16 examples for 500 steps, at a constant rate, without dropout; nothing is written." resume:"-"`
	// World is what this process shares the run with: every rank is asked the same. nil: one process.
	World mpi.World `kong:"-" resume:"-"`
	// Quiet leaves out plan and progress; warnings are shown all the same.
	Quiet bool `negatable:"" help:"No plan and no progress; warnings are shown." resume:"change"`
}

// FieldError tells that a field of a record, or of options with the same fields, has a value that it must not have.
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

var fieldName = regexp.MustCompile("`[A-Z][A-Za-z]*`")

// Flags gives a text for people who gave flags: in place of each field that it names in backquotes, as "try `LearningRate` 0.1", its flag.
func Flags(text string) string {
	return fieldName.ReplaceAllStringFunc(text, func(name string) string { return "--" + FlagName(strings.Trim(name, "`")) })
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

// Restore fills a pointer to a record with the settings of a manifest, as [Settings] lists them. Settings of other names are
// passed over, and those named in but.
func Restore(record any, settings jsonobject.Fields, but ...string) error {
	for _, f := range of(record) {
		raw, ok := settings.Get(FlagName(f.Name)).(json.RawMessage)
		if !ok || f.Tag.Get("resume") == "-" || slices.Contains(but, FlagName(f.Name)) {
			continue
		}
		var err error
		if d, ok := f.value.Addr().Interface().(*time.Duration); ok {
			var text string
			if err = json.Unmarshal(raw, &text); err == nil {
				*d, err = time.ParseDuration(text)
			}
		} else {
			err = json.Unmarshal(raw, f.value.Addr().Interface())
		}
		if err != nil {
			return fmt.Errorf("%s: setting %s: %w", ManifestFile, FlagName(f.Name), err)
		}
	}
	return nil
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
		if _, err := fmt.Sscan(text, f.value.Addr().Interface()); err != nil {
			panic(fmt.Sprintf("field %s: %v", f.Name, err)) // a wrong tag
		}
	}
}

// Check gives an error for the first field of a record whose value cannot be: a number outside the interval of its tag range, "[0,)"
// where it has none, or a text that its tag enum does not list.
func Check(record any) error {
	for _, f := range of(record) {
		v, problem := reflect.Indirect(f.value), ""
		enum, listed := f.Tag.Lookup("enum")
		switch {
		case !v.IsValid() || f.Tag.Get("range") == "-": // nil: not given
		case v.CanInt():
			problem = outside(float64(v.Int()), f.Tag.Get("range"))
		case v.CanFloat():
			problem = outside(v.Float(), f.Tag.Get("range"))
		case listed && !slices.Contains(strings.Split(enum, ","), v.String()):
			problem = "want one of " + strings.ReplaceAll(strings.Trim(enum, ","), ",", ", ")
		}
		if problem != "" {
			return &FieldError{f.Name, v.Interface(), problem}
		}
	}
	return nil
}

// outside says what is wrong with a number that is not in an interval.
func outside(x float64, interval string) string {
	interval, orZero := strings.CutPrefix(cmp.Or(interval, "[0,)"), "0 or ")
	low, high, _ := strings.Cut(interval[1:len(interval)-1], ",")
	least, most := 0.0, math.Inf(1)
	_, _ = fmt.Sscan(low, &least)
	_, _ = fmt.Sscan(high, &most) // there may be none
	switch closed := strings.HasSuffix(interval, "]"); {
	case orZero && x == 0, x >= least && (x < most || closed && x == most):
		return ""
	case math.IsNaN(x) || math.IsInf(x, 0):
		return "want a finite number"
	case high == "":
		return "want at least " + low
	case closed:
		return "want " + low + " to " + high
	}
	return "want at least " + low + ", below " + high
}
