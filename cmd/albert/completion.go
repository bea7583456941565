package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// CompletionCmd prints a script that completes command lines.
type CompletionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish,powershell" help:"bash, zsh, fish or powershell."`
	allFlags
}

// Help says how each shell reads the script.
func (c *CompletionCmd) Help() string {
	return `In ~/.bashrc, in ~/.zshrc behind compinit, once for fish, or in PowerShell's $PROFILE:

    source <(albert completion bash)
    source <(albert completion zsh)
    albert completion fish > ~/.config/fish/completions/albert.fish
    albert completion powershell | Out-String | Invoke-Expression`
}

// Run prints it.
func (c *CompletionCmd) Run(app *kong.Kong) error {
	write := map[string]func([]completion) string{"bash": bashScript, "zsh": zshScript, "fish": fishScript, "powershell": powerShellScript}[c.Shell]
	_, err := os.Stdout.WriteString(write(completions(app.Model.Node, "")))
	return err
}

// completion is what may stand behind a command: further commands or, of one that has none, files and texts; and flags.
type completion struct {
	path     string // the commands so far, with spaces between: "", "tokenizer", "tokenizer encode"
	commands []word
	flags    []word
}

// word is a command or a flag, without its dashes.
type word struct {
	name, help string
	value      bool     // a flag that takes a value
	values     []string // the ones that it can have, if they are listed
}

// completions lists a command and those below it, as the help shows them.
func completions(n *kong.Node, path string) []completion {
	c := completion{path: path}
	var below []completion
	for _, child := range n.Children {
		if child.Hidden {
			continue
		}
		c.commands = append(c.commands, word{name: child.Name, help: child.Help})
		below = append(below, completions(child, strings.TrimSpace(path+" "+child.Name))...)
	}
	for _, p := range n.Positional {
		for _, v := range choices(p) { // an argument with listed values is completed as a command is
			c.commands = append(c.commands, word{name: v, help: p.Help})
		}
	}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			w := word{name: f.Name, help: cmp.Or(f.Help, f.Name), value: !f.IsBool() && !f.IsCounter(), values: choices(f.Value)}
			c.flags = append(c.flags, w)
			if f.Tag.Negatable != "" {
				c.flags = append(c.flags, word{name: "no-" + f.Name, help: "Not: " + f.Help})
			}
		}
	}
	return append([]completion{c}, below...)
}

// choices are the values that an argument or a flag can have, if they are listed.
func choices(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return slices.DeleteFunc(v.EnumSlice(), func(s string) bool { return s == "" })
}

// known are the commands that have others before them or not, for a pattern of "case".
func known(list []completion, quote func(string) string, between string) string {
	var out []string
	for _, c := range list[1:] {
		out = append(out, quote(c.path))
	}
	return strings.Join(out, between)
}

// each writes something for every word.
func each(list []word, format func(w word) string) string {
	var b strings.Builder
	for _, w := range list {
		b.WriteString(format(w))
	}
	return b.String()
}

// single quotes a text for bash and zsh.
func single(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func names(list []word, prefix string) string {
	var out []string
	for _, w := range list {
		out = append(out, prefix+w.name)
	}
	return strings.Join(out, " ")
}

// posixPath finds the command on a line whose words from $1 on are given, in bash and zsh alike.
func posixPath(list []completion) string {
	return `  local at="" word
  for word in "$@"; do
    case "${at:+$at }$word" in
      ` + known(list, single, "|") + `) at="${at:+$at }$word" ;;
    esac
  done
  command_at=$at
`
}

func bashScript(list []completion) string {
	var b strings.Builder
	b.WriteString("# Completion of albert for bash: source <(albert completion bash)\n_albert_at() {\n" + posixPath(list) + `}
_albert() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command_at commands="" flags="" values=""
  if [[ $cur == "=" ]]; then # --flag=value comes as three words
    cur=""
  elif [[ $prev == "=" ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  _albert_at "${COMP_WORDS[@]:1:COMP_CWORD-1}"
  COMPREPLY=()
  case "$command_at $prev" in
`)
	for _, c := range list {
		for _, f := range c.flags {
			if f.value {
				fmt.Fprintf(&b, "    %s) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;\n", single(c.path+" --"+f.name), single(strings.Join(f.values, " ")))
			}
		}
	}
	b.WriteString("  esac\n  case \"$command_at\" in\n")
	for _, c := range list {
		fmt.Fprintf(&b, "    %s) commands=%s flags=%s ;;\n", single(c.path), single(names(c.commands, "")), single(names(c.flags, "--")))
	}
	b.WriteString(`  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$commands" -- "$cur"))
  fi
}
complete -o bashdefault -o default -F _albert albert
`)
	return b.String()
}

// described is a word with its help, as zsh's _describe takes them.
func described(prefix string) func(word) string {
	return func(w word) string { return " " + single(strings.ReplaceAll(prefix+w.name, ":", `\:`)+":"+w.help) }
}

func zshScript(list []completion) string {
	var b strings.Builder
	b.WriteString("#compdef albert\n# Completion of albert for zsh: source <(albert completion zsh)\n_albert_at() {\n" + posixPath(list) + `}
_albert() {
  local command_at prev=${words[CURRENT-1]}
  local -a commands flags
  _albert_at "${(@)words[2,CURRENT-1]}"
  if [[ ${words[CURRENT]} == --*=* ]]; then
    prev=${words[CURRENT]%%=*}
    compset -P '*='
  fi
  case "$command_at $prev" in
`)
	for _, c := range list {
		for _, f := range c.flags {
			switch {
			case f.values != nil:
				fmt.Fprintf(&b, "    %s) compadd -- %s; return ;;\n", single(c.path+" --"+f.name), strings.Join(f.values, " "))
			case f.value:
				fmt.Fprintf(&b, "    %s) _files; return ;;\n", single(c.path+" --"+f.name))
			}
		}
	}
	b.WriteString("  esac\n  case \"$command_at\" in\n")
	for _, c := range list {
		fmt.Fprintf(&b, "    %s)\n      commands=(%s)\n      flags=(%s) ;;\n", single(c.path), each(c.commands, described("")), each(c.flags, described("--")))
	}
	b.WriteString(`  esac
  if [[ ${words[CURRENT]} == -* ]]; then
    _describe -o flag flags
  elif (( $#commands )); then
    _describe command commands
  else
    _files
  fi
}
if [[ $funcstack[1] == _albert ]]; then # loaded from a directory of functions
  _albert "$@"
else
  compdef _albert albert
fi
`)
	return b.String()
}

// fishQuoted quotes a text for fish.
func fishQuoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

func fishScript(list []completion) string {
	var b strings.Builder
	b.WriteString(`# Completion of albert for fish: albert completion fish > ~/.config/fish/completions/albert.fish
function __albert_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        set -l next (string trim -- "$at $word")
        if contains -- "$next" ` + known(list, fishQuoted, " ") + `
            set at $next
        end
    end
    test "$at" = "$argv[1]"
end
`)
	for _, c := range list {
		here := "complete -c albert -n " + fishQuoted("__albert_at "+fishQuoted(c.path))
		if len(c.commands) > 0 {
			b.WriteString(here + " -f\n")
		}
		b.WriteString(each(c.commands, func(w word) string { return here + " -a " + w.name + " -d " + fishQuoted(w.help) + "\n" }))
		b.WriteString(each(c.flags, func(w word) string {
			line := here + " -l " + w.name + " -d " + fishQuoted(w.help)
			switch {
			case w.values != nil:
				line += " -x -a " + fishQuoted(strings.Join(w.values, " "))
			case w.value:
				line += " -r -F"
			}
			return line + "\n"
		}))
	}
	return b.String()
}

// powerQuoted quotes a text for PowerShell.
func powerQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func powerShellScript(list []completion) string {
	// An array in an array would be taken apart: names and helps stand one after the other.
	pairs := func(words []word, prefix string) string {
		var out []string
		for _, w := range words {
			out = append(out, "\n            "+powerQuoted(prefix+w.name)+", "+powerQuoted(w.help))
		}
		return strings.Join(out, ",")
	}
	var b strings.Builder
	b.WriteString(`# Completion of albert for PowerShell: albert completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName 'albert', 'albert.exe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $commands = @{
`)
	for _, c := range list {
		b.WriteString("        " + powerQuoted(c.path) + " = @(" + pairs(c.commands, "") + ")\n")
	}
	b.WriteString("    }\n    $flags = @{\n")
	for _, c := range list {
		b.WriteString("        " + powerQuoted(c.path) + " = @(" + pairs(c.flags, "--") + ")\n")
	}
	b.WriteString("    }\n    $values = @{\n")
	for _, c := range list {
		for _, f := range c.flags {
			if f.value {
				quoted := make([]string, len(f.values))
				for i, v := range f.values {
					quoted[i] = powerQuoted(v)
				}
				b.WriteString("        " + powerQuoted(c.path+" --"+f.name) + " = @(" + strings.Join(quoted, ", ") + ")\n")
			}
		}
	}
	b.WriteString(`    }
    $at = ''
    $previous = ''
    foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {
        if ($element.Extent.EndOffset -ge $cursorPosition) { break } # the word that is being typed
        $previous = "$element"
        $next = "$at $previous".Trim()
        if ($commands.ContainsKey($next)) { $at = $next }
    }
    $prefix = ''
    if ($wordToComplete -match '^(--[^=]+)=(.*)$') {
        $previous = $Matches[1]
        $prefix = "$previous="
        $wordToComplete = $Matches[2]
    }
    $list = @()
    if ($values.ContainsKey("$at $previous")) {
        foreach ($value in $values["$at $previous"]) { $list += $value, $value }
    } elseif ($wordToComplete.StartsWith('-')) {
        $list = $flags[$at]
    } else {
        $list = $commands[$at]
    }
    for ($i = 0; $i -lt $list.Count; $i += 2) { # nothing: files
        if ($list[$i].StartsWith($wordToComplete)) {
            [System.Management.Automation.CompletionResult]::new($prefix + $list[$i], $list[$i], 'ParameterValue', $list[$i + 1])
        }
    }
}
`)
	return b.String()
}
