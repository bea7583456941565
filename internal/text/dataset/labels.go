package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"albert/internal/model"
)

// labels give labels their indices: known ones at once, those that are learned by first sight until finish puts them in order.
type labels struct {
	names []string
	index map[string]int
	known bool
}

func (l *labels) start(known []string) error {
	l.known = known != nil
	l.names = slices.Clone(known)
	l.index = make(map[string]int, len(known))
	for i, n := range known {
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
	if l.known {
		return 0, fmt.Errorf("label %q is not one of the known ones: %s", short(name), list(l.names))
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

// maxLabels bounds how many labels are learned: a column with more is another one.
const maxLabels = 100_000

// finish puts learned labels in order: integers by value if all are, else by bytes.
func (l *labels) finish(s *Set) {
	s.Labels = l.names
	if l.known || len(l.names) == 0 {
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
	to := make([]int, len(sorted))
	for i, n := range sorted {
		to[l.index[n]] = i
	}
	s.Labels = sorted
	for i := range s.Examples {
		e := &s.Examples[i]
		if e.Label >= 0 && s.Task.Kind == model.Classify {
			e.Label = to[e.Label]
		}
		for j, n := range e.Labels {
			e.Labels[j] = to[n]
		}
		if s.Task.Kind == model.MultiLabel {
			slices.Sort(e.Labels)
		}
	}
}

// list quotes names for a message, not more than a line can hold.
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

// short cuts a text for a message.
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
