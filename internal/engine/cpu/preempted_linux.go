package cpu

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadUsage is that of the thread that calls it.
func threadUsage() usage {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return usage{}
	}
	return usage{switches: u.Nivcsw, ran: time.Duration(u.Utime.Nano() + u.Stime.Nano())}
}
