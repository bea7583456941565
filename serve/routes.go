package serve

import (
	"net/http"
	"strings"
)

// route is a way to ask: what /openapi.json says of it, and what answers.
type route struct {
	method, path string
	family       family
	summary      string
	open         bool   // needs no key, and is answered while the server drains
	always       bool   // needs a key, but is answered while the server drains
	stream       bool   // its body and its answer are lines
	query        string // a parameter of its address, a whole number from 0 on; "": it has none
	in           any    // the form of its body; nil: none
	out          any    // the form of its answer
	do           func(q *request) error
}

// first is a route that the first model answers.
func first(do func(q *request) error) func(q *request) error {
	return func(q *request) error {
		if err := q.use("", false); err != nil {
			return err
		}
		return do(q)
	}
}

// embedAnswer is that of /embed: vectors, as numbers or base64.
type embedAnswer []any

// noBody is an answer without a body.
type noBody struct{}

// textBody is an answer that is no JSON.
type textBody struct{ contentType string }

func (s *Server) addRoutes() {
	get := func(path string, f family, summary string, out any, do func(q *request) error) {
		s.routes = append(s.routes, &route{method: http.MethodGet, path: path, family: f, summary: summary, out: out, do: do})
	}
	post := func(path string, f family, summary string, in, out any, do func(q *request) error) {
		s.routes = append(s.routes, &route{method: http.MethodPost, path: path, family: f, summary: summary, in: in, out: out, do: do})
	}
	health := func(path string, f family, summary string, out any, do func(q *request) error) {
		s.routes = append(s.routes, &route{method: http.MethodGet, path: path, family: f, summary: summary, open: true, out: out, do: do})
	}
	root := "What the first model is for: predict, rerank, embed or similarity, in TEI's forms"
	post("/{$}", tei, root, anyBody{}, anyBody{}, first((*request).rootRoute))
	post("/invocations", tei, root, anyBody{}, anyBody{}, first((*request).rootRoute))
	post("/embed", tei, "A vector for each text, of length 1 unless told otherwise", embedRequest{}, embedAnswer{}, first(reading((*request).embedRoute)))
	post("/embed_all", tei, "A vector for each piece of each text", embedRequest{}, [][][]float32{}, first(reading((*request).embedAllRoute)))
	post("/predict", tei, "Labels of texts or pairs, best first", predictRequest{}, anyBody{}, first(reading((*request).predictRoute)))
	post("/rerank", tei, "Texts by how well they answer a query, best first", rerankRequest{}, []rerankAnswer{}, first(reading((*request).rerankRoute)))
	post("/similarity", tei, "Cosines of a text with others", similarityRequest{}, []float32{}, first(reading((*request).similarityRoute)))
	post("/tokenize", tei, "The pieces of texts, with places in characters", tokenizeRequest{}, [][]token{}, first(reading((*request).tokenizeRoute)))
	post("/decode", tei, "Texts of pieces", decodeRequest{}, []string{}, first(reading((*request).decodeRoute)))
	get("/info", tei, "What is served, and its limits", info{}, first((*request).infoRoute))
	health("/{$}", tei, "Whether the server is ready; with Accept: text/html the page", noBody{}, (*request).rootOrHealth)
	health("/health", tei, "Whether the server is ready", noBody{}, (*request).healthRoute)
	health("/ping", tei, "Whether the server is ready", noBody{}, (*request).healthRoute)
	post("/v1/embeddings", openAI, "A vector of length 1 for each text", embeddingsRequest{}, embeddingsAnswer{}, reading((*request).embeddingsRoute))
	get("/v1/models", openAI, "The models", modelList{}, (*request).modelsRoute)
	get("/v1/models/{id}", openAI, "A model", modelObject{}, (*request).modelRoute)
	for _, path := range []string{"/v1/rerank", "/v2/rerank"} {
		post(path, cohere, "Documents by how well they answer a query, best first", cohereRequest{}, cohereAnswer{}, reading((*request).cohereRoute))
	}
	post("/models/{name}", pipeline, "What the model is for, as Hugging Face's pipelines answer", pipelineRequest{}, anyBody{}, (*request).pipelineRoute)
	post("/models/{name}/pipeline/{task}", pipeline, "A task, as Hugging Face's pipelines answer", pipelineRequest{}, anyBody{}, (*request).pipelineRoute)
	for _, verb := range verbs {
		s.routes = append(s.routes, &route{method: http.MethodPost, path: "/models/{name}/" + verb, family: ours, stream: true,
			summary: "A line of JSON for each line of the body, as albert fill, predict or embed give it", in: textBody{"text/plain"},
			out: textBody{"application/x-ndjson"}, do: func(q *request) error { return q.linesRoute(verb) }})
	}
	post("/models/{name}/reload", operator, "Open the model's files anew", noBody{}, modelReady{}, (*request).reloadRoute)
	get("/v2", kserve, "The server", serverMetadata{}, (*request).serverMetadata)
	health("/v2/health/live", kserve, "Whether the server lives", map[string]bool{}, func(q *request) error { return q.json(map[string]bool{"live": true}) })
	health("/v2/health/ready", kserve, "Whether the server is ready", map[string]bool{}, func(q *request) error {
		if !q.s.Ready() {
			return newProblem(kindUnhealthy, "not ready")
		}
		return q.json(map[string]bool{"ready": true})
	})
	for _, model := range []string{"/v2/models/{name}", "/v2/models/{name}/versions/{version}"} {
		get(model, kserve, "The tensors of a model", modelMetadata{}, (*request).modelMetadata)
		get(model+"/ready", kserve, "Whether a model is ready", modelReady{}, (*request).modelReady)
		post(model+"/infer", kserve, "Tensors in, tensors out; bytes behind the JSON are taken and given", inferRequest{}, inferAnswer{}, (*request).inferRoute)
	}
	get("/metrics", operator, "Metrics for Prometheus", textBody{"text/plain"}, (*request).metricsRoute)
	s.routes[len(s.routes)-1].always = true
	health("/openapi.json", operator, "This description", map[string]any{}, (*request).openAPIRoute)
	health("/docs", operator, "This description for people", textBody{"text/html"}, (*request).docsRoute)
	health("/page/{file}", operator, "The files of the page at /", textBody{"*/*"}, func(q *request) error { return q.pageFile(q.r.PathValue("file")) })
	s.addRunRoutes(get)

	byPath := map[string]map[string]*route{}
	for _, r := range s.routes {
		if byPath[r.path] == nil {
			byPath[r.path] = map[string]*route{}
		}
		byPath[r.path][r.method] = r
	}
	for path, methods := range byPath {
		s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { s.dispatch(w, r, methods) })
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.handle(w, r, &route{method: r.Method, path: "other", family: familyOf(r.URL.Path)})
	})
}

// familyOf is whose form a problem of an address without a route has.
func familyOf(path string) family {
	switch {
	case strings.HasPrefix(path, "/v1/"):
		return openAI
	case strings.HasPrefix(path, "/v2"):
		return kserve
	}
	return tei
}

// dispatch chooses by the request's method.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, methods map[string]*route) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if route := methods[method]; route != nil {
		s.handle(w, r, route)
		return
	}
	var some *route
	allowed := ""
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		if methods[m] == nil {
			continue
		}
		if some = methods[m]; allowed != "" {
			allowed += ", "
		}
		allowed += m
	}
	w.Header().Set("Allow", allowed)
	s.handle(w, r, &route{method: r.Method, path: some.path, family: some.family, open: true, do: func(*request) error {
		return newProblem(kindMethod, r.Method+" is not for this route: want "+allowed)
	}})
}

func (q *request) healthRoute() error {
	if !q.s.Ready() {
		return newProblem(kindUnhealthy, "unhealthy")
	}
	q.w.WriteHeader(http.StatusOK)
	return nil
}

func (q *request) reloadRoute() error {
	if len(q.s.o.Keys) == 0 {
		return newProblem(kindForbidden, "reload is for servers with an API key (--api-key-file); without one send the process SIGHUP")
	}
	name := q.r.PathValue("name")
	if q.s.entry(name) == nil {
		return q.use(name, true)
	}
	if err := q.s.Reload(name); err != nil {
		return newProblem(kindInternal, "the model stays as it was: "+err.Error())
	}
	return q.json(modelReady{name, true})
}
