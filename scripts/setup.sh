#!/usr/bin/env bash
# Installs what is missing of what a command needs, and says what it does: the pinned Rust toolchain (by rustup), packages (by apt).
#
#   setup.sh [run | iso | uefi | process | release | test]...
#
# run: QEMU. process: nothing beside. iso: GRUB and the ISO tools. uefi: UEFI firmware for QEMU. release: Rust's target for static
# programs. test, or no word: all of that but the last, Bochs, and the toolchain's components. Rust and a linker are part of each.
# Without root it prints the line to type instead. apt removes no package. Where nothing is missing it does nothing, and needs no
# network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$@"
    exit 1
}

# needs PART: whether PART was asked for.
needs() { [[ " ${parts[*]} " == *" $1 "* || " ${parts[*]} " == *" test "* ]]; }

parts=("$@")
((${#parts[@]})) || parts=(test)
for part in "${parts[@]}"; do
    case $part in
    run | iso | uefi | process | release | test) ;;
    *) die "$part: not run, iso, uefi, process, release or test" ;;
    esac
done

# The value of a key of rust-toolchain.toml: a word, or words.
pinned() { sed -n "s/^$1 = //p" rust-toolchain.toml | tr -d '[]",'; }

setup_rust() {
    command -v rustup >/dev/null || die "rustup is missing: https://rustup.rs says how to install it"
    local channel part targets
    channel=$(pinned channel)
    if ! rustup run "$channel" rustc --version >/dev/null 2>&1; then
        say "installing Rust $channel"
        rustup toolchain install "$channel" --profile minimal --no-self-update
    fi
    targets=$(pinned targets)
    [[ " ${parts[*]} " != *" release "* ]] || targets+=" x86_64-unknown-linux-musl"
    for part in $targets; do
        if ! rustup target list --installed --toolchain "$channel" | grep -qx "$part"; then
            say "adding the target $part to Rust $channel"
            rustup target add "$part" --toolchain "$channel"
        fi
    done
    needs test || return 0
    for part in $(pinned components); do
        if ! rustup component list --installed --toolchain "$channel" | grep -q "^$part"; then
            say "adding $part to Rust $channel"
            rustup component add "$part" --toolchain "$channel"
        fi
    done
}

# Debian's packages whose files are not there, one a line.
missing_packages() {
    local firmware
    command -v cc >/dev/null || printf "%s\n" gcc libc6-dev
    if needs run; then
        command -v "${PAGEMARK_QEMU:-qemu-system-x86_64}" >/dev/null || echo qemu-system-x86
    fi
    if needs iso; then
        command -v grub-mkrescue >/dev/null || echo grub-common
        [[ -e /usr/lib/grub/i386-pc/multiboot2.mod ]] || echo grub-pc-bin
        [[ -e /usr/lib/grub/x86_64-efi/multiboot2.mod ]] || echo grub-efi-amd64-bin
        command -v xorriso >/dev/null || echo xorriso
        command -v mformat >/dev/null || echo mtools
    fi
    if needs uefi; then
        firmware=(/usr/share/OVMF/OVMF_CODE*.fd)
        [[ -e ${firmware[0]} ]] || echo ovmf
    fi
    if needs test; then
        # bochs-term: the smallest of the displays that bochs asks for one of.
        command -v bochs >/dev/null || printf "%s\n" bochs bochs-term
        [[ -e /usr/share/bochs/BIOS-bochs-latest ]] || echo bochsbios
        [[ -e /usr/share/bochs/VGABIOS-lgpl-latest ]] || echo vgabios
    fi
}

# What apt would do for these packages.
simulated() { apt-get install --simulate --no-install-recommends "$@"; }

setup_packages() {
    local packages plan removed
    mapfile -t packages < <(missing_packages)
    ((${#packages[@]})) || return 0
    command -v apt-get >/dev/null ||
        die "missing, by the names of Debian's packages: ${packages[*]}"
    if [[ " ${packages[*]} " == *" bochs "* ]]; then
        say "Debian's bochs draws in GTK 3 and a sound library, which the tests do not use: there is no package without"
    fi
    ((EUID == 0)) ||
        die "as root, type: apt-get update && apt-get install -y --no-install-recommends --no-remove ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    plan=$(simulated "${packages[@]}") || die "apt cannot install ${packages[*]}"
    removed=$(sed -n 's/^Remv \([^ ]*\).*/\1/p' <<<"$plan" | tr '\n' ' ')
    [[ -z $removed ]] ||
        die "apt would remove ${removed% } to install ${packages[*]}, which is left to you: nothing was installed"
    say "installing ${packages[*]}, $(grep -c '^Inst ' <<<"$plan") packages with what they need"
    apt-get install -y -qq --no-install-recommends --no-remove "${packages[@]}"
}

setup_packages
setup_rust
