//! The image is linked where link.ld says, and loaded as it is.
fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo::rustc-link-arg=-T{folder}/link.ld");
    println!("cargo::rustc-link-arg=--no-pie");
}
