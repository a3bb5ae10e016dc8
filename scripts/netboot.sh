#!/usr/bin/env bash
# Writes the folder that a TFTP or HTTP server hands out to machines that boot over the network, BIOS and UEFI. --help lists the options.
set -euo pipefail
scripts="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$scripts/setup.sh" iso
exec "$scripts/pagemark.sh" netboot "$@"
