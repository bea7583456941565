package serve

import (
	"context"
	"embed"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"albert/internal/infer"
	"albert/internal/learn/task"
)

//go:embed page
var pageFiles embed.FS

const indexFile = "index.html"

var contentTypes = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml"}

// pageNames are the page's files.
func pageNames() (list []string) {
	entries, _ := pageFiles.ReadDir("page") // it is embedded
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// rootOrHealth is GET /: the page for a browser, else whether the server is ready.
func (q *request) rootOrHealth() error {
	q.w.Header().Set("Vary", "Accept")
	if strings.Contains(q.r.Header.Get("Accept"), "text/html") {
		return q.pageFile(indexFile)
	}
	return q.healthRoute()
}

// pageFile gives a file of the page, which may load nothing but what this server has.
func (q *request) pageFile(name string) error {
	if !slices.Contains(pageNames(), name) {
		return newProblem(kindNotFound, fmt.Sprintf("the page has no file %q", name))
	}
	text, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("Content-Type", contentTypes[path.Ext(name)])
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	q.w.WriteHeader(http.StatusOK)
	_, err = q.w.Write(text)
	return gone(err)
}

// asks is what the model can be asked: last parts of /models/NAME/..., and rerank and zero-shot. Each is asked nothing, to see whether that is an error.
func (o *opened) asks() []string {
	list, ctx := []string{}, context.Background()
	nothing := func(func(*infer.Question) bool) {}
	add := func(name string, err error) {
		if err == nil {
			list = append(list, name)
		}
	}
	m := o.Model
	_, err := m.Fill(ctx, nothing, infer.FillOptions{TopK: 1})
	add("fill", err)
	_, err = m.Classify(ctx, nothing, false)
	add("classify", err)
	_, err = m.Tag(ctx, nothing, infer.TagOptions{})
	add("tag", err)
	_, err = m.Answer(ctx, nothing, task.DefaultSpanOptions)
	add("answer", err)
	_, err = m.Choose(ctx, nothing)
	add("choose", err)
	_, err = m.ZeroShot(ctx, nothing, infer.ZeroShotOptions{Labels: []string{"label"}})
	add("zero-shot", err)
	if r := ranker(m); r != nil {
		_, err = r.Rank(ctx, nothing)
		add("rerank", err)
	}
	_, err = m.Embed(ctx, nothing, lastLayer(nil))
	add("embed", err)
	return list
}
