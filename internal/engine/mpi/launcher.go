package mpi

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// launcher is what started this process, as the variables say that it set.
type launcher struct {
	name        string
	family      family
	rank, ranks int  // ranks 0: nothing did
	local       int  // ranks on this machine, 0: unknown
	plain       bool // it starts processes and knows nothing of MPI
}

// family is the kind of library that a launcher can talk to.
type family int

const (
	anyFamily family = iota
	openMPI
	mpich
)

// launched reads the variables of Open MPI's mpirun, of Hydra (MPICH, Intel), and of Slurm's srun. In a batch script of Slurm without srun
// SLURM_PROCID is there too, but not SLURM_STEP_NUM_TASKS.
func launched(env func(string) string) launcher {
	has := func(name string) bool { return env(name) != "" }
	number := func(name string) int { n, _ := strconv.Atoi(env(name)); return n }
	switch {
	case has("OMPI_COMM_WORLD_SIZE"):
		return launcher{name: "Open MPI's mpirun", family: openMPI, rank: number("OMPI_COMM_WORLD_RANK"), ranks: number("OMPI_COMM_WORLD_SIZE"),
			local: number("OMPI_COMM_WORLD_LOCAL_SIZE")}
	case has("PMI_SIZE"):
		name := "MPICH's mpiexec"
		switch {
		case has("I_MPI_HYDRA_UUID"):
			name = "Intel MPI's mpiexec"
		case has("SLURM_STEP_NUM_TASKS") && !has("MPI_LOCALNRANKS"):
			name = "srun --mpi=pmi2"
		}
		return launcher{name: name, family: mpich, rank: number("PMI_RANK"), ranks: number("PMI_SIZE"), local: number("MPI_LOCALNRANKS")}
	case has("SLURM_STEP_NUM_TASKS"):
		l := launcher{name: "srun without --mpi", rank: number("SLURM_PROCID"), ranks: number("SLURM_STEP_NUM_TASKS")}
		switch {
		case has("PMIX_RANK"): // of either family
			l.name = "srun --mpi=pmix"
		case has("PMI_FD"):
			l.name, l.family = "srun --mpi=pmi2", mpich
		default:
			l.plain = true
		}
		return l
	}
	return launcher{}
}

// Launched gives the rank of this process and the number of ranks as the launcher's variables say: 0, 0 without a launcher.
func Launched() (rank, ranks int) {
	l := launched(os.Getenv)
	return l.rank, l.ranks
}

// CommonError is an error that every rank of a job meets alike, so that one of them tells of it.
type CommonError struct{ error }

// Open joins the job that a launcher started this process for: nil where there is no launcher, or one of a single rank. choice is the value
// of --mpi: auto, off, or the file of an MPI library, which is then opened without a launcher too. An error is one of how the program was started.
func Open(choice string) (World, error) {
	l := launched(os.Getenv)
	switch {
	case choice == "off" && l.ranks > 1 && !l.plain:
		return nil, CommonError{fmt.Errorf("--mpi off, but %s started %d processes, each of which would be the whole run: leave out --mpi off, or the launcher", l.name, l.ranks)}
	case choice == "off", choice == "auto" && l.ranks <= 1:
		return nil, nil
	}
	file := os.Getenv("ALBERT_MPI")
	switch {
	case choice == "":
		return nil, errors.New("--mpi: auto, off, or the file of an MPI library")
	case choice != "auto":
		file = choice
	case l.plain && file == "":
		return nil, CommonError{fmt.Errorf("srun started %d tasks without MPI: use srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH), or --mpi off if each is a run of its own", l.ranks)}
	}
	return open(l, file)
}
