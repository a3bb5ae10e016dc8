#!/usr/bin/env bash
# Builds the image, boots it in QEMU and shows its results; with --hosted, runs the suite as a process. --help lists the options.
set -euo pipefail
scripts="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
needs=(run)
for word in "$@"; do
    case $word in
        --iso) needs+=(iso) ;;
        --uefi) needs+=(uefi) ;;
        --hosted) needs=(process) ;;
    esac
done
"$scripts/setup.sh" "${needs[@]}"
exec "$scripts/pagemark.sh" run "$@"
