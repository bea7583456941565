package corpus

import (
	"errors"
	"maps"
	"path/filepath"
	"syscall"
	"testing"
)

// A disk that fills up ends the run with one clear error and whole shards; with more space it goes on from there. It needs the right to
// mount a file system.
func TestPrepareFullDisk(t *testing.T) {
	text := write(t, "a.txt", novel(500, 20))
	o := options(t, text)
	prepare(t, o)
	want := files(t, o.Output)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	o.Output = filepath.Join(disk, "shards")
	if _, err := Prepare(t.Context(), o); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("on a full disk: %v", err)
	}
	for name, sum := range files(t, o.Output) {
		if name != progressFile && want[name] != sum {
			t.Errorf("left behind: %s", name)
		}
	}
	if err := syscall.Mount("", disk, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	prepare(t, o)
	if got := files(t, o.Output); !maps.Equal(got, want) {
		t.Errorf("after the disk was full: %v, want %v", got, want)
	}
	o.Output = filepath.Join(disk, "other")
	if err := syscall.Mount("", disk, "tmpfs", syscall.MS_REMOUNT, "size=320k"); err == nil {
		o.ShardPieces = 1 << 30
		if _, err := Prepare(t.Context(), o); !errors.Is(err, syscall.ENOSPC) || len(files(t, o.Output)) != 0 {
			t.Errorf("on a full disk: %v, left %v", err, files(t, o.Output))
		}
	}
}
