package metric

import (
	"fmt"
	"strconv"
	"strings"

	"albert/internal/files/jsonobject"
)

// Score is one metric's value under its official name.
type Score struct {
	Name      string
	Value     float64
	Undefined string // why there is no value; "" where there is one
	Note      string // what to know about a value given by convention
}

// Scores are a task's metrics, in the order in which they are printed.
type Scores []Score

// add appends what a metric gave; an error other than [Undefined] is returned.
func (s *Scores) add(name string, value float64, err error) error {
	because, undefined := isUndefined(err)
	if err != nil && !undefined {
		return err
	}
	if undefined {
		value = 0
	}
	*s = append(*s, Score{Name: name, Value: value, Undefined: because})
	return nil
}

// Get gives the value of a name; an [Undefined] error where it has none, another where there is no such metric.
func (s Scores) Get(name string) (float64, error) {
	for _, m := range s {
		if m.Name == name {
			if m.Undefined != "" {
				return 0, &Undefined{name, m.Undefined}
			}
			return m.Value, nil
		}
	}
	return 0, fmt.Errorf("no metric %q among %s", name, strings.Join(s.Names(), ", "))
}

// Names lists the names in order.
func (s Scores) Names() []string {
	names := make([]string, len(s))
	for i, m := range s {
		names[i] = m.Name
	}
	return names
}

// String is one line: "accuracy 0.8675, f1 0.9043". Values are rounded to four digits.
func (s Scores) String() string {
	var b strings.Builder
	for i, m := range s {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(m.Name)
		if m.Undefined != "" {
			fmt.Fprintf(&b, " undefined, because %s", m.Undefined)
			continue
		}
		fmt.Fprintf(&b, " %s", short(m.Value))
		if m.Note != "" {
			fmt.Fprintf(&b, " (%s)", m.Note)
		}
	}
	return b.String()
}

// short writes four digits after the point, and whole numbers above 1, which are counts, without.
func short(v float64) string {
	if v == float64(int64(v)) && v > 1 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}

// MarshalJSON writes one object: the official names with full precision, null for a value that is undefined; then, where there are any,
// the reasons under "undefined" and the notes under "notes".
func (s Scores) MarshalJSON() ([]byte, error) {
	var out jsonobject.Fields
	undefined, notes := map[string]string{}, map[string]string{}
	for _, m := range s {
		if m.Undefined != "" {
			out, undefined[m.Name] = append(out, jsonobject.Field{Name: m.Name}), m.Undefined
		} else {
			out = append(out, jsonobject.Field{Name: m.Name, Value: m.Value})
		}
		if m.Note != "" {
			notes[m.Name] = m.Note
		}
	}
	if len(undefined) > 0 {
		out = append(out, jsonobject.Field{Name: "undefined", Value: undefined})
	}
	if len(notes) > 0 {
		out = append(out, jsonobject.Field{Name: "notes", Value: notes})
	}
	return out.MarshalJSON()
}
