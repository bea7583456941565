package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"albert"
)

// The embedded model answers over HTTP; what is no list of texts is refused.
func TestService(t *testing.T) {
	m, err := albert.OpenFS(files, "model", albert.Normalize())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ask := func(body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		vectors(m)(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		return w
	}
	w := ask(`["The door is closed.", "A file is open."]`)
	var list [][]float32
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 || len(list) != 2 || len(list[0]) != m.Dimensions() {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, body := range []string{"", "{}", `["`, `[1]`, `["` + strings.Repeat("a", mostBody) + `"]`} {
		if w := ask(body); w.Code != 400 {
			t.Errorf("%.20q: %d %s", body, w.Code, w.Body)
		}
	}
}
