//! The path of a source file as a log names it.

/// What comes before the packages of a registry in the path of one of their files: below it lies a folder for each registry.
const REGISTRY: &[u8] = b"/registry/src/";

/// The path that the compiler gives a panic's file, without the folder that cargo keeps packages in: that lies in somebody's home, and a
/// log names no person. `spin-0.12.3/src/once.rs` is left of a package's file; a file of the workspace keeps its path from there.
#[must_use]
pub fn source(path: &str) -> &str {
    let bytes = path.as_bytes();
    let windows = &mut bytes.windows(REGISTRY.len());
    let Some(at) = windows.rposition(|window| window == REGISTRY) else {
        return path;
    };
    // The registry's own folder, `index.crates.io-1949cf8c6b5b557f`.
    let inside = path.get(at + REGISTRY.len()..).unwrap_or_default();
    inside.split_once('/').map_or(inside, |(_, file)| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_left_out() {
        for (path, expected) in [
            ("src/mm/address.rs", "src/mm/address.rs"),
            (
                "/home/alice/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/spin-0.12.3/src/once.rs",
                "spin-0.12.3/src/once.rs",
            ),
            ("/registry/src/odd", "odd"),
            ("", ""),
        ] {
            assert_eq!(source(path), expected);
        }
    }
}
