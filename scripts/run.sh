#!/usr/bin/env bash
# Builds the image, boots it in QEMU and shows its results. --help lists the options.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
"$root/scripts/setup.sh"
[[ -e $root/target/debug/pagemark ]] || echo "building the host tool; the first time takes a minute" >&2
# By name, as the file that pins it is not looked for from the caller's folder.
toolchain="$(sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml")"
exec cargo "+$toolchain" run --quiet --manifest-path "$root/Cargo.toml" -p pagemark-host -- run "$@"
