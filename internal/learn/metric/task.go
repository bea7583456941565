package metric

import (
	"fmt"
	"strconv"
)

// names are the official metrics of the tasks that [Classify] and [Regress] know; by the first one the best step of fine-tuning is chosen.
var names = map[string][]string{
	"cola": {"matthews_correlation"},
	"sst2": {"accuracy"}, "mnli": {"accuracy"}, "mnli-mm": {"accuracy"}, "qnli": {"accuracy"}, "rte": {"accuracy"}, "wnli": {"accuracy"},
	"ax":   {"matthews_correlation"},
	"mrpc": {"accuracy", "f1"}, "qqp": {"accuracy", "f1"},
	"stsb": {"pearson", "spearmanr"},
	"race": {"accuracy", "middle_accuracy", "high_accuracy"}, "choice": {"accuracy"},
	"squad1":   {"f1", "exact_match"},
	"squad2":   {"f1", "exact"},
	"classify": {"accuracy", "f1_macro", "matthews_correlation"}, "multilabel": {"f1_micro", "f1_macro", "subset_accuracy"},
	"regress": {"pearson", "spearmanr", "mse", "mae"},
	"rerank":  {"average_precision", "accuracy", "mrr@10", "ndcg@10"},
	"sts":     {"spearman_cosine", "pearson_cosine"}, "retrieval": {"ndcg@10", "mrr@10", "map@100", "recall@100"},
	"tag": {"overall_f1", "overall_precision", "overall_recall", "overall_accuracy"},
}

// Names gives the official metrics of a task, first the one by which the best step is chosen; nil for a task without any. mnli-mm is MNLI's
// mismatched half; classify, regress, multilabel, tag and choice are for data of one's own.
func Names(task string) []string { return append([]string(nil), names[task]...) }

// Classify gives the scores of a task with one class for each example: GLUE's (all but stsb), choice and classify. labels are the names of
// the classes, for notes; nil: their numbers.
func Classify(task string, labels []string, gold, predicted []int) (Scores, error) {
	s, err := measure(task, "classes", classMetrics, gold, predicted)
	for i := range s {
		s[i].note(labels, gold, predicted)
	}
	return s, err
}

// measure gives the official metrics of a task, all of which must be among metrics, functions of what by says.
func measure[T any](task, by string, metrics map[string]func(gold, predicted []T) (float64, error), gold, predicted []T) (Scores, error) {
	var s Scores
	for _, name := range names[task] {
		f := metrics[name]
		if f == nil {
			return nil, fmt.Errorf("task %s is not measured by %s", task, by)
		}
		v, err := f(gold, predicted)
		if err := s.add(name, v, err); err != nil {
			return nil, err
		}
	}
	if s == nil {
		return nil, fmt.Errorf("no metrics for task %q", task)
	}
	return s, nil
}

var classMetrics = map[string]func(gold, predicted []int) (float64, error){
	"accuracy": Accuracy, "f1": F1, "matthews_correlation": Matthews,
	"f1_macro": func(gold, predicted []int) (float64, error) {
		r, err := Report(gold, predicted)
		if err != nil {
			return 0, rename(err, "f1_macro")
		}
		return r.Macro.F1, nil
	},
}

// rename puts the name under which a metric is printed into the error of an undefined value.
func rename(err error, name string) error {
	if because, ok := isUndefined(err); ok {
		return &Undefined{name, because}
	}
	return err
}

// note explains a value of 0 that is given by convention, where the formula would divide by 0.
func (s *Score) note(labels []string, gold, predicted []int) {
	name := func(class int) string {
		if class < len(labels) {
			return labels[class]
		}
		return strconv.Itoa(class)
	}
	if s.Undefined != "" || s.Value != 0 {
		return
	}
	switch s.Name {
	case "matthews_correlation":
		if c, ok := oneClass(gold); ok {
			s.Note = fmt.Sprintf("by convention: all labels are %s", name(c))
		} else if c, ok := oneClass(predicted); ok {
			s.Note = fmt.Sprintf("by convention: all predictions are %s", name(c))
		}
	case "f1":
		var c counts
		for i, g := range gold {
			c.add(g == 1, predicted[i] == 1)
		}
		if c.gold+c.predicted == 0 {
			s.Note = "by convention: no label or prediction is " + name(1)
		}
	}
}

// Regress gives the scores of a task with a number for each example: stsb, regress, and sts, whose predictions are cosines.
func Regress(task string, gold, predicted []float64) (Scores, error) {
	return measure(task, "numbers", numberMetrics, gold, predicted)
}

var numberMetrics = map[string]func(gold, predicted []float64) (float64, error){
	"pearson": Pearson, "spearmanr": Spearman, "mse": MSE, "mae": MAE, "pearson_cosine": Pearson, "spearman_cosine": Spearman,
}

// RACE gives the accuracy over all questions, over those of middle and over those of high schools. gold and predicted are indexes of
// choices, high says of each question where it is from. A level without questions is undefined.
func RACE(gold, predicted []int, high []bool) (Scores, error) {
	if len(high) != len(gold) {
		return nil, fmt.Errorf("accuracy: levels of %d questions for %d examples", len(high), len(gold))
	}
	var s Scores
	v, err := Accuracy(gold, predicted)
	if err := s.add("accuracy", v, err); err != nil {
		return nil, err
	}
	for _, level := range []struct {
		name string
		high bool
	}{{"middle", false}, {"high", true}} {
		var g, p []int
		for i, h := range high {
			if h == level.high {
				g, p = append(g, gold[i]), append(p, predicted[i])
			}
		}
		v, err := Accuracy(g, p)
		if len(g) == 0 {
			err = &Undefined{level.name + "_accuracy", "there are no questions of " + level.name + " schools"}
		}
		if err := s.add(level.name+"_accuracy", v, err); err != nil {
			return nil, err
		}
	}
	return s, nil
}
