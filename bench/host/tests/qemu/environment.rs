//! What the image finds out about the machine before it measures, on machines that QEMU can build.

use pagemark_host::run::{Accelerator, Boot, MachineType};
use pagemark_record::{Clock, Environment};

use pagemark_host::show::render;
use pagemark_host::style::Look;

use super::{SHORT, passed, pvh};

fn found(boot: &Boot) -> Environment<String> {
    passed(boot).environment.expect("an environment record")
}

/// Within a per cent of what virtual time has by definition.
fn is_a_gigahertz(hertz: Option<u64>) -> bool {
    hertz.is_some_and(|hertz| hertz.abs_diff(1_000_000_000) < 10_000_000)
}

#[test]
fn icount_is_known_by_its_readings_and_every_timer_agrees() {
    let found = found(&pvh(&SHORT));
    assert_eq!(found.class, "tcg_icount");
    assert_eq!((found.shift, found.tags.as_str()), (Some(0), ""));
    assert_eq!((found.nops[0], found.quantum), (found.nops[1], 1));
    let timers = found.frequencies;
    for hertz in [timers.hpet, timers.pm_timer, timers.pit] {
        assert!(is_a_gigahertz(hertz), "{timers:?}");
    }
    assert!(found.disagreement_ppm.unwrap() < 5000, "{found:?}");
    assert_eq!(found.masked, "8259 local_apic io_apic");
}

#[test]
fn a_signature_that_is_hidden_hides_nothing() {
    let found = found(&Boot {
        cpu_model: Some("max,-hypervisor".to_owned()),
        ..pvh(&SHORT)
    });
    assert_eq!(found.class, "tcg_icount");
}

/// QEMU's translator that does not say that it is there is neither silicon nor a hypervisor on any, and its time is nobody's.
#[test]
fn an_emulator_that_hides_is_no_cpu() {
    let log = passed(&Boot {
        accelerator: Accelerator::Tcg,
        cpu_model: Some("max,-hypervisor".to_owned()),
        ..pvh(&["suite=quick", "only=control/*"])
    });
    let machine = log.machine.as_ref().unwrap();
    assert_eq!(
        (machine.hypervisor.as_deref(), machine.clock),
        (None, Clock::Emulated)
    );
    let shown = render(&log, Look::Plain, None);
    assert!(shown.contains("an emulator that hides"), "{shown}");
    for wrong in ["bare metal", "the CPU itself", "the CPU, under"] {
        assert!(!shown.contains(wrong), "{shown}");
    }
    let found = log.environment.unwrap();
    assert_eq!(
        (found.class.as_str(), found.tags.as_str()),
        ("emulator", "emulated")
    );
}

/// The headline rate is one of the sources, and the timers agree on it.
#[test]
fn the_rate_is_that_of_the_timers() {
    let log = passed(&Boot {
        accelerator: Accelerator::Tcg,
        ..pvh(&["suite=quick", "only=control/*"])
    });
    let (machine, found) = (log.machine.unwrap(), log.environment.unwrap());
    let counted = found.frequencies;
    let by_source = match machine.tsc_source.as_str() {
        "hpet" => counted.hpet,
        "pm_timer" => counted.pm_timer,
        "pit" => counted.pit,
        _ => None,
    };
    // The environment's figure is rounded to what the count resolves.
    let (rate, counted) = (machine.tsc_hz.unwrap(), by_source.unwrap());
    assert!(
        rate.abs_diff(counted) <= rate / 1000,
        "{machine:?} {found:?}"
    );
}

#[test]
fn a_machine_without_timers_has_their_figures_absent() {
    let found = found(&Boot {
        machine: MachineType::Microvm,
        ..pvh(&SHORT)
    });
    assert_eq!(found.frequencies.hpet, None);
    assert_eq!(found.frequencies.pm_timer, None);
}

#[test]
fn the_host_s_time_is_tagged_and_its_figures_are_never_cycles() {
    let log = passed(&Boot {
        accelerator: Accelerator::Tcg,
        ..pvh(&["suite=quick", "only=control/*"])
    });
    let found = log.environment.unwrap();
    assert_eq!(
        (found.class.as_str(), found.tags.as_str()),
        ("tcg", "emulated")
    );
    assert_eq!(log.machine.unwrap().clock, Clock::Emulated);
    for result in &log.results {
        assert_eq!((result.cycles, result.ns), (None, None));
    }
}
