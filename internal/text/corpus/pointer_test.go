package corpus

import (
	"strings"
	"testing"
)

// A Git LFS pointer in place of a text is named as what it is.
func TestPointer(t *testing.T) {
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
	for _, name := range []string{"x.txt", "x.jsonl", "x.parquet", "x.tar", "x.txt.zst"} {
		dir := write(t, name, pointer)
		if _, _, err := read(ReadOptions{}, dir+"/"+name); err == nil || !strings.HasSuffix(err.Error(), name+": a Git LFS pointer, not the file: git lfs pull") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
