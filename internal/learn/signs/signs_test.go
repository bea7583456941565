package signs

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"albert/internal/learn/train"
)

// Each sign is said once, at the step where it shows, and a run that learns is not warned of.
func TestSignsOfNotLearning(t *testing.T) {
	advice := func(s Sign) string { return fmt.Sprint("advice ", int(s)) }
	for _, x := range []struct {
		what       string
		loss, norm func(step int) float64
		want       string
		at         int
	}{
		{"learning", func(s int) float64 { return 0.69 / (1 + float64(s)/100) }, func(int) float64 { return 2 }, "", 0},
		{"learned", func(s int) float64 { return 1e-6 }, func(int) float64 { return 1e-6 }, "", 0},
		{"chance", func(s int) float64 { return 0.69 }, func(int) float64 { return 2 }, "is that of guessing", 111},
		{"collapse", func(s int) float64 {
			if s > 500 {
				return 0.7
			}
			return 0.3
		}, func(int) float64 { return 2 }, "is that of guessing", 548},
		{"exploding", func(s int) float64 { return 0.5 }, func(s int) float64 { return float64(s * s) }, "explodes", 50},
		{"one bad example", func(s int) float64 { return 0.5 }, func(s int) float64 {
			if s%50 == 0 {
				return 1e5
			}
			return 1
		}, "", 0},
		{"diverging", func(s int) float64 { return 2 }, func(int) float64 { return 2 }, "is far above", 50},
		{"vanished", func(s int) float64 { return 0.65 }, func(s int) float64 { return 1e-5 }, "vanished", 50},
	} {
		w := &Watch{Loss: "loss", Guess: math.Ln2, Guessing: "guessing", Uniform: math.Ln2, From: 110, Steps: 1000, Advice: advice}
		var got []string
		for step := 1; step <= 1000; step++ {
			warning, err := w.After(train.Fields{{Name: "step", Value: step}, {Name: "loss", Value: x.loss(step)}, {Name: "grad_norm", Value: x.norm(step)}})
			if err != nil {
				t.Fatal(err)
			}
			if warning != "" {
				got = append(got, warning)
			}
		}
		switch {
		case x.want == "" && len(got) > 0, x.want != "" && (len(got) != 1 || !strings.Contains(got[0], x.want) || !strings.Contains(got[0], fmt.Sprintf("step %d ", x.at))):
			t.Errorf("%s: %q", x.what, got)
		}
	}
	w := &Watch{Loss: "loss", From: 110, Constant: true, Advice: advice}
	for _, step := range []int{100, 200, 300} {
		warning, _ := w.After(train.Fields{{Name: "step", Value: step}, {Name: "split", Value: "dev"}})
		if (warning != "") != (step == 200) {
			t.Errorf("constant predictions, step %d: %q", step, warning)
		}
	}
}

// Pretraining is told of a sentence loss that stays at chance from half of the run on, unless masked pieces are not learned either.
func TestOrderIsNotLearned(t *testing.T) {
	for _, x := range []struct {
		masked, order float64
		steps, at     int
	}{{5, 0.6931, 1000, 500}, {5, 0.685, 1000, 0}, {6.1, 0.6931, 1000, 0}, {5, 0.70, 60_000, 30_000}, {5, 0.6931, 60, 0}} {
		w := &Watch{Loss: "mlm_loss", Guess: 6.2, Guessing: "x", From: 100, Steps: x.steps, Advice: func(Sign) string { return "advice" }}
		at, times := 0, 0
		for step := 1; step <= x.steps; step++ {
			warning, err := w.After(train.Fields{{Name: "step", Value: step}, {Name: "mlm_loss", Value: x.masked}, {Name: "sop_loss", Value: x.order}, {Name: "grad_norm", Value: 1.0}})
			if strings.Contains(warning, "order of sentences") {
				times++
				at = step
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if at != x.at || times > 1 {
			t.Errorf("%+v: said %d times, at step %d", x, times, at)
		}
	}
}
