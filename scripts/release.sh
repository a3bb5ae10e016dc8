#!/usr/bin/env bash
# usage: release.sh TAG [FOLDER]
# Builds what a user downloads from the sources of TAG (v0.1.0), in a fresh clone, and writes it to FOLDER [default: target/release-TAG]:
#
#   pagemark-0.1.0.iso           boots on BIOS and UEFI, from a CD or a USB stick
#   pagemark-0.1.0.elf           the image, for an installed GRUB and for QEMU
#   pagemark-0.1.0.symbols.elf   the same image with symbols and debug information
#   pagemark-0.1.0-x86_64-linux  the host tool, linked statically
#   sample.log, sample.html      a run of that image by that tool, which counts instructions
#   SHA256SUMS                   of all of these
#
# The version of Cargo.toml has to be that of TAG, and CHANGELOG.md has to have a section for it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
die() {
    echo "release: $*" >&2
    exit 1
}
(($# == 1 || $# == 2)) || die "usage: release.sh TAG [FOLDER]"
tag=$1 output=${2:-target/release-$1}
commit=$(git rev-parse --quiet --verify "refs/tags/$tag^{commit}") || die "$tag is not a tag"
version=$(git show "$commit:Cargo.toml" | sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p')
[[ $tag == "v$version" ]] || die "the tag is $tag, and the version in its Cargo.toml $version"
git show "$commit:CHANGELOG.md" | grep --quiet "^## $version\b" || die "CHANGELOG.md of $tag has no section '## $version'"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
clone=$folder/pagemark
git clone --quiet --branch "$tag" -c advice.detachedHead=false . "$clone"
"$clone/scripts/setup.sh" run iso release
# Nothing of the caller's goes into the files.
unset CARGO_TARGET_DIR RUSTC_WRAPPER RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
SOURCE_DATE_EPOCH=$(git show --no-patch --format=%ct "$commit")
export SOURCE_DATE_EPOCH

cd "$clone"
cargo build --locked --release --target x86_64-unknown-none --bin pagemark-image
CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=symbols \
    cargo build --locked --release --target x86_64-unknown-linux-musl -p pagemark-host
cd - >/dev/null

mkdir -p "$output"
output=$(cd "$output" && pwd)
name=pagemark-$version
install -m 755 "$clone/target/x86_64-unknown-linux-musl/release/pagemark" "$output/$name-x86_64-linux"
install -m 644 "$clone/target/x86_64-unknown-none/release/pagemark-image" "$output/$name.symbols.elf"
# As a user runs them: away from the sources.
cd "$output"
"./$name-x86_64-linux" iso --image "$name.symbols.elf" --output "$name.iso" >/dev/null
"./$name-x86_64-linux" run --icount --image "$name.elf" --log sample.log >"$folder/sample.txt" || {
    cat "$folder/sample.txt" >&2
    die "the sample run failed"
}
"./$name-x86_64-linux" export sample.log --format html --output sample.html
sha256sum "$name.iso" "$name.elf" "$name.symbols.elf" "$name-x86_64-linux" sample.log sample.html >SHA256SUMS
sha256sum --quiet --check SHA256SUMS
ls -l "$output"
