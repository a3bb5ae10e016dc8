#!/usr/bin/env bash
# Changes the memory system (src/mm) in small ways, one at a time, and expects the host's tests to notice each: a sample of all such
# mutants, drawn by a seed. Prints those that survived, and the score.
#
#     scripts/mutants.sh [--seed N] [--count N] [--files GLOB]
#
# Needs cargo-mutants (`cargo install --locked cargo-mutants`). A mutant takes about as long as the tests of src/mm do, twice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seed=1 count=40 files='src/mm/**'
while [ $# -gt 0 ]; do
    case "$1" in
    --seed) seed=$2 ;;
    --count) count=$2 ;;
    --files) files=$2 ;;
    *)
        echo "mutants.sh: unknown word '$1'" >&2
        exit 2
        ;;
    esac
    shift 2
done
cargo mutants --version >/dev/null || {
    echo "mutants.sh: cargo-mutants is missing: cargo install --locked cargo-mutants" >&2
    exit 2
}

out=target/mutants
rm -rf "$out"
mkdir -p "$out"
select=(--package pagemark --file "$files" --exclude 'src/mm/**/tests/**' --exclude 'src/mm/**/tests.rs' --exclude 'src/mm/model/**'
    # cargo-mutants runs these whatever --re names.
    --exclude-re 'delete field')
cargo mutants "${select[@]}" --list >"$out/all.txt"
[ -s "$out/all.txt" ] || {
    echo "mutants.sh: no mutants in $files" >&2
    exit 2
}
awk -v seed="$seed" 'BEGIN { srand(seed) } { printf "%.12f\t%s\n", rand(), $0 }' "$out/all.txt" | sort -n | cut -f 2- |
    head -n "$count" >"$out/sample.txt" || true
names=()
while IFS= read -r name; do
    names+=(--re "^$(sed 's/[][\\.*^$+?(){}|]/\\&/g' <<<"$name")\$")
done <"$out/sample.txt"

status=0
cargo mutants "${select[@]}" "${names[@]}" --output "$out" --timeout 600 --no-times --colors never \
    --cargo-test-arg=--lib -- mm:: || status=$?
# 2: some survived; 3: some took too long. Anything else is no result.
[ "$status" -eq 0 ] || [ "$status" -eq 2 ] || [ "$status" -eq 3 ] || exit "$status"
lines() { [ -f "$out/mutants.out/$1.txt" ] && wc -l <"$out/mutants.out/$1.txt" || echo 0; }
killed=$(($(lines caught) + $(lines timeout)))
survived=$(lines missed)
echo "seed $seed: $killed of $((killed + survived)) mutants killed, $(lines unviable) did not compile, of $(wc -l <"$out/all.txt") in $files"
if [ "$survived" -gt 0 ]; then
    echo "survived:"
    sed 's/^/    /' "$out/mutants.out/missed.txt"
fi
