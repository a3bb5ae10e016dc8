#!/usr/bin/env bash
# Builds the image of the committed sources twice: by `cargo build` in one folder, and by the host tool in another one, with another
# HOME and another Cargo home, as another user would. Fails where the images, or ISOs of them, are not equal to the byte. Takes a
# minute or two; GRUB 2.12 writes the time into its core, so with it ISOs are not compared.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh iso
die() {
    echo "check-reproducible: $*" >&2
    exit 1
}
commit=$(git rev-parse HEAD)
git diff --quiet HEAD || echo "check-reproducible: uncommitted changes are left out" >&2
cargo build --quiet -p pagemark-host
tool=${CARGO_TARGET_DIR:-$PWD/target}/debug/pagemark
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
home=${CARGO_HOME:-$HOME/.cargo}
one=$folder/one two=$folder/of-another-user/two
mkdir -p "$folder/of-another-user/cargo"
ln -s "$home/registry" "$folder/of-another-user/cargo/registry"
[ ! -e "$home/config.toml" ] || ln -s "$home/config.toml" "$folder/of-another-user/cargo/config.toml"
for checkout in "$one" "$two"; do
    git clone --quiet --shared . "$checkout"
    git -C "$checkout" checkout --quiet --detach "$commit"
done
unset CARGO_TARGET_DIR RUSTC_WRAPPER RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

(cd "$one" && cargo build --quiet --release --target x86_64-unknown-none --bin pagemark-image)
# The builds are seconds apart, and so are the files.
PAGEMARK_ROOT=$one "$tool" iso --image "$one/target/x86_64-unknown-none/release/pagemark-image" -o "$folder/one.iso" >/dev/null
(
    export HOME=$folder/of-another-user CARGO_HOME=$folder/of-another-user/cargo PAGEMARK_ROOT=$two
    cd "$two"
    umask 077
    "$tool" iso -o "$folder/two.iso" >/dev/null
)

image=target/x86_64-unknown-none/release/pagemark-image
cmp "$one/$image" "$two/$image" || die "the images differ"
cmp "$folder/one.elf" "$folder/two.elf" || die "the images for GRUB differ"
for path in "$folder" "$home" "$RUSTUP_HOME"; do
    ! grep --quiet --fixed-strings --text "$path" "$one/$image" || die "the image has the path $path"
done
compared="the image"
if grub-mkrescue --version | grep --quiet ' 2\.0'; then
    cmp "$folder/one.iso" "$folder/two.iso" || die "the ISOs differ"
    compared+=" and its ISO"
fi
echo "reproducible: $compared, equal to the byte in two folders, by two users"
sha256sum "$one/$image" | sed 's| .*|  pagemark-image|'
