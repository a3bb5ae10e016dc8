#!/bin/sh
# The compiler that .cargo/config.toml gives Cargo: rustc. For the image's target it names sources by package, whatever folders hold the
# checkout, Cargo's home, the target folder and the toolchain: the image is then equal to the byte wherever it is built
# (scripts/check-reproducible.sh). Cargo's `trim-paths`, which does the same, is not stable.
case " $* " in
*" --target x86_64-unknown-none "* | *" --target x86_64-unknown-linux-musl "*) ;;
*) exec "$@" ;;
esac
root=${0%/scripts/rustc.sh}
package=$CARGO_PKG_NAME-$CARGO_PKG_VERSION
# rustc takes the last prefix that fits, and Cargo's home may lie in the checkout.
set -- "$@" "--remap-path-prefix=$root=."
case $CARGO_MANIFEST_DIR in
"$root" | "$root"/bench/*) ;;
*)
    # rustc runs in the package's folder, and knows it without symbolic links.
    set -- "$@" "--remap-path-prefix=$CARGO_MANIFEST_DIR=$package" "--remap-path-prefix=$(pwd -P)=$package"
    ;;
esac
if [ -n "$OUT_DIR" ]; then set -- "$@" "--remap-path-prefix=$OUT_DIR=$package/out"; fi
# A toolchain with the component rust-src names the standard library's sources by their folder.
exec "$@" "--remap-path-prefix=${RUSTUP_HOME:-$HOME/.rustup}/toolchains=/rustc"
