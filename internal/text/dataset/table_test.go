package dataset

import (
	endian "encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
)

func utf16Of(text string, order endian.AppendByteOrder) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// Every form of file is read in every encoding and with every line end, or refused in a line that names the cause.
func TestEncodingsAndLineEnds(t *testing.T) {
	for file, form := range map[string]struct{ task, text, want string }{
		"a.csv":   {"classify", "text,label\nGröße,1\n\"zwölf\",0\n", "2 text=Größe label=1; 3 text=zwölf label=0"},
		"a.tsv":   {"classify", "text\tlabel\nGröße\t1\nzwölf\t0\n", "2 text=Größe label=1; 3 text=zwölf label=0"},
		"a.jsonl": {"classify", "{\"text\": \"Größe\", \"label\": 1}\n{\"text\": \"zwölf\", \"label\": 0}\n", "1 text=Größe label=1; 2 text=zwölf label=0"},
		"a.conll": {"tag", "Größe B-X\nist O\n\nzwölf O\n", "1 words=Größe|ist labels=B-X|O; 4 words=zwölf labels=O"},
	} {
		for _, end := range []string{"\n", "\r\n", "\r"} {
			text := strings.ReplaceAll(form.text, "\n", end)
			for name, in := range map[string]string{"UTF-8": text, "mark": "\ufeff" + text, "UTF-16LE": utf16Of(text, endian.LittleEndian),
				"UTF-16BE": utf16Of(text, endian.BigEndian), "UTF-16LE, mark": utf16Of("\ufeff"+text, endian.LittleEndian),
				"UTF-16BE, mark": utf16Of("\ufeff"+text, endian.BigEndian)} {
				s, err := readText(t, form.task, Train, file, in, Options{})
				if err != nil {
					t.Errorf("%s, %q, %s: %v", file, end, name, err)
					continue
				}
				wantExamples(t, s, strings.Split(form.want, "; ")...)
			}
			_, err := readText(t, form.task, Train, file, strings.NewReplacer("ö", "\xf6", "ß", "\xdf").Replace(text), Options{})
			wantError(t, err, file+":", "not UTF-8", "Latin-1?", "iconv -f latin1 -t utf-8")
		}
	}
	// Without a mark and without Latin letters nothing tells.
	_, err := readText(t, "classify", Train, "a.tsv", utf16Of("文\t字\n", endian.LittleEndian), Options{})
	wantError(t, err, "a.tsv:1: ")
}

func TestDelimiters(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		o          Options
	}{
		"semicolons":                    {"a.csv", "text;label\nA, a;x\nB;y\n", Options{}},
		"tabs":                          {"a.csv", "text\tlabel\nA, a\tx\nB\ty\n", Options{}},
		"bars":                          {"a.csv", "text|label\nA, a|x\nB|y\n", Options{}},
		"quoted names":                  {"a.csv", "\"label\";\"text\"\r\n\"x\";\"A, a\"\r\ny;B\r\n", Options{}},
		"a comma in a name":             {"a.csv", "note, short;text;label\n;A, a;x\n;B;y\n", Options{}},
		"commas in .tsv":                {"a.tsv", "text,label\n\"A, a\",x\nB,y\n", Options{}},
		"any ending":                    {"a.txt", "text;label\nA, a;x\nB;y\n", Options{}},
		"sep line":                      {"a.csv", "sep=;\r\ntext;label\r\nA, a;x\r\nB;y\r\n", Options{}},
		"sep line, quoted":              {"a.csv", "\"sep=|\"\ntext|label\nA, a|x\nB|y\n", Options{}},
		"sep line, tab":                 {"a.csv", "sep=\t\ntext\tlabel\nA, a\tx\nB\ty\n", Options{}},
		"given":                         {"a.csv", "text^label\nA, a^x\nB^y\n", Options{Delimiter: "^"}},
		"given by name":                 {"a.csv", "text;label,\nA, a;x\nB;y\n", Options{Delimiter: "semicolon", LabelColumn: "label,"}},
		"columns by number":             {"a.csv", "A, a;x\nB;y\n", Options{TextColumn: "1", LabelColumn: "2", Delimiter: ";"}},
		"columns by number, tab in csv": {"a.csv", "A\tx\nB\ty\n", Options{TextColumn: "1", LabelColumn: "2"}},
	} {
		s, err := readText(t, "classify", Train, c.file, c.text, c.o)
		if err != nil || len(s.Examples) != 2 || s.Examples[1].Text != "B" || s.Labels[s.Examples[0].Label] != "x" {
			t.Errorf("%s: %v, %+v", name, err, s)
			continue
		}
		if lines := strings.Count(c.text, "\n"); s.Examples[1].Line != lines {
			t.Errorf("%s: line %d of %d", name, s.Examples[1].Line, lines)
		}
	}
	_, err := readText(t, "classify", Train, "a.csv", "text;label\nA;x\nB\n", Options{})
	wantError(t, err, "a.csv:3: 1 columns, where there are 2", "parted by ';'", "--delimiter")
	_, err = readText(t, "classify", Train, "a.csv", "sep=;\ntext;label\nA;x\n\"B;y\n", Options{})
	wantError(t, err, "a.csv:4: CSV", "begins in line 4")
	_, err = readText(t, "classify", Train, "a.csv", "text;label\nA;x\n", Options{Delimiter: "and"})
	wantError(t, err, `the delimiter "and"`)
}

func TestQuotesOfTSV(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		o    Options
		want []string
		note string
	}{
		"pandas": {"text\tlabel\n\"she said \"\"stop\"\"\"\tx\n\"\"\"all\"\"\"\ty\nplain\tx\n", Options{},
			[]string{`2 text=she said "stop" label=x`, `3 text="all" label=y`, "4 text=plain label=x"}, "2 fields in double quotes are read as in CSV (--quotes none"},
		"all quoted": {"\"text\"\t\"label\"\n\"A\"\t\"x\"\n", Options{}, []string{"2 text=A label=x"}, "4 fields in double quotes"},
		"lines and tabs in fields": {"text\tlabel\n\"a\nb\tc\"\tx\nd\ty\n", Options{}, []string{"2 text=a\nb\tc label=x", "4 text=d label=y"},
			"fields go over several lines"},
		"natural text":        {"text\tlabel\n\"so\" it is\tx\n\"whole\"\ty\n", Options{}, []string{`2 text="so" it is label=x`, `3 text="whole" label=y`}, ""},
		"over lines, by luck": {"text\tlabel\n\"A\tx\nB\"\ty\n", Options{}, []string{`2 text="A label=x`, `3 text=B" label=y`}, ""},
		"mixed":               {"text\tlabel\n\"a \"\"b\"\"\"\tx\n\"c\" d\ty\n", Options{}, []string{`2 text="a ""b""" label=x`, `3 text="c" d label=y`}, "that in line 3 is not closed as in CSV (--quotes csv"},
		"none":                {"text\tlabel\n\"A\"\tx\n", Options{Quotes: QuotesNone}, []string{`2 text="A" label=x`}, ""},
		"csv":                 {"text\tlabel\n\"A\"\tx\n", Options{Quotes: QuotesCSV}, []string{`2 text=A label=x`}, ""},
	} {
		for _, file := range []string{"a.tsv", "a.tsv.gz"} {
			text := c.text
			if file == "a.tsv.gz" {
				text = zipped(text)
			}
			s := mustRead(t, "classify", Train, file, text, c.o)
			wantExamples(t, s, c.want...)
			if notes := strings.Join(s.Notes, "; "); (notes == "") != (c.note == "") || !strings.Contains(notes, c.note) {
				t.Errorf("%s: notes %q, want %q", name, notes, c.note)
			}
		}
	}
	// GLUE's own files are as they are.
	s := mustRead(t, "sst2", Train, "train.tsv", "sentence\tlabel\n\"A\"\t1\n", Options{})
	wantExamples(t, s, `2 id=0 text="A" label=1`)
	// What is far behind the beginning counts, too.
	long := "text\tlabel\n\"A\"\tx\n" + strings.Repeat("plain\ty\n", 20000) + "\"so\" it is\tx\n"
	if s := mustRead(t, "classify", Train, "a.tsv", long, Options{}); s.Examples[0].Text != `"A"` {
		t.Errorf("%q", s.Examples[0].Text)
	}
}

func TestUnusedColumnsAreTold(t *testing.T) {
	for file, text := range map[string]string{"a.csv": "title,text,topic,label\na,b,c,d\n", "a.tsv": "title\ttext\ttopic\tlabel\na\tb\tc\td\n",
		"a.jsonl": `{"title": "a", "text": "b", "topic": "c", "label": "d"}`} {
		s := mustRead(t, "classify", Train, file, text, Options{TextColumn: "title", LabelColumn: "topic"})
		if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], `2 of 4 columns are not used: "label", "text"`) {
			t.Errorf("%s: %q", file, s.Notes)
		}
	}
}
