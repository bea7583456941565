package mpi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The names of libraries by the launchers that they can talk to. A library of the MPI 5 standard's ABI may be of any family.
var (
	openMPINames  = []string{"libmpi.so.40"}
	mpichNames    = []string{"libmpich.so.12", "libmpi.so.12"}
	standardNames = []string{"libmpi_abi.so.1"}
)

// candidates lists the libraries to try for a launcher, best first: those beside the launcher (the parent process, else the mpiexec on PATH),
// those of an active Python environment, and those that the system's loader knows, as bare names.
func candidates(l launcher) []string {
	var names []string
	if l.family != mpich {
		names = append(names, openMPINames...)
	}
	if l.family != openMPI {
		names = append(names, mpichNames...)
	}
	names = append(names, standardNames...)
	var dirs []string
	beside := func(program string) {
		if program != "" {
			prefix := filepath.Dir(filepath.Dir(program))
			dirs = append(dirs, filepath.Join(prefix, "lib"), filepath.Join(prefix, "lib64"))
		}
	}
	if parent, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid())); err == nil {
		beside(parent)
	}
	if program, err := exec.LookPath("mpiexec"); err == nil {
		beside(program)
		if real, err := filepath.EvalSymlinks(program); err == nil {
			beside(real)
		}
	}
	if environment := os.Getenv("VIRTUAL_ENV"); environment != "" {
		dirs = append(dirs, filepath.Join(environment, "lib"))
	}
	var files []string
	for _, dir := range dirs {
		for _, name := range names {
			if file := filepath.Join(dir, name); exists(file) && !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return append(files, names...)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// familyOf tells a library's family by its text of MPI_Get_library_version.
func familyOf(version string) family {
	if strings.Contains(version, "Open MPI") {
		return openMPI
	}
	for _, name := range []string{"MPICH", "Intel", "CRAY", "Cray", "MVAPICH"} {
		if strings.Contains(version, name) {
			return mpich
		}
	}
	return anyFamily
}
