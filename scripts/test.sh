#!/usr/bin/env bash
# Runs every test: those on the host, and those that boot the image in QEMU. Words given to it go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh test

echo "== the image builds =="
cargo build --release --target x86_64-unknown-none --bin pagemark-image
echo "== tests, on the host and in QEMU =="
cargo test --workspace "$@"
