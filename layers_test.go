package albert_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// layers lists the packages from top to bottom. An import points down, never up or sideways.
var layers = []string{
	"albert/cmd/albert",
	"albert/internal/quickstart",
	"albert/bench",
	"albert/parity/tokenizer/pairs",
	"albert",
	"albert/pretrain",
	"albert/finetune",
	"albert/internal/learn/pretraining",
	"albert/internal/learn/task",
	"albert/internal/learn/train",
	"albert/internal/learn/figure",
	"albert/internal/learn/examples",
	"albert/internal/text/dataset",
	"albert/internal/text/corpus",
	"albert/internal/learn/metric",
	"albert/internal/formats",
	"albert/internal/onnx",
	"albert/internal/model",
	"albert/internal/learn/optim",
	"albert/internal/engine/cpu",
	"albert/internal/engine/ops",
	"albert/tokenizer/spmtrain",
	"albert/tokenizer",
	"albert/internal/files/pytorch",
	"albert/internal/files/tensorflow",
	"albert/internal/run",
	"albert/internal/files/safetensors",
	"albert/internal/files/jsonobject",
	"albert/internal/files/stream",
	"albert/internal/files/disk",
	"albert/internal/engine/cpu/kernel",
	"albert/internal/engine/numeric",
}

func TestImportsPointDown(t *testing.T) {
	rank := map[string]int{}
	for i, p := range layers {
		rank[p] = i
	}
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != "." {
				if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
					return filepath.SkipDir
				}
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := "albert"
		if dir := filepath.ToSlash(filepath.Dir(path)); dir != "." {
			pkg += "/" + dir
		}
		from, ok := rank[pkg]
		if !ok {
			t.Errorf("package %s is not in the list of layers", pkg)
			return nil
		}
		seen[pkg] = true
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			to, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			if to != "albert" && !strings.HasPrefix(to, "albert/") {
				continue
			}
			if r, ok := rank[to]; !ok || r <= from {
				t.Errorf("%s imports %s, which is not below %s", path, to, pkg)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range layers {
		if !seen[p] {
			t.Errorf("layer %s has no package", p)
		}
	}
}
