package metric

import (
	"fmt"
	"math"
	"slices"
)

// Accuracy is the share of n examples whose predicted class is the true one.
func Accuracy(gold, predicted []int) (float64, error) {
	if err := sameLength("accuracy", len(gold), len(predicted)); err != nil {
		return 0, err
	}
	right := 0
	for i, g := range gold {
		if predicted[i] == g {
			right++
		}
	}
	return float64(right) / float64(len(gold)), nil
}

// F1 is the binary F1 of class 1, 2TP / (2TP + FP + FN); 0 where no example is or was called positive, as in scikit-learn.
func F1(gold, predicted []int) (float64, error) {
	if err := sameLength("f1", len(gold), len(predicted)); err != nil {
		return 0, err
	}
	var c counts
	for i, g := range gold {
		c.add(g == 1, predicted[i] == 1)
	}
	return c.f1(), nil
}

// PRF is a row of a report: precision, recall and F1 in [0, 1], and how many true examples (or entities) there are.
type PRF struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1-score"`
	Support   int     `json:"support"`
}

// counts are the numbers of one class: predicted rightly, predicted, true.
type counts struct{ hit, predicted, gold int }

func (c *counts) add(gold, predicted bool) {
	if gold && predicted {
		c.hit++
	}
	if gold {
		c.gold++
	}
	if predicted {
		c.predicted++
	}
}

func (c counts) f1() float64 {
	return ratio(2*float64(c.hit), float64(c.gold+c.predicted))
}

// prf gives the row of a report by scikit-learn's formulas.
func (c counts) prf() PRF {
	return PRF{ratio(float64(c.hit), float64(c.predicted)), ratio(float64(c.hit), float64(c.gold)), c.f1(), c.gold}
}

// averages gives the row of the summed counts, and the plain and the weighted mean of the rows; zeros without classes.
func averages(classes []counts, row func(counts) PRF) (rows []PRF, micro, macro, weighted PRF) {
	var all counts
	for _, c := range classes {
		rows = append(rows, row(c))
		all.hit += c.hit
		all.gold += c.gold
		all.predicted += c.predicted
	}
	if len(rows) == 0 {
		return
	}
	micro = row(all)
	macro.Support, weighted.Support = all.gold, all.gold
	x := make([]float64, len(rows))
	for _, f := range []struct {
		from            func(PRF) float64
		macro, weighted *float64
	}{
		{func(r PRF) float64 { return r.Precision }, &macro.Precision, &weighted.Precision},
		{func(r PRF) float64 { return r.Recall }, &macro.Recall, &weighted.Recall},
		{func(r PRF) float64 { return r.F1 }, &macro.F1, &weighted.F1},
	} {
		for i, r := range rows {
			x[i] = f.from(r)
		}
		*f.macro = sum(x) / float64(len(x))
		for i, r := range rows {
			x[i] *= float64(r.Support)
		}
		*f.weighted = ratio(sum(x), float64(all.gold))
	}
	return
}

// ClassReport is what scikit-learn's classification_report tells: a row for each class and the averages over classes.
type ClassReport struct {
	Labels   []int   `json:"labels"` // every class that is true or predicted somewhere, ascending
	Classes  []PRF   `json:"classes"`
	Accuracy float64 `json:"accuracy"`
	Micro    PRF     `json:"micro avg"`
	Macro    PRF     `json:"macro avg"`
	Weighted PRF     `json:"weighted avg"`
}

// Report gives precision, recall and F1 of each class. Like scikit-learn it averages over the classes that occur in either slice;
// precision, recall or F1 with nothing to divide by is 0.
func Report(gold, predicted []int) (*ClassReport, error) {
	if err := sameLength("f1", len(gold), len(predicted)); err != nil {
		return nil, err
	}
	labels, classes := classCounts(gold, predicted)
	r := &ClassReport{Labels: labels}
	right := 0
	for _, c := range classes {
		right += c.hit
	}
	r.Accuracy = float64(right) / float64(len(gold))
	r.Classes, r.Micro, r.Macro, r.Weighted = averages(classes, counts.prf)
	return r, nil
}

// classCounts gives the classes that occur in either slice, ascending, and the counts of each.
func classCounts(gold, predicted []int) (labels []int, classes []counts) {
	labels = slices.Compact(slices.Sorted(slices.Values(slices.Concat(gold, predicted))))
	classes = make([]counts, len(labels))
	for i, g := range gold {
		p := predicted[i]
		gi, _ := slices.BinarySearch(labels, g)
		pi, _ := slices.BinarySearch(labels, p)
		classes[gi].gold++
		classes[pi].predicted++
		if g == p {
			classes[gi].hit++
		}
	}
	return labels, classes
}

// Confusion counts examples in [true][predicted], classes rows and columns. A class outside 0 .. classes-1 is an error that names the
// example, counted from 0.
func Confusion(gold, predicted []int, classes int) ([][]int, error) {
	if len(gold) != len(predicted) {
		return nil, fmt.Errorf("confusion matrix: %d predictions for %d examples", len(predicted), len(gold))
	}
	if classes < 1 {
		return nil, fmt.Errorf("confusion matrix: %d classes", classes)
	}
	m := make([][]int, classes)
	for i := range m {
		m[i] = make([]int, classes)
	}
	for i, g := range gold {
		p := predicted[i]
		if g < 0 || g >= classes {
			return nil, fmt.Errorf("confusion matrix: example %d: label %d is not one of %d classes", i, g, classes)
		}
		if p < 0 || p >= classes {
			return nil, fmt.Errorf("confusion matrix: example %d: prediction %d is not one of %d classes", i, p, classes)
		}
		m[g][p]++
	}
	return m, nil
}

// Matthews is the Matthews correlation of any number of classes (Gorodkin's R_K), in [-1, 1]. Where either slice has one class only the
// denominator is 0, and so is the result, as in scikit-learn.
func Matthews(gold, predicted []int) (float64, error) {
	if err := sameLength("matthews_correlation", len(gold), len(predicted)); err != nil {
		return 0, err
	}
	_, classes := classCounts(gold, predicted)
	// Every number is whole; float64 holds them exactly up to 94 million examples.
	n := float64(len(gold))
	var right, tp, pp, tt float64
	for _, c := range classes {
		t, p := float64(c.gold), float64(c.predicted)
		right += float64(c.hit)
		tp += float64(t * p)
		pp += float64(p * p)
		tt += float64(t * t)
	}
	square := float64(n * n)
	cov := float64(right*n) - tp
	denominator := (square - pp) * (square - tt)
	if denominator == 0 {
		return 0, nil
	}
	return cov / math.Sqrt(denominator), nil
}

// oneClass gives the only class of a slice.
func oneClass(x []int) (int, bool) {
	for _, v := range x {
		if v != x[0] {
			return 0, false
		}
	}
	return x[0], true
}
