package task

import (
	"math"
	"testing"

	"albert/internal/model"
	"albert/tokenizer"
)

// Equal texts with unequal answers have a loss that no model is below; other examples have none.
func TestBound(t *testing.T) {
	text := func(ids ...int32) []tokenizer.Encoding {
		return []tokenizer.Encoding{{IDs: ids, Types: make([]int32, len(ids))}}
	}
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s: bound %v, want %v", what, got, want)
		}
	}
	o := &Objective{Kind: model.Classify, Model: &model.Model{}}
	near("classes", o.Bound([]Example{{Inputs: text(1), Label: 0}, {Inputs: text(1), Label: 1}, {Inputs: text(2), Label: 1}, {Inputs: text(3)}}), math.Ln2/2, 1e-12)
	near("no class twice", o.Bound([]Example{{Inputs: text(1), Label: 0}, {Inputs: text(2), Label: 1}}), 0, 0)
	o.Kind = model.Regress
	near("numbers", o.Bound([]Example{{Inputs: text(1), Values: []float32{1}}, {Inputs: text(1), Values: []float32{3}}, {Inputs: text(2), Values: []float32{9}}}), 2.0/3, 1e-12)
	o.Kind = model.MultiLabel
	near("labels", o.Bound([]Example{{Inputs: text(1), Values: []float32{1, 0}}, {Inputs: text(1), Values: []float32{0, 0}}}), math.Ln2/2, 1e-12)
	o.Kind = model.Tag
	near("tags", o.Bound([]Example{{Inputs: text(1), Tags: []int32{1}}, {Inputs: text(1), Tags: []int32{2}}}), math.Ln2, 1e-12)
	o.Kind = model.Answer
	near("answers", o.Bound([]Example{{Inputs: text(1), Start: 1, End: 2}, {Inputs: text(1), Start: 2, End: 2}}), math.Ln2/2, 1e-12)

	l := &VectorLoss{Loss: MNR, Scale: 20, Dimensions: []int{4}}
	near("one anchor, two positives", l.Bound([]Example{{Texts: []int32{1, 2}}, {Texts: []int32{1, 3}}, {Texts: []int32{4, 5}}, {Texts: []int32{6, 7}}}), math.Ln2/2, 1e-12)
	l.Loss = CoSENT
	two := []Example{{Values: []float32{0}}, {Values: []float32{1}}}
	near("two scores", l.Bound(two), math.Log1p(math.Exp(-40)), 1e-9)
	three := append(two, Example{Values: []float32{2}}) // the middle one at 0, by symmetry
	near("three scores", l.Bound(three), math.Log(1+2*math.Exp(-20)+math.Exp(-40)), 1e-8)
	l.Scale = 1
	near("three scores, scale 1", l.Bound(three), math.Log(1+2*math.Exp(-1)+math.Exp(-2)), 1e-6)
}
