package bench

import (
	"os"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/infer"
)

// A search is measured on a file that is gone afterwards; names that say no sizes are refused.
func TestSearchWork(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // Windows
	dev, err := cpu.New("", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	w, err := newWork("search-300x8-q3", dev, infer.FP32)
	if err != nil {
		t.Fatal(err)
	}
	w.read()
	if err := w.run(); err != nil || w.flops != 2*300*8*3 || w.bytes != 4*300*8 {
		t.Error(err, w.flops, w.bytes)
	}
	if err := w.done(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	for _, name := range []string{"search", "search-300x8", "search-300-q3", "search-300x8-qx"} {
		if _, err := newWork(name, dev, infer.FP32); err == nil {
			t.Error(name)
		}
	}
}
