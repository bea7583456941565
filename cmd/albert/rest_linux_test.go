package main

import (
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// A program that waits keeps little of its own file mapped, and goes on.
func TestRestGivesBackTheProgram(t *testing.T) {
	before := programPages(t)
	forgetProgram()
	after := programPages(t)
	if after > before/2 {
		t.Errorf("%d KB of files were mapped, %d after giving them back", before, after)
	}
}

func programPages(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	found := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Skip("this kernel does not tell RssFile")
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Memory is given back while nothing is under way, and not before.
func TestRestWaitsForTheEnd(t *testing.T) {
	r := newRest(20 * time.Millisecond)
	defer r.timer.Stop()
	garbage := make([]byte, 64<<20)
	for i := range garbage {
		garbage[i] = 1
	}
	runtime.KeepAlive(garbage)
	r.begin()
	r.begin()
	r.end()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	runs := s.NumForcedGC
	time.Sleep(100 * time.Millisecond)
	if runtime.ReadMemStats(&s); s.NumForcedGC != runs {
		t.Error("memory was given back while a question was under way")
	}
	r.end()
	for range 500 {
		if runtime.ReadMemStats(&s); s.NumForcedGC > runs && s.HeapReleased >= 64<<20 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d collections were forced, %d bytes are given back: 64 MB are garbage", s.NumForcedGC-runs, s.HeapReleased)
}
