//! Every case's proof, put to the proof: with the operation left out, or only the flush in it, it has to fail.
//!
//! That it fails is seen in the image's log, of a run in QEMU, or where QEMU lets a flush's absence pass by a [`Witness`]: for each
//! case one of the two.

use std::collections::BTreeSet;
use std::process::Command;

use pagemark_host::checkout;
use pagemark_host::glob::Globs;
use pagemark_host::image::Variant;
use pagemark_host::list::{self, Case};
use pagemark_host::log::Log;
use pagemark_host::run::{Boot, Door, Outcome};
use pagemark_host::style::Look;

use super::{explained, pvh, run};

/// Cases with nothing to leave out: they are the harness's own measure.
const WITHOUT_EFFECT: &str = "control/";

fn checked(log: &Log) -> BTreeSet<&str> {
    log.checks.iter().map(|check| check.name.as_str()).collect()
}

/// Who fails without the flush of a case whose proof in the image cannot: QEMU keeps no paging-structure caches, and for some flushes
/// those are the only reason; and what CPUs contend for they do not access.
struct Witness {
    case: &'static str,
    /// A test of the library, which leaves the same flush of the same call out, by the same switch (`pagemark::mm::left_out`), and
    /// expects the model TLB to go astray: that one does keep them.
    test: &'static str,
}

const WITNESSES: [Witness; 2] = [
    Witness {
        case: "vmalloc/alloc/huge=16MiB",
        test: "mm::vmalloc::tests::tables::without_its_flush_vmalloc_huge_leaves_the_way_to_a_table_that_is_gone",
    },
    Witness {
        case: "contended/vmalloc/size=16KiB/cpus=1",
        test: "mm::shared::tests::without_its_flush_an_address_is_used_again_while_a_cpu_translates_it",
    },
];

/// The log of a run that puts proofs to the proof, and of these the ones that held.
fn survivors(boot: &Boot) -> (Box<Log>, Vec<String>) {
    let (outcome, finished) = run(boot);
    let (Outcome::Pass(log) | Outcome::Fail(log)) = outcome else {
        panic!("{}", explained(&outcome, &finished))
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
    // `pagemark list` finds each of them in the sources. The image's other checks hold without a word.
    let put = log.checks.iter().filter(|check| !check.detail.is_empty());
    for check in put {
        let case = Case {
            name: check.name.clone(),
            class: None,
        };
        let row = list::render(&[case], &Globs::default(), Look::Plain);
        assert!(row.contains(".rs:"), "{row}");
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
    assert_eq!(survivors, WITNESSES.map(|witness| witness.case));
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
fn without_its_flush_every_other_case_has_a_witness() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for Witness { case, test } in WITNESSES {
        // The libraries as `cargo test --workspace` builds them, so that there is nothing to build.
        let message = Command::new(&cargo)
            .args(["test", "--workspace", "--lib", "--", "--exact", test])
            .current_dir(checkout::root().unwrap())
            .output()
            .expect("cargo starts");
        let (output, errors) = (message.stdout, message.stderr);
        let output = String::from_utf8_lossy(&output);
        let passed = format!("test {test} ... ok\n");
        assert!(
            message.status.success() && output.contains(&passed),
            "{case}\n{output}\n{}",
            String::from_utf8_lossy(&errors)
        );
    }
}

#[test]
fn an_image_that_cannot_leave_flushes_out_says_so() {
    let (outcome, finished) = run(&pvh(&["mutate=flush"]));
    assert_eq!(
        outcome.exit_status(),
        2,
        "{}",
        explained(&outcome, &finished)
    );
    let errors = &outcome.log().unwrap().errors;
    assert!(errors[0].contains("feature `mutation`"), "{errors:?}");
}
