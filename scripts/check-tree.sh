#!/usr/bin/env bash
# usage: check-tree.sh [--install]
# Checks the tree's spelling (typos, which pip installs under target/), its unused dependencies (cargo-machete) and the licences and
# sources of all of them (cargo-deny). The last two take two minutes to compile: --install has Cargo put them under target/; without it
# they are used where they are installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! python3 -c "import ensurepip" 2>/dev/null; then
    ((EUID == 0)) || { echo "as root, type: apt-get update && apt-get install -y python3-venv" >&2; exit 1; }
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
fi
venv=target/checks
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check typos==1.52.0
"$venv/bin/typos"

PATH=$PWD/$venv/bin:$PATH
if [ "${1:-}" = --install ]; then
    for tool in cargo-machete@0.9.2 cargo-deny@0.20.2; do
        command -v "${tool%@*}" >/dev/null || cargo install --quiet --debug --locked --root "$venv" "$tool"
    done
fi
if command -v cargo-machete >/dev/null; then
    cargo machete
else
    echo "not checked: cargo-machete is not installed"
fi
if command -v cargo-deny >/dev/null; then
    # The example is a workspace of its own. So are the fuzz targets, which nobody distributes.
    for manifest in Cargo.toml docs/example-image/Cargo.toml; do
        cargo deny --manifest-path "$manifest" --config "$PWD/deny.toml" check --hide-inclusion-graph licenses bans sources
    done
else
    echo "not checked: cargo-deny is not installed"
fi
