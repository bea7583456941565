package metric

import (
	"fmt"
	"math"
)

// CalibrationBins is the number of bins of the expected calibration error, as in Guo et al. 2017 (arXiv 1706.04599).
const CalibrationBins = 15

// Bin is a row of the reliability table: the examples with a confidence in (Low, High], the first bin with its lower edge.
type Bin struct {
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Count      int     `json:"count"`
	Confidence float64 `json:"confidence"` // mean; 0 in an empty bin
	Accuracy   float64 `json:"accuracy"`   // share of right answers; 0 in an empty bin
}

// CalibrationReport tells whether scores mean what they say.
type CalibrationReport struct {
	ECE  float64              `json:"ece"` // expected calibration error, in [0, 1]
	Bins [CalibrationBins]Bin `json:"bins"`
}

// Calibration gives the expected calibration error over 15 bins of equal width: the mean distance of accuracy from confidence, weighted by
// the examples in each bin. confidence is each example's highest score, in [0, 1]; correct tells whether its answer is right.
func Calibration(confidence []float64, correct []bool) (*CalibrationReport, error) {
	if err := sameLength("ece", len(correct), len(confidence)); err != nil {
		return nil, err
	}
	r := &CalibrationReport{}
	for i := range r.Bins {
		r.Bins[i].Low, r.Bins[i].High = float64(i)/CalibrationBins, float64(i+1)/CalibrationBins
	}
	var right [CalibrationBins]int
	for i, c := range confidence {
		if !(c >= 0 && c <= 1) {
			return nil, fmt.Errorf("ece: example %d: confidence %v is not in [0, 1]", i, c)
		}
		b := 0
		for c > r.Bins[b].High {
			b++
		}
		r.Bins[b].Count++
		r.Bins[b].Confidence += c
		if correct[i] {
			right[b]++
		}
	}
	for i := range r.Bins {
		b := &r.Bins[i]
		if b.Count == 0 {
			continue
		}
		n := float64(b.Count)
		b.Confidence /= n
		b.Accuracy = float64(right[i]) / n
		r.ECE += float64(math.Abs(b.Accuracy-b.Confidence) * (n / float64(len(correct))))
	}
	return r, nil
}
