package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"albert/internal/model"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// asked turns what people type first into what the command line knows: nothing, help, help COMMAND, --version, --flags_with_underscores.
func asked(args []string) []string {
	if len(args) == 0 {
		return []string{"--help"}
	}
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if name := flagName.FindString(arg); name != "" {
			args[i] = strings.ReplaceAll(name, "_", "-") + arg[len(name):]
		}
	}
	switch args[0] {
	case "help":
		return append(args[1:], "--help")
	case "--version", "-version", "-v", "-V":
		args[0] = "version"
	}
	return args
}

// flagName is a flag without its value.
var flagName = regexp.MustCompile("^--[a-z0-9_-]+")

// otherWords are commands that other programs have, and what does it here.
var otherWords = map[string]string{
	"train":      "albert pretrain, albert finetune or albert tokenizer train",
	"fit":        "albert finetune, with labelled data, or albert pretrain, on text",
	"run":        `albert fill MODEL "text with [MASK]", albert predict MODEL "text", or albert embed MODEL "text"`,
	"ask":        `albert fill MODEL "text with [MASK]", albert predict MODEL "text", or albert embed MODEL "text"`,
	"generate":   `ALBERT fills gaps and does not go on with a text: albert fill MODEL "text with [MASK]"`,
	"chat":       `ALBERT fills gaps and does not go on with a text: albert fill MODEL "text with [MASK]"`,
	"mask":       `albert fill MODEL "text with [MASK]"`,
	"fill-mask":  `albert fill MODEL "text with [MASK]"`,
	"unmask":     `albert fill MODEL "text with [MASK]"`,
	"classify":   `albert predict MODEL "text"`,
	"infer":      `albert predict MODEL "text"`,
	"tag":        `albert predict MODEL "text"`,
	"ner":        `albert predict MODEL "text"`,
	"answer":     getAnswer,
	"qa":         getAnswer,
	"choose":     `echo '{"context": ..., "question": ..., "choices": [...]}' | albert predict MODEL`,
	"rank":       rankTexts,
	"rerank":     rankTexts,
	"zero-shot":  `albert predict MODEL --task zeroshot --labels A,B "text"`,
	"embeddings": `albert embed MODEL "text"`,
	"vectors":    `albert embed MODEL "text"`,
	"vectorize":  `albert embed MODEL "text"`,
	"find":       `albert search MODEL --corpus FILE "query"`,
	"query":      `albert search MODEL --corpus FILE "query"`,
	"retrieve":   `albert search MODEL --corpus FILE "query"`,
	"encode":     "albert tokenizer encode (pieces) or albert embed (vectors)",
	"tokenize":   "albert tokenizer encode",
	"tokenise":   "albert tokenizer encode",
	"decode":     "albert tokenizer decode",
	"detokenize": "albert tokenizer decode",
	"evaluate":   "albert eval",
	"test":       "albert eval",
	"score":      "albert eval",
	"benchmark":  "albert bench",
	"info":       "albert inspect",
	"show":       "albert inspect",
	"config":     "albert inspect MODEL, or albert inspect --config NAME",
	"export":     "albert convert FROM TO",
	"import":     "albert convert FROM TO",
	"quantize":   "albert convert FROM TO --precision int8",
	"pull":       getModel,
	"download":   getModel,
	"models":     getModel,
	"list":       getModel,
}

// getAnswer asks a question of a context.
const getAnswer = `echo '{"question": ..., "context": ...}' | albert predict MODEL`

// rankTexts asks which texts answer a query.
const rankTexts = `echo '{"query": ..., "texts": [...]}' | albert predict MODEL`

// getModel says where models come from.
const getModel = "models are directories on this machine: `hf download albert/albert-base-v2 --local-dir albert-base-v2` gets one (pip install huggingface_hub)"

// otherFlags are flags that other programs have. What is said is the first of the list that is a flag of the command, or that is none.
var otherFlags = map[string][]string{
	"model":                       {"--init", isArgument},
	"model-name-or-path":          {"--init", isArgument},
	"text":                        {"the text is an argument, without a flag"},
	"file":                        {"--input", "--data"},
	"input":                       {"--train", "--data"},
	"corpus":                      {"--train", "--input"},
	"data":                        {"--train", "--input"},
	"train":                       {"--input"},
	"train-file":                  {"--train", "--input"},
	"train-data":                  {"--train", "--input"},
	"dev":                         {"--data"},
	"test":                        {"--data"},
	"eval":                        {"--dev", "--data"},
	"val":                         {"--dev", "--data"},
	"valid":                       {"--dev", "--data"},
	"validation":                  {"--dev", "--data"},
	"validation-file":             {"--dev", "--data"},
	"test-file":                   {"--test", "--data"},
	"output":                      {"--model-prefix", toStdout},
	"output-dir":                  {"--output", "--model-prefix", toStdout},
	"out":                         {"--output", "--model-prefix", toStdout},
	"output-file":                 {toStdout},
	"k":                           {"--top-k"},
	"lr":                          {"--learning-rate"},
	"epochs":                      {"--steps"},
	"num-epochs":                  {"--epochs", "--steps"},
	"num-train-epochs":            {"--epochs", "--steps"},
	"max-steps":                   {"--steps"},
	"num-steps":                   {"--steps"},
	"batch":                       {"--batch-size"},
	"train-batch-size":            {"--batch-size"},
	"per-device-train-batch-size": {"--batch-size"},
	"gradient-accumulation-steps": {"--micro-batch-size"},
	"eval-steps":                  {"--eval-every"},
	"save-steps":                  {"--save-every"},
	"warmup":                      {"--warmup-steps"},
	"max-length":                  {"--max-seq-length"},
	"max-len":                     {"--max-seq-length"},
	"mlm-probability":             {"--mask-rate"},
	"early-stopping":              {"--patience"},
	"early-stopping-patience":     {"--patience"},
	"resume":                      {"the same command goes on with an interrupted run"},
	"overwrite":                   {"--force", "give another --output"},
	"overwrite-output-dir":        {"--force", "give another --output"},
	"force":                       {"give another --output"},
	"tokenizer":                   {"--model", "the tokenizer is the model's own"},
	"format":                      {"--to", "--json"},
	"quantize":                    {"--precision int8"},
	"fp16":                        {"--dtype fp16", "all is computed in fp32, or with --precision bf16 or int8"},
	"bf16":                        {"--precision bf16", "--dtype bf16"},
	"device":                      {"there is no code for GPUs"},
	"gpu":                         {"there is no code for GPUs"},
	"cuda":                        {"there is no code for GPUs"},
	"labels":                      {"--label-column"},
	"label":                       {"--label-column"},
	"separator":                   {"--delimiter"},
	"sep":                         {"--delimiter"},
}

const (
	isArgument = "the model is the first argument, without a flag"
	toStdout   = "answers go to stdout: > FILE"
)

// parseHint is an error of a command line that cannot be read, with what to type instead.
func parseHint(args []string, err error) string {
	message := strings.Replace(err.Error(), `must be one of "",`, "must be one of ", 1)
	message, _, _ = strings.Cut(message, `, did you mean "-h"?`)
	var p *kong.ParseError
	if !errors.As(err, &p) || p.Context == nil {
		return message + "; albert --help lists the commands"
	}
	what, _, _ := strings.Cut(message, ", did you mean")
	if n := p.Context.Selected(); n != nil {
		help := n.FullPath() + " --help lists the flags"
		if !n.Leaf() {
			help = n.FullPath() + " --help lists its commands"
		}
		if hint := flagHint(n, what); hint != "" {
			return what + ": " + hint + "; " + help
		}
		return message + "; usage: albert " + n.Summary() + "; " + help
	}
	if len(args) > 0 && strings.HasPrefix(what, "unexpected argument") {
		if w, ok := otherWords[args[0]]; ok {
			return "there is no command " + args[0] + ": " + w
		}
		message = strings.Replace(message, "unexpected argument", "there is no command", 1)
	}
	return message + "; albert --help lists the commands"
}

// flagHint is what to type instead of an unknown flag or an argument too many; "" where that is not known.
func flagHint(n *kong.Node, message string) string {
	has := func(words string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(words, "--"), " ")
		return slices.ContainsFunc(n.Flags, func(f *kong.Flag) bool { return f.Name == name })
	}
	if name, ok := strings.CutPrefix(message, "unknown flag --"); ok {
		name, _, _ = strings.Cut(name, "=")
		for _, w := range otherFlags[name] {
			switch {
			case !strings.HasPrefix(w, "--"):
				return w
			case has(w):
				return "here it is " + w
			}
		}
	}
	if arg, ok := strings.CutPrefix(message, "unexpected argument "); ok {
		for _, name := range []string{"--train", "--data", "--model"} {
			if has(name) {
				return "a file is given as " + name + " " + arg
			}
		}
	}
	return ""
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

// warnTables warns of tables where plain text is read.
func warnTables(paths ...string) {
	for _, path := range paths {
		if isTable(path) {
			fmt.Fprintf(os.Stderr, "warning: %s: read as plain text, header and commas included; --text-column reads a column of JSON lines or Parquet\n", path)
		}
	}
}

// isTable tells a table by its name.
func isTable(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".csv" || ext == ".tsv"
}

// sayStdin tells a person before an empty terminal what is waited for.
func sayStdin() {
	if term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprintln(os.Stderr, "reading texts from the keyboard, one a line; Ctrl-D ends (a text or a file may also be given as an argument)")
	}
}
