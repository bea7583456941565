package dataset

import (
	"errors"
	"fmt"
	"strconv"
)

var errNoLabel = errors.New(`no label ("-")`)

// maxChoices bounds the choices of one example: each is a pass through the model.
const maxChoices = 100

// choiceIndex reads which choice is right: an index from 0, or a letter from A.
func choiceIndex(s string) (int, error) {
	if len(s) == 1 && s[0] >= 'A' && s[0] <= 'Z' {
		return int(s[0] - 'A'), nil
	}
	if n, err := strconv.Atoi(s); err == nil {
		return n, nil
	}
	if s == "" {
		return 0, errors.New("no label")
	}
	return 0, fmt.Errorf("%q is neither the index of a choice, from 0, nor its letter", short(s))
}

// addChoice adds an example of the kind Choice. where names it, for errors.
func (r *reader) addChoice(e Example, where string) error {
	switch n := len(e.Choices); {
	case n < 2:
		return fmt.Errorf("%s: %d choices; there must be two at least", where, n)
	case n > maxChoices:
		return fmt.Errorf("%s: %d choices; the limit is %d", where, n, maxChoices)
	case e.Label < -1 || e.Label >= n || e.Label == -1 && r.set.Split != Test:
		return fmt.Errorf("%s: the right choice is %d; there are %d choices, counted from 0", where, e.Label, n)
	}
	if err := r.unique(&e, where); err != nil {
		return err
	}
	return r.add(e)
}
