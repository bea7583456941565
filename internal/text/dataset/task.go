package dataset

import (
	"fmt"
	"strings"
)

// Kind is what is asked about an example.
type Kind string

// The kinds.
const (
	Classify Kind = "classify" // one of several labels for a text or a pair
	Multi    Kind = "multi"    // any number of labels for a text or a pair
	Regress  Kind = "regress"  // a number for a text or a pair
	Tag      Kind = "tag"      // a label for each word
	Choose   Kind = "choice"   // one of an example's choices
	Span     Kind = "squad"    // a part of a context that answers a question
)

// Task is a kind of example and the form of the files that hold it.
type Task struct {
	Name   string
	Kind   Kind
	Labels []string // in the order of the released code; nil: those that the training set has

	// Impossible: questions may have no answer (SQuAD 2.0).
	Impossible bool
	// Submission is the file that GLUE's leaderboard takes predictions in; "": no task of GLUE.
	Submission string

	glue *glueForm
}

var (
	entailment = []string{"entailment", "not_entailment"}
	inference  = []string{"contradiction", "entailment", "neutral"}
	binary     = []string{"0", "1"}
)

// tasks are all there are, GLUE's in the order of its leaderboard.
var tasks = []Task{
	{Name: "cola", Kind: Classify, Labels: binary, Submission: "CoLA.tsv", glue: &colaForm},
	{Name: "sst-2", Kind: Classify, Labels: binary, Submission: "SST-2.tsv", glue: &sst2Form},
	{Name: "mrpc", Kind: Classify, Labels: binary, Submission: "MRPC.tsv", glue: &mrpcForm},
	{Name: "sts-b", Kind: Regress, Submission: "STS-B.tsv", glue: &stsbForm},
	{Name: "qqp", Kind: Classify, Labels: binary, Submission: "QQP.tsv", glue: &qqpForm},
	{Name: "mnli", Kind: Classify, Labels: inference, Submission: "MNLI-m.tsv", glue: &mnliForm},
	{Name: "mnli-mm", Kind: Classify, Labels: inference, Submission: "MNLI-mm.tsv", glue: &mnliMMForm},
	{Name: "qnli", Kind: Classify, Labels: entailment, Submission: "QNLI.tsv", glue: &qnliForm},
	{Name: "rte", Kind: Classify, Labels: entailment, Submission: "RTE.tsv", glue: &rteForm},
	{Name: "wnli", Kind: Classify, Labels: binary, Submission: "WNLI.tsv", glue: &wnliForm},
	{Name: "ax", Kind: Classify, Labels: inference, Submission: "AX.tsv", glue: &axForm},
	{Name: "squad", Kind: Span},
	{Name: "squad2", Kind: Span, Impossible: true},
	{Name: "race", Kind: Choose},
	{Name: "classify", Kind: Classify},
	{Name: "multi", Kind: Multi},
	{Name: "regress", Kind: Regress},
	{Name: "tag", Kind: Tag},
	{Name: "choice", Kind: Choose},
}

// otherNames are names that people know tasks by, as [plain] gives them.
var otherNames = map[string]string{
	"sst": "sst-2", "sts": "sts-b", "mnlim": "mnli", "mnlimatched": "mnli", "mismnli": "mnli-mm", "mnlimismatched": "mnli-mm",
	"diagnostic": "ax", "squad1": "squad", "squad11": "squad", "squadv1": "squad", "squadv11": "squad", "squad20": "squad2",
	"squadv2": "squad2", "squadv20": "squad2", "multilabel": "multi", "ner": "tag",
}

// TaskNamed finds a task. Case, dots, hyphens and underscores do not matter.
func TaskNamed(name string) (Task, error) {
	want := plain(name)
	if n, ok := otherNames[want]; ok {
		want = plain(n)
	}
	for _, t := range tasks {
		if plain(t.Name) == want {
			return t, nil
		}
	}
	return Task{}, fmt.Errorf("no task %q; there are %s", name, strings.Join(TaskNames(), ", "))
}

// TaskNames lists the tasks.
func TaskNames() []string {
	var names []string
	for _, t := range tasks {
		names = append(names, t.Name)
	}
	return names
}

func plain(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || c == '.' || c == ' ' {
			return -1
		}
		return c
	}, strings.ToLower(name))
}
