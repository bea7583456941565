package corpus

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"
)

// GoComments yields the comments of a tree of Go source, a document for each package that has any, by byte order of path: whole
// sentences of documentation and of other comments, without licence headers, directives, generated files, code blocks and what was
// said before.
func GoComments(ctx context.Context, root string, counts *Counts) iter.Seq2[Document, error] {
	return Documents(ctx, []string{root}, ReadOptions{GoDoc: true}, counts)
}

// goTree yields the packages of a tree.
func (r *reader) goTree(root string) error {
	packages := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != root && (n == "testdata" || n == "vendor" || strings.HasPrefix(n, ".") || strings.HasPrefix(n, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() && strings.HasSuffix(path, ".go") {
			packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var dirs []string
	for d := range packages {
		dirs = append(dirs, d)
	}
	slices.Sort(dirs)
	for _, dir := range dirs {
		slices.Sort(packages[dir])
		name, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		d := Document{Name: filepath.ToSlash(name)}
		for _, path := range packages[dir] {
			r.counts.Files++
			r.goFile(path, &d)
		}
		if len(d.Sentences) > 0 {
			if err := r.give(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// goFile adds a file's sentences to its package's document. A file that is not Go is passed over.
func (r *reader) goFile(path string, d *Document) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ast.IsGenerated(f) {
		return
	}
	for i, g := range f.Comments {
		text := g.Text() // without markers and directives
		if i == 0 && isLicence(text) {
			continue
		}
		r.counts.Bytes += int64(len(text))
		for _, p := range proseOf(text) {
			for _, s := range Split(p) {
				if strings.Count(s, " ") < 2 || !r.fresh(s) {
					continue
				}
				d.Sentences = append(d.Sentences, s)
			}
		}
	}
}

func isLicence(text string) bool {
	t := strings.ToLower(text)
	return strings.Contains(t, "copyright") || strings.Contains(t, "license")
}

// proseOf gives the paragraphs of a comment without code blocks (indented), build lines, link definitions and lines without words.
func proseOf(text string) []string {
	var out []string
	var block []string
	end := func() {
		if len(block) > 0 {
			out = append(out, strings.Join(block, " "))
			block = nil
		}
	}
	for l := range strings.SplitSeq(text, "\n") {
		t := strings.TrimSpace(l)
		switch {
		case t == "":
			end()
		case strings.HasPrefix(l, "\t") || strings.HasPrefix(l, "    "):
			end() // code
		case strings.HasPrefix(t, "+build") || strings.HasPrefix(t, "[") && strings.Contains(t, "]: ") || !strings.ContainsAny(t, "aeiouAEIOU"):
			end()
		case strings.HasPrefix(t, "- ") || strings.HasPrefix(t, "* "):
			end()
			block = append(block, t[2:])
		case strings.HasPrefix(t, "# "):
			end()
			out = append(out, t[2:])
		default:
			block = append(block, t)
		}
	}
	end()
	return out
}
