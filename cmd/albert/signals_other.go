//go:build !unix

package main

import (
	"os"
	"syscall"
)

// stopSignals ask for an end in good order.
var stopSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM}
