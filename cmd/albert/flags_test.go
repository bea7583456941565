package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Every command takes --threads and --quiet, and every boolean flag but --help has a --no- form.
func TestEveryCommandTakesThreadsAndQuiet(t *testing.T) {
	parser, err := kong.New(&CLI{})
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	_ = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		n, ok := node.(*kong.Node)
		if !ok || n.Type != kong.CommandNode || !n.Leaf() {
			return next(nil)
		}
		commands++
		flags := map[string]*kong.Flag{}
		for _, f := range n.Flags {
			flags[f.Name] = f
			if f.IsBool() && f.Tag.Negatable == "" {
				t.Errorf("%s: --%s has no --no-%s", n.FullPath(), f.Name, f.Name)
			}
		}
		for _, name := range []string{"threads", "quiet"} {
			if flags[name] == nil {
				t.Errorf("%s does not take --%s", n.FullPath(), name)
			}
		}
		return nil
	})
	if commands < 13 {
		t.Errorf("only %d commands were looked at", commands)
	}
}

// --quiet and --threads change nothing of a command's answer.
func TestQuietAndThreadsChangeNoAnswer(t *testing.T) {
	for _, args := range [][]string{{"tokenizer", "encode"}, {"tokenizer", "decode"}, {"tokenizer", "info"}} {
		args = append(args, "--model", tokenizerModel)
		want, _, _ := runOutput(t, "5 6", args...)
		got, stderr, status := runOutput(t, "5 6", append(args, "--quiet", "--threads", "1")...)
		if got != want || got == "" || stderr != "" || status != 0 {
			t.Errorf("%s: %q (%d, %s), want %q", strings.Join(args, " "), got, status, stderr, want)
		}
	}
}
