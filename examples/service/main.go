// Command service is one binary that holds a model and answers over HTTP with its vectors:
//
//	go run . &
//	curl 127.0.0.1:8080 -d '["The door is closed.", "A file is open."]'
//
// The folder model is small and has learned next to nothing; model.sh says how it was made. One of your own takes its place by
// `albert convert --force --precision int8 RUN model`: base is 12 MB. For all routes of `albert serve` use package albert/serve, with a Model whose FS is files.
package main

import (
	"embed"
	"encoding/json"
	"log"
	"net/http"

	"albert"
)

//go:generate ./model.sh
//go:embed model
var files embed.FS

const mostBody = 1 << 20 // bytes

func main() {
	m, err := albert.OpenFS(files, "model", albert.Normalize())
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", vectors(m)))
}

// vectors answers a list of texts with a list of vectors.
func vectors(m *albert.Model) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var texts []string
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostBody)).Decode(&texts); err != nil {
			http.Error(w, "want a JSON list of texts: "+err.Error(), http.StatusBadRequest)
			return
		}
		list, err := m.Embed(r.Context(), texts)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list) // who does not read any more is gone
	}
}
