//go:build !(mpi && linux && (amd64 || arm64))

package mpi

import (
	"fmt"
	"os"
)

func open(l launcher, _ string) (World, error) {
	by := "--mpi"
	if l.ranks > 0 {
		by = fmt.Sprintf("%s (%d ranks)", l.name, l.ranks)
	}
	return nil, CommonError{fmt.Errorf("this albert is built without MPI, which %s needs: build it on Linux with go build -tags mpi ./cmd/albert", by)}
}

// Exit ends the process with that status.
func Exit(status int) { os.Exit(status) }

// Threads is 0: no job has been joined.
func Threads() int { return 0 }
