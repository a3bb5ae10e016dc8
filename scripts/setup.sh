#!/usr/bin/env bash
# Installs what building, booting and testing pagemark needs, only where it is missing, and says what it does:
# the pinned Rust toolchain with its parts (by rustup), and QEMU, Bochs, GRUB, the ISO tools and UEFI firmware (by apt).
# Without root it prints the line to type instead. Where nothing is missing it does nothing, and needs no network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$@"
    exit 1
}

# The value of a key of rust-toolchain.toml: a word, or words.
pinned() { sed -n "s/^$1 = //p" rust-toolchain.toml | tr -d '[]",'; }

setup_rust() {
    command -v rustup >/dev/null || die "rustup is missing: https://rustup.rs says how to install it"
    local channel part
    channel=$(pinned channel)
    if ! rustup run "$channel" rustc --version >/dev/null 2>&1; then
        say "installing Rust $channel"
        rustup toolchain install "$channel" --profile minimal --no-self-update
    fi
    for part in $(pinned components); do
        if ! rustup component list --installed --toolchain "$channel" | grep -q "^$part"; then
            say "adding $part to Rust $channel"
            rustup component add "$part" --toolchain "$channel"
        fi
    done
    for part in $(pinned targets); do
        if ! rustup target list --installed --toolchain "$channel" | grep -qx "$part"; then
            say "adding the target $part to Rust $channel"
            rustup target add "$part" --toolchain "$channel"
        fi
    done
}

# Debian's packages whose files are not there, one a line.
missing_packages() {
    local firmware
    command -v cc >/dev/null || printf "%s\n" gcc libc6-dev
    command -v qemu-system-x86_64 >/dev/null || echo qemu-system-x86
    command -v grub-mkrescue >/dev/null || echo grub-common
    [[ -e /usr/lib/grub/i386-pc/multiboot2.mod ]] || echo grub-pc-bin
    [[ -e /usr/lib/grub/x86_64-efi/multiboot2.mod ]] || echo grub-efi-amd64-bin
    command -v xorriso >/dev/null || echo xorriso
    command -v mformat >/dev/null || echo mtools
    firmware=(/usr/share/OVMF/OVMF_CODE*.fd)
    [[ -e ${firmware[0]} ]] || echo ovmf
    command -v bochs >/dev/null || echo bochs
    [[ -e /usr/share/bochs/BIOS-bochs-latest ]] || echo bochsbios
    [[ -e /usr/share/bochs/VGABIOS-lgpl-latest ]] || echo vgabios
}

setup_packages() {
    local packages
    mapfile -t packages < <(missing_packages)
    ((${#packages[@]})) || return 0
    command -v apt-get >/dev/null ||
        die "missing, by the names of Debian's packages: ${packages[*]}"
    ((EUID == 0)) ||
        die "as root, type: apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
    say "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}"
}

setup_packages
setup_rust
