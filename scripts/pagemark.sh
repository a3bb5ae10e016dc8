#!/usr/bin/env bash
# Runs the host tool of this checkout, built from its sources: scripts/pagemark.sh show LOG. --help lists what it does.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# What the tool builds, and where it leaves its files.
export PAGEMARK_ROOT="$root"
built="${CARGO_TARGET_DIR:-$root/target}/debug/pagemark"

# Whether Cargo has to build the tool: by the list that it leaves of what the tool was built from.
is_old() {
    local sources source
    [[ -e $built && -e $built.d ]] || return 0
    # Spaces in names are escaped there, as this `read` wants them.
    # shellcheck disable=SC2162
    read -a sources <"$built.d"
    for source in "${sources[@]:1}" "$root/Cargo.lock" "$root/Cargo.toml"; do
        [[ -e $source && ! $source -nt $built ]] || return 0
    done
    return 1
}
! is_old || echo "building the host tool, which takes a minute or two" >&2
# By name, as the file that pins it is not looked for from the caller's folder.
toolchain="$(sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml")"
exec cargo "+$toolchain" run --quiet --manifest-path "$root/Cargo.toml" -p pagemark-host -- "$@"
