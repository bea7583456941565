package metric

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Entity is a run of tags of one type: those from index Start to End of its sequence, End included.
type Entity struct {
	Type       string
	Start, End int
}

// Entities reads the entities of a sequence of tags as seqeval 1.2.2 does by default (like conlleval.pl): a tag is one letter (B, I, E, S,
// O) and, after "-", a type; IOB1, IOB2, IOE and BIOES are read by the same rules, and what fits none of them (an I after O, a change of
// type) begins an entity rather than being an error. A tag without a type has type "_". An empty tag is an error.
func Entities(tags []string) ([]Entity, error) {
	var found []Entity
	previous, previousType, begin := 'O', "", 0
	for i := 0; i <= len(tags); i++ {
		tag, kind := 'O', "_"
		if i < len(tags) {
			if tags[i] == "" {
				return nil, fmt.Errorf("tag %d is empty", i)
			}
			tag, kind = splitTag(tags[i])
		}
		changed := previousType != kind
		if ends(previous, tag) || previous != 'O' && previous != '.' && changed {
			found = append(found, Entity{previousType, begin, i - 1})
		}
		if begins(previous, tag) || tag != 'O' && tag != '.' && changed {
			begin = i
		}
		previous, previousType = tag, kind
	}
	return found, nil
}

// splitTag gives the first letter and what stands after the first "-" behind it (all that is behind it where there is no "-").
func splitTag(s string) (tag rune, kind string) {
	tag, n := utf8.DecodeRuneInString(s)
	kind = s[n:]
	if _, after, ok := strings.Cut(kind, "-"); ok {
		kind = after
	}
	if kind == "" {
		kind = "_"
	}
	return tag, kind
}

// ends tells whether an entity that holds the previous tag ends before this one, whatever the types.
func ends(previous, tag rune) bool {
	switch previous {
	case 'E', 'S':
		return true
	case 'B', 'I':
		return tag == 'B' || tag == 'S' || tag == 'O'
	}
	return false
}

// begins tells whether an entity begins with this tag, whatever the types.
func begins(previous, tag rune) bool {
	switch tag {
	case 'B', 'S':
		return true
	case 'E', 'I':
		return previous == 'E' || previous == 'S' || previous == 'O'
	}
	return false
}

// EntityTags tells whether tags name entities: whether one begins with B-, I-, E- or S-, or all are such letters alone. Other tags are
// classes of words: parts of speech, numbers.
func EntityTags(tags []string) bool {
	bare, letters := true, 0
	for _, t := range tags {
		letter := t != "" && strings.Contains("BIES", t[:1])
		if letter && len(t) > 1 && t[1] == '-' {
			return true
		}
		bare = bare && (letter && len(t) == 1 || t == "O")
		if letter {
			letters++
		}
	}
	return bare && letters > 0
}

// TagReport is seqeval's classification_report: a row for each type of entity and the averages over types.
type TagReport struct {
	Types    []string `json:"types"` // ascending by code point
	Entities []PRF    `json:"entities"`
	Micro    PRF      `json:"micro avg"`
	Macro    PRF      `json:"macro avg"`
	Weighted PRF      `json:"weighted avg"`
	Accuracy float64  `json:"accuracy"` // share of right tags
}

// WordTags compares [sequences][tags] that are classes of words: the report has a row for each tag but "O".
func WordTags(gold, predicted [][]string) (*TagReport, error) {
	return compareTags(gold, predicted, func(tags []string) (list []Entity, err error) {
		for i, t := range tags {
			if t != "O" {
				list = append(list, Entity{t, i, i})
			}
		}
		return list, nil
	})
}

// Tags compares [sequences][tags] by entities: one counts where type, start and end are right. Nothing to divide by gives 0, as in seqeval;
// so do averages where there are no entities at all (seqeval's macro average is NaN there). A sequence and its prediction must be of equal
// length, and there must be a tag.
func Tags(gold, predicted [][]string) (*TagReport, error) {
	return compareTags(gold, predicted, Entities)
}

// compareTags compares what a sequence of tags names, by its type and place.
func compareTags(gold, predicted [][]string, named func(tags []string) ([]Entity, error)) (*TagReport, error) {
	if err := sameLength("f1", len(gold), len(predicted)); err != nil {
		return nil, err
	}
	byType := map[string]*counts{}
	count := func(kind string) *counts {
		c := byType[kind]
		if c == nil {
			c = &counts{}
			byType[kind] = c
		}
		return c
	}
	tags, right := 0, 0
	var flat [2][]string // both sides as one sequence, an O after each
	for i, g := range gold {
		p := predicted[i]
		if len(g) != len(p) {
			return nil, fmt.Errorf("f1: sequence %d: %d predictions for %d tags", i, len(p), len(g))
		}
		for k := range g {
			if g[k] == "" || p[k] == "" {
				return nil, fmt.Errorf("f1: sequence %d: the label or prediction of tag %d is empty", i, k)
			}
			if g[k] == p[k] {
				right++
			}
		}
		tags += len(g)
		flat[0] = append(append(flat[0], g...), "O")
		flat[1] = append(append(flat[1], p...), "O")
	}
	if tags == 0 {
		return nil, &Undefined{"f1", "there are no tags"}
	}
	ge, err := entitySet(named(flat[0]))
	if err != nil {
		return nil, err
	}
	pe, err := entitySet(named(flat[1]))
	if err != nil {
		return nil, err
	}
	for _, e := range pe {
		count(e.Type).predicted++
	}
	for _, e := range ge {
		c := count(e.Type)
		c.gold++
		if _, ok := slices.BinarySearchFunc(pe, e, compareEntities); ok {
			c.hit++
		}
	}
	r := &TagReport{Accuracy: float64(right) / float64(tags)}
	var classes []counts
	for kind := range byType {
		r.Types = append(r.Types, kind)
	}
	slices.Sort(r.Types)
	for _, kind := range r.Types {
		classes = append(classes, *byType[kind])
	}
	r.Entities, r.Micro, r.Macro, r.Weighted = averages(classes, counts.entityPRF)
	return r, nil
}

// entitySet is the set of a sequence's entities, sorted. Of malformed sequences seqeval's rules may find an entity twice.
func entitySet(e []Entity, err error) ([]Entity, error) {
	slices.SortFunc(e, compareEntities)
	return slices.Compact(e), err
}

func compareEntities(a, b Entity) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
}

// entityPRF gives the row of a report by seqeval's formulas: F1 from precision and recall.
func (c counts) entityPRF() PRF {
	p, r := ratio(float64(c.hit), float64(c.predicted)), ratio(float64(c.hit), float64(c.gold))
	return PRF{p, r, ratio(2*p*r, p+r), c.gold}
}

// Scores are the averages over all entities, under the names that seqeval's users print.
func (r *TagReport) Scores() Scores {
	s := Scores{{Name: "overall_f1", Value: r.Micro.F1}, {Name: "overall_precision", Value: r.Micro.Precision},
		{Name: "overall_recall", Value: r.Micro.Recall}, {Name: "overall_accuracy", Value: r.Accuracy}}
	if len(r.Types) == 0 {
		for i := range s[:3] {
			s[i].Note = "by convention: there are no entities"
		}
	}
	return s
}
