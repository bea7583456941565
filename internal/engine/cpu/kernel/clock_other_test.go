//go:build !linux

package kernel

import "time"

var started = time.Now()

// threadTime is the time of day where the thread's own is not to be had.
func threadTime() time.Duration { return time.Since(started) }
