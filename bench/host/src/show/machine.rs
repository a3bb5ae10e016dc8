//! What machine a log is of, and in what state it was: the block that a table opens with.

use std::collections::BTreeSet;

use pagemark_record::{Clock, CoreKind, Cpu, Environment, Machine};

use super::block::block;
use super::words;
use crate::log::Log;
use crate::style::{Look, bytes, counted, thousands};

pub(super) fn head(log: &Log, look: Look) -> String {
    let mut rows = vec![("command line", log.start.command_line.clone())];
    if let Some(machine) = &log.machine {
        rows.extend(machine_rows(machine));
    }
    rows.extend(
        log.environment
            .iter()
            .map(|found| ("environment", environment(found))),
    );
    if log.cpus.len() > 1 {
        rows.push(("topology", topology(&log.cpus)));
    }
    if !log.zones.is_empty() {
        let zones: Vec<_> = log
            .zones
            .iter()
            .map(|zone| format!("{} {}", zone.name, thousands(zone.free_frames)))
            .collect();
        rows.push(("free frames", zones.join(", ")));
    }
    if let Some(boot) = &log.boot {
        rows.push((
            "boot",
            format!(
                "{} {} from entry to the first sample",
                thousands(boot.ticks),
                words(boot.unit)
            ),
        ));
    }
    if let Some(probe) = &log.probe {
        rows.push((
            "probe",
            format!(
                "{} ticks per 1,000 NOPs",
                thousands(probe.ticks_per_1000_nops)
            ),
        ));
    }
    rows.extend(log.notices.iter().map(|notice| ("notice", notice.clone())));
    block(rows, look)
}

/// Where the CPUs of the run sit.
fn topology(cpus: &[Cpu]) -> String {
    let different = |of: &dyn Fn(&Cpu) -> Option<u32>| {
        let ids: BTreeSet<u32> = cpus.iter().filter_map(of).collect();
        ids.len()
    };
    let cores = counted(different(&|cpu| Some(cpu.core)), "core");
    let caches = match different(&|cpu| cpu.cache) {
        0 => String::new(),
        some => format!(" {},", counted(some, "last-level cache")),
    };
    let packages = counted(different(&|cpu| Some(cpu.package)), "package");
    let efficient = cpus
        .iter()
        .filter(|cpu| cpu.kind == Some(CoreKind::Efficient))
        .count();
    let kinds = match efficient {
        0 => String::new(),
        some => format!("; {some} of them are efficient ones"),
    };
    let all = counted(cpus.len(), "CPU");
    format!("{all} on {cores},{caches} {packages}{kinds}")
}

fn machine_rows(machine: &Machine<String>) -> Vec<(&'static str, String)> {
    let Machine {
        cpu,
        family,
        model,
        stepping,
        ..
    } = machine;
    let cpus = counted(machine.cpus as usize, "CPU");
    let mut rows = vec![
        (
            "CPU",
            format!(
                "{} (family {family}, model {model}, stepping {stepping}), {cpus}",
                cpu.trim()
            ),
        ),
        ("hypervisor", hypervisor(machine.hypervisor.as_deref())),
        ("clock", clock(machine)),
    ];
    if machine.clock != Clock::Icount {
        rows.push((
            "NOPs",
            format!(
                "1,000 of them take {} ticks",
                thousands(machine.ticks_per_1000_nops)
            ),
        ));
    }
    rows.extend([
        ("RAM", bytes(machine.ram_bytes)),
        ("loader", machine.loader.clone()),
        ("layout", machine.layout.clone()),
        ("features", machine.features.clone()),
    ]);
    rows
}

/// A hypervisor's name, from the signature in its CPUID leaf.
fn hypervisor(signature: Option<&str>) -> String {
    match signature.map(|signature| signature.trim_end_matches('\0')) {
        None => "none says that it is there".to_owned(),
        Some("KVMKVMKVM") => "KVM".to_owned(),
        Some("TCGTCGTCGTCG") => "QEMU TCG, an emulator".to_owned(),
        Some("Microsoft Hv") => "Hyper-V".to_owned(),
        Some("VMwareVMware") => "VMware".to_owned(),
        Some("XenVMMXenVMM") => "Xen".to_owned(),
        Some(other) => other.to_owned(),
    }
}

/// Who executes the instructions, and what a reader of the figures has to know.
pub(crate) fn environment(found: &Environment<String>) -> String {
    let class = match found.class.as_str() {
        "silicon" => "the CPU itself, as far as can be seen",
        "hidden_virtualisation" => "the CPU, under a hypervisor that hides",
        "emulator" => "an emulator that hides, or a hypervisor on one",
        "hardware_virtualisation" => "the CPU, under a hypervisor",
        "emulating_kvm" => "a hypervisor that interprets each instruction",
        "tcg" => "QEMU's translator, on the host's time",
        "tcg_icount" => "QEMU's translator, on a clock that counts instructions",
        other => other,
    };
    let mut text = match found.tags.as_str() {
        "" => class.to_owned(),
        tags => format!("{class}; tags: {tags}"),
    };
    if let Some(ppm) = found.disagreement_ppm {
        text += &format!("; sources of the frequency {} ppm apart", thousands(ppm));
    }
    if found.cold.as_deref() == Some("tlbs") && found.class.ends_with("virtualisation") {
        text +=
            "; /cold is cold of the TLBs, and of the caches only if the hypervisor obeys WBINVD";
    }
    if let Some(cycles) = found.cycles_per_1000_ticks {
        text += &format!("; {} core cycles in 1,000 ticks", thousands(cycles));
    }
    text
}

/// What a tick is, and so what the figures mean.
fn clock(machine: &Machine<String>) -> String {
    match machine.clock {
        Clock::Icount => {
            "icount: a tick is one executed instruction, so figures repeat exactly".to_owned()
        }
        Clock::Tsc => {
            let rate = match machine.tsc_hz {
                Some(hz) => format!("{}.{:03} MHz", thousands(hz / 1_000_000), hz / 1000 % 1000),
                None => "unknown rate".to_owned(),
            };
            let kind = if machine.invariant_tsc {
                "invariant"
            } else {
                "not invariant"
            };
            format!(
                "tsc: the hardware's counter, {rate} ({}), {kind}",
                machine.tsc_source
            )
        }
        Clock::Emulated => {
            "emulated: an emulator's time, which says nothing about any CPU".to_owned()
        }
    }
}
