package cpu

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20

// hugeBytes is what hugeFloats takes for n values.
func hugeBytes(n int) int {
	if n*4 < hugePage {
		return n * 4
	}
	return n*4 + hugePage
}

// hugeFloats gives n zeroed values; large ones start on a 2 MB boundary and ask for huge pages, since a packed weight is read from
// end to end again and again. Memory of the Go heap, so that it is freed with its last use.
func hugeFloats(n int) []float32 {
	if n*4 < hugePage {
		return make([]float32, n)
	}
	s := make([]float32, n+hugePage/4)
	skip := int(-uintptr(unsafe.Pointer(&s[0]))&(hugePage-1)) / 4
	s = s[skip : skip+n : skip+n]
	b := unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), n*4/hugePage*hugePage)
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // advice: without it the values are the same
	return s
}

// giveBack gives the pages of s back to the system now; its values become 0. It is for memory that nothing uses and the garbage collector has yet
// to find.
func giveBack(s []float32) {
	page := os.Getpagesize()
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), 4*len(s))
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & uintptr(page-1))
	if n := (len(b) - skip) / page * page; n > 0 {
		_ = unix.Madvise(b[skip:skip+n], unix.MADV_DONTNEED)
	}
}
