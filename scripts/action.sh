#!/usr/bin/env bash
# The action's steps, for GitHub and for a shell: IMAGE=image.elf BASELINE=counts.txt OUTPUT=folder scripts/action.sh. Boots IMAGE under
# icount with the words of APPEND and holds its log against BASELINE, which is written where it is missing; or, with LOGS instead,
# judges these. Works in the caller's folder, needs no root, and writes reports to OUTPUT, the summary to GITHUB_STEP_SUMMARY.
# PAGEMARK names a host tool that is built already.
set -euo pipefail
: "${IMAGE:=}" "${LOGS:=}" "${BASELINE:?names the baseline}" "${APPEND:=}" "${OUTPUT:=pagemark-report}"
: "${GITHUB_STEP_SUMMARY:=/dev/stdout}" "${GITHUB_OUTPUT:=/dev/null}"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [[ -z $IMAGE && -z $LOGS ]]; then
    echo "action: image or logs names what to judge" >&2
    exit 2
fi
if [[ -z ${PAGEMARK:-} ]]; then
    cache="${XDG_CACHE_HOME:-$HOME/.cache}/pagemark-action"
    channel="$(sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml")"
    rustup run "$channel" rustc --version >/dev/null 2>&1 || rustup toolchain install "$channel" --profile minimal --no-self-update
    cargo "+$channel" build --quiet --locked --manifest-path "$root/Cargo.toml" -p pagemark-host --target-dir "$cache"
    PAGEMARK="$cache/debug/pagemark"
fi
mkdir -p "$OUTPUT"
if [[ -n $LOGS ]]; then
    read -ra logs <<<"$LOGS"
    exec "$PAGEMARK" gate --base "$BASELINE" "${logs[@]}"
fi
log="$OUTPUT/pagemark.log"
words=()
[[ -z $APPEND ]] || words=(--append "$APPEND")
status=0
"$PAGEMARK" run --icount --image "$IMAGE" "${words[@]}" --log "$log" || status=$?
base=()
if [[ -e $BASELINE ]]; then
    base=(--base "$BASELINE")
elif ((status == 0)); then
    "$PAGEMARK" gate --update --base "$BASELINE" "$log"
    echo "::notice::$BASELINE was written: commit it"
fi
if [[ -e $log ]]; then
    report() { "$PAGEMARK" export "$log" "${base[@]}" --format "$@" || true; }
    report markdown >>"$GITHUB_STEP_SUMMARY"
    report annotations
    report html --output "$OUTPUT/report.html"
    report junit --output "$OUTPUT/junit.xml"
    echo "report=$OUTPUT/report.html" >>"$GITHUB_OUTPUT"
fi
((status == 0)) || exit "$status"
exec "$PAGEMARK" gate --base "$BASELINE" "$log"
