package bench

import (
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/infer"
)

// A fraction of the peak is of the peak that the report has, however many precisions are measured one after another.
func TestFractionsOfPeak(t *testing.T) {
	for _, list := range [][]infer.Precision{{infer.FP32, infer.Int8, cpu.BF16}, {infer.Int8, infer.FP32}} {
		r, err := Run(t.Context(), Options{Work: []string{"gemm-8x64x64"}, Threads: []int{1}, Precisions: list})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Work) != len(list) || r.PeakGflops["1"] == 0 || r.PeakGflops["1"] != r.Peaks[infer.FP32]["1"] {
			t.Errorf("%v: %+v", list, r)
		}
		for _, w := range r.Work {
			if want := w.Gflops / r.Peaks[infer.Precision(w.Precision)]["1"]; w.FractionOfPeak != want {
				t.Errorf("%v: %s: %v of the peak, want %v", list, w.Precision, w.FractionOfPeak, want)
			}
		}
	}
}
