//! Every case's proof, put to the proof: with the operation left out, or only the flush in it, it has to fail.

use std::collections::BTreeSet;

use pagemark_host::image::Variant;
use pagemark_host::log::Log;
use pagemark_host::run::{Boot, Door, Outcome};

use super::{pvh, run, told};

/// Cases with nothing to leave out: they are the harness's own measure.
const WITHOUT_EFFECT: &str = "control/";

fn checked(log: &Log) -> BTreeSet<&str> {
    log.checks.iter().map(|check| check.name.as_str()).collect()
}

/// Flushes whose absence nothing shows on QEMU: it keeps no paging-structure caches, which is all that they are for.
const UNSEEN: [&str; 1] = ["vmalloc/alloc/huge=16MiB"];

/// The log of a run that puts proofs to the proof, and of these the ones that held.
fn survivors(boot: &Boot) -> (Box<Log>, Vec<String>) {
    let (outcome, finished) = run(boot);
    let (Outcome::Pass(log) | Outcome::Fail(log)) = outcome else {
        panic!("{}", told(&outcome, &finished))
    };
    let held = log
        .checks
        .iter()
        .filter(|check| check.detail.starts_with("the proof holds"));
    let held = held.map(|check| check.name.clone()).collect();
    (log, held)
}

#[test]
fn without_its_operation_every_proof_fails() {
    let (log, survivors) = survivors(&pvh(&["suite=full", "mutate=operation"]));
    assert!(survivors.is_empty(), "{survivors:?}");
    assert!(log.results.is_empty());
    let checked = checked(&log);
    assert!(checked.len() > 100, "{checked:?}");
    for case in ["tlb/invlpg", "pt/map/pages=1", "vmalloc/free/size=4KiB"] {
        assert!(checked.contains(case), "{case} in {checked:?}");
    }
    // Nothing else is left aside: what is skipped says why.
    let own = log
        .skips
        .iter()
        .filter(|skip| skip.case.starts_with(WITHOUT_EFFECT));
    assert!(own.count() >= 2, "{:?}", log.skips);
}

#[test]
fn without_its_flush_every_proof_of_one_fails() {
    let variant = Variant {
        folder: Some("mutation"),
        features: "mutation",
        ..Variant::default()
    };
    let mut boot = pvh(&["suite=full", "mutate=flush"]);
    let Door::Pvh { image, .. } = &mut boot.door else {
        unreachable!("that is what `pvh` is")
    };
    *image = variant.build().expect("the image builds");
    let (log, survivors) = survivors(&boot);
    assert!(
        survivors.iter().all(|case| UNSEEN.contains(&case.as_str())),
        "{survivors:?}"
    );
    let checked = checked(&log);
    // Unmapping, protecting and freeing flush; what only maps or counts does not.
    for case in [
        "pt/unmap/pages=1",
        "pt/unmap/pages=512",
        "pt/protect/pages=1",
    ] {
        assert!(checked.contains(case), "{case} in {checked:?}");
    }
    assert!(!checked.contains("pt/map/pages=1"), "{checked:?}");
}

#[test]
fn an_image_that_cannot_leave_flushes_out_says_so() {
    let (outcome, finished) = run(&pvh(&["mutate=flush"]));
    assert_eq!(outcome.exit_status(), 2, "{}", told(&outcome, &finished));
    let errors = &outcome.log().unwrap().errors;
    assert!(errors[0].contains("feature `mutation`"), "{errors:?}");
}
