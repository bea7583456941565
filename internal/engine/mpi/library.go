//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// abi is what MPI leaves to a library, from its header: the values of handles, and the size of one.
type abi struct {
	world, bytes, errorsReturn uintptr
	funneled                   uintptr // MPI_THREAD_FUNNELED
	handle                     int     // bytes of an MPI_Request
}

var (
	mpichABI    = abi{world: 0x44000000, bytes: 0x4c00010d, errorsReturn: 0x54000001, funneled: 1, handle: 4}
	standardABI = abi{world: 0x101, bytes: 0x247, errorsReturn: 0x143, funneled: 1024, handle: 8}
)

// openMPIABI's handles are addresses of the library's variables.
func openMPIABI(handle uintptr) (a abi, err error) {
	a = abi{funneled: 1, handle: 8}
	for name, to := range map[string]*uintptr{
		"ompi_mpi_comm_world": &a.world, "ompi_mpi_byte": &a.bytes, "ompi_mpi_errors_return": &a.errorsReturn,
	} {
		if *to, err = purego.Dlsym(handle, name); err != nil {
			return a, err
		}
	}
	return a, nil
}

// library is an MPI library that has been opened. Its calls are made from one thread.
type library struct {
	abi
	file, version string
	functions
	memory *memory
	pinner runtime.Pinner // of memory, for good
}

// functions are addresses.
type functions struct {
	getLibraryVersion, initThread, commSetErrhandler, commRank, commSize, errorString uintptr
	isend, irecv, testany, getCount, ibarrier, abort, finalize                        uintptr
}

func (f *functions) names() map[string]*uintptr {
	return map[string]*uintptr{
		"MPI_Get_library_version": &f.getLibraryVersion, "MPI_Init_thread": &f.initThread, "MPI_Comm_set_errhandler": &f.commSetErrhandler,
		"MPI_Comm_rank": &f.commRank, "MPI_Comm_size": &f.commSize, "MPI_Error_string": &f.errorString, "MPI_Isend": &f.isend, "MPI_Irecv": &f.irecv,
		"MPI_Testany": &f.testany, "MPI_Get_count": &f.getCount, "MPI_Ibarrier": &f.ibarrier, "MPI_Abort": &f.abort, "MPI_Finalize": &f.finalize,
	}
}

// memory is what calls write to. It is pinned.
type memory struct {
	number, index, flag int32
	status              [64]byte // 20 to 32 bytes
	text                [8192]byte
}

// load opens the library that fits the launcher.
func load(l launcher, file string) (*library, error) {
	// Handlers of SIGSEGV that these libraries set keep Go from making a panic of a nil dereference. Open MPI takes no word for none.
	for _, name := range []string{"UCX_ERROR_SIGNALS", "OMPI_MCA_opal_signal"} {
		if _, set := os.LookupEnv(name); !set {
			os.Setenv(name, "")
		}
	}
	files := []string{file}
	if file == "" {
		files = candidates(l)
	}
	var failed error
	for _, f := range files {
		handle, err := purego.Dlopen(f, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			if file != "" || exists(f) {
				failed = errors.Join(failed, err)
			}
			continue
		}
		return newLibrary(f, handle)
	}
	if failed != nil {
		return nil, fmt.Errorf("the MPI library cannot be opened: %s", strings.ReplaceAll(failed.Error(), "\n", "; "))
	}
	return nil, fmt.Errorf("no MPI library for %s: there is none of %s; name its file by --mpi FILE or ALBERT_MPI", l.name, strings.Join(files, ", "))
}

func newLibrary(file string, handle uintptr) (lib *library, err error) {
	lib = &library{abi: mpichABI, file: file, memory: &memory{}}
	if _, e := purego.Dlsym(handle, "ompi_mpi_comm_world"); e == nil {
		lib.abi, err = openMPIABI(handle)
	} else if slices.Contains(standardNames, soname(file)) { // MPICH's own library has MPI_Abi_get_version, too
		lib.abi = standardABI
	}
	for name, to := range lib.names() {
		if err == nil {
			*to, err = purego.Dlsym(handle, name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no MPI library that albert knows: %w", file, err)
	}
	lib.pinner.Pin(lib.memory)
	if err := lib.check(call(lib.getLibraryVersion, lib.at(&lib.memory.text[0]), lib.number())); err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(lib.text(), "\n") // how it was built follows
	line, _, _ = strings.Cut(line, ",")
	lib.version = strings.Replace(strings.Join(strings.Fields(line), " "), "Version: ", "", 1)
	return lib, nil
}

// soname is the name that a library gives itself, or that of its file.
func soname(file string) string {
	if f, err := elf.Open(file); err == nil {
		defer f.Close()
		if names, err := f.DynString(elf.DT_SONAME); err == nil && len(names) > 0 {
			return names[0]
		}
	}
	return filepath.Base(file)
}

// call calls a function that returns an int. Addresses among its arguments are of memory that is pinned.
func call(function uintptr, arguments ...uintptr) int32 {
	result, _, _ := purego.SyscallN(function, arguments...)
	return int32(result)
}

func (l *library) at(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }
func (l *library) number() uintptr    { return uintptr(unsafe.Pointer(&l.memory.number)) }

// text is what the last call wrote, as long as it said.
func (l *library) text() string {
	return strings.TrimRight(string(l.memory.text[:min(max(0, int(l.memory.number)), len(l.memory.text))]), "\x00\n ")
}

// check makes an error of a call's result.
func (l *library) check(result int32) error {
	if result == 0 {
		return nil
	}
	if call(l.errorString, uintptr(result), l.at(&l.memory.text[0]), l.number()) != 0 {
		return fmt.Errorf("MPI error %d", result)
	}
	return fmt.Errorf("MPI: %s", strings.ReplaceAll(l.text(), "\n", " "))
}

// start joins the job and gives this process's place in it.
func (l *library) start() (rank, size int, err error) {
	m := l.memory
	if err := l.check(call(l.initThread, 0, 0, l.funneled, l.number())); err != nil {
		return 0, 0, err
	}
	if uintptr(m.number) < l.funneled {
		return 0, 0, fmt.Errorf("%s allows no threads beside the one that calls it", l.version)
	}
	if err := l.check(call(l.commSetErrhandler, l.world, l.errorsReturn)); err != nil {
		return 0, 0, err
	}
	if err := l.check(call(l.commRank, l.world, l.number())); err != nil {
		return 0, 0, err
	}
	rank = int(m.number)
	err = l.check(call(l.commSize, l.world, l.number()))
	return rank, int(m.number), err
}
