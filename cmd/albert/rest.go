package main

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

// rest gives memory back to the system once nothing has been under way for a while. That takes some 10 ms.
type rest struct {
	after time.Duration
	busy  atomic.Int64 // so many are under way
	timer *time.Timer
}

func newRest(after time.Duration) *rest {
	r := &rest{after: after}
	r.timer = time.AfterFunc(time.Hour, func() {
		if r.busy.Load() == 0 {
			debug.FreeOSMemory()
			forgetProgram()
		}
	})
	r.timer.Stop()
	return r
}

func (r *rest) begin() { r.busy.Add(1) }

func (r *rest) end() {
	if r.busy.Add(-1) == 0 {
		r.timer.Reset(r.after)
	}
}
