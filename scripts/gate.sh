#!/usr/bin/env bash
# Runs the quick suite under icount and holds its figures against bench/baselines/quick.txt. With --update it writes them there
# instead: a commit that means to change a figure carries the new file. Further words go to `pagemark gate`.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
mkdir -p "$root/target/pagemark"
log="$root/target/pagemark/gate.log"
"$root/scripts/run.sh" --icount --log "$log" >"$root/target/pagemark/gate.txt" || {
    status=$?
    cat "$root/target/pagemark/gate.txt"
    exit "$status"
}
toolchain="$(sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml")"
exec cargo "+$toolchain" run --quiet --manifest-path "$root/Cargo.toml" -p pagemark-host -- \
    gate --base "$root/bench/baselines/quick.txt" "$@" "$log"
