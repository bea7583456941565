// Package page holds the test of `albert serve`'s page in Chromium. It is a module of its own, so that what drives the browser is no dependency of albert.
package page

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser is a tab, with what it asked for and complained about.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string
	errors   []string
}

// open starts Chromium, which can reach nothing but this machine. The test is skipped where there is none.
func open(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		t.Skip("there is no Chromium here (Debian: apt-get install chromium)")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	ctx, end := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(end)
	b := &browser{t: t, ctx: ctx}
	b.run()
	err := chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, e.Request.URL)
		case *runtime.EventExceptionThrown:
			b.errors = append(b.errors, (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
		case *log.EventEntryAdded:
			if e.Entry.Source != log.EntrySourceNetwork {
				b.errors = append(b.errors, e.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	return b
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// call runs a command of the browser's protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// eval gives the value of an expression.
func eval[T any](b *browser, expression string) (v T) {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// wait waits until an expression is true.
func (b *browser) wait(expression string) {
	b.t.Helper()
	for began := time.Now(); !eval[bool](b, "Boolean("+expression+")"); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 15*time.Second {
			b.t.Fatalf("not within 15 s: %s\n%s", expression, eval[string](b, "document.body.innerText"))
		}
	}
}

// visit opens the page at a place.
func (b *browser) visit(url, place string) {
	b.t.Helper()
	b.run(chromedp.Navigate("about:blank"), chromedp.Navigate(url+"/"+place))
	b.wait("document.querySelector('main .bar, main .problem')")
}

// check fails the test for requests to others, and for what the browser complained about.
func (b *browser) check(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if !strings.HasPrefix(r, url+"/") && r != "about:blank" {
			b.t.Errorf("a request to another place: %s", r)
		}
	}
	for _, e := range b.errors {
		b.t.Errorf("the browser says: %s", e)
	}
	if len(b.requests) == 0 {
		b.t.Error("no request was seen")
	}
}

func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// fill writes into the fields of a form, as by hand.
func (b *browser) fill(fields map[string]string) {
	b.t.Helper()
	for name, value := range fields {
		eval[bool](b, fmt.Sprintf(`(e => { e.value = %s; return e.dispatchEvent(new Event("input", {bubbles: true})) })(document.getElementById(%s))`, quoted(value), quoted("field-"+name)))
	}
}

func (b *browser) ask() {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS("button.primary")))
	b.wait("document.querySelector('.answer .raw, .answer .problem') && !document.querySelector('.answer[aria-busy]')")
}

// post asks the server without the page.
func post(t *testing.T, url, body string) string {
	t.Helper()
	r, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%s %s: %d %s, %v", url, body, r.StatusCode, text, err)
	}
	return strings.TrimSpace(string(text))
}

var scoreField = regexp.MustCompile(`"(?:relevance_)?scores?":(\[[^\]]*\]|[^,}\]]*)`)

// scores are those of an answer, in their order.
func scores(t *testing.T, answer string) (list []float64) {
	t.Helper()
	for _, m := range scoreField.FindAllStringSubmatch(answer, -1) {
		for _, text := range strings.Split(strings.Trim(m[1], "[]"), ",") {
			list = append(list, parse(t, text))
		}
	}
	return list
}

func parse(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// shown are the numbers of an answer on the page, whole and as they are written.
func (b *browser) shown(t *testing.T) (list []float64) {
	t.Helper()
	for _, x := range eval[[][2]string](b, `[...document.querySelectorAll(".answer [data-value]")].map(e => [e.dataset.value, e.textContent])`) {
		value, text := parse(t, x[0]), parse(t, x[1])
		if d := value - text; d > 0.006 || d < -0.006 {
			t.Errorf("%v is written as %v", value, text)
		}
		list = append(list, value)
	}
	return list
}

const emoji = "😀 Anna went from Oslo 🚂 to the coast."

var widgets = []struct {
	model, task string
	fields      map[string]string
	path, body  string
}{
	{"fill", "fill", map[string]string{"text": "a [MASK] in the house."}, "/models/fill/fill?top_k=6", `{"text":"a [MASK] in the house."}`},
	{"fill", "fill", map[string]string{"text": "[MASK] and\na [MASK]."}, "/models/fill/fill?top_k=6", `{"text":"[MASK] and\na [MASK]."}`},
	{"fill", "classify", map[string]string{"text": "One.", "pair": "Two."}, "/models/fill/classify?all=true", `{"text":"One.","text_pair":"Two."}`},
	{"classify", "classify", map[string]string{"text": "a door"}, "/models/classify/classify?all=true", `{"text":"a door"}`},
	{"rank", "classify", map[string]string{"text": "a door"}, "/models/rank/classify?all=true", `{"text":"a door"}`},
	{"tag", "tag", map[string]string{"text": emoji}, "/models/tag/tag?aggregate=true", `{"text":` + quoted(emoji) + `}`},
	{"answer", "answer", map[string]string{"question": "who?", "context": emoji}, "/models/answer/answer?top_k=3", `{"question":"who?","context":` + quoted(emoji) + `}`},
	{"choose", "choose", map[string]string{"context": "a", "question": "b _", "choices": "c\nd\n\ne"}, "/models/choose/choose", `{"context":"a","question":"b _","choices":["c","d","e"]}`},
	{"rank", "rerank", map[string]string{"query": "a", "texts": "one\ntwo\nthree"}, "/v1/rerank", `{"model":"rank","query":"a","documents":["one","two","three"]}`},
	{"classify", "zero-shot", map[string]string{"text": "a match", "labels": "sport\npolitics"}, "/models/classify/pipeline/zero-shot-classification",
		`{"inputs":"a match","parameters":{"candidate_labels":["sport","politics"],"multi_label":false}}`},
}

// Each widget shows the numbers of the API, every one of them, and nothing else is asked for anything.
func TestWidgetsShowTheAPIsNumbers(t *testing.T) {
	b, url := open(t), serve(t, allModels(t))
	for _, w := range widgets {
		t.Run(w.model+" "+w.task, func(t *testing.T) {
			defer func(all *testing.T) { b.t = all }(b.t)
			b.t = t
			b.visit(url, "#/try/"+w.model+"/"+w.task)
			b.fill(w.fields)
			b.ask()
			answer := post(t, url+w.path, w.body)
			if got, want := b.shown(t), scores(t, answer); !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("the page shows %v, the API gives %v", got, want)
			}
			if raw := eval[string](b, `document.querySelector(".raw pre").textContent`); raw != answer && w.task != "rerank" { // which has an id of its own
				t.Errorf("the JSON is %s, want %s", raw, answer)
			}
			marks := eval[[]string](b, `[...document.querySelectorAll(".answer mark")].map(e => e.firstChild.data)`)
			var spans []struct{ Word, Answer string }
			if w.task == "tag" || w.task == "answer" {
				if err := json.Unmarshal([]byte(answer), &spans); err != nil {
					t.Fatal(err)
				}
			}
			if w.task == "answer" {
				spans = spans[:1]
			}
			words := []string{}
			for _, s := range spans {
				if word := s.Word + s.Answer; word != "" {
					words = append(words, word)
				}
			}
			if !slices.Equal(marks, words) {
				t.Errorf("%q are marked, want %q", marks, words)
			}
		})
	}
	b.check(url)
}

// The heat map has the cosines of the API, and the map a point for every line.
func TestEmbedShowsTheAPIsCosines(t *testing.T) {
	b, url := open(t), serve(t, allModels(t))
	lines := []string{"the door is closed", "a house", "the door is shut", "who?"}
	b.visit(url, "#/try/tag/embed")
	b.fill(map[string]string{"texts": strings.Join(lines, "\n")})
	b.ask()
	var want []float64
	for _, l := range lines {
		var row []float64
		text := post(t, url+"/models/tag/pipeline/sentence-similarity", quoted(map[string]any{"inputs": map[string]any{"source_sentence": l, "sentences": lines}}))
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			t.Fatal(err)
		}
		want = append(want, row...)
	}
	got := b.shown(t)
	for i := range want {
		if len(got) != len(want) || float32(got[i]) != float32(want[i]) {
			t.Fatalf("the page shows %v, the API gives %v", got, want)
		}
	}
	if n := eval[int](b, `document.querySelectorAll(".map circle").length`); n != len(lines) {
		t.Errorf("%d points", n)
	}
	// of points on a plane the map keeps all distances
	far := eval[float64](b, `import(new URL("page/vectors.js", document.baseURI)).then(m => {
		const points = [[0, 0, 5], [3, 0, 5], [0, 4, 5], [-1, 2, 5]], {points: on, share} = m.principal(points)
		const far = (a, b) => Math.hypot(...a.map((x, i) => x - b[i]))
		return Math.max(Math.abs(share - 1), ...points.flatMap((p, i) => points.map((q, j) => Math.abs(far(p, q) - far(on[i], on[j])))))
	})`)
	if far > 1e-6 {
		t.Errorf("the map is off by %v", far)
	}
	b.check(url)
}

// What is copied as curl, Python and Go gives the answer that the page shows.
func TestProgramsGiveTheAnswer(t *testing.T) {
	b, url := open(t), serve(t, allModels(t))
	text := "it's \"a\" $HOME `[MASK]` \\ 😀\nline"
	b.visit(url, "#/try/fill/fill")
	b.fill(map[string]string{"text": text})
	b.ask()
	want := post(t, url+"/models/fill/fill?top_k=6", quoted(map[string]string{"text": text}))
	dir := t.TempDir()
	for _, p := range []struct {
		language, file, program string
		args                    []string
	}{{"curl", "ask.sh", "bash", nil}, {"Python", "ask.py", "python3", nil}, {"Go", "ask.go", "go", []string{"run"}}} {
		t.Run(p.language, func(t *testing.T) {
			if p.language == "Python" && exec.Command("python3", "-c", "import requests").Run() != nil {
				t.Skip("there is no Python with requests here")
			}
			b.run(chromedp.Click(chromedp.CSS("#language-" + p.language)))
			file := filepath.Join(dir, p.file)
			if err := os.WriteFile(file, []byte(eval[string](b, `document.querySelector(".languages + pre").textContent`)+"\n"), 0o666); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(p.program, append(p.args, file)...)
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, said.String())
			}
			got := strings.TrimSpace(string(out))
			if p.language == "Python" { // it prints the list in its own way
				if got, want := scores(t, strings.ReplaceAll(got, "'score': ", `"score":`)), scores(t, want); !slices.Equal(got, want) || len(want) == 0 {
					t.Errorf("%v, want %v", got, want)
				}
				return
			}
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	b.check(url)
}

// All can be done without a mouse, and a problem is told in words.
func TestKeyboardAndProblems(t *testing.T) {
	b, url := open(t), serve(t, allModels(t))
	b.visit(url, "#/try/fill/fill")
	for n := 0; eval[string](b, "document.activeElement.id") != "field-text"; n++ {
		if b.run(chromedp.KeyEvent(kb.Tab)); n > 30 {
			t.Fatal("the field cannot be reached")
		}
	}
	b.run(chromedp.KeyEvent("a"), chromedp.KeyEvent(kb.Tab))
	if at := eval[string](b, "document.activeElement.textContent"); at != "Ask" {
		t.Fatalf("behind the field stands %q", at)
	}
	b.run(chromedp.KeyEvent(kb.Enter))
	b.wait("document.querySelector('.answer .raw')")
	b.fill(map[string]string{"text": "no mask"})
	b.ask()
	if text := eval[string](b, `document.querySelector(".answer [role=alert]").textContent`); !strings.Contains(text, "[MASK]") {
		t.Errorf("the problem is told as %q", text)
	}
	b.run(chromedp.Focus(chromedp.CSS("#model")), chromedp.KeyEvent("t"), chromedp.KeyEvent(kb.Enter))
	b.wait(`location.hash.startsWith("#/try/tag/")`)
	b.wait(`document.querySelector("main h2").textContent === "Tag"`)
	if at := eval[string](b, "document.activeElement.id"); at != "model" {
		t.Errorf("the focus is at %q", at)
	}
	b.visit(url, "#/try/%zz/%")
	b.wait(`document.querySelector("button.primary")`)
	b.check(url)
}

// A server with keys: the page asks for one, keeps it for the tab alone and writes it into no program.
func TestKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("ann topsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, url := open(t), serve(t, allModels(t), "--api-key-file", file)
	b.visit(url, "")
	b.wait(`document.activeElement.id === "key-field"`)
	b.run(chromedp.KeyEvent("wrong" + kb.Enter))
	b.wait(`document.querySelector("main .problem").textContent.includes("does not know")`)
	b.wait(`document.activeElement.id === "key-field"`)
	b.run(chromedp.KeyEvent("topsecret" + kb.Enter))
	b.wait("document.querySelector('button.primary')")
	b.ask()
	if n := len(b.shown(t)); n != 6 {
		t.Errorf("%d numbers", n)
	}
	for _, language := range []string{"curl", "Python", "Go"} {
		b.run(chromedp.Click(chromedp.CSS("#language-" + language)))
		if text := eval[string](b, `document.querySelector(".languages + pre").textContent`); strings.Contains(text, "topsecret") || !strings.Contains(text, "ALBERT_API_KEY") {
			t.Errorf("the key in a program: %s", text)
		}
	}
	if kept := eval[string](b, `sessionStorage.getItem("albert-key") + localStorage.length + document.cookie`); kept != "topsecret0" {
		t.Errorf("kept: %q", kept)
	}
	b.check(url)
}

// A run that is begun has no log, then rows, of which the last may have no end yet: the page follows.
func TestRunIsFollowed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "live")
	write := func(name, text string) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err == nil {
			_, err = f.WriteString(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	write("manifest.json", `{"numerics":2,"finished":false,"settings":{"config":{"hidden_size":16},"steps":40,"seed":7},"data":{},"starts":[]}`)
	b, url := open(t), serve(t, map[string]string{"live": dir})
	b.visit(url, "")
	b.wait(`document.querySelector("main").textContent.includes("not loaded yet")`)
	b.visit(url, "#/runs/live")
	b.wait(`document.querySelector("[role=status]").textContent.includes("No step")`)
	write("log.jsonl", `{"step":1,"loss":9.25,"learning_rate":0.1,"tokens":9,"tokens_per_second":1234.5}`+"\n"+`{"step":2,"loss":8.125,"learning_rate":0.2,"tokens":9,"tokens_per_second":2000}`+"\n"+`{"step":3,"lo`)
	last := func(name, kind string) string {
		return fmt.Sprintf(`document.querySelector('[data-name=%s] [data-last=%s]')?.textContent`, name, kind)
	}
	b.wait(last("loss", "train") + ` === "8.125"`)
	write("log.jsonl", `ss":null,"skipped":true,"examples":["17","x9"]}`+"\n"+`{"step":3,"split":"dev","loss":7.5,"accuracy":0.5}`+"\n")
	b.wait(last("loss", "dev") + ` === "7.5" && ` + last("accuracy", "dev") + ` === "0.5"`)
	if names := eval[[]string](b, `[...document.querySelectorAll("[data-name]")].map(e => e.dataset.name)`); !slices.Equal(names, []string{"loss", "accuracy", "learning_rate", "tokens_per_second"}) {
		t.Errorf("charts of %q", names)
	}
	text := eval[string](b, `document.querySelector("main").textContent`)
	for _, want := range []string{"step 3 of 40", "config.hidden_size", "17, x9"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	b.run(chromedp.Focus(chromedp.CSS("[data-name=loss] svg")), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.ArrowLeft))
	b.wait(last("loss", "train") + ` === "9.25"`)
	b.check(url)
}

// A run of pretraining shows its curves, the examples of a step and its card, as the commands give them.
func TestRunsExamplesAndCard(t *testing.T) {
	dir := pretrained(t)
	b, url := open(t), serve(t, map[string]string{"own": dir})
	b.visit(url, "#/runs/own")
	b.wait(`document.querySelector("[role=status]").textContent.startsWith("Finished")`)
	eval[bool](b, `document.querySelectorAll("details.card").forEach(d => { d.open = true }), true`)
	b.run(chromedp.SendKeys(chromedp.CSS("#step"), kb.Backspace+"3"+kb.Enter))
	b.wait("document.querySelectorAll('.example').length === 4")
	b.wait("document.querySelectorAll('.evidence').length > 20")
	var card struct {
		Variables []struct{ Name, Result, Evidence string }
	}
	if err := json.Unmarshal(command(t, "card", dir, "--json"), &card); err != nil {
		t.Fatal(err)
	}
	text := eval[string](b, `document.querySelector("main").textContent`)
	for _, v := range card.Variables {
		if !strings.Contains(text, v.Name+v.Result) || !strings.Contains(text, v.Evidence) {
			t.Errorf("the card has no %q", v.Name)
		}
	}
	var want []string
	for line := range strings.Lines(string(command(t, "inspect", dir, "--step", "3"))) {
		var e struct {
			Example int
			Masked  []int `json:"masked_positions"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprint(e.Example, " ", len(e.Masked)))
	}
	if got := eval[[]string](b, `[...document.querySelectorAll(".example")].map(e => e.querySelector("h3").firstChild.data.split(" ")[1] + " " + e.querySelectorAll("mark").length)`); !slices.Equal(got, want) {
		t.Errorf("examples and their masks: %q, want %q", got, want)
	}
	b.check(url)
}

// In every view, at three widths, light and dark: nothing is wider than the window, and axe-core finds no fault. ALBERT_AXE is its file,
// ALBERT_SCREENSHOTS a folder for pictures.
func TestViews(t *testing.T) {
	axe, err := os.ReadFile(os.Getenv("ALBERT_AXE"))
	if err != nil {
		t.Log("without axe-core: parity/page.sh has it")
	}
	models := allModels(t)
	models["own"] = pretrained(t)
	if more := os.Getenv("ALBERT_MODELS"); more != "" { // NAME=MODEL,...: to look at
		clear(models)
		for _, m := range strings.Split(more, ",") {
			name, path, _ := strings.Cut(m, "=")
			models[name] = path
		}
	}
	b, url := open(t), serve(t, models)
	b.visit(url, "")
	var places []string
	for _, m := range eval[[]struct {
		ID    string
		Tasks []string
	}](b, `fetch("v1/models").then(r => r.json()).then(m => m.data.map(x => ({ID: x.id, Tasks: x.tasks})))`) {
		for _, task := range m.Tasks {
			if name := "/" + task; !slices.ContainsFunc(places, func(p string) bool { return strings.HasSuffix(p, name) }) {
				places = append(places, "#/try/"+m.ID+name)
			}
		}
	}
	for _, r := range eval[[]string](b, `fetch("runs").then(r => r.json()).then(m => m.runs.map(x => x.name))`) {
		places = append(places, "#/runs/"+r)
	}
	for _, place := range places {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{320, 768, 1280} {
				name := strings.Trim(strings.NewReplacer("#/", "", "/", "-").Replace(place), "-") + fmt.Sprintf("-%d-%s", width, scheme)
				t.Run(name, func(t *testing.T) { b.view(t, url, place, scheme, width, name, string(axe)) })
			}
		}
	}
	b.check(url)
}

func (b *browser) view(t *testing.T, url, place, scheme string, width int64, name, axe string) {
	defer func(all *testing.T) { b.t = all }(b.t)
	b.t = t
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	b.run(chromedp.EmulateViewport(width, 800))
	b.visit(url, place)
	if strings.HasPrefix(place, "#/try") {
		b.ask()
	} else {
		b.wait(`document.querySelector(".chart path")`)
		eval[bool](b, `document.querySelectorAll("details.card").forEach(d => { d.open = true }), true`)
		b.wait("document.querySelector('.evidence')")
		if eval[bool](b, `document.querySelector("#step").checkVisibility()`) {
			b.run(chromedp.SendKeys(chromedp.CSS("#step"), kb.Enter))
			b.wait("document.querySelector('.example')")
		}
	}
	b.run(chromedp.Sleep(350 * time.Millisecond)) // bars grow
	if over := eval[[]string](b, `document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth && !e.closest(".scrolls, pre")).map(e => e.outerHTML.slice(0, 80))`); len(over) > 0 {
		t.Errorf("wider than the window: %q", over)
	}
	if axe != "" {
		eval[bool](b, axe+"; true")
		faults := eval[[]string](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.impact + " " + v.id + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 120) + " " + n.failureSummary).join(" | ")))`)
		for _, f := range faults {
			t.Errorf("axe: %s", f)
		}
	}
	if dir := os.Getenv("ALBERT_SCREENSHOTS"); dir != "" {
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
