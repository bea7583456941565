package pytorch

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// Whatever the bytes, a file is refused or can be read, written and read again with the same tensors.
func FuzzOpen(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.pt")
	if err != nil || len(paths) == 0 {
		f.Fatal("no files", err)
	}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, p := range golden[struct{ Program string }](f, "programs.json") {
		text, _ := hex.DecodeString(p.Program)
		f.Add([]byte(legacyHead + string(text) + legacyNone))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(data)
		if err != nil {
			return
		}
		for _, n := range file.Names() {
			if _, err := file.Tensor(n); err != nil {
				return // a checksum, or what does not inflate
			}
			_, _, _ = file.Float32(n)
		}
		tensors := all(t, file)
		var out bytes.Buffer
		if err := WriteTo(&out, tensors); err != nil {
			t.Fatal(err)
		}
		again, err := parse(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range all(t, again) {
			if y := tensors[i]; x.Name != y.Name || x.DType != y.DType || !bytes.Equal(x.Data, y.Data) {
				t.Fatalf("%v became %v", y, x)
			}
		}
	})
}
