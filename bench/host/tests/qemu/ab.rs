//! `pagemark ab`: two images boot in turns, and the gate judges what is in the folder then.

use std::path::Path;

use pagemark_host::log::side::logs;

use super::{image, pagemark::pagemark};

/// What `pagemark ab` with these words says of the image against itself, and its exit status.
fn ab(words: &[&str], folder: &Path) -> (String, Option<i32>) {
    let image = image();
    let paths = [
        Path::new("--base-image"),
        &image,
        Path::new("--image"),
        &image,
        Path::new("--output"),
        folder,
    ];
    let words = [
        &["ab", "--only", "control/chain=9,tlb/invlpg", "--seed", "3"],
        words,
    ]
    .concat();
    let output = pagemark(&words, &paths);
    let message = [output.stderr, output.stdout].concat();
    (
        String::from_utf8_lossy(&message).into_owned(),
        output.status.code(),
    )
}

#[test]
fn equal_images_have_equal_figures_and_the_campaign_can_be_longer() {
    let folder = tempfile::tempdir().unwrap();
    let campaign = folder.path().join("campaign");
    let (message, status) = ab(&["--icount", "--boots", "1"], &campaign);
    assert_eq!(status, Some(0), "{message}");
    assert!(message.contains("2 figures unchanged"), "{message}");
    // Through another door the boots are not of this campaign.
    let (message, status) = ab(&["--icount", "--iso"], &campaign);
    assert_eq!(status, Some(2), "{message}");
    assert!(message.contains("pvh | TCG with icount"), "{message}");

    let (message, status) = ab(&["--icount", "--boots", "2"], &campaign);
    assert_eq!(status, Some(0), "{message}");
    let mut numbers = Vec::new();
    for side in ["base", "new"] {
        let logs = logs(&[campaign.join(side)]).unwrap();
        assert_eq!(logs.len(), 2, "{message}");
        numbers.extend(logs.iter().filter_map(|log| log.boot_number()));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[test]
fn boots_through_grub_take_turns_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (message, status) = ab(&["--icount", "--boots", "1", "--iso"], folder.path());
    assert_eq!(status, Some(0), "{message}");
    let base = logs(&[folder.path().join("base")]).unwrap();
    let loader = &base[0].machine.as_ref().unwrap().loader;
    assert!(loader.starts_with("multiboot2: GRUB"), "{loader}");
    assert!(
        base[0].boot_number().is_some(),
        "{}",
        base[0].start.command_line
    );
}
