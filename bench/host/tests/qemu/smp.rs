//! Several CPUs: how many run, and that a panic on one of them stops them all.

use super::{SHORT, explained, passed, pvh, run};
use pagemark_host::log::{Ending, Log};
use pagemark_host::run::{Accelerator, Boot};
use std::time::Duration;

/// A boot on a machine with this number of CPUs.
fn on(cpus: u32, command_line: &[&str]) -> Boot {
    Boot {
        cpus,
        ..pvh(command_line)
    }
}

/// What the log says of the CPUs.
fn said(boot: &Boot) -> Vec<String> {
    let log = passed(boot);
    let notices = log.notices.into_iter();
    notices.filter(|text| text.starts_with("smp: ")).collect()
}

#[test]
fn as_many_cpus_run_as_are_asked_for() {
    for (cpus, word, running) in [(2, "smp=2", 2), (8, "smp=8", 8), (8, "smp=2", 2)] {
        let said = said(&on(cpus, &[SHORT[0], SHORT[1], word]));
        let expected = format!("smp: {running} CPUs run of {cpus} that there are (xAPIC)");
        assert_eq!(said, [expected]);
    }
}

#[test]
fn the_quick_suite_runs_on_one_and_the_full_suite_on_all() {
    assert!(said(&on(4, &SHORT)).is_empty());
    let said = said(&on(4, &["suite=full", "only=control/*"]));
    assert_eq!(said, ["smp: 4 CPUs run of 4 that there are (xAPIC)"]);
}

/// All that are there run, and figures are taken; but it is not the run that was asked for.
#[test]
fn more_cpus_than_there_are_fails_the_run_with_both_numbers() {
    for (cpus, words, said) in [
        (
            2,
            &["smp=4"][..],
            "smp=4 asks for 4 CPUs, the machine has 2, and 2 run",
        ),
        (
            1,
            &["smp=2"],
            "smp=2 asks for 2 CPUs, the machine has 1, and 1 run",
        ),
    ] {
        let words = [&SHORT, words].concat();
        let (outcome, finished) = run(&on(cpus, &words));
        assert_eq!(
            outcome.exit_status(),
            1,
            "{}",
            explained(&outcome, &finished)
        );
        let log = outcome.log().unwrap();
        assert!(!log.results.is_empty());
        let failed: Vec<_> = log.checks.iter().filter(|check| !check.pass).collect();
        let failed: Vec<_> = failed
            .iter()
            .map(|check| (check.name.as_str(), check.detail.as_str()))
            .collect();
        assert_eq!(failed, [("smp/all_run", said)]);
    }
}

/// On two sockets, whose APIC ids have a gap, and with more CPUs than the host has: none is given up because the host is slow.
#[test]
fn every_cpu_of_a_busy_host_is_waited_for() {
    let boot = Boot {
        accelerator: Accelerator::Tcg,
        topology: Some("sockets=2,cores=3".to_owned()),
        timeout: Duration::from_secs(300),
        ..on(6, &[SHORT[0], SHORT[1], "smp=6", "shootdowns=1"])
    };
    let log = passed(&boot);
    let said = log.notices.iter().filter(|text| text.starts_with("smp: "));
    assert_eq!(
        said.collect::<Vec<_>>(),
        ["smp: 6 CPUs run of 6 that there are (xAPIC)"]
    );
    let check = log.checks.iter().find(|check| check.name == "smp/all_run");
    assert!(check.is_some_and(|check| check.pass));
}

/// More than one word of a set has bits. All of them respond, and what the log says of them is true.
#[test]
fn seventy_cpus_run_and_respond() {
    let boot = |word: &'static str| Boot {
        memory: "2G".to_owned(),
        timeout: Duration::from_secs(600),
        ..on(
            70,
            &["suite=quick", "only=control/empty", word, "shootdowns=5"],
        )
    };
    let log = passed(&boot("smp=70"));
    assert_eq!(log.machine.as_ref().map(|machine| machine.cpus), Some(70));
    let said = |log: &Log| {
        let said = log.notices.iter().filter(|text| text.starts_with("smp: "));
        said.cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        said(&log),
        ["smp: 70 CPUs run of 70 that there are (xAPIC)"]
    );
    stale_without_shootdowns(&log);
    let log = passed(&boot("smp=65"));
    assert_eq!(
        said(&log),
        ["smp: 65 CPUs run of 70 that there are (xAPIC)"]
    );
    // The book's machine has a fixmap slot for each of its CPUs.
    let log = passed(&Boot {
        memory: "2G".to_owned(),
        timeout: Duration::from_secs(600),
        ..on(
            70,
            &[
                "layout=classic",
                "smp=64",
                SHORT[0],
                "only=control/empty",
                "shootdowns=1",
            ],
        )
    });
    let expected = [
        "smp: the layout has room for 64 CPUs, and the others are left out",
        "smp: 64 CPUs run of 70 that there are (xAPIC)",
    ];
    assert_eq!(said(&log), expected);
}

/// A boot with this number of CPUs, all of which run, respond, and are reported.
fn many(cpus: u32, qemu: &str, cpu_model: Option<&str>, mode: &str) {
    let word = format!("smp={cpus}");
    let log = passed(&Boot {
        qemu: qemu.into(),
        cpu_model: cpu_model.map(str::to_owned),
        memory: "4G".to_owned(),
        timeout: Duration::from_secs(900),
        ..on(
            cpus,
            &["suite=quick", "only=control/empty", &word, "shootdowns=2"],
        )
    });
    let said = log.notices.iter().find(|text| text.starts_with("smp: "));
    let expected = format!("smp: {cpus} CPUs run of {cpus} that there are ({mode})");
    assert_eq!(said, Some(&expected));
    assert_eq!(log.machine.as_ref().map(|machine| machine.cpus), Some(cpus));
    stale_without_shootdowns(&log);
}

/// The most that xAPIC reaches.
#[test]
fn two_hundred_and_fifty_five_cpus_run_and_respond() {
    many(255, "qemu-system-x86_64", None, "xAPIC");
}

/// More than xAPIC reaches.
#[test]
#[ignore = "needs a QEMU of version 9 or later in PAGEMARK_QEMU, whose translator has x2APIC"]
fn two_hundred_and_eighty_eight_cpus_run_and_respond() {
    let qemu = std::env::var("PAGEMARK_QEMU").expect("PAGEMARK_QEMU names a QEMU");
    many(288, &qemu, Some("max,-hypervisor"), "x2APIC");
}

/// Boots on four CPUs, of which the last one fails while the others write to the log, and returns what it said.
fn last_words(provoke: &str) -> String {
    let words = ["suite=quick", "smp=4", &format!("provoke={provoke}")];
    let (outcome, finished) = run(&on(4, &words));
    assert_eq!(
        outcome.exit_status(),
        3,
        "{}",
        explained(&outcome, &finished)
    );
    let text = String::from_utf8_lossy(&finished.raw);
    let (_, after) = text.split_once("\"record\":\"panic\"").unwrap();
    assert!(
        !after.contains("is at work"),
        "another CPU went on after the panic:\n{after}"
    );
    match outcome.log().map(|log| &log.ending) {
        Some(Ending::Panic(panic)) => panic.message.clone(),
        _ => unreachable!("the exit status of a panic without one"),
    }
}

#[test]
fn a_panic_on_another_cpu_stops_all_and_says_which() {
    let message = last_words("other-cpu-panic");
    assert_eq!(message, "CPU 3: provoked on CPU 3 by the command line");
}

/// The boot CPU waits for the CPU that it starts, and would go on without it. Nobody leaves QEMU, so that this would be seen.
#[test]
fn a_panic_on_a_cpu_that_is_being_started_stops_all() {
    let words = [
        "suite=quick",
        "smp=3",
        "provoke=starting-cpu-panic",
        "exit=halt",
    ];
    let (_, finished) = run(&on(3, &words));
    let text = String::from_utf8_lossy(&finished.raw);
    let (_, after) = text.split_once("\"record\":\"panic\"").expect(&text);
    assert!(
        after.contains("provoked on CPU 1, which is being started"),
        "{after}"
    );
    assert_eq!(after.lines().count(), 1, "{after}");
}

#[test]
fn another_cpu_has_guard_pages_and_exception_stacks_of_its_own() {
    let message = last_words("other-cpu-guard-page");
    let expected = "CPU 3: stack overflow: the main stack ran into its guard page";
    assert!(message.starts_with(expected), "{message}");
}

/// Insists that both controls saw stale reads where shootdowns were left out.
pub fn stale_without_shootdowns(log: &Log) {
    let notices = log.notices.iter();
    let controls = notices.filter(|text| text.starts_with("without shootdowns "));
    let controls: Vec<_> = controls.collect();
    let stale = |text: &&&String| !text.starts_with("without shootdowns 0 of");
    assert_eq!(controls.iter().filter(stale).count(), 2, "{controls:?}");
}

/// Boots with this number of CPUs and of rounds of each check that no CPU reads stale data; returns the number of shootdowns.
fn shoot_down(cpus: u64, rounds: u64, accelerator: Accelerator) -> u64 {
    let words = [format!("smp={cpus}"), format!("shootdowns={rounds}")];
    let log = passed(&Boot {
        accelerator,
        timeout: Duration::from_secs(900),
        ..on(cpus as u32, &[SHORT[0], SHORT[1], &words[0], &words[1]])
    });
    let checks = log.checks.iter();
    let names: Vec<_> = checks
        .map(|check| check.name.as_str())
        .filter(|name| name.starts_with("shootdown/no_stale_read/"))
        .collect();
    assert_eq!(names.len(), 8, "{names:?}");
    // That a stale read would be seen: the same without shootdowns. Where CPUs take turns it is certain.
    if accelerator == Accelerator::Icount && cpus > 1 {
        stale_without_shootdowns(&log);
    }
    // One initiator, all of them, an eighth into HLT and out, and one that changes a space, by two protocols.
    2 * (2 * rounds + cpus.min(8) * rounds + rounds.div_ceil(8))
}

#[test]
fn no_cpu_reads_stale_data_after_a_shootdown() {
    let tried: u64 = [(1, 4_000), (2, 4_000), (4, 2_000), (8, 2_000)]
        .map(|(cpus, rounds)| shoot_down(cpus, rounds, Accelerator::Icount))
        .iter()
        .sum();
    assert!(tried > 90_000, "{tried} shootdowns");
}

/// CPUs that really run at once, on two of the host's.
#[test]
fn no_cpu_reads_stale_data_where_cpus_do_not_take_turns() {
    shoot_down(2, 1_000, Accelerator::Tcg);
}

#[test]
#[ignore = "takes minutes"]
fn a_million_shootdowns_and_no_stale_read() {
    let tried: u64 = [(1, 20_000), (2, 20_000), (4, 30_000), (8, 30_000)]
        .map(|(cpus, rounds)| shoot_down(cpus, rounds, Accelerator::Icount))
        .iter()
        .sum();
    assert!(tried >= 1_000_000, "{tried} shootdowns");
}

#[test]
fn figures_of_several_cpus_are_the_same_to_the_byte_each_time() {
    let figures = || {
        let words = ["suite=full", "only=ipi/*,shootdown/*", "rounds=7"];
        let log = passed(&on(4, &words));
        let results = log.results.into_iter();
        results.map(|result| format!("{result:?}")).collect()
    };
    let (first, second): (Vec<String>, Vec<String>) = (figures(), figures());
    assert!(first.len() > 50, "{first:?}");
    assert_eq!(first, second);
}

/// Two sockets of two caches, with two threads a core: a CPU at each distance but for another core at the same cache, and which one it is.
#[test]
fn responders_are_chosen_by_distance() {
    let words = ["suite=full", "only=ipi/*,shootdown/initiator/pages=1/*"];
    let log = passed(&Boot {
        topology: Some("sockets=2,dies=2,cores=1,threads=2".to_owned()),
        cpu_model: Some("EPYC,-hypervisor".to_owned()),
        ..on(8, &[&words[..], &["rounds=3"]].concat())
    });
    for expected in [
        "responders=2: CPUs 1 to 2",
        "responders=sibling: CPUs 1",
        "responders=other_l3: CPUs 2",
        "responders=other_package: CPUs 4",
    ] {
        assert!(
            log.notices.iter().any(|text| text == expected),
            "{expected}"
        );
    }
    let measured = |name: &str| log.results.iter().any(|result| result.case == name);
    let skipped = |name: &str| log.skips.iter().any(|skip| skip.case == name);
    for (distance, there) in [
        ("sibling", true),
        ("same_l3", false),
        ("other_l3", true),
        ("other_package", true),
    ] {
        for name in [
            format!("ipi/round_trip/state=halted/responders={distance}"),
            format!("ipi/round_trip/state=spinning/by=vector/responders={distance}"),
        ] {
            assert_eq!((measured(&name), skipped(&name)), (there, !there), "{name}");
        }
        let name = format!(
            "shootdown/initiator/pages=1/responders={distance}/state=holding/policy=mailboxes"
        );
        assert_eq!(measured(&name), there, "{name}");
    }
}

/// The other thread of a core goes on while this one flushes, and both ways into the kernel come from ring 3, with exact counts.
#[test]
fn entries_and_flushes_beside_a_sibling() {
    let words = ["suite=full", "only=entry/*,sibling/*", "rounds=3"];
    let log = passed(&Boot {
        topology: Some("cores=1,threads=2".to_owned()),
        ..on(2, &words)
    });
    let median = |name: &str| {
        let result = log.results.iter().find(|result| result.case == name);
        result.unwrap_or_else(|| panic!("{name}")).median
    };
    for (by, count) in [("syscall", 19), ("interrupt", 23)] {
        let same = median(&format!("entry/round_trip/by={by}/cr3=same"));
        let switched = median(&format!("entry/round_trip/by={by}/cr3=switched"));
        assert_eq!(
            [same, switched].map(|median| median.rounded()),
            [count, count + 4]
        );
    }
    for flush in ["none", "page", "all"] {
        median(&format!("sibling/loads/pages=512/flush={flush}"));
    }
    let skipped =
        ["syscall", "interrupt"].map(|by| format!("entry/round_trip/by={by}/cr3=switched_pcid"));
    let skips: Vec<_> = log.skips.iter().map(|skip| &skip.case).collect();
    assert_eq!(skips, skipped.iter().collect::<Vec<_>>());
}

#[test]
fn what_one_cpu_does_costs_the_same_with_others_waiting() {
    let figures = |cpus: u32, word: &str| -> Vec<String> {
        let log = passed(&on(cpus, &["suite=quick", "only=tlb/*,pt/*/pages=1", word]));
        let results = log.results.into_iter();
        results.map(|result| format!("{result:?}")).collect()
    };
    let alone = figures(1, "smp=1");
    assert!(alone.len() > 5, "{alone:?}");
    assert_eq!(alone, figures(4, "smp=1"));
    assert_eq!(alone, figures(4, "smp=4"));
}

#[test]
fn every_proof_of_a_shootdown_fails_without_it() {
    let words = [
        "suite=full",
        "only=ipi/*,shootdown/*,contended/*,entry/*",
        "mutate=operation",
    ];
    let log = passed(&on(2, &words));
    let mut names = log.checks.iter().map(|check| check.name.as_str());
    assert!(names.any(|name| name.starts_with("shootdown/initiator/")));
}
