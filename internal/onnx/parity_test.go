package onnx_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"albert/internal/files/safetensors"
	"albert/internal/model"
	"albert/internal/onnx"
)

// TestExportForParity is no test but the exporter of parity/onnx_export.py: ALBERT_ONNX_JOBS is a file with a JSON list of what to export.
func TestExportForParity(t *testing.T) {
	path := os.Getenv("ALBERT_ONNX_JOBS")
	if path == "" {
		t.Skip("ALBERT_ONNX_JOBS is not set: run parity/onnx.sh")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var jobs []struct {
		Model, Out string // a Hugging Face directory, a file
		Head       onnx.Head
		Int8       bool
	}
	if err := json.Unmarshal(text, &jobs); err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		c, err := model.ReadConfig(filepath.Join(j.Model, model.ConfigFile))
		if err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Open(filepath.Join(j.Model, model.WeightsFile))
		if err != nil {
			t.Fatal(err)
		}
		var tensors []safetensors.Tensor
		for _, name := range f.Names() {
			x, err := f.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, x)
		}
		w, err := os.Create(j.Out)
		if err != nil {
			t.Fatal(err)
		}
		if err := onnx.WriteTo(w, c, tensors, onnx.Options{Head: j.Head, Int8: j.Int8}); err != nil {
			t.Fatalf("%s: %v", j.Model, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}
