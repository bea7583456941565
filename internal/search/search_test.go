package search

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/numeric"
)

// random makes vectors, some of them twice, some zeros.
func random(r *rand.Rand, n, width int) []float32 {
	data := make([]float32, n*width)
	for i := range n {
		row := data[i*width : (i+1)*width]
		switch {
		case i > 0 && r.IntN(4) == 0:
			copy(row, data[r.IntN(i)*width:][:width])
		case r.IntN(20) == 0:
		default:
			length := math.Exp(8 * r.NormFloat64())
			for j := range row {
				row[j] = float32(length * r.NormFloat64())
			}
		}
	}
	return data
}

// plain searches by the definition: a chain of FMAs over ascending values, times the inverse length.
func plain(queries [][]float32, data []float32, width, k int, ties func(a, b int) int, keep func(q int, h Hit) bool) (out [][]Hit) {
	for q, v := range queries {
		u := make([]float32, width)
		unit(u, v)
		var hits []Hit
		for d := range len(data) / width {
			x, sum := data[d*width:(d+1)*width], float32(0)
			for i := range u {
				sum = numeric.FMA(x[i], u[i], sum)
			}
			generic, _ := kernel.Select("generic")
			h := Hit{d, sum * scaleOf(generic, x)}
			if h.Score != h.Score {
				h.Score = float32(math.Inf(-1))
			}
			if keep == nil || keep(q, h) {
				hits = append(hits, h)
			}
		}
		slices.SortFunc(hits, func(a, b Hit) int { return cmp.Or(cmp.Compare(b.Score, a.Score), ties(a.Index, b.Index)) })
		out = append(out, hits[:min(k, len(hits))])
	}
	return out
}

// The best are those of the definition, in bits, whatever the number of queries, of threads, and of calls of Add, and whatever the kernels.
func TestSearchIsTheDefinition(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		width, n, nq, k := 1+r.IntN(70), r.IntN(700), 1+r.IntN(150), 1+r.IntN(12)
		if seed%2 == 0 {
			nq = 1 + r.IntN(4)
		}
		data := random(r, n, width)
		if seed%5 == 0 && n > 10 {
			data[r.IntN(len(data))] = float32(math.NaN())
		}
		var queries [][]float32
		for range nq {
			queries = append(queries, random(r, 2, width)[:width])
		}
		var ties func(a, b int) int
		order := cmp.Compare[int]
		if seed%3 == 0 {
			ties = func(a, b int) int { return cmp.Compare(b, a) }
			order = ties
		}
		var keep func(q int, h Hit) bool
		if seed%3 == 1 {
			keep = func(q int, h Hit) bool { return (q+h.Index)%3 > 0 && h.Score < 0.5 }
		}
		want := plain(queries, data, width, k, order, keep)
		for _, set := range kernel.Available() {
			for threads := 1; threads <= 3; threads += 2 {
				dev, err := cpu.New(set, threads)
				if err != nil {
					t.Fatal(err)
				}
				b := New(dev, queries, Options{K: k, Ties: ties, Keep: keep})
				for at := 0; at < n; {
					m := min(n-at, 1+r.IntN(n))
					b.Add(NewVectors(dev, data[at*width:(at+m)*width], width))
					at += m
				}
				got := b.Hits()
				dev.Close()
				for q := range want {
					if len(want[q]) != len(got[q]) || len(want[q]) > 0 && !reflect.DeepEqual(got[q], want[q]) {
						t.Fatalf("seed %d, %s, %d threads, %d x %d, query %d of %d:\n%v, want\n%v", seed, set, threads, n, width, q, nq, got[q], want[q])
					}
				}
			}
		}
	}
}

// A value that is no number is found; lengths are those of rows whose squares no float32 holds, too.
func TestVectors(t *testing.T) {
	dev, err := cpu.New("", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	v := NewVectors(dev, []float32{1, 0, 3e30, 4e30, 3e-30, 4e-30, 0, 0, 1e-45, 0}, 2)
	if got := fmt.Sprint(v.scales); got != "[1 2e-31 2e+29 0 0]" || v.Broken() != -1 {
		t.Error(got, v.Broken())
	}
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		if v := NewVectors(dev, []float32{1, 1, 1, float32(x)}, 2); v.Broken() != 1 {
			t.Error(v.Broken())
		}
	}
}

// The score of a pair is the one that it has as a document.
func TestScore(t *testing.T) {
	dev, err := cpu.New("", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	r := rand.New(rand.NewPCG(1, 1))
	data := random(r, 100, 33)
	var queries [][]float32
	for i := range 70 {
		queries = append(queries, data[i*33:(i+1)*33])
	}
	b := New(dev, queries, Options{K: 100})
	b.Add(NewVectors(dev, data, 33))
	for q, hits := range b.Hits() {
		for _, h := range hits {
			if s := b.Score(q, data[h.Index*33:(h.Index+1)*33]); s != h.Score {
				t.Errorf("%v, want %v", s, h.Score)
			}
		}
	}
}
