//! Failures are reported by records and by the exit status; `provoke=` makes them happen.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::pagemark::pagemark;
use super::{SHORT, explained, image, passed, pvh, run};
use pagemark_host::image::{MenuEntry, Symbols, backtrace, pack};
use pagemark_host::log::{Ending, Log};
use pagemark_host::run::{Accelerator, Boot, Door, Ended, Finished, MachineType, Outcome};
use pagemark_record::Panic;

/// Boots with `provoke=what` and returns the panic that has to come of it.
fn panicked(what: &str) -> Panic<String> {
    let (outcome, finished) = run(&pvh(&["suite=quick", &format!("provoke={what}")]));
    assert_eq!(
        outcome.exit_status(),
        3,
        "{}",
        explained(&outcome, &finished)
    );
    let Some(Log {
        ending: Ending::Panic(panic),
        ..
    }) = outcome.log()
    else {
        unreachable!("the exit status of a panic without one")
    };
    *panic.clone()
}

/// Boots, and returns the errors of a run that has to be refused.
fn refused(boot: &Boot) -> Vec<String> {
    let (outcome, finished) = run(boot);
    assert_eq!(
        outcome.exit_status(),
        2,
        "{}",
        explained(&outcome, &finished)
    );
    let log = outcome.log().unwrap();
    assert!(!log.errors.is_empty() && log.results.is_empty(), "{log:?}");
    log.errors.clone()
}

#[test]
fn a_panic_says_where_and_by_which_way() {
    let panic = panicked("panic");
    assert!(panic.file.ends_with(".rs") && panic.line > 0, "{panic:?}");
    let symbols = Symbols::read(&image()).unwrap();
    let addresses: Vec<u64> = panic.addresses.iter().map(|address| address.0).collect();
    let frames = backtrace(&symbols, &addresses, "image_entry");
    let names: Vec<_> = frames
        .iter()
        .filter_map(|frame| symbols.name(frame.inside))
        .collect();
    for function in ["application", "machine::start", "image_entry"] {
        assert!(
            names.iter().any(|name| name.contains(function)),
            "{function} in {names:?}"
        );
    }
    assert!(frames.iter().all(|frame| frame.linked), "{names:?}");
}

#[test]
fn the_guard_page_under_a_stack_stops_its_overflow() {
    let panic = panicked("guard-page");
    assert!(
        panic.message.starts_with("stack overflow: the main stack"),
        "{panic:?}"
    );
}

#[test]
fn address_0_is_not_mapped() {
    let panic = panicked("null");
    assert!(
        panic.message.to_lowercase().contains("fault") && panic.message.contains("0x0"),
        "{panic:?}"
    );
}

#[test]
fn the_watchdog_ends_a_hang() {
    let boot = Boot {
        timeout: Duration::from_secs(5),
        ..pvh(&["suite=quick", "provoke=hang"])
    };
    let (outcome, finished) = run(&boot);
    assert_eq!(
        outcome.exit_status(),
        124,
        "{}",
        explained(&outcome, &finished)
    );
    let text = String::from_utf8_lossy(&finished.raw);
    assert!(
        text.contains("\"record\":\"start\""),
        "it hung too early:\n{text}"
    );
    let reported = explanation(&outcome, &finished);
    assert!(reported.contains("the image hangs"), "{reported}");
    let place = "CPU 0 is at 0xffffffffc0";
    assert!(
        reported.contains(place) && reported.contains("pagemark_image::application"),
        "{reported}"
    );
}

/// By a record of its own, with the way to where it hangs; and on a machine with other CPUs, whose NMIs are others'.
#[test]
fn a_limit_ends_a_hang_with_a_panic() {
    let q35 = MachineType::Q35;
    for (cpus, machine, provoke, place) in [
        (1, q35, "provoke=hang", "pagemark_image::"),
        (2, q35, "provoke=hang", "pagemark_image::"),
        (1, q35, "provoke=bring-up-hang", "machine::bring_up"),
        // Without an HPET: by the alarm of the real-time clock.
        (2, MachineType::Microvm, "provoke=hang", "pagemark_image::"),
    ] {
        let words = ["suite=quick", provoke, "limit=1"];
        let smp = format!("smp={cpus}");
        // Where instructions are counted, a second of PAUSE takes minutes.
        let boot = Boot {
            cpus,
            machine,
            accelerator: Accelerator::Tcg,
            ..pvh(&[&words[..], &[&smp]].concat())
        };
        let (outcome, finished) = run(&boot);
        assert_eq!(
            outcome.exit_status(),
            3,
            "{}",
            explained(&outcome, &finished)
        );
        let Some(Log {
            ending: Ending::Panic(panic),
            ..
        }) = outcome.log()
        else {
            unreachable!("the exit status of a panic without one")
        };
        let start = "limit=1: the run is not over after 1 s; instruction 0xffffffff";
        assert!(panic.message.starts_with(start), "{panic:?}");
        let symbols = Symbols::read(&image()).unwrap();
        let addresses: Vec<u64> = panic.addresses.iter().map(|address| address.0).collect();
        let frames = backtrace(&symbols, &addresses, "image_entry");
        let names = frames.iter().filter_map(|frame| symbols.name(frame.inside));
        let names: Vec<_> = names.collect();
        let hangs = names.iter().any(|name| name.to_string().contains(place));
        assert!(hangs, "{names:?}");
    }
}

#[test]
fn a_limit_that_is_not_reached_changes_nothing() {
    let figures = |words: &[&str]| {
        let log = passed(&pvh(&[&SHORT[..], words].concat()));
        let results = log.results.iter();
        let results: Vec<_> = results.map(|result| format!("{result:?}")).collect();
        let limits = log
            .notices
            .iter()
            .any(|notice| notice.starts_with("limit="));
        assert!(!limits, "{:?}", log.notices);
        results
    };
    assert_eq!(figures(&[]), figures(&["limit=100"]));
}

/// What a person reads about a run that did not come to its end.
fn explanation(outcome: &Outcome, finished: &Finished) -> String {
    let symbols = Symbols::read(&image()).unwrap();
    outcome.explanation(finished, Some(&symbols)).unwrap()
}

#[test]
fn an_error_of_grub_is_reported_before_the_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("pagemark.iso");
    pack(&image(), &[], MenuEntry::Screen, &iso).unwrap();
    let begun = Instant::now();
    let (outcome, finished) = run(&Boot {
        door: Door::Grub {
            iso,
            firmware: None,
        },
        // SeaBIOS and GRUB have room, the image has none.
        memory: "4M".to_owned(),
        timeout: Duration::from_secs(600),
        ..pvh(&[])
    });
    assert_eq!(
        outcome.exit_status(),
        124,
        "{}",
        explained(&outcome, &finished)
    );
    assert!(begun.elapsed() < Duration::from_secs(500));
    let reported = explanation(&outcome, &finished);
    let error = "GRUB did not start the image: error: out of memory.";
    assert!(reported.contains(error), "{reported}");
}

#[test]
fn a_machine_that_is_too_small_is_not_started() {
    for (options, said) in [
        (&["--mem", "1M"][..], "the image needs 27 MiB of RAM"),
        (&["--mem", "25M", "--iso"], "the image needs 27 MiB of RAM"),
        (
            &["--mem", "48M", "--iso", "--uefi"],
            "UEFI firmware needs 64 MiB of RAM",
        ),
    ] {
        let image = [OsString::from("--image"), image().into()];
        let words = [&["run", "--icount", "--qemu", "/no/qemu"], options].concat();
        let output = pagemark(&words, &image);
        assert_eq!(output.status.code(), Some(2));
        let reported = String::from_utf8(output.stderr).unwrap();
        assert!(reported.contains(said), "{reported}");
    }
    // The amount that the message names is enough.
    passed(&Boot {
        memory: "27M".to_owned(),
        ..pvh(&SHORT)
    });
}

#[test]
fn a_word_that_is_no_option_is_refused_by_name() {
    for (word, named) in [
        ("colour=red", "colour"),
        ("suite=enormous", "enormous"),
        ("provoke=nothing", "nothing"),
        ("hurry", "hurry"),
    ] {
        // Behind another word: a first one may be the name of the image's file.
        let errors = refused(&pvh(&["rounds=3", word]));
        assert!(
            errors.iter().any(|error| error.contains(named)),
            "{word}: {errors:?}"
        );
    }
}

#[test]
fn a_word_is_refused_through_grub_too() {
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("pagemark.iso");
    pack(
        &image(),
        &["colour=it's $red".to_owned()],
        MenuEntry::Screen,
        &iso,
    )
    .unwrap();
    let errors = refused(&Boot {
        door: Door::Grub {
            iso,
            firmware: None,
        },
        ..pvh(&[])
    });
    assert!(
        errors.iter().any(|error| error.contains("colour")),
        "{errors:?}"
    );
}

#[test]
fn a_glob_that_no_case_matches_is_refused() {
    let errors = refused(&pvh(&["suite=quick", "only=no-such-case"]));
    assert!(
        errors.iter().any(|error| error.contains("no-such-case")),
        "{errors:?}"
    );
}

/// A run that is refused before its first pass has looked for no case, so it names the first reason alone.
#[test]
fn a_run_without_a_pass_says_nothing_of_its_filter() {
    let errors = refused(&pvh(&["suite=quick", "only=control/empty", "seconds=5"]));
    assert_eq!(
        errors,
        ["command line: `seconds` needs suite=soak"],
        "{errors:?}"
    );
}

#[test]
fn too_little_memory_is_one_clear_error() {
    let errors = refused(&Boot {
        memory: "4M".to_owned(),
        ..pvh(&["suite=quick"])
    });
    let [error] = &errors[..] else {
        panic!("{errors:?}")
    };
    assert!(error.contains("too little memory"), "{error}");
}

#[test]
fn too_little_memory_is_one_clear_error_through_grub_too() {
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("pagemark.iso");
    pack(
        &image(),
        &["suite=quick".to_owned()],
        MenuEntry::Screen,
        &iso,
    )
    .unwrap();
    let errors = refused(&Boot {
        // With less it is GRUB that has not enough, and says so itself: with 4 MiB always, with 5 and 6 as its heap lies around the image.
        memory: "7M".to_owned(),
        door: Door::Grub {
            iso,
            firmware: None,
        },
        ..pvh(&[])
    });
    let [error] = &errors[..] else {
        panic!("{errors:?}")
    };
    assert!(error.contains("too little memory"), "{error}");
}

#[test]
fn a_memory_that_ends_inside_the_image_is_reported_by_its_first_instructions() {
    let (outcome, finished) = run(&Boot {
        memory: "2M".to_owned(),
        ..pvh(&["suite=quick"])
    });
    let Outcome::Refused(text) = &outcome else {
        panic!("{}", explained(&outcome, &finished))
    };
    assert!(text.starts_with("too little memory"), "{text}");
}

/// What the compiler and the assembly assume is looked at before the first Rust, and named.
#[test]
fn a_cpu_without_what_the_image_is_compiled_for_is_refused_by_name() {
    for (missing, named) in [
        ("sse2", "SSE2"),
        ("cmov", "CMOV"),
        ("pae", "PAE"),
        ("tsc", "TSC"),
        ("msr", "MSR"),
        ("lm", "64-bit long mode"),
    ] {
        let boot = Boot {
            cpu_model: Some(format!("max,-{missing}")),
            ..pvh(&SHORT)
        };
        let (outcome, finished) = run(&boot);
        assert_eq!(
            outcome.exit_status(),
            2,
            "{}",
            explained(&outcome, &finished)
        );
        let reported = explanation(&outcome, &finished);
        let sentence = format!("this CPU has no {named}");
        assert!(reported.starts_with(&sentence), "{reported}");
    }
}

#[test]
fn a_cpu_without_nx_is_refused_by_name() {
    let errors = refused(&Boot {
        cpu_model: Some("qemu64,-nx".to_owned()),
        ..pvh(&SHORT)
    });
    assert_eq!(errors, ["this CPU has no NX (execute-disable)"]);
}

#[test]
fn a_cpu_without_global_pages_is_enough() {
    let log = passed(&Boot {
        cpu_model: Some("qemu64,-pge".to_owned()),
        ..pvh(&["suite=quick", "only=tlb/*,pt/*"])
    });
    let skips = log.skips.iter();
    let reported = skips.filter(|skip| skip.case == "tlb/pge_toggle");
    let reported: Vec<_> = reported.map(|skip| skip.reason.as_str()).collect();
    assert_eq!(reported, ["the CPU has no PGE"]);
}

/// How QEMU ended, which a reset ends with status 0; and what the image said.
fn reset(boot: &Boot) -> (Option<i32>, String) {
    let (_, finished) = run(boot);
    let status = match finished.ended {
        Ended::Status(status) => status.code(),
        _ => None,
    };
    let text = String::from_utf8_lossy(&finished.raw).into_owned();
    (status, text)
}

#[test]
fn a_run_that_fails_ends_as_the_command_line_asks() {
    for (words, said) in [
        (&["provoke=panic"][..], "\"record\":\"panic\""),
        (&["colour=red"], "colour"),
        (&["layout=wide5"], "LA57"),
    ] {
        let words = [&["suite=quick", "exit=reset"], words].concat();
        let boot = Boot {
            cpu_model: Some("qemu64".to_owned()),
            ..pvh(&words)
        };
        let (status, text) = reset(&boot);
        assert_eq!(status, Some(0), "{words:?}: {text}");
        assert!(text.contains(said), "{text}");
    }
}

/// A microvm without ACPI has neither the FADT's register nor a keyboard controller.
#[test]
fn a_machine_without_a_register_for_it_is_reset_all_the_same() {
    let boot = Boot {
        // The waits for each way take long where instructions are counted.
        accelerator: Accelerator::Tcg,
        machine: MachineType::Microvm,
        ..pvh(&["suite=quick", "only=control/empty", "exit=reset"])
    };
    let (status, text) = reset(&boot);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("\"verdict\":\"pass\""), "{text}");
}
