#!/usr/bin/env bash
# Checks the tree's spelling (typos, which pip installs under target/), and where they are installed its unused dependencies
# (cargo-machete) and the licences and sources of all of them (cargo-deny).
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
# Each takes minutes to compile, so CI does not install them.
for tool in machete deny; do
    if ! command -v "cargo-$tool" >/dev/null; then
        echo "not checked: cargo-$tool is not installed (cargo install --locked cargo-$tool)"
    elif [ "$tool" = machete ]; then
        cargo machete
    else
        cargo deny check licenses bans sources
    fi
done
