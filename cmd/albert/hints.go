package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/model"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// asked turns what people type first into what the command line knows: nothing, help, help COMMAND, --version.
func asked(args []string) []string {
	if len(args) == 0 {
		return []string{"--help"}
	}
	switch args[0] {
	case "help":
		return append(slices.Clone(args[1:]), "--help")
	case "--version", "-version", "-v", "-V":
		return append([]string{"version"}, args[1:]...)
	}
	return args
}

// otherWords are commands that other programs have, and what does it here.
var otherWords = map[string]string{
	"train":     "albert pretrain, albert finetune or albert tokenizer train",
	"run":       `albert fill MODEL "text with [MASK]", albert predict MODEL "text", or albert embed MODEL "text"`,
	"generate":  `ALBERT fills gaps and does not go on with a text: albert fill MODEL "text with [MASK]"`,
	"chat":      `ALBERT fills gaps and does not go on with a text: albert fill MODEL "text with [MASK]"`,
	"mask":      `albert fill MODEL "text with [MASK]"`,
	"fill-mask": `albert fill MODEL "text with [MASK]"`,
	"classify":  `albert predict MODEL "text"`,
	"infer":     `albert predict MODEL "text"`,
	"encode":    "albert tokenizer encode (pieces) or albert embed (vectors)",
	"tokenize":  "albert tokenizer encode",
	"decode":    "albert tokenizer decode",
	"evaluate":  "albert eval",
	"test":      "albert eval",
	"benchmark": "albert bench",
	"info":      "albert inspect",
	"show":      "albert inspect",
	"export":    "albert convert FROM TO",
	"quantize":  "albert convert FROM TO.onnx --int8",
	"pull":      getModel,
	"download":  getModel,
}

// getModel says where models come from.
const getModel = "models are directories on this machine: `hf download albert/albert-base-v2 --local-dir albert-base-v2` gets one (pip install huggingface_hub)"

// parseHint is what to type instead of a command line that cannot be read.
func parseHint(args []string, err error) string {
	var p *kong.ParseError
	if !errors.As(err, &p) || p.Context == nil {
		return "albert --help lists the commands"
	}
	if n := p.Context.Selected(); n != nil {
		return "usage: albert " + n.Summary() + "; " + n.FullPath() + " --help lists the flags"
	}
	if len(args) > 0 {
		if w, ok := otherWords[args[0]]; ok {
			return w
		}
		if args[0] == "tokenizer" {
			return "albert tokenizer --help"
		}
	}
	return "albert --help lists the commands"
}

// noModel adds to an error of opening a model that is not there what to type instead.
func noModel(path string, err error) error {
	if err == nil || path == "" {
		return err
	}
	if _, e := os.Stat(path); e == nil {
		return err
	}
	if _, ok := model.NamedConfig(path); ok {
		return fmt.Errorf("%w; a configuration is given as --config %s", err, path)
	}
	switch {
	case strings.ContainsAny(path, " []"):
		return fmt.Errorf("%w; the model comes first, then the text", err)
	case strings.HasPrefix(path, "albert-quickstart"):
		return fmt.Errorf("%w; albert quickstart makes it", err)
	case strings.Contains(strings.ToLower(path), "bert") && (!strings.Contains(path, "/") || !isDir(filepath.Dir(path))) && filepath.Ext(path) == "" && strings.Count(path, "/") < 2 && path[0] != '.':
		return fmt.Errorf("%w; %s", err, strings.Replace(getModel, "albert/albert-base-v2 --local-dir albert-base-v2", hubName(path)+" --local-dir "+filepath.Base(path), 1))
	}
	return err
}

// hubName is a model's name on Hugging Face's hub: those of ALBERT's authors have their owner in front.
func hubName(name string) string {
	if !strings.Contains(name, "/") && strings.HasPrefix(name, "albert-") {
		return "albert/" + name
	}
	return name
}

// looksLikeFile tells an argument that was probably meant as the name of a file.
func looksLikeFile(arg string) bool {
	if strings.ContainsAny(arg, " \t\n{") {
		return false
	}
	return slices.Contains([]string{".txt", ".json", ".jsonl", ".csv", ".tsv", ".gz", ".zst", ".parquet", ".md", ".html", ".pdf", ".docx"}, strings.ToLower(filepath.Ext(arg))) ||
		strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../") || strings.HasPrefix(arg, "/")
}

// sayStdin tells a person before an empty terminal what is waited for.
func sayStdin() {
	if term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprintln(os.Stderr, "reading texts from the keyboard, one a line; Ctrl-D ends (a text or a file may also be given as an argument)")
	}
}
