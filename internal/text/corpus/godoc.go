package corpus

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// GoComments yields the comments of a tree of Go source, a document for each package that has any, by byte order of directory: whole
// sentences of documentation and of other comments in the order of the files, without licence headers, directives, generated files,
// code, tables, and what was said before. Directories named testdata or vendor, or whose names begin with a dot or an underscore, are
// left out. counts may be nil.
func GoComments(ctx context.Context, root string, counts *Counts) iter.Seq2[Document, error] {
	return Documents(ctx, []string{root}, ReadOptions{GoDoc: true}, counts)
}

// keepGo chooses what of a tree is read.
func keepGo(path string, isDir bool) bool {
	name := filepath.Base(path)
	if isDir {
		return name != "testdata" && name != "vendor" && !strings.HasPrefix(name, "_")
	}
	return strings.HasSuffix(name, ".go")
}

// goTree yields the packages of the files of a tree; root may also be one file.
func (r *reader) goTree(root string, files []string) error {
	dirs := map[string][]string{}
	for _, f := range files {
		dir := filepath.Dir(f)
		dirs[dir] = append(dirs[dir], f)
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		name, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		d := Document{Name: filepath.ToSlash(name)}
		size := 0
		for _, path := range dirs[dir] {
			sentences, err := r.goFile(path)
			if err != nil {
				return err
			}
			for _, s := range sentences {
				if size += len(s); size > maxDocument {
					r.counts.Cut++
					if err := r.give(d); err != nil {
						return err
					}
					d.Sentences, size = nil, len(s)
				}
				d.Sentences = append(d.Sentences, s)
			}
		}
		if len(d.Sentences) > 0 {
			if err := r.give(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxGoFile is the size of a Go file above which it is data.
const maxGoFile = 8 << 20

// goFile gives a file's sentences that are new. A file that is not Go is passed over.
func (r *reader) goFile(path string) ([]string, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var source []byte
	err = r.whole(path, in, func(_ string, in io.Reader) (err error) {
		source, err = io.ReadAll(in)
		return err
	})
	if err != nil || len(source) > maxGoFile {
		return nil, err
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ast.IsGenerated(f) {
		return nil, nil
	}
	code := importedC(f)
	var out []string
	for _, g := range f.Comments {
		text := g.Text() // without markers and directives
		if strings.HasPrefix(g.List[0].Text, "/*") {
			text = unindent(text)
		}
		if code[g] || isLicence(text) || strings.HasPrefix(text, "Output:") || strings.HasPrefix(text, "Unordered output:") {
			continue
		}
		r.counts.Bytes += int64(len(text))
		for _, p := range proseOf(text) {
			for _, s := range Split(p) {
				if isProse(s) && r.isNew(s) {
					out = append(out, s)
				}
			}
		}
	}
	return out, nil
}

// importedC gives the comments that are C code: those on import "C".
func importedC(f *ast.File) map[*ast.CommentGroup]bool {
	code := map[*ast.CommentGroup]bool{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.IMPORT {
			continue
		}
		for _, s := range g.Specs {
			if i := s.(*ast.ImportSpec); i.Path.Value == `"C"` {
				code[g.Doc], code[i.Doc] = true, true
			}
		}
	}
	return code
}

var licence = regexp.MustCompile(`(?i)copyright (\(c\)|©|\d{4}|the )|all rights reserved|licensed under|permission is hereby granted|SPDX-License|redistribution and use in source`)

func isLicence(text string) bool { return licence.MatchString(text) }

// unindent removes the indentation that all lines after the first have in common.
func unindent(text string) string {
	lines := strings.Split(text, "\n")
	least := -1
	for i, l := range lines {
		if n := len(l) - len(strings.TrimLeft(l, " \t")); i > 0 && n < len(l) && (least < 0 || n < least) {
			least = n
		}
	}
	for i, l := range lines {
		lines[i] = l[min(max(least, 0), len(l)-len(strings.TrimLeft(l, " \t"))):]
	}
	return strings.Join(lines, "\n")
}

// listItem is what a line of a list begins with.
var listItem = regexp.MustCompile(`^\s*(?:[-*+•]|\d{1,2}[.)])\s+`)

// proseOf gives the paragraphs of a comment: without code (indented lines that belong to no list), build lines, link definitions and
// lines without words.
func proseOf(text string) []string {
	var out, block []string
	inList := false
	end := func() {
		if len(block) > 0 {
			out = append(out, strings.Join(block, " "))
			block = nil
		}
		inList = false
	}
	for l := range strings.SplitSeq(text, "\n") {
		t := strings.TrimSpace(l)
		item := listItem.FindString(l)
		switch {
		case t == "" || strings.HasPrefix(t, "+build") || strings.HasPrefix(t, "[") && strings.Contains(t, "]: ") || !strings.ContainsAny(t, "aeiouAEIOU"):
			end()
		case item != "":
			end()
			block, inList = append(block, l[len(item):]), true
		case !inList && (l[0] == '\t' || l[0] == ' '):
			end()
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

// isProse tells a sentence from code and tables: at least three words, most of it letters, no line of a program.
func isProse(s string) bool {
	if strings.Count(s, " ") < 2 {
		return false
	}
	letters, words, fields := 0, 0, strings.Fields(s)
	for _, r := range s {
		if unicode.IsLetter(r) {
			letters++
		}
	}
	for _, w := range fields {
		if strings.Trim(strings.Trim(w, openers+closers+".,;:!?"), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'’-") == "" {
			words++
		}
	}
	if n := len(fields); 10*letters < 7*(len(s)-n+1) || 2*words < n || strings.HasSuffix(s, "{") || strings.HasSuffix(s, ";") || strings.HasSuffix(s, "}") {
		return false
	}
	return !strings.Contains(s, ":=") && !strings.HasPrefix(s, "ERROR ") && !strings.HasPrefix(s, "func ")
}
