package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the processor time of the calling thread: on a shared machine it leaves out the time of others.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
