package run

import (
	"runtime"
	"runtime/debug"

	"albert/internal/files/jsonobject"
)

// Version is the release of this program.
const Version = "0.1.0"

// Commit is what the program was built from, "unknown" where the build does not say.
func Commit() string {
	commit, modified := "unknown", ""
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
	return jsonobject.Fields{{Name: "version", Value: Version}, {Name: "commit", Value: Commit()}, {Name: "go", Value: runtime.Version()},
		{Name: "platform", Value: runtime.GOOS + "/" + runtime.GOARCH}, {Name: "cpus", Value: runtime.NumCPU()}}
}
