#!/usr/bin/env bash
# Writes one ISO that boots on BIOS and UEFI, in QEMU, from a USB stick, and on a real machine, and the image for an installed GRUB
# beside it. --help lists the options.
set -euo pipefail
scripts="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$scripts/setup.sh" iso
exec "$scripts/pagemark.sh" iso "$@"
