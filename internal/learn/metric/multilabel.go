package metric

import "fmt"

// MultiLabelReport is of examples that each have any number of labels.
type MultiLabelReport struct {
	Labels         []PRF   `json:"labels"` // a row for each label
	SubsetAccuracy float64 `json:"subset_accuracy"`
	Micro          PRF     `json:"micro avg"`
	Macro          PRF     `json:"macro avg"`
	Weighted       PRF     `json:"weighted avg"`
}

// MultiLabel compares [examples][labels]. Subset accuracy is the share of examples whose labels are all right. Nothing to divide by gives
// 0, as in scikit-learn.
func MultiLabel(gold, predicted [][]bool) (*MultiLabelReport, error) {
	if err := sameLength("f1", len(gold), len(predicted)); err != nil {
		return nil, err
	}
	classes := make([]counts, len(gold[0]))
	if len(classes) == 0 {
		return nil, &Undefined{"f1", "there are no labels"}
	}
	right := 0
	for i, g := range gold {
		p := predicted[i]
		if len(g) != len(classes) || len(p) != len(classes) {
			return nil, fmt.Errorf("multi-label f1: example %d: %d true and %d predicted values for %d labels", i, len(g), len(p), len(classes))
		}
		same := true
		for k := range g {
			classes[k].add(g[k], p[k])
			same = same && g[k] == p[k]
		}
		if same {
			right++
		}
	}
	r := &MultiLabelReport{SubsetAccuracy: float64(right) / float64(len(gold))}
	r.Labels, r.Micro, r.Macro, r.Weighted = averages(classes, counts.prf)
	return r, nil
}

// Scores are the report's names and values for a command to print.
func (r *MultiLabelReport) Scores() Scores {
	return Scores{{Name: "f1_micro", Value: r.Micro.F1}, {Name: "f1_macro", Value: r.Macro.F1}, {Name: "subset_accuracy", Value: r.SubsetAccuracy}}
}
