package train

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryThere(t *testing.T) {
	if n := availableMemory(); n < 1<<20 || n > 1<<50 {
		t.Errorf("%d bytes", n)
	}
	if n := numberOf("MemTotal: 7 kB\nMemAvailable:   123 kB\n", "MemAvailable:"); n != 123 {
		t.Errorf("%d", n)
	}
	if n := numberOf("MemAvailable:\nMemAvailable: x kB", "MemAvailable:"); n != 0 {
		t.Errorf("%d", n)
	}
	write := func(root, path, text string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, self string
		files      map[string]string
		want       int64 // -1: no limit
	}{
		{"version 2, limit above", "0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "1000\n",
			"a/memory.current": "300\n", "a/memory.stat": "anon 100\ninactive_file 150\n"}, 850},
		{"version 1", "3:cpu:/x\n4:memory:/x\n0::/\n", map[string]string{"memory/x/memory.limit_in_bytes": "500",
			"memory/x/memory.usage_in_bytes": "100", "memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.usage_in_bytes": "7"}, 400},
		{"a container that sees its group at the root", "0::/far/away\n", map[string]string{"memory.max": "90", "memory.current": "20"}, 70},
		{"no limit", "0::/\n", map[string]string{"memory.max": "max"}, -1},
		{"nonsense", "what\n:::\n0::/\n", map[string]string{"memory.max": "many"}, -1},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			write(root, name, text)
		}
		write(root, "self", c.self)
		left, ok := groupMemory(root, filepath.Join(root, "self"))
		if ok != (c.want >= 0) || ok && left != c.want {
			t.Errorf("%s: %d, %v", c.name, left, ok)
		}
	}
}
