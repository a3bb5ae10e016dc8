#!/usr/bin/env bash
# Runs the tests of the Python package in lab/labgrid, which it installs into a virtual environment under target/ first; the image and
# the host tool have to be built. Words given to it go to pytest.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if ! python3 -c "import ensurepip" 2>/dev/null; then
    ((EUID == 0)) || { echo "as root, type: apt-get update && apt-get install -y python3-venv" >&2; exit 1; }
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
fi
venv="$root/target/labgrid"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$root/lab/labgrid[test]"
cd "$root/lab/labgrid"
PAGEMARK="${PAGEMARK:-$root/target/debug/pagemark}" \
    PAGEMARK_IMAGE="${PAGEMARK_IMAGE:-$root/target/x86_64-unknown-none/release/pagemark-image}" \
    PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -p no:cacheprovider "$@"
