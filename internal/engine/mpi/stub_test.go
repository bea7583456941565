//go:build !(mpi && linux && (amd64 || arm64))

package mpi

import (
	"strings"
	"testing"
)

// A binary without MPI says under a launcher which one to take.
func TestStubNamesTheBuild(t *testing.T) {
	clear(t)
	for _, variable := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"} {
		t.Setenv(variable, "2")
		w, err := Open("auto")
		if w != nil || err == nil || !strings.Contains(err.Error(), "go build -tags mpi") || !strings.Contains(err.Error(), "(2 ranks)") {
			t.Error(w, err)
		}
		t.Setenv(variable, "")
	}
}
