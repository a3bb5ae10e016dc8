#!/usr/bin/env bash
# Runs the quick suite under icount and holds its figures against bench/baselines/quick.txt. With --update it writes them there
# instead: a commit that means to change a figure carries the new file. Further words go to `pagemark gate`. PAGEMARK_QEMU names
# another QEMU.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
mkdir -p "$root/target/pagemark"
log="$root/target/pagemark/gate.log"
"$root/scripts/run.sh" --icount --log "$log" >"$root/target/pagemark/gate.txt" || {
    status=$?
    cat "$root/target/pagemark/gate.txt"
    exit "$status"
}
exec "$root/scripts/pagemark.sh" gate --base "$root/bench/baselines/quick.txt" "$@" "$log"
