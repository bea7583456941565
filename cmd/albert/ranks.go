package main

import (
	"errors"

	"albert/internal/engine/mpi"
	"albert/internal/learn/train"
)

// mpiFlag is taken by the commands that train.
type mpiFlag struct {
	MPI string `name:"mpi" default:"auto" help:"Share the run with the other ranks of an MPI job: auto (where a launcher started several), off, or the file of an MPI library." placeholder:"auto|off|FILE"`
}

// share runs f as a rank of the job that a launcher started this process for; world is nil where there is none.
func (f *mpiFlag) share(run func(world mpi.World) error) error {
	world, err := mpi.Open(f.MPI)
	if rank, _ := mpi.Launched(); rank > 0 && errors.As(err, new(mpi.CommonError)) {
		return told{err}
	}
	if err != nil {
		return usageError{err}
	}
	if world == nil {
		return run(nil)
	}
	err = errors.Join(run(world), world.Close())
	if err != nil && !train.Leads(world) {
		return told{err}
	}
	return err
}

// told is an error that rank 0 tells of, whose exit status is that of the job: some launchers mix those of all ranks.
type told struct{ error }

// refuse ends all ranks of a job with what is wrong with the command line of this one.
func refuse(args []string, err error) error {
	if _, ranks := mpi.Launched(); ranks < 2 || len(args) == 0 || args[0] != "pretrain" && args[0] != "finetune" {
		return err
	}
	return (&mpiFlag{MPI: "auto"}).share(func(world mpi.World) error { return train.Agree(world, err) })
}
