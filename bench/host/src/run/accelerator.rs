//! What executes the guest's instructions, and whether this host's KVM is worth using.
//!
//! Some hosts offer `/dev/kvm` and then interpret each of a guest kernel's instructions, at thousands of cycles apiece. The
//! suite `probe` answers within milliseconds where the hardware executes, and not within [`PROBE_TIMEOUT`] where it does not.

use std::fmt;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Boot, Door, Outcome, boot, judge};
use crate::style::thousands;

/// How long the probe may take; even an interpreter that is no use comes back in it, or is recognised by not doing so.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Ticks per 1,000 NOPs above which instructions are interpreted: ten ticks each, where hardware takes less than one.
const PROBE_LIMIT: u64 = 10_000;

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The hardware.
    Kvm,
    /// QEMU's translator, whose time is the host's.
    Tcg,
    /// QEMU's translator, whose time is the number of executed instructions.
    Icount,
    /// None: the suite is a process of this host, without QEMU.
    Process,
}

impl Accelerator {
    /// QEMU's arguments.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm"],
            Self::Tcg => &["-accel", "tcg"],
            Self::Icount => &[
                "-accel",
                "tcg",
                "-icount",
                "shift=0,sleep=off",
                "-rtc",
                "base=2025-01-01,clock=vm",
            ],
            Self::Process => &[],
        }
    }

    /// The CPU model of a run that asks for none.
    ///
    /// KVM: the host's, less a model-specific register that nested hosts refuse to set, plus the invariant TSC, which QEMU hides from
    /// guests that may migrate. TCG: all that the translator can do. Icount: one that is the same in every version of QEMU, family,
    /// model and features, as the image may take another path on another CPU; with all features that the translator of QEMU 7.2 has
    /// and the image uses.
    pub fn cpu_model(self) -> &'static str {
        match self {
            Self::Kvm => "host,migratable=no,-arch-capabilities",
            Self::Tcg => "max",
            Self::Icount => "qemu64,+la57,+pdpe1gb,+rdtscp",
            Self::Process => "the host's",
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
            Self::Icount => "TCG with icount",
            Self::Process => "none, a process",
        })
    }
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// KVM where the hardware executes the guest, TCG with icount elsewhere.
    #[default]
    Auto,
    /// KVM, whatever it is worth.
    Kvm,
    /// TCG.
    Tcg,
    /// TCG with icount.
    Icount,
}

/// Picks the accelerator for `boot`, probing with `image`; the second value says why not KVM where that was open.
pub fn choose(choice: Choice, boot: &Boot, image: &Path) -> Result<(Accelerator, Option<String>)> {
    match choice {
        Choice::Kvm => Ok((Accelerator::Kvm, None)),
        Choice::Tcg => Ok((Accelerator::Tcg, None)),
        Choice::Icount => Ok((Accelerator::Icount, None)),
        Choice::Auto => match why_not_kvm(boot, image)? {
            None => Ok((Accelerator::Kvm, None)),
            Some(reason) => Ok((Accelerator::Icount, Some(reason))),
        },
    }
}

fn why_not_kvm(boot_asked_for: &Boot, image: &Path) -> Result<Option<String>> {
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Ok(Some(format!("/dev/kvm cannot be opened: {error}")));
    }
    let probe = Boot {
        accelerator: Accelerator::Kvm,
        door: Door::Pvh {
            image: image.to_owned(),
            command_line: vec!["suite=probe".to_owned()],
        },
        timeout: PROBE_TIMEOUT,
        ..boot_asked_for.clone()
    };
    Ok(verdict(&judge(&boot(&probe)?)))
}

/// What a probe's outcome says against KVM.
fn verdict(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::TimedOut => Some(format!(
            "under KVM the probe gave no answer within {} s",
            PROBE_TIMEOUT.as_secs()
        )),
        Outcome::Pass(log) => match &log.probe {
            Some(probe) if probe.ticks_per_1000_nops <= PROBE_LIMIT => None,
            Some(probe) => Some(format!(
                "this host's KVM interprets the guest: 1,000 NOPs take {} ticks",
                thousands(probe.ticks_per_1000_nops)
            )),
            None => Some("under KVM the probe gave no figure".to_owned()),
        },
        _ => Some("under KVM the probe did not come to its end".to_owned()),
    }
}
