//go:build unix

package main

import (
	"os"
	"syscall"
)

// stopSignals ask for an end in good order. Batch systems send SIGUSR1 some time before they end a job.
var stopSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1}
