package serve

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// anyBody is a form that depends on the model or the task.
type anyBody struct{}

type schema = map[string]any

// custom are the schemas of types that are written by hand: a text or a list of texts, and the like.
var custom = map[reflect.Type]schema{
	reflect.TypeFor[json.RawMessage](): {},
	reflect.TypeFor[anyBody]():         {},
	reflect.TypeFor[any]():             {},
	reflect.TypeFor[teiInputs]():       oneOfSchemas(text, listOf(text), listOf(number), listOf(listOf(number))),
	reflect.TypeFor[predictInputs]():   oneOfSchemas(text, listOf(text), listOf(listOf(text))),
	reflect.TypeFor[stringOrList]():    oneOfSchemas(text, listOf(text)),
	reflect.TypeFor[labelList]():       oneOfSchemas(text, listOf(text)),
	reflect.TypeFor[idLists]():         oneOfSchemas(listOf(number), listOf(listOf(number))),
	reflect.TypeFor[cohereDocument]():  oneOfSchemas(text, schema{"type": "object", "properties": schema{"text": text}, "required": []string{"text"}}),
	reflect.TypeFor[embedAnswer]():     listOf(oneOfSchemas(listOf(schema{"type": "number"}), text)),
}

var text, number = schema{"type": "string"}, schema{"type": "integer", "format": "int32"}

func listOf(s schema) schema             { return schema{"type": "array", "items": s} }
func oneOfSchemas(list ...schema) schema { return schema{"anyOf": list} }

// schemaOf is the JSON schema of a form.
func schemaOf(t reflect.Type) schema {
	if s, ok := custom[t]; ok {
		return s
	}
	switch t.Kind() {
	case reflect.Pointer:
		return oneOfSchemas(schemaOf(t.Elem()), schema{"type": "null"})
	case reflect.String:
		return text
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.Slice:
		return listOf(schemaOf(t.Elem()))
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		fields, required := schema{}, []string{}
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			s := schemaOf(f.Type)
			if doc := f.Tag.Get("doc"); doc != "" {
				with := schema{"description": doc}
				for k, v := range s {
					with[k] = v
				}
				s = with
			}
			fields[name] = s
			if !strings.Contains(options, "omitempty") {
				required = append(required, name)
			}
		}
		return schema{"type": "object", "properties": fields, "required": required}
	}
	return schema{"type": "integer"}
}

// errorStatuses are the statuses that tell a problem, and what each means.
var errorStatuses = map[int]string{400: "The body cannot be read, or a value in it is wrong", 401: "The key is missing or wrong", 404: "No such model, task or route",
	405: "Another method", 408: "The body comes too slowly", 413: "The body is too large", 415: "An unknown Content-Encoding", 422: "A value in the body is wrong",
	424: "The model cannot do that", 429: "Too much waits: try again after Retry-After", 500: "The model gives numbers that are not finite, or a bug",
	503: "Not loaded yet, or stopping", 504: "The time that X-Request-Timeout gives is over"}

var (
	pathName = regexp.MustCompile(`\{(\w+)\}`)
	notInID  = regexp.MustCompile(`[^a-z0-9]+`)
)

// openAPI describes the routes (OpenAPI 3.1).
func (s *Server) openAPI() schema {
	paths := map[string]schema{}
	for _, r := range s.routes {
		path := strings.TrimSuffix(r.path, "{$}")
		if paths[path] == nil {
			paths[path] = schema{}
		}
		id := strings.Trim(notInID.ReplaceAllString(strings.ToLower(r.method+"_"+path), "_"), "_")
		o := schema{"operationId": id, "summary": r.summary, "tags": []string{string(r.family)}, "responses": s.responses(r)}
		var parameters []schema
		for _, m := range pathName.FindAllStringSubmatch(path, -1) {
			of := schema{"type": "string"}
			if values := s.pathValues(m[1]); values != nil {
				of["enum"] = values
			}
			parameters = append(parameters, schema{"name": m[1], "in": "path", "required": true, "schema": of})
		}
		if r.query != "" {
			parameters = append(parameters, schema{"name": r.query, "in": "query", "schema": schema{"type": "integer", "minimum": 0}})
		}
		if r.in != nil {
			parameters = append(parameters, schema{"name": "X-Request-Timeout", "in": "header", "description": "seconds; less than 1 is taken, too",
				"schema": schema{"type": "number", "minimum": 1, "maximum": 1e6}})
			if content := content(r.in); content != nil {
				o["requestBody"] = schema{"required": true, "content": content}
			}
		}
		if parameters != nil {
			o["parameters"] = parameters
		}
		if !r.open {
			o["security"] = []schema{{"key": []string{}}}
		}
		paths[path][strings.ToLower(r.method)] = o
	}
	return schema{"openapi": "3.1.0", "info": schema{"title": "albert", "version": s.o.Version,
		"description": "ALBERT over HTTP, in the forms of text-embeddings-inference, OpenAI, Cohere, Hugging Face pipelines and KServe."},
		"paths": paths, "components": schema{"securitySchemes": schema{"key": schema{"type": "http", "scheme": "bearer"}}}}
}

// pathValues are what may stand in an address.
func (s *Server) pathValues(name string) (list []string) {
	switch name {
	case "task":
		return tasks
	case "version":
		return []string{modelVersion}
	case "file":
		return pageNames()
	case "run":
		for _, r := range s.runs() {
			list = append(list, r.Name)
		}
		return list
	}
	for _, e := range s.models {
		list = append(list, e.name)
	}
	return list
}

// content is the media of a form; nil: it has no body.
func content(form any) schema {
	switch f := form.(type) {
	case noBody:
		return nil
	case textBody:
		return schema{f.contentType: schema{"schema": text}}
	}
	return schema{"application/json": schema{"schema": schemaOf(reflect.TypeOf(form))}}
}

// responses are what a route answers.
func (s *Server) responses(r *route) schema {
	ok := schema{"description": "Done"}
	if c := content(r.out); c != nil {
		ok["content"] = c
	}
	all := schema{"200": ok}
	failed := schemaOf(reflect.TypeOf((&problem{}).form(r.family)))
	for status, text := range errorStatuses {
		body := status == 400 || status == 408 || status == 413 || status == 415 || status == 422 || status == 424 || status == 429
		asked := status == 400 || status == 422 && r.query != ""
		named := strings.Contains(r.path, "{file}")
		if body && r.in == nil && !asked || r.open && (status == 401 || status == 404 && !named) {
			continue
		}
		all[strconv.Itoa(status)] = schema{"description": text, "content": schema{"application/json": schema{"schema": failed}}}
	}
	if r.path == "/models/{name}/reload" {
		all["403"] = schema{"description": "The server has no keys", "content": schema{"application/json": schema{"schema": failed}}}
	}
	return all
}

func (q *request) openAPIRoute() error { return q.json(q.s.openAPI()) }

//go:embed docs.html
var docsPage []byte

func (q *request) docsRoute() error {
	h := q.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; "+
		"style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	q.w.WriteHeader(http.StatusOK)
	_, err := q.w.Write(docsPage)
	return gone(err)
}
