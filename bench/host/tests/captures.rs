//! The tool on captures with several boots, as a shell calls it.

mod pagemark;

use std::fs;
use std::path::{Path, PathBuf};

use pagemark::pagemark;
use pagemark_host::log::read;

fn whole() -> Vec<u8> {
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/log/whole");
    fs::read(seed).unwrap()
}

/// Two boots with a cut one between them.
fn capture(folder: &Path) -> PathBuf {
    let whole = whole();
    let path = folder.join("rack7.log");
    fs::write(
        &path,
        [&whole, &whole[..whole.len() / 2], b"\n", &whole].concat(),
    )
    .unwrap();
    path
}

#[test]
fn a_broken_boot_among_good_ones_is_refused_or_passed_over_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = capture(folder.path());
    let refused = pagemark(&["show"], &[&path]);
    assert_eq!(refused.status.code(), Some(4));
    let shown = pagemark(&["show", "--skip-broken"], &[&path]);
    assert_eq!(shown.status.code(), Some(0));
    let [stdout, stderr] =
        [shown.stdout, shown.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(stdout.matches("verdict").count(), 2, "{stdout}");
    assert!(
        stderr.contains("passed over") && stderr.contains("rack7.log: line"),
        "{stderr}"
    );
    // Where nothing is whole, there is nothing to pass over it for.
    let cut = folder.path().join("cut.log");
    fs::write(&cut, &whole()[..whole().len() / 2]).unwrap();
    assert_eq!(
        pagemark(&["show", "--skip-broken"], &[&cut]).status.code(),
        Some(4)
    );
}

#[test]
fn split_writes_each_boot_as_the_image_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = capture(folder.path());
    let out = folder.path().join("boots");
    let split = |status: i32| {
        let output = pagemark(&["split", "--output"], &[&out, &path]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{stderr}");
    };
    split(4);
    for name in ["rack7-1.log", "rack7-2.log"] {
        let text = fs::read(out.join(name)).unwrap();
        assert_eq!(read(&text).unwrap(), read(&whole()).unwrap(), "{name}");
        assert!(text.starts_with(b"@pagemark"), "{name}");
    }
    // Nothing is overwritten.
    split(2);
}
