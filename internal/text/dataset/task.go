package dataset

import (
	"fmt"
	"strings"

	"albert/internal/model"
)

// Task is a kind of example and the form of the files that hold it.
type Task struct {
	Name   string
	Kind   model.Kind
	Labels []string // in the order of the released code; nil: those that the training set has

	Impossible bool   // questions may have no answer (SQuAD 2.0)
	Submission string // name of the file in which GLUE's leaderboard takes predictions; "" for other tasks

	glue *glueForm
}

var (
	entailment = []string{"entailment", "not_entailment"}
	inference  = []string{"contradiction", "entailment", "neutral"}
	binary     = []string{"0", "1"}
)

// tasks lists all tasks, GLUE's in the order of its leaderboard.
var tasks = []Task{
	{Name: "cola", Kind: model.Classify, Labels: binary, Submission: "CoLA.tsv", glue: &colaForm},
	{Name: "sst2", Kind: model.Classify, Labels: binary, Submission: "SST-2.tsv", glue: &sst2Form},
	{Name: "mrpc", Kind: model.Classify, Labels: binary, Submission: "MRPC.tsv", glue: &mrpcForm},
	{Name: "stsb", Kind: model.Regress, Submission: "STS-B.tsv", glue: &stsbForm},
	{Name: "qqp", Kind: model.Classify, Labels: binary, Submission: "QQP.tsv", glue: &qqpForm},
	{Name: "mnli", Kind: model.Classify, Labels: inference, Submission: "MNLI-m.tsv", glue: &mnliForm},
	{Name: "mnli-mm", Kind: model.Classify, Labels: inference, Submission: "MNLI-mm.tsv", glue: &mnliMMForm},
	{Name: "qnli", Kind: model.Classify, Labels: entailment, Submission: "QNLI.tsv", glue: &qnliForm},
	{Name: "rte", Kind: model.Classify, Labels: entailment, Submission: "RTE.tsv", glue: &rteForm},
	{Name: "wnli", Kind: model.Classify, Labels: binary, Submission: "WNLI.tsv", glue: &wnliForm},
	{Name: "ax", Kind: model.Classify, Labels: inference, Submission: "AX.tsv", glue: &axForm},
	{Name: "squad1", Kind: model.Answer},
	{Name: "squad2", Kind: model.Answer, Impossible: true},
	{Name: "race", Kind: model.Choice},
	{Name: "classify", Kind: model.Classify},
	{Name: "multilabel", Kind: model.MultiLabel},
	{Name: "regress", Kind: model.Regress},
	{Name: "tag", Kind: model.Tag},
	{Name: "choice", Kind: model.Choice},
	{Name: "embed", Kind: model.Embed},
	{Name: "rerank", Kind: model.Rank},
}

// otherNames are further names of tasks, as [canonical] writes them.
var otherNames = map[string]string{
	"sst": "sst2", "sts": "stsb", "mnlim": "mnli", "mnlimatched": "mnli", "mismnli": "mnli-mm", "mnlimismatched": "mnli-mm",
	"diagnostic": "ax", "squad": "squad1", "squad11": "squad1", "squadv1": "squad1", "squadv11": "squad1", "squad20": "squad2",
	"squadv2": "squad2", "squadv20": "squad2", "multi": "multilabel", "ner": "tag",
	"classification": "classify", "textclassification": "classify", "regression": "regress", "tagging": "tag", "tokenclassification": "tag",
	"multiplechoice": "choice", "reranking": "rerank",
}

// TaskNamed finds a task. Case, dots, hyphens and underscores do not matter.
func TaskNamed(name string) (Task, error) {
	want := canonical(name)
	if n, ok := otherNames[want]; ok {
		want = canonical(n)
	}
	for _, t := range tasks {
		if canonical(t.Name) == want {
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

// canonical writes a name in lower case, without dots, hyphens, underscores and spaces.
func canonical(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || c == '.' || c == ' ' {
			return -1
		}
		return c
	}, strings.ToLower(name))
}
