// Package metric measures answers against the truth, with the official metrics of GLUE, SQuAD and RACE and those of tagging, regression and
// multi-label tasks, and trec_eval's for ranked documents, reranked ones too: accuracy, F1, Matthews, Pearson, Spearman, exact match, entity F1, calibration error.
//
// Each metric is a function over slices, the truth first. What commands print are [Scores]: values under their official names, in order.
//
//	s, err := metric.Classify("mrpc", labels, gold, predicted)
//	...
//	fmt.Println(s) // accuracy 0.8675, f1 0.9043
//
// The values are those of scikit-learn, SciPy, seqeval and the SQuAD scripts, as parity/metrics.sh checks; testdata holds small cases, made by
// parity/metrics/make.py.
// A value that has no meaning (no examples, a correlation with a constant) is never NaN: it is an [Undefined] error that says why. Where
// the official scripts define such a value (Matthews and F1 are 0 when nothing can be divided), that value is given.
//
// It reads no files and knows no models. Sums are in float64 in a fixed order, so that results do not depend on the machine.
package metric

import (
	"errors"
	"fmt"
)

// Undefined is the error of a metric that has no value for its input: a fact about the data, not a fault.
type Undefined struct {
	Metric  string // its official name
	Because string
}

func (u *Undefined) Error() string { return u.Metric + " is undefined, because " + u.Because }

// sameLength checks that there are as many predictions as true values, and at least one. name is the metric's, for the error.
func sameLength(name string, gold, predicted int) error {
	if gold != predicted {
		return fmt.Errorf("%s: %d predictions for %d examples", name, predicted, gold)
	}
	if gold == 0 {
		return &Undefined{name, "there are no examples"}
	}
	return nil
}

// isUndefined tells whether an error is an [Undefined] one, and gives its reason.
func isUndefined(err error) (string, bool) {
	if u, ok := errors.AsType[*Undefined](err); ok {
		return u.Because, true
	}
	return "", false
}

// sum adds in NumPy's order, so that averages over classes agree with scikit-learn's and seqeval's to the last digit: up to 7 values one
// after another, up to 128 in 8 running sums, longer slices as the sum of their two halves.
func sum(x []float64) float64 {
	n := len(x)
	if n < 8 {
		s := 0.0
		for _, v := range x {
			s += v
		}
		return s
	}
	if n > 128 {
		half := n / 2
		half -= half % 8
		return sum(x[:half]) + sum(x[half:])
	}
	r := [8]float64(x)
	i := 8
	for ; i+8 <= n; i += 8 {
		for j := range r {
			r[j] += x[i+j]
		}
	}
	s := ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
	for ; i < n; i++ {
		s += x[i]
	}
	return s
}

// ratio is a/b, and 0 where b is 0: the convention of scikit-learn and seqeval for precision, recall and F1.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
