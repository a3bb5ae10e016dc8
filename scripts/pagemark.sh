#!/usr/bin/env bash
# Runs the host tool of this checkout, built from its sources: scripts/pagemark.sh show LOG. --help lists what it does.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# What the tool builds, and where it leaves its files.
export PAGEMARK_ROOT="$root"
[[ -e $root/target/debug/pagemark ]] || echo "building the host tool; the first time takes a minute" >&2
# By name, as the file that pins it is not looked for from the caller's folder.
toolchain="$(sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml")"
exec cargo "+$toolchain" run --quiet --manifest-path "$root/Cargo.toml" -p pagemark-host -- "$@"
