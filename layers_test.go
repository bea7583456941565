package albert_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers lists the packages from top to bottom. An import points down, never up or sideways.
var layers = []string{
	"albert/cmd/albert",
	"albert/serve",
	"albert/internal/quickstart",
	"albert/internal/proof",
	"albert/bench/contender",
	"albert/bench/load",
	"albert/bench",
	"albert/internal/wire",
	"albert/parity/tokenizer/pairs",
	"albert",
	"albert/pretrain",
	"albert/finetune",
	"albert/internal/infer",
	"albert/internal/learn/pretraining",
	"albert/internal/learn/task",
	"albert/internal/learn/signs",
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
	"albert/internal/search",
	"albert/internal/engine/cpu",
	"albert/internal/engine/ops",
	"albert/tokenizer/spmtrain",
	"albert/tokenizer",
	"albert/internal/text/pystring",
	"albert/internal/files/pytorch",
	"albert/internal/files/tensorflow",
	"albert/internal/run",
	"albert/internal/files/safetensors",
	"albert/internal/files/parquetfile",
	"albert/internal/files/protobuf",
	"albert/internal/files/jsonobject",
	"albert/internal/files/stream",
	"albert/internal/files/npy",
	"albert/internal/files/disk/faulty",
	"albert/internal/files/disk",
	"albert/internal/engine/cpu/kernel",
	"albert/internal/engine/mpi",
	"albert/internal/engine/numeric",
}

// longFunctions are those over 100 lines that may be: tables, and state machines that read from top to bottom.
var longFunctions = map[string]string{
	"internal/engine/cpu/kernel/glue_amd64.go:assemble": "a table of kernels by name",
}

// A folder holds at most nine packages, a function at most 100 lines.
func TestNothingIsTooLarge(t *testing.T) {
	packages := map[string]map[string]bool{}
	eachFile(t, func(path string, file *ast.File, set *token.FileSet) {
		dir := filepath.Dir(path)
		if packages[filepath.Dir(dir)] == nil {
			packages[filepath.Dir(dir)] = map[string]bool{}
		}
		packages[filepath.Dir(dir)][dir] = true
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := filepath.ToSlash(path) + ":" + f.Name.Name
			if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line; n > 100 && longFunctions[name] == "" {
				t.Errorf("%s has %d lines", name, n)
			}
		}
	})
	for dir, list := range packages {
		if dir != "." && len(list) > 9 {
			t.Errorf("%s holds %d packages", dir, len(list))
		}
	}
}

func TestImportsPointDown(t *testing.T) {
	rank := map[string]int{}
	for i, p := range layers {
		rank[p] = i
	}
	seen := map[string]bool{}
	eachFile(t, func(path string, f *ast.File, _ *token.FileSet) {
		pkg := "albert"
		if dir := filepath.ToSlash(filepath.Dir(path)); dir != "." {
			pkg += "/" + dir
		}
		from, ok := rank[pkg]
		if !ok {
			t.Errorf("package %s is not in the list of layers", pkg)
			return
		}
		seen[pkg] = true
		for _, imp := range f.Imports {
			to, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if to != "albert" && !strings.HasPrefix(to, "albert/") {
				continue
			}
			if r, ok := rank[to]; !ok || r <= from {
				t.Errorf("%s imports %s, which is not below %s", path, to, pkg)
			}
		}
	})
	for _, p := range layers {
		if !seen[p] {
			t.Errorf("layer %s has no package", p)
		}
	}
}

// The architecture page knows every package, and its links lead somewhere.
func TestArchitecturePage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range layers {
		name := strings.TrimPrefix(p, "albert/")
		if !strings.Contains(string(text), "| `"+name+"` |") && !strings.HasPrefix(name, "parity/") {
			t.Errorf("package %s is not in the table", name)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join("docs", link[1])); err != nil {
			t.Error(err)
		}
	}
}

// eachFile parses every Go file of this module but tests and what makes the assembly.
func eachFile(t *testing.T, f func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, e := os.Stat(filepath.Join(path, "go.mod"))
			if path != "." && (e == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err == nil {
			f(path, file, set)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What writes goes through package disk, whose operations the crash tests make fail.
func TestWritesGoThroughDisk(t *testing.T) {
	writes := regexp.MustCompile(`\bos\.(Create|CreateTemp|WriteFile|OpenFile|Rename|Remove|RemoveAll|Mkdir|MkdirAll|MkdirTemp|Symlink|Link|Truncate|CopyFS)\(`)
	allowed := []string{"internal/files/disk/", "internal/run/lock_", "examples/", "bench/", "parity/"} // what their paths begin with
	eachFile(t, func(path string, _ *ast.File, _ *token.FileSet) {
		path = filepath.ToSlash(path)
		if slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(path, a) }) {
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			if found := writes.FindString(line); found != "" && !strings.HasPrefix(strings.TrimSpace(line), "//") {
				t.Errorf("%s:%d: %s", path, n+1, found)
			}
		}
	})
}
