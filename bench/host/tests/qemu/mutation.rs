//! Every case's proof, put to the proof: with the operation left out, or only the flush in it, it has to fail.

use std::collections::BTreeSet;

use pagemark_host::image::Variant;
use pagemark_host::log::Log;
use pagemark_host::run::Door;

use super::{passed, pvh};

/// Cases with nothing to leave out: they are the harness's own measure.
const WITHOUT_EFFECT: &str = "control/";

fn checked(log: &Log) -> BTreeSet<&str> {
    log.checks.iter().map(|check| check.name.as_str()).collect()
}

/// The cases that are measured; those that the CPU cannot run are skipped either way.
fn measured() -> Log {
    passed(&pvh(&["suite=full", "rounds=1"]))
}

#[test]
fn without_its_operation_every_proof_fails() {
    let measured = measured();
    let log = passed(&pvh(&["suite=full", "mutate=operation"]));
    let checked = checked(&log);
    let survivors: Vec<_> = measured
        .results
        .iter()
        .map(|result| result.case.as_str())
        .filter(|case| !case.starts_with(WITHOUT_EFFECT) && !checked.contains(case))
        .collect();
    assert!(survivors.is_empty(), "{survivors:?}");
    assert!(log.results.is_empty());
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
    let log = passed(&boot);
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
    let (outcome, finished) = super::run(&pvh(&["mutate=flush"]));
    assert_eq!(
        outcome.exit_status(),
        2,
        "{}",
        super::told(&outcome, &finished)
    );
    let errors = &outcome.log().unwrap().errors;
    assert!(errors[0].contains("feature `mutation`"), "{errors:?}");
}
