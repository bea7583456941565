package run

import (
	"runtime"
	"runtime/debug"
	"strings"

	"albert/internal/files/jsonobject"

	"github.com/klauspost/cpuid/v2"
)

// Version is the release of this program.
const Version = "0.2.0"

// Unknown is the commit of a program whose build does not say it.
const Unknown = "unknown"

// Commit is what the program was built from, [Unknown] where the build does not say.
func Commit() string {
	commit, modified := Unknown, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = "-modified"
			}
		}
	}
	return commit + modified
}

// About says what a run is made by and on, for its manifest.
func About() jsonobject.Fields {
	about := jsonobject.Fields{{Name: "version", Value: Version}, {Name: "commit", Value: Commit()}, {Name: "go", Value: runtime.Version()},
		{Name: "platform", Value: runtime.GOOS + "/" + runtime.GOARCH}, {Name: "cpus", Value: runtime.NumCPU()}}
	if name := strings.TrimSpace(cpuid.CPU.BrandName); name != "" {
		about = append(about, jsonobject.Field{Name: "cpu", Value: name})
	}
	return about
}
