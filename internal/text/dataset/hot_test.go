package dataset

import (
	"slices"
	"strings"
	"testing"

	"albert/internal/model"
)

func jsonLines(labels ...string) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(`{"text": "A", "labels": ` + l + "}\n")
	}
	return b.String()
}

// Lists of 0 and 1, one for each class, are classes by place and never the names "0" and "1".
func TestMultiHot(t *testing.T) {
	labels := []string{"0", "1", "2"}
	want := []string{"", "1", "0|2"}
	for name, c := range map[string]struct {
		file, text string
		o          Options
		labels     []string
	}{
		"integers":  {"a.jsonl", jsonLines("[0, 0, 0]", "[0, 1, 0]", "[1, 0, 1]"), Options{}, labels},
		"floats":    {"a.jsonl", jsonLines("[0.0, 0.0, 0.0]", "[0.0, 1.0, 0]", "[1.0, 0, 1.0]"), Options{}, labels},
		"booleans":  {"a.jsonl", jsonLines("[false, false, false]", "[false, true, false]", "[true, false, true]"), Options{}, labels},
		"text":      {"a.csv", "text,labels\nA,\"[0, 0, 0]\"\nA,\"[0. 1. 0.]\"\nA,\"[True, False, True]\"\n", Options{}, labels},
		"bars":      {"a.csv", "text,labels\nA,0|0|0\nA,0|1|0\nA,1|0|1\n", Options{Multi: true}, labels},
		"known":     {"a.jsonl", jsonLines("[0, 0, 0]", "[0, 1, 0]", "[1, 0, 1]"), Options{Labels: []string{"x", "b", "a"}}, []string{"x", "b", "a"}},
		"unnamed":   {"a.jsonl", jsonLines("[0, 0, 0]", "[0, 1, 0]", "[1, 0, 1]"), Options{Labels: []string{"LABEL_0", "LABEL_1", "LABEL_2"}}, []string{"LABEL_0", "LABEL_1", "LABEL_2"}},
		"names":     {"a.jsonl", strings.ReplaceAll(jsonLines("[0, 0, 0]", "[0, 1, 0]", "[1, 0, 1]"), "}", `, "label_names": ["x", "b", "a"]}`), Options{}, []string{"x", "b", "a"}},
		"id2label":  {"a.jsonl", strings.ReplaceAll(jsonLines("[0, 0, 0]", "[0, 1, 0]", "[1, 0, 1]"), "]}", `], "id2label": {"0": "x", "1": "b", "2": "a"}}`), Options{}, []string{"x", "b", "a"}},
		"columns":   {"a.csv", "x,b,a,text\n0,0,0,A\n0,1,0,A\n1,0,1,A\n", Options{LabelColumn: "x, b,a"}, []string{"x", "b", "a"}},
		"of JSON":   {"a.jsonl", `{"text": "A", "x": 0, "b": false, "a": 0.0}` + `{"text": "A", "x": 0, "b": true, "a": 0}` + `{"text": "A", "x": 1, "b": false, "a": 1.0}`, Options{LabelColumn: "x,b,a"}, []string{"x", "b", "a"}},
		"of before": {"a.tsv", "x\tb\ta\ttext\n0\t0\t0\tA\n0\t1\t0\tA\n1\t0\t1\tA\n", Options{LabelColumn: "x,b,a", Labels: []string{"a", "b", "x"}, ByPlace: true, Multi: true}, []string{"a", "b", "x"}},
	} {
		s, err := readText(t, "classify", Train, c.file, c.text, c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Task.Kind != model.MultiLabel || !s.ByPlace || !slices.Equal(s.Labels, c.labels) {
			t.Errorf("%s: %s, %q", name, s.Task.Kind, s.Labels)
		}
		for i, e := range s.Examples {
			var places []string // among x, b, a or 0, 1, 2
			for _, l := range e.Labels {
				p := slices.Index([]string{"x", "b", "a"}, s.Labels[l])
				if p < 0 {
					p = l
				}
				places = append(places, labels[p])
			}
			slices.Sort(places)
			if got := strings.Join(places, "|"); got != want[i] || e.Labels == nil {
				t.Errorf("%s: example %d: %q, want %q", name, i, got, want[i])
			}
		}
	}
	type hot struct {
		Text   string `parquet:"text"`
		Labels []bool `parquet:"labels,list"`
	}
	s := mustRead(t, "classify", Train, "a.parquet", parquetOf(t, "", hot{"A", []bool{true, false}}, hot{"B", []bool{false, true}}), Options{})
	wantExamples(t, s, "1 text=A labels=0", "2 text=B labels=1")

	// Lists of different lengths are lists of names.
	s = mustRead(t, "classify", Train, "a.jsonl", jsonLines("[0]", "[0, 1]", "[]", "[1]"), Options{})
	wantExamples(t, s, "1 text=A labels=0", "2 text=A labels=0|1", "3 text=A labels=", "4 text=A labels=1")
	s = mustRead(t, "classify", Dev, "a.jsonl", jsonLines("[0, 1]"), s.Options())
	wantExamples(t, s, "1 text=A labels=0|1")
	// The next split of two classes by place is read like the first.
	s = mustRead(t, "classify", Train, "a.jsonl", jsonLines("[0, 1]", "[1, 0]"), Options{})
	s = mustRead(t, "classify", Dev, "a.jsonl", jsonLines("[0, 1]"), s.Options())
	wantExamples(t, s, "1 text=A labels=1")

	for want, c := range map[string]struct {
		file, text string
		o          Options
	}{
		`a.jsonl:2: column "labels": 2 entries, where`:          {"a.jsonl", jsonLines("[1, 0, 0]", "[1, 0]"), Options{}},
		"a.jsonl:2: a list that is not of 0 and 1":              {"a.jsonl", jsonLines("[1, 0, 0]", "[0.7, 0, 0]"), Options{}},
		"a.jsonl:1: column \"labels\": 3 entries for 2 classes": {"a.jsonl", jsonLines("[1, 0, 0]"), Options{Labels: []string{"a", "b"}}},
		`a.csv:2: column "b": "2" is neither 0 nor 1`:           {"a.csv", "text,a,b\nA,0,2\n", Options{LabelColumn: "a,b"}},
		`a.csv:2: no column "c"; there are "a", "b", "text"`:    {"a.csv", "text,a,b\nA,0,1\n", Options{LabelColumn: "a,c"}},
		`or NAME,NAME,... where each class has a column`:        {"a.csv", "text,a,b\nA,0,1\n", Options{}},
	} {
		_, err := readText(t, "classify", Train, c.file, c.text, c.o)
		wantError(t, err, want)
	}
	// Unlabelled tests of columns.
	s = mustRead(t, "classify", Test, "a.csv", "text,a,b\nA,-1,-1\n", Options{LabelColumn: "a,b", Labels: []string{"a", "b"}})
	if s.Examples[0].Labels != nil || len(s.Notes) != 1 {
		t.Errorf("%+v, %q", s.Examples[0], s.Notes)
	}
	s = mustRead(t, "classify", Test, "a.csv", "text\nA\n", Options{Labels: []string{"a", "b"}})
	if s.Examples[0].Labels != nil {
		t.Errorf("%+v", s.Examples[0])
	}
}

// -1 is no label only where every row of a test set has it and no training example does.
func TestMinusOne(t *testing.T) {
	for _, c := range []struct {
		task, file, text string
		labels           []string
		want, note       string
	}{
		{"classify", "a.jsonl", `{"text": "A", "label": 1}{"text": "B", "label": -1}`, []string{"-1", "0", "1"}, "1 text=A label=1; 1 text=B label=-1", ""},
		{"classify", "a.csv", "text,label\nA,-1\nB,-1\n", []string{"-1", "1"}, "2 text=A label=-1; 3 text=B label=-1", ""},
		{"classify", "a.csv", "text,label\nA,-1\nB,-1\n", []string{"0", "1"}, "2 text=A; 3 text=B", "2 of 2 examples have the label -1"},
		{"classify", "a.jsonl", `{"text": "A", "label": -1}`, []string{"0", "1"}, "1 text=A", "1 of 1 examples have the label -1"},
		{"classify", "a.jsonl", `{"text": "A", "label": -1}{"text": "B", "label": 1}`, []string{"0", "1"}, "", `label "-1" is not one of the known ones: "0", "1"; -1 is "no label" only`},
		{"regress", "a.jsonl", `{"text": "A", "label": -1}{"text": "B", "label": 0.5}`, nil, "1 text=A score=-1; 1 text=B score=0.5", ""},
		{"regress", "a.jsonl", `{"text": "A", "label": -1.0}`, nil, "1 text=A", "1 of 1 examples"},
		{"choice", "a.jsonl", `{"context": "C", "choices": ["a", "b"], "label": -1}`, nil, "1 context=C choices=a|b", "1 of 1 examples"},
		{"classify", "a.csv", "text,label\nA,\nB,1\n", []string{"0", "1"}, "2 text=A; 3 text=B label=1", ""},
	} {
		s, err := readText(t, c.task, Test, c.file, c.text, Options{Labels: c.labels})
		if c.want == "" {
			wantError(t, err, c.note)
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		wantExamples(t, s, strings.Split(c.want, "; ")...)
		if notes := strings.Join(s.Notes, "; "); (notes == "") != (c.note == "") || !strings.Contains(notes, c.note) {
			t.Errorf("%s: %q, want %q", c.text, notes, c.note)
		}
	}
	// Where the classes have names it is none of them: the hub's sign for pairs without a gold label.
	type pair struct {
		Text  string `parquet:"text"`
		Label int64  `parquet:"label"`
	}
	snli := parquetOf(t, `{"label": {"names": ["no", "yes"]}}`, pair{"A", 1}, pair{"B", -1}, pair{"C", 0})
	s := mustRead(t, "classify", Train, "a.parquet", snli, Options{})
	wantExamples(t, s, "1 text=A label=yes", "3 text=C label=no")
	if s.Skipped != 1 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "1 rows left out: their label is -1") {
		t.Errorf("%d, %q", s.Skipped, s.Notes)
	}
	s = mustRead(t, "classify", Test, "a.parquet", snli, Options{Labels: s.Labels})
	wantExamples(t, s, "1 text=A label=yes", "2 text=B", "3 text=C label=no")
	// In training it is a class.
	if s := mustRead(t, "classify", Train, "a.csv", "text,label\nA,-1\nB,1\n", Options{}); !slices.Equal(s.Labels, []string{"-1", "1"}) {
		t.Errorf("%q", s.Labels)
	}
}

// Numbers are the classes that models call LABEL_0, LABEL_1, ..., which is said once.
func TestNumbersAreLabels(t *testing.T) {
	s := mustRead(t, "classify", Dev, "a.csv", "text,label\nA,1\nB,0\n", Options{Labels: []string{"LABEL_0", "LABEL_1"}})
	wantExamples(t, s, "2 text=A label=LABEL_1", "3 text=B label=LABEL_0")
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], `"1" is taken as "LABEL_1"`) {
		t.Errorf("%q", s.Notes)
	}
	s = mustRead(t, "tag", Dev, "a.jsonl", `{"tokens": ["A", "B"], "tags": [1, 0]}`, Options{Labels: []string{"LABEL_0", "LABEL_1"}})
	wantExamples(t, s, "1 words=A|B labels=LABEL_1|LABEL_0")
	_, err := readText(t, "classify", Dev, "a.csv", "text,label\nA,good\n", Options{Labels: []string{"LABEL_0", "LABEL_1"}})
	wantError(t, err, `"good" is not one of the known ones`, "--labels A,B,...")
}
