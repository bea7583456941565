package mpi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The variables are those that the launchers were seen to set.
func TestLaunched(t *testing.T) {
	for _, test := range []struct {
		variables string
		want      launcher
	}{
		{"PATH=/bin", launcher{}},
		{"OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_LOCAL_SIZE=2 PMIX_RANK=3", launcher{name: "Open MPI's mpirun", family: openMPI, rank: 3, ranks: 4, local: 2}},
		{"OMPI_MCA_orte_default_hostfile=/etc/mpi/hostfile K_MPI_JOB_ROLE=launcher", launcher{}}, // Kubeflow's launcher pod outside mpirun
		{"PMI_RANK=1 PMI_SIZE=2 PMI_FD=9 MPI_LOCALNRANKS=2 MPI_LOCALRANKID=1", launcher{name: "MPICH's mpiexec", family: mpich, rank: 1, ranks: 2, local: 2}},
		{"PMI_RANK=1 PMI_SIZE=2 MPI_LOCALNRANKS=1 I_MPI_HYDRA_UUID=b1", launcher{name: "Intel MPI's mpiexec", family: mpich, rank: 1, ranks: 2, local: 1}},
		// mpiexec in an allocation starts one task on each machine by srun, which starts the ranks.
		{"SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 PMI_RANK=5 PMI_SIZE=8 MPI_LOCALNRANKS=4", launcher{name: "MPICH's mpiexec", family: mpich, rank: 5, ranks: 8, local: 4}},
		{"SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 PMI_RANK=1 PMI_SIZE=2 PMI_FD=5", launcher{name: "srun --mpi=pmi2", family: mpich, rank: 1, ranks: 2}},
		{"SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 PMI_FD=5", launcher{name: "srun --mpi=pmi2", family: mpich, rank: 1, ranks: 2}},
		{"SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 PMIX_RANK=1", launcher{name: "srun --mpi=pmix", rank: 1, ranks: 2}},
		{"SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2", launcher{name: "srun without --mpi", rank: 1, ranks: 2, plain: true}},
		{"SLURM_PROCID=0 SLURM_NTASKS=8 SLURM_JOB_ID=3", launcher{}}, // a batch script
	} {
		env := map[string]string{}
		for _, v := range strings.Fields(test.variables) {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		if got := launched(func(name string) string { return env[name] }); got != test.want {
			t.Errorf("%s: %+v, not %+v", test.variables, got, test.want)
		}
	}
}

// clear takes away the variables of the launcher of this test, if there is one.
func clear(t *testing.T) {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "PMIX_RANK", "PMI_FD", "ALBERT_MPI"} {
		t.Setenv(name, "")
	}
}

// What needs no library is decided by the launcher's variables and --mpi.
func TestOpenWithoutLibrary(t *testing.T) {
	for _, test := range []struct{ choice, variables, want string }{
		{"auto", "", ""},
		{"off", "", ""},
		{"auto", "PMI_SIZE=1", ""},
		{"off", "PMI_SIZE=1", ""},
		{"off", "SLURM_STEP_NUM_TASKS=4", ""},
		{"off", "PMI_SIZE=4", "--mpi off, but MPICH's mpiexec started 4 processes"},
		{"off", "OMPI_COMM_WORLD_SIZE=4", "--mpi off, but Open MPI's mpirun started 4 processes"},
		{"auto", "SLURM_STEP_NUM_TASKS=4", "srun started 4 tasks without MPI: use srun --mpi=pmix"},
		{"", "", "--mpi: auto, off, or the file"},
	} {
		t.Run(test.choice+test.variables, func(t *testing.T) {
			clear(t)
			if name, value, set := strings.Cut(test.variables, "="); set {
				t.Setenv(name, value)
			}
			w, err := Open(test.choice)
			if w != nil || err == nil && test.want != "" || err != nil && (test.want == "" || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, %v, not %q", w, err, test.want)
			}
		})
	}
}

// The library is that of the mpiexec on PATH before that of an environment, of the launcher's family, and last what the system has.
func TestCandidates(t *testing.T) {
	root := t.TempDir()
	touch := func(names ...string) {
		for _, name := range names {
			file := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, nil, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	touch("a/bin/mpiexec", "a/lib/libmpi.so.40", "a/lib/libmpi_abi.so.1", "a/lib64/libmpi.so.12", "venv/lib/libmpi.so.40", "venv/lib/libmpi.so.12")
	if err := os.Mkdir(filepath.Join(root, "link"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "a/bin/mpiexec"), filepath.Join(root, "link/mpiexec")); err != nil {
		t.Skip(err)
	}
	t.Setenv("PATH", filepath.Join(root, "link"))
	t.Setenv("VIRTUAL_ENV", filepath.Join(root, "venv"))
	for family, want := range map[family]string{
		openMPI:   "a/lib/libmpi.so.40 a/lib/libmpi_abi.so.1 venv/lib/libmpi.so.40 libmpi.so.40 libmpi_abi.so.1",
		mpich:     "a/lib/libmpi_abi.so.1 a/lib64/libmpi.so.12 venv/lib/libmpi.so.12 libmpich.so.12 libmpi.so.12 libmpi_abi.so.1",
		anyFamily: "a/lib/libmpi.so.40 a/lib/libmpi_abi.so.1 a/lib64/libmpi.so.12 venv/lib/libmpi.so.40 venv/lib/libmpi.so.12 libmpi.so.40 libmpich.so.12 libmpi.so.12 libmpi_abi.so.1",
	} {
		var got []string
		for _, file := range candidates(launcher{family: family}) {
			relative, err := filepath.Rel(root, file)
			if err != nil {
				relative = file // a bare name
			}
			if !strings.HasPrefix(relative, "..") { // beside this test's parent
				got = append(got, relative)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%d: %s, not %s", family, got, want)
		}
	}
}
