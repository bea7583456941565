package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"
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
