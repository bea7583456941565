package model_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/cpu/kernel"
	"albert/internal/model"
)

// goldenBF16 guard the bits of bf16's two rules: two layers of base's width on eight sequences, the encoder's output and three pieces' logits.
var goldenBF16 = map[cpu.Precision]string{
	cpu.BF16Tile: "a48c3164c511711a9cb2b1699911eafb4d7c298101cb25f39877ab28815e3a44",
	cpu.BF16Dot:  "dc563e58ee0929f5afdcd094e0e7aa879facaa8c720585330502383c157e49c9",
}

// Every kernel gives the same bits on any number of threads, and a sequence the same alone as among others.
func TestBF16Bits(t *testing.T) {
	c, _ := model.NamedConfig("base")
	c.NumHiddenLayers, c.VocabSize, c.InitializerRange = 2, 100, 0.05
	m := model.New(c, 1)
	b := lengthsBatch([]int{2, 1, 3, 1, 2, 1, 2, 34}, c.VocabSize)
	for precision, golden := range goldenBF16 {
		for _, set := range kernel.Available() {
			for _, threads := range []int{1, 2, 7} {
				if set == "generic" && (threads != 2 || testing.Short()) {
					continue // it takes seconds
				}
				dev, err := device(t, set, threads).In(precision)
				if err != nil {
					t.Fatal(err)
				}
				hidden, logits := outputs(m, dev, b)
				if got := hashOf(hidden, logits); got != golden {
					t.Errorf("%s, %s, %d threads: %s, recorded %s", precision, set, threads, got, golden)
				}
				if set != "generic" && threads == 2 {
					sameAlone(t, string(precision)+", "+set, m, dev, b, hidden)
				}
			}
		}
	}
}

// bf16 is close to fp32 and not the same, and the two rules differ.
func TestBF16IsClose(t *testing.T) {
	c := tinyConfig()
	m := model.New(c, 1)
	dev := device(t, "", 1)
	b := lengthsBatch([]int{9, 40}, c.VocabSize)
	want, _ := outputs(m, dev, b)
	var both [][]float32
	for _, precision := range []cpu.Precision{cpu.BF16Tile, cpu.BF16Dot} {
		in, err := dev.In(precision)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := outputs(m, in, b)
		if cos := cosine(want, got); cos < 0.9999 || slices.Equal(got, want) {
			t.Errorf("%s: cosine %v", precision, cos)
		}
		both = append(both, got)
	}
	if slices.Equal(both[0], both[1]) {
		t.Error("both rules give the same")
	}
	if again, _ := outputs(m, dev, b); !slices.Equal(again, want) {
		t.Error("fp32 gives other bits beside bf16")
	}
}

// What bf16 would make infinite is refused by the tensor's name.
func TestBF16Refuses(t *testing.T) {
	for _, v := range []float32{float32(math.Inf(1)), float32(math.NaN()), -3.3961776e38} {
		m := model.New(tinyConfig(), 1)
		m.Word.Data[7] = v
		if err := cpu.CheckBF16(m.Params); err == nil || !slices.Contains([]string{"+Inf", "NaN", "-3.3961775e+38"}, wordAfter(err.Error(), " is ")) {
			t.Errorf("%v: %v", v, err)
		}
	}
	m := model.New(tinyConfig(), 1)
	m.Word.Data[7] = 3.396e38 // rounds down
	if err := cpu.CheckBF16(m.Params); err != nil {
		t.Error(err)
	}
}

// wordAfter is the word of a text, up to a comma, that follows a mark.
func wordAfter(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	word, _, _ := strings.Cut(rest, ",")
	return word
}
