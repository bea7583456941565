package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// The scripts of all shells know every command and flag of the help, and the values that are listed there.
func TestCompletionKnowsTheHelp(t *testing.T) {
	parser, err := kong.New(&CLI{})
	if err != nil {
		t.Fatal(err)
	}
	list := completions(parser.Model.Node, "")
	if len(list) < 18 {
		t.Errorf("%d commands", len(list))
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script := must(t, "completion", shell)
		for _, c := range list {
			for _, w := range append(c.flags, c.commands...) {
				if w.help == "" {
					t.Errorf("%s: %s has no help", c.path, w.name)
				}
				if !strings.Contains(script, w.name) {
					t.Errorf("%s: no %s of %q", shell, w.name, c.path)
				}
				for _, v := range w.values {
					if !strings.Contains(script, v) {
						t.Errorf("%s: no value %s of %s --%s", shell, v, c.path, w.name)
					}
				}
			}
		}
	}
	if status, _, errs := call(t, "completion", "csh"); status != 2 || !strings.Contains(errs, `must be one of "bash"`) {
		t.Errorf("csh: status %d, %s", status, errs)
	}
}

// The shells themselves complete with the scripts.
func TestShellsComplete(t *testing.T) {
	lines := []struct{ line, want string }{ // the last word is completed
		{"albert tokenizer |", "decode encode info train"},
		{"albert tok|", "tokenizer"},
		{"albert predict --task c|", "choice classify"},
		{"albert predict a predict --top|", "--top-k"}, // a text that is a command
		{"albert tokenizer encode --no-s|", "--no-special"},
		{"albert completion |", "bash fish powershell zsh"},
	}
	dir := t.TempDir()
	shells := map[string]func(script, line string) string{
		"bash": func(script, line string) string {
			return "source " + script + "; COMP_WORDS=(" + strings.ReplaceAll(line, " |", ` ""`) + "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _albert; printf '%s\\n' \"${COMPREPLY[@]}\""
		},
		"fish": func(script, line string) string {
			return "source " + script + "; complete -C '" + line + "' | string replace -r '\\t.*' ''"
		},
		// Completion of zsh runs only behind its line editor: what it is given is looked at here.
		"zsh": func(script, line string) string {
			return "compdef() {}; compset() {}; _files() {}; compadd() { shift; print -l -- ${(M)@:#${words[-1]}*} }; _describe() { local -a l; l=(${(P)@[-1]}); print -l -- ${(M)${l%%:*}:#${words[-1]}*} }; " +
				"source " + script + "; words=(" + strings.ReplaceAll(line, " |", ` ""`) + "); CURRENT=$#words; _albert"
		},
	}
	for shell, program := range shells {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("%s is not here", shell)
			}
			script := filepath.Join(dir, shell)
			if err := os.WriteFile(script, []byte(must(t, "completion", shell)), 0o666); err != nil {
				t.Fatal(err)
			}
			for _, c := range lines {
				line := c.line
				if shell == "fish" || !strings.HasSuffix(line, " |") {
					line = strings.TrimSuffix(line, "|")
				}
				args := []string{"-c", program(script, line)}
				if shell == "zsh" {
					args = append([]string{"-f"}, args...)
				}
				out, err := exec.Command(shell, args...).CombinedOutput()
				got := strings.Fields(string(out))
				slices.Sort(got)
				if strings.Join(got, " ") != c.want {
					t.Errorf("%s: %q (%v), want %q", c.line, got, err, c.want)
				}
			}
		})
	}
}
