# The Python environment of the scripts beside it, to be sourced: sets here, root, venv, tmp (removed at the end) and ALBERT_BIN, a fresh
# build. ALBERT_VENV names an environment, which is taken as it is; else ~/.cache/albert/parity-venv is made of requirements.txt, or with packages=NAME
# NAME-venv of NAME.txt.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
venv=${ALBERT_VENV:-$HOME/.cache/albert/${packages:-parity}-venv}
requirements=$here/${packages:-requirements}.txt
if [ -z "${ALBERT_VENV:-}" ] && ! cat "$requirements" "$here/golden/requirements.txt" | cmp -s - "$venv/made-of.txt"; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet -r "$requirements"
	cat "$requirements" "$here/golden/requirements.txt" > "$venv/made-of.txt"
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export ALBERT_BIN=$tmp/albert
(cd "$root" && CGO_ENABLED=0 go build -o "$ALBERT_BIN" ./cmd/albert)
