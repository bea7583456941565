package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"albert/internal/model"
)

// labels numbers the labels. If they are given at the start they keep that order; else each gets the next number when it is first seen, and
// finish puts them in order.
type labels struct {
	names []string
	index map[string]int
	fixed bool // no others are accepted

	aliased string // a sentence for the user: numbers were taken for names, or names for numbers
}

// start begins with the labels that there may be; nil: any.
func (l *labels) start(names []string) error {
	l.fixed = names != nil
	l.names = slices.Clone(names)
	l.index = make(map[string]int, len(names))
	for i, n := range names {
		if _, ok := l.index[n]; ok {
			return fmt.Errorf("label %q is given twice", n)
		}
		l.index[n] = i
	}
	return nil
}

// id is a label's index.
func (l *labels) id(name string) (int, error) {
	if name == "" {
		return 0, fmt.Errorf("no label (the field is empty)")
	}
	if i, ok := l.index[name]; ok {
		return i, nil
	}
	if l.fixed {
		if i, ok := l.index[otherName(name)]; ok {
			if l.aliased != "" {
				return i, nil
			}
			l.aliased = fmt.Sprintf("the model's labels are %s: %q is taken as %q, and so on", list(l.names), short(name), otherName(name))
			return i, nil
		}
		hint := ""
		switch {
		case name == minusLabel:
			hint = `; -1 is "no label" only in a test set in which every row has it`
		case len(l.names) > 0 && l.names[0] == otherName("0"):
			hint = "; --labels A,B,... names the model's classes in its order"
		}
		return 0, fmt.Errorf("label %q is not one of the known ones: %s%s", short(name), list(l.names), hint)
	}
	if len(l.names) == maxLabels {
		return 0, fmt.Errorf("label %q is the %dth that is different from all others: is this the label's column?", short(name), maxLabels+1)
	}
	i := len(l.names)
	name = strings.Clone(name)
	l.names = append(l.names, name)
	l.index[name] = i
	return i, nil
}

// otherName is LABEL_n of the number n, as models call classes that nobody named, and n of LABEL_n; "" of any other label.
func otherName(name string) string {
	const prefix = "LABEL_"
	n, named := strings.CutPrefix(name, prefix)
	if n == "" || strings.Trim(n, "0123456789") != "" {
		return ""
	}
	if named {
		return n
	}
	return prefix + n
}

// maxLabels bounds how many labels may be found: a column with more different values does not hold labels.
const maxLabels = 100_000

// finish puts labels that were not given in order: by value if all are integers, else by bytes.
func (l *labels) finish(s *Set) {
	s.Labels = l.names
	if l.fixed || len(l.names) == 0 {
		return
	}
	sorted := slices.Clone(l.names)
	numbers := map[string]int64{}
	for _, n := range sorted {
		if v, err := strconv.ParseInt(n, 10, 64); err == nil {
			numbers[n] = v
		}
	}
	if len(numbers) == len(sorted) {
		slices.SortFunc(sorted, func(a, b string) int { return cmp.Or(cmp.Compare(numbers[a], numbers[b]), strings.Compare(a, b)) })
	} else {
		slices.Sort(sorted)
	}
	sortedIndex := make([]int, len(sorted))
	for i, n := range sorted {
		sortedIndex[l.index[n]] = i
	}
	s.Labels = sorted
	for i := range s.Examples {
		e := &s.Examples[i]
		if e.Label >= 0 && s.Task.Kind == model.Classify {
			e.Label = sortedIndex[e.Label]
		}
		for j, n := range e.Labels {
			e.Labels[j] = sortedIndex[n]
		}
		if s.Task.Kind == model.MultiLabel {
			slices.Sort(e.Labels)
		}
	}
}

// list quotes names for a message, 20 at most.
func list(names []string) string {
	const most = 20
	var b strings.Builder
	for i, n := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", short(n))
	}
	if len(names) == 0 {
		return "none"
	}
	return b.String()
}

// short cuts a text to 60 bytes for a message.
func short(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "..."
}
