#!/usr/bin/env bash
# Builds the image, boots it in QEMU and shows its results. --help lists the options.
set -euo pipefail
scripts="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
needs=(run)
for word in "$@"; do
    case $word in
        --iso) needs+=(iso) ;;
        --uefi) needs+=(uefi) ;;
    esac
done
"$scripts/setup.sh" "${needs[@]}"
exec "$scripts/pagemark.sh" run "$@"
