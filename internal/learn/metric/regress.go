package metric

import (
	"fmt"
	"math"
	"slices"
)

// MSE is the mean squared error.
func MSE(gold, predicted []float64) (float64, error) {
	return meanError("mse", gold, predicted, func(d float64) float64 { return float64(d * d) })
}

// MAE is the mean absolute error.
func MAE(gold, predicted []float64) (float64, error) {
	return meanError("mae", gold, predicted, math.Abs)
}

func meanError(name string, gold, predicted []float64, f func(float64) float64) (float64, error) {
	if err := finite(name, gold, predicted); err != nil {
		return 0, err
	}
	s := 0.0
	for i, g := range gold {
		s += f(g - predicted[i])
	}
	s /= float64(len(gold))
	if math.IsInf(s, 0) {
		return 0, &Undefined{name, "the errors are too large for a float64"}
	}
	return s, nil
}

// finite checks two slices of numbers; a NaN or an infinity makes the metric undefined.
func finite(name string, gold, predicted []float64) error {
	if err := sameLength(name, len(gold), len(predicted)); err != nil {
		return err
	}
	for what, x := range [][]float64{gold, predicted} {
		for i, v := range x {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return &Undefined{name, fmt.Sprintf("the %s of example %d is %v", [...]string{"label", "prediction"}[what], i, v)}
			}
		}
	}
	return nil
}

// Pearson is the correlation coefficient, in [-1, 1]. It is undefined for fewer than two examples and where either slice is constant.
func Pearson(gold, predicted []float64) (float64, error) {
	return correlation("pearson", gold, predicted, func(x []float64) []float64 { return x })
}

// Spearman is the correlation of ranks, in [-1, 1]; equal values share the mean of their ranks. It is undefined where [Pearson] is.
func Spearman(gold, predicted []float64) (float64, error) {
	return correlation("spearmanr", gold, predicted, ranks)
}

func correlation(name string, gold, predicted []float64, transform func([]float64) []float64) (float64, error) {
	if err := finite(name, gold, predicted); err != nil {
		return 0, err
	}
	if len(gold) == 1 {
		return 0, &Undefined{name, "there is only one example"}
	}
	for what, x := range [][]float64{gold, predicted} {
		if slices.Min(x) == slices.Max(x) {
			return 0, &Undefined{name, fmt.Sprintf("all %s are %v", [...]string{"labels", "predictions"}[what], x[0])}
		}
	}
	x, y := unit(transform(gold)), unit(transform(predicted))
	r := 0.0
	for i := range x {
		r += float64(x[i] * y[i])
	}
	if math.IsNaN(r) {
		return 0, &Undefined{name, "the values are too large for a float64"}
	}
	r = min(max(r, -1), 1)
	if len(x) == 2 {
		r = math.Round(r)
	}
	return r, nil
}

// unit moves values to mean 0 and length 1. They are divided by the largest before they are squared, lest the squares overflow.
func unit(x []float64) []float64 {
	mean := 0.0
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	u := make([]float64, len(x))
	largest := 0.0
	for i, v := range x {
		u[i] = v - mean
		largest = max(largest, math.Abs(u[i]))
	}
	squares := 0.0
	for _, v := range u {
		v /= largest
		squares += float64(v * v)
	}
	norm := largest * math.Sqrt(squares)
	for i := range u {
		u[i] /= norm
	}
	return u
}

// ranks counts from 1 in ascending order; equal values get the mean of their ranks.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case x[a] < x[b]:
			return -1
		case x[a] > x[b]:
			return 1
		}
		return 0
	})
	r := make([]float64, len(x))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && x[order[to]] == x[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			r[i] = float64(from+1+to) / 2
		}
		from = to
	}
	return r
}
