package cpu

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resident counts the pages of s that are in memory, where the system tells.
func resident(t *testing.T, s []float32) int {
	t.Helper()
	page := os.Getpagesize()
	count := func(b []byte) (n int) {
		in := make([]byte, len(b)/page)
		if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&in[0]))); e != 0 {
			t.Skip("mincore:", e)
		}
		for _, v := range in {
			n += int(v & 1)
		}
		return n
	}
	unused, err := unix.Mmap(-1, 0, page, unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(unused)
	if count(unused) > 0 {
		t.Skip("this system calls all memory resident")
	}
	skip := int(-uintptr(unsafe.Pointer(&s[0])) & uintptr(page-1))
	b := unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), 4*len(s))[skip:]
	return count(b[:len(b)/page*page])
}

// What a device gives up leaves memory at once, before any garbage collection; what it keeps stays.
func TestGivenUpBuffersLeaveMemory(t *testing.T) {
	d, err := New("", 1)
	if err != nil {
		t.Fatal(err)
	}
	x := d.New(1000, 1000)
	data := x.Data
	for i := range data {
		data[i] = 1
	}
	d.Free(x)
	if y := d.New(1000, 1000); &y.Data[0] != &data[0] || resident(t, data) == 0 {
		t.Fatal("a free buffer was not used again, or its pages are gone")
	} else {
		d.Free(y)
	}
	d.Close()
	if n := resident(t, data); n > 0 {
		t.Errorf("%d pages of a buffer that was given up are in memory", n)
	}
	z := d.New(1000, 1000)
	if n := resident(t, z.Data); n > 0 {
		t.Errorf("%d pages of a new buffer are in memory before they were written", n)
	}
	z.Row(999)[999] = 1
	d.Free(z)
}
