//! The machine of a log, built again for a few samples of one of its cases.
//!
//! RAM, CPUs and everything that the image was asked for are in every log; QEMU's machine type and CPU model are in it as words of the
//! command line that `pagemark run` adds ([`Boot::names`]). What a log does not name is taken to be what `pagemark run` has where it is
//! reported, and nothing is asked of it.

use std::path::Path;
use std::time::Duration;

use pagemark_record::Machine;

use crate::compare::Fingerprint;
use crate::log::Log;
use crate::run::{Accelerator, Boot, CPU_KEY, Door, MACHINE_KEY, MachineType};

/// The words of a log's command line that a run of one case has otherwise, and those for QEMU, not the image: it may be an
/// older one, which does not know them.
const REPLACED: [&str; 8] = [
    "suite=",
    "only=",
    "rounds=",
    "passes=",
    "seconds=",
    "align=",
    MACHINE_KEY,
    CPU_KEY,
];

/// A machine that QEMU does not build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log is of a machine `{0}`, and only q35, pc and microvm can be built again")]
pub struct UnknownMachine(pub String);

/// A boot on the machine of a log.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The boot.
    pub boot: Boot,
    /// What the log does not name, and what was taken for it.
    pub assumed: Vec<String>,
}

impl Rebuilt {
    /// A few samples of `case` in `image`, on the machine of `log`.
    ///
    /// # Errors
    ///
    /// The log names a machine that is none of [`MachineType`].
    pub fn of_case(
        qemu: &Path,
        image: &Path,
        log: &Log,
        case: &str,
    ) -> Result<Self, UnknownMachine> {
        let words = || log.start.command_line.split_whitespace();
        let named = |key| words().find_map(|word| word.strip_prefix(key));
        let accelerator = Accelerator::Icount;
        let mut assumed = Vec::new();
        let machine = match named(MACHINE_KEY) {
            Some(name) => {
                MachineType::named(name).ok_or_else(|| UnknownMachine(name.to_owned()))?
            }
            None => {
                let machine = MachineType::default();
                assumed.push(format!("machine {}", machine.name()));
                machine
            }
        };
        let cpu_model = named(CPU_KEY).map(str::to_owned);
        if cpu_model.is_none() {
            assumed.push(format!("CPU model {}", accelerator.cpu_model()));
        }
        // The image is given all but the firmware's part of the first MiB, and of tables at the end of RAM.
        let mebibytes = |machine: &Machine<String>| machine.ram_bytes.div_ceil(1 << 20);
        let found = log.machine.as_ref();
        let kept = words().filter(|word| REPLACED.iter().all(|key| !word.starts_with(key)));
        let boot = Boot {
            qemu: qemu.to_owned(),
            accelerator,
            cpu_model,
            cpus: found.map_or(1, |machine| machine.cpus),
            topology: None,
            memory: format!("{}M", found.map_or(1024, mebibytes)),
            machine,
            door: Door::Pvh {
                image: image.to_owned(),
                command_line: ["suite=full", "rounds=3"]
                    .into_iter()
                    .chain(kept)
                    .map(str::to_owned)
                    .chain([format!("only={case}")])
                    .collect(),
            },
            timeout: Duration::from_secs(300),
        };
        Ok(Self { boot, assumed })
    }
}

/// What of the machine that `log` is of the machine of `traced` has otherwise, in words. The suite is another on purpose, and every
/// trace is of an image that QEMU loads.
pub fn deviations(log: &Log, traced: &Log) -> Vec<String> {
    let [log, traced] = [log, traced].map(|log| {
        let mut found = Fingerprint::of(log);
        let is_kept = |what: &str| !["suite", "loader"].contains(&what);
        found.parts.retain(|what, _| is_kept(what));
        found
    });
    log.unlike(&traced)
}

#[cfg(test)]
mod tests {
    use pagemark_record::Clock;

    use super::*;
    use crate::log::read;
    use crate::log::sample::good;

    fn rebuilt(log: &Log) -> Rebuilt {
        let (qemu, image) = (Path::new("qemu"), Path::new("elf"));
        Rebuilt::of_case(qemu, image, log, "pt/map/pages=1").unwrap()
    }

    fn words(boot: &Boot) -> String {
        match &boot.door {
            Door::Pvh { command_line, .. } => command_line.join(" "),
            door => panic!("{door:?}"),
        }
    }

    /// A case that was traced on another machine would be blamed for what that machine does.
    #[test]
    fn a_case_is_run_again_on_the_machine_of_its_log() {
        let mut log = read(&good(Clock::Icount)).unwrap();
        let machine = log.machine.as_mut().unwrap();
        // What 2.5 GiB leave in QEMU.
        machine.ram_bytes = (2560 << 20) - (1 << 19) - 4096;
        machine.cpus = 4;
        log.start.command_line = "suite=quick layout=classic only=pt/* rounds=7 align=sweep \
            smp=4 machine=microvm cpu=qemu64,+pdpe1gb"
            .to_owned();
        let Rebuilt { boot, assumed } = rebuilt(&log);
        assert_eq!((boot.memory.as_str(), boot.cpus), ("2560M", 4));
        assert_eq!(boot.machine, MachineType::Microvm);
        assert_eq!(boot.cpu_model.as_deref(), Some("qemu64,+pdpe1gb"));
        assert_eq!(assumed, [""; 0]);
        // An image from before these words would refuse them.
        let kept = "suite=full rounds=3 layout=classic smp=4 only=pt/map/pages=1";
        assert_eq!(words(&boot), kept);
    }

    #[test]
    fn what_a_log_does_not_name_is_assumed_and_reported() {
        let mut log = read(&good(Clock::Icount)).unwrap();
        log.machine = None;
        let Rebuilt { boot, assumed } = rebuilt(&log);
        assert_eq!((boot.memory.as_str(), boot.cpus), ("1024M", 1));
        assert_eq!((boot.machine, boot.cpu_model), (MachineType::Q35, None));
        let model = format!("CPU model {}", Accelerator::Icount.cpu_model());
        assert_eq!(assumed, ["machine q35", &model]);
        log.start.command_line += " machine=pc";
        let Rebuilt { boot, assumed } = rebuilt(&log);
        assert_eq!(boot.machine, MachineType::Pc);
        assert_eq!(assumed, [model]);
    }

    #[test]
    fn a_machine_that_cannot_be_built_is_named() {
        let mut log = read(&good(Clock::Icount)).unwrap();
        log.start.command_line += " machine=firecracker";
        let message = Rebuilt::of_case(Path::new("qemu"), Path::new("elf"), &log, "a").unwrap_err();
        assert!(message.to_string().contains("`firecracker`"), "{message}");
    }

    /// What the runner writes is what is read: for every machine, with the model that was asked for and with the usual one.
    #[test]
    fn what_a_boot_names_is_rebuilt() {
        let log = read(&good(Clock::Icount)).unwrap();
        for &machine in <MachineType as clap::ValueEnum>::value_variants() {
            for model in [None, Some("max,phys-bits=46".to_owned())] {
                let asked_for = Boot {
                    machine,
                    cpu_model: model.clone(),
                    ..rebuilt(&log).boot
                };
                let mut named = log.clone();
                named.start.command_line += &format!(" {}", asked_for.names().join(" "));
                let Rebuilt { boot, assumed } = rebuilt(&named);
                assert_eq!((boot.machine, assumed), (machine, Vec::new()));
                let usual = Accelerator::Icount.cpu_model();
                let model = model.unwrap_or_else(|| usual.to_owned());
                assert_eq!(boot.cpu_model, Some(model));
            }
        }
    }

    #[test]
    fn another_machine_is_noticed_and_another_suite_is_not() {
        let log = read(&good(Clock::Icount)).unwrap();
        let mut traced = log.clone();
        traced.start.suite = "full".to_owned();
        traced.machine.as_mut().unwrap().loader = "multiboot2: GRUB".to_owned();
        assert_eq!(deviations(&log, &traced), [""; 0]);
        traced.machine.as_mut().unwrap().cpus = 3;
        let message = deviations(&log, &traced);
        assert!(
            matches!(&message[..], [cpus] if cpus.starts_with("CPUs: ")),
            "{message:?}"
        );
    }
}
