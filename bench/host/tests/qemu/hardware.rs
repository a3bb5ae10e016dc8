//! What hardware does to a run from outside: NMIs of a watchdog, machine checks, timers that are not there, a CPU that lacks what the code
//! is compiled for. QEMU's monitor strikes where a breakpoint says.

use std::io::Read;
use std::process::Stdio;
use std::time::Instant;

use pagemark_host::blame::gdb::Gdb;
use pagemark_host::image::Symbols;
use pagemark_host::log::{self, Ending, Log};
use pagemark_host::run::{Accelerator, Boot, MachineType};

use super::watched::Killed;
use super::{SHORT, image, pvh};

/// Runs with these further arguments of QEMU's. At the first instruction of the function that `strike` names, its lines go to the
/// monitor. Returns the exit status and the log.
fn struck(boot: &Boot, arguments: &[&str], strike: Option<(&str, &[&str])>) -> (i32, String) {
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join("gdb");
    let mut command = boot.command(scratch.path()).unwrap();
    command.args(arguments).args(["-S", "-gdb"]);
    command.arg(format!("unix:{},server=on,wait=off", socket.display()));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut qemu = Killed(command.spawn().unwrap());
    let mut stdout = qemu.0.stdout.take().unwrap();
    let console = std::thread::spawn(move || {
        let mut raw = Vec::new();
        let _ = stdout.read_to_end(&mut raw);
        String::from_utf8_lossy(&raw).into_owned()
    });
    let deadline = Instant::now() + boot.timeout;
    let driven = || {
        let mut gdb = Gdb::connect(&socket, deadline)?;
        gdb.patience(deadline)?;
        if let Some((function, lines)) = strike {
            let symbols = Symbols::read(&image())?;
            gdb.break_at(symbols.named(function).expect(function).start)?;
            assert!(gdb.go_on()?, "{function} was not reached");
            for line in lines {
                gdb.monitor(line)?;
            }
            gdb.unbreak(symbols.named(function).expect(function).start)?;
        }
        gdb.go_on()
    };
    let outcome: anyhow::Result<bool> = driven();
    if outcome.is_err() {
        let _ = qemu.0.kill();
    }
    let status = qemu.0.wait().unwrap().code().unwrap_or(-1);
    let console = console.join().unwrap();
    if let Err(error) = outcome {
        panic!("{error:#}\n{console}");
    }
    (status, console)
}

fn read(console: &str) -> Log {
    log::read(console.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{console}"))
}

/// A watchdog's NMI, before the local vectors are masked.
#[test]
fn an_nmi_that_nobody_sent_is_counted_and_the_run_goes_on() {
    let strike = ("machine::bring_up", &["nmi"][..]);
    let (status, console) = struck(&pvh(&SHORT), &[], Some(strike));
    let log = read(&console);
    assert_eq!(status, 33, "{console}");
    let reported = |notice: &String| notice.starts_with("NMI: 1 came while");
    assert!(log.notices.iter().any(reported), "{:?}", log.notices);
    assert_eq!(log.environment.unwrap().tags, "");
}

/// An uncorrected error of bank 1, as it is reported: valid, enabled, with an address.
#[test]
fn a_machine_check_is_a_panic_record() {
    let lines = ["mce 0 1 0xb600000000000135 0x5 0x12345000 0x0"];
    let strike = ("block::independent", &lines[..]);
    let (status, console) = struck(&pvh(&SHORT), &[], Some(strike));
    assert_eq!(status, 39, "{console}");
    let Ending::Panic(panic) = read(&console).ending else {
        panic!("{console}");
    };
    let expected = "machine check, MCG_STATUS 0x5; bank 1: uncorrected, status 0xb600000000000135, address 0x12345000";
    assert!(panic.message.starts_with(expected), "{}", panic.message);
}

/// One that interrupts all CPUs, as Intel's do, is reported by the CPU whose banks say why. The boot CPU, which QEMU interrupts first,
/// waits for it.
#[test]
fn a_machine_check_of_all_cpus_is_reported_by_the_one_that_knows_why() {
    let boot = Boot {
        cpus: 4,
        ..pvh(&[&SHORT[..], &["smp=4"]].concat())
    };
    let lines = ["mce -b 2 1 0xb600000000000135 0x5 0x12345000 0x0"];
    let strike = ("block::independent", &lines[..]);
    let (status, console) = struck(&boot, &[], Some(strike));
    assert_eq!(status, 39, "{console}");
    let Ending::Panic(panic) = read(&console).ending else {
        panic!("{console}");
    };
    let expected = "CPU 2: machine check, MCG_STATUS 0x5; bank 1: uncorrected, status 0xb600000000000135, address 0x12345000";
    assert!(panic.message.starts_with(expected), "{}", panic.message);
}

/// What another CPU's banks hold, from before the run and from the run.
#[test]
fn errors_of_other_cpus_are_reported() {
    let boot = || Boot {
        cpus: 2,
        ..pvh(&[&SHORT[..], &["smp=2"]].concat())
    };
    let lines = ["mce 1 2 0x8400000000000151 0x0 0x777000 0x0"];
    let (status, console) = struck(&boot(), &[], Some(("machine::start", &lines[..])));
    assert_eq!(status, 33, "{console}");
    let log = read(&console);
    let reported = |notice: &String| {
        notice.starts_with("machine check, from before the run: CPU 1: bank 2: corrected")
    };
    assert!(log.notices.iter().any(reported), "{:?}", log.notices);
    assert_eq!(log.environment.unwrap().tags, "");

    let strike = ("block::independent", &lines[..]);
    let (status, console) = struck(&boot(), &[], Some(strike));
    assert_eq!(status, 33, "{console}");
    let log = read(&console);
    assert_eq!(log.environment.unwrap().tags, "machine_check");
    let reported = |notice: &String| notice.starts_with("machine_check: CPU 1: bank 2: corrected");
    assert!(log.notices.iter().any(reported), "{:?}", log.notices);
}

/// One that was corrected interrupts nothing, and is a tag.
#[test]
fn a_corrected_error_is_a_tag() {
    let lines = ["mce 0 2 0x8400000000000151 0x0 0x777000 0x0"];
    let strike = ("block::independent", &lines[..]);
    let (status, console) = struck(&pvh(&SHORT), &[], Some(strike));
    assert_eq!(status, 33, "{console}");
    let log = read(&console);
    assert_eq!(log.environment.unwrap().tags, "machine_check");
    let reported = |notice: &String| notice.starts_with("machine_check: bank 2: corrected");
    assert!(log.notices.iter().any(reported), "{:?}", log.notices);
}

/// Neither PIT nor HPET nor PM timer: no source, no rate, and no half minute of silence.
#[test]
fn timers_that_are_absent_give_no_rate() {
    let boot = Boot {
        accelerator: Accelerator::Tcg,
        machine: MachineType::Microvm,
        ..pvh(&SHORT)
    };
    let (status, console) = struck(&boot, &["-M", "pit=off"], None);
    assert_eq!(status, 33, "{console}");
    let log = read(&console);
    let machine = log.machine.unwrap();
    assert_eq!(
        (machine.tsc_hz, machine.tsc_source.as_str()),
        (None, "no source")
    );
    assert_eq!(log.environment.unwrap().tags, "emulated frequency_unknown");
    let reported = |notice: &String| notice.starts_with("timer: pit: it stands still");
    assert!(log.notices.iter().any(reported), "{:?}", log.notices);
}

/// Nothing of such a machine interrupts once and late.
#[test]
fn a_limit_without_a_timer_for_it_is_a_notice() {
    let boot = |machine| Boot {
        machine,
        ..pvh(&[&SHORT[..], &["limit=100"]].concat())
    };
    let no_hpet = "limit=100: by the alarm of the real-time clock, as ACPI names no HPET";
    let nothing =
        "limit=100: this machine has no timer for it: ACPI names no HPET; no real-time clock runs";
    for (boot, option, said) in [
        (boot(MachineType::Q35), "hpet=off", no_hpet),
        (boot(MachineType::Microvm), "rtc=off", nothing),
    ] {
        let (status, console) = struck(&boot, &["-M", option], None);
        assert_eq!(status, 33, "{console}");
        let log = read(&console);
        let is_said = log.notices.iter().any(|notice| notice.starts_with(said));
        assert!(is_said, "{:?}", log.notices);
    }
}

/// By name, before anything of it is executed.
#[test]
fn a_cpu_without_sse2_is_refused_by_name() {
    let boot = Boot {
        cpu_model: Some("max,-sse2".to_owned()),
        ..pvh(&SHORT)
    };
    let (status, console) = struck(&boot, &[], None);
    assert_eq!(status, 37, "{console}");
    assert!(console.contains("error: this CPU has no SSE2"), "{console}");
}
