package kernel

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fences gives memory between pages that fault: the values lie against the page behind them, or right after the one before.
type fences struct {
	t     *testing.T
	atEnd bool
	maps  [][]byte
}

func (f *fences) place(x []float32) (view, all []float32) {
	page := unix.Getpagesize()
	size := (4*len(x) + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		f.t.Fatal(err)
	}
	f.maps = append(f.maps, m)
	for _, p := range [][]byte{m[:page], m[page+size:]} {
		if err := unix.Mprotect(p, unix.PROT_NONE); err != nil {
			f.t.Fatal(err)
		}
	}
	if len(x) == 0 {
		return x, x
	}
	at := page
	if f.atEnd {
		at += size - 4*len(x)
	}
	view = unsafe.Slice((*float32)(unsafe.Pointer(&m[at])), len(x))
	copy(view, x)
	return view, nil
}

func (f *fences) free() {
	for _, m := range f.maps {
		if err := unix.Munmap(m); err != nil {
			f.t.Fatal(err)
		}
	}
	f.maps = nil
}

// touching runs f and fails where it touches a fence.
func touching(t *testing.T, what string, f func()) {
	t.Helper()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("%s: %v", what, r)
		}
	}()
	f()
}

// TestPageEnds: no function reads or writes across the ends of its slices, were the next byte on a page that is not there.
func TestPageEnds(t *testing.T) {
	lengths := []int{1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 1000}
	for _, s := range sets {
		for _, atEnd := range []bool{false, true} {
			f := &fences{t: t, atEnd: atEnd}
			for _, n := range lengths {
				touching(t, fmt.Sprintf("%s, row functions of %d values", s.Name, n), func() { rowFunctions(s, n, 3, false, f.place) })
				f.free()
			}
			rng := rand.New(rand.NewPCG(9, 9))
			values := func(n int) []float32 {
				v, _ := f.place(randomValues(rng, n, 1, false))
				return v
			}
			for m := 1; m <= 30; m++ {
				k, n := 1+rng.IntN(20), 1+rng.IntN(100)
				if m%10 == 0 {
					k = 800
				}
				for _, init := range []Init{Zero, Bias, Accumulate} {
					touching(t, fmt.Sprintf("%s, [%d,%d] x [%d,%d]", s.Name, m, k, k, n), func() {
						p := &Panels{K: k, N: n, Data: values(s.PanelsLen(k, n))}
						panels := (n + s.NR - 1) / s.NR
						w := values(k * n)
						s.PackRows(p, w, n, 0, panels)
						s.PackCols(p, w, k, 0, panels)
						s.Transpose(values(k*n), k, w, n, k, n)
						s.Gemm(m, values(m*k), k, p, 0, panels, values(m*n), n, values(n), init)
					})
					f.free()
				}
			}
		}
	}
}
