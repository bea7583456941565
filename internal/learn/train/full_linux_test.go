package train

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"albert/internal/run"
)

// The same with a file system that really is full; it needs the right to mount one.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1200k"); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	c := testConfig(dir)
	said := messages(&c)
	s := newSquares(8, 20_000) // a checkpoint of 240 kB
	if err := Run(t.Context(), c, s.params, s); err == nil || !strings.Contains(err.Error(), "free some") {
		t.Errorf("a disk too small for one checkpoint: %v\n%s", err, said)
	}
	if err := syscall.Mount("", dir, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	// The disk fills up to the last byte just when the third checkpoint is written; later there is space again.
	ballast := filepath.Join(dir, "ballast")
	saves := 0
	s.onLeaf = func(step, _, _ int) {
		if step == 14 {
			os.Remove(ballast)
		}
	}
	err := start(t.Context(), &c, s.params, s, func(point string) error {
		if point != "write "+run.WeightsFile {
			return nil
		}
		if saves++; saves == 3 {
			f, err := os.Create(ballast)
			if err != nil {
				return err
			}
			for err == nil {
				_, err = f.Write(make([]byte, 1<<10))
			}
			return f.Close()
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if !strings.Contains(said.String(), "the disk has") || !strings.Contains(said.String(), "no space left on device") {
		t.Errorf("no warnings:\n%s", said)
	}
	rows := logRows(t, dir)
	if len(rows) != 24 {
		t.Errorf("%d rows:\n%s", len(rows), strings.Join(rows, "\n"))
	}
	steps, err := run.Dir(dir).Checkpoints()
	if err != nil || !slices.Contains(steps, 20) {
		t.Errorf("checkpoints %v, %v", steps, err)
	}
}
