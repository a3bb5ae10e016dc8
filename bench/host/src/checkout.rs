//! The checkout that this tool works on: whose sources it builds, and where it leaves logs and ISOs.
//!
//! It is looked for at run time, as a checkout can be copied or moved with the tool in it: the folder that `PAGEMARK_ROOT` names (the
//! scripts set it to the checkout that they lie in), else the one that holds the working folder, else the one that holds this tool.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The variable of the environment that names the root of the checkout.
pub const ROOT: &str = "PAGEMARK_ROOT";
/// Files that a root has, by their paths from there.
const FILES: [&str; 3] = ["Cargo.toml", "linker.ld", "bench/host/Cargo.toml"];

/// Why there is no checkout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCheckout {
    /// The variable names a folder that is none.
    #[error("PAGEMARK_ROOT is {}, which is no checkout of pagemark", .0.display())]
    Named(PathBuf),
    /// Nothing names one.
    #[error(
        "neither the working folder nor this tool ({}) lies in a checkout of pagemark: \
         change to one, or set PAGEMARK_ROOT to its root, or name an image with --image",
        .0.display()
    )]
    Nowhere(PathBuf),
}

/// The root of the checkout in use, an absolute path.
///
/// # Errors
///
/// There is none.
pub fn root() -> Result<PathBuf, NoCheckout> {
    // A working folder or a tool that is gone lies in no checkout.
    let here = env::current_dir().unwrap_or_default();
    let tool = tool();
    find(env::var_os(ROOT).as_deref(), &here, &tool)
}

/// Whether this tool lies in the checkout at `root`; otherwise it may be of other sources than it builds.
#[must_use]
pub fn holds_this_tool(root: &Path) -> bool {
    let roots = [tool(), root.to_owned()].map(|path| path.canonicalize().unwrap_or(path));
    roots[0].starts_with(&roots[1])
}

fn tool() -> PathBuf {
    env::current_exe().unwrap_or_default()
}

fn find(named: Option<&OsStr>, here: &Path, tool: &Path) -> Result<PathBuf, NoCheckout> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let named = here.join(named);
        return if is_root(&named) {
            Ok(named)
        } else {
            Err(NoCheckout::Named(named))
        };
    }
    let mut folders = here.ancestors().chain(tool.ancestors());
    let root = folders.find(|folder| is_root(folder));
    root.map(Path::to_owned)
        .ok_or_else(|| NoCheckout::Nowhere(tool.to_owned()))
}

fn is_root(folder: &Path) -> bool {
    FILES.iter().all(|file| folder.join(file).is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checkout() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in FILES {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        root
    }

    #[test]
    fn the_variable_goes_before_the_working_folder_and_that_before_the_tool() {
        let [named, here, tool] = [(); 3].map(|()| checkout());
        let elsewhere = tempfile::tempdir().unwrap();
        let [named, here, tool] = [&named, &here, &tool].map(|root| root.path());
        // A folder with a manifest alone is no root.
        let inside = here.join("bench/host");
        let binary = tool.join("target/debug/pagemark");
        let found = find(Some(named.as_os_str()), &inside, &binary);
        assert_eq!(found.as_deref(), Ok(named));
        assert_eq!(find(None, &inside, &binary).as_deref(), Ok(here));
        assert_eq!(find(Some("".as_ref()), here, &binary).as_deref(), Ok(here));
        let found = find(None, elsewhere.path(), &binary);
        assert_eq!(found.as_deref(), Ok(tool));
    }

    #[test]
    fn what_is_no_checkout_is_an_error_with_its_name() {
        let (here, elsewhere) = (checkout(), tempfile::tempdir().unwrap());
        let binary = elsewhere.path().join("pagemark");
        let found = find(Some(elsewhere.path().as_os_str()), here.path(), &binary);
        let named = elsewhere.path().to_owned();
        assert_eq!(found, Err(NoCheckout::Named(named)));
        let found = find(None, elsewhere.path(), &binary);
        assert_eq!(found, Err(NoCheckout::Nowhere(binary)));
    }

    #[test]
    fn this_test_lies_in_the_checkout_that_it_is_built_from() {
        let root = root().unwrap();
        assert!(root.join("bench/host/src/checkout.rs").is_file());
        assert!(holds_this_tool(&root) || env::var_os("CARGO_TARGET_DIR").is_some());
        assert!(!holds_this_tool(&root.join("bench")));
    }
}
