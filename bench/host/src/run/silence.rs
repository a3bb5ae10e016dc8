//! Why a run came to no end: the likely cause, by what its serial port said last and by where its CPUs are.

use std::fmt::Write;

use super::CpuAt;
use crate::image::Symbols;
use crate::log::lines::{clean, lines, record};

/// What the image's lines that are no records begin with.
const IMAGE: &[u8] = b"pagemark: ";
/// And the one that its first instructions end a run with.
const REFUSAL: &[u8] = b"pagemark: error: ";
/// What GRUB's errors begin with.
const GRUB_ERROR: &str = "error: ";

/// Whether the image itself has written something to the serial port; before it, firmware and GRUB do.
pub fn image_spoke(raw: &[u8]) -> bool {
    lines(raw).any(|line| record(&line.bytes).is_some() || line.bytes.starts_with(IMAGE))
}

/// Why the image's first instructions ended the run, in the image's words, where it came to no record: the machine lacks something
/// that the image is compiled for.
pub fn refusal(raw: &[u8]) -> Option<String> {
    let mut refused = None;
    for line in lines(raw) {
        if record(&line.bytes).is_some() {
            return None;
        }
        if let Some(error) = line.bytes.strip_prefix(REFUSAL) {
            refused = Some(String::from_utf8_lossy(error).into_owned());
        }
    }
    refused
}

/// GRUB's first error, where the image has not spoken since.
pub fn grub_error(raw: &[u8]) -> Option<String> {
    if image_spoke(raw) {
        return None;
    }
    raw.split(|&byte| byte == b'\n').find_map(|line| {
        let line = String::from_utf8_lossy(&clean(line)).into_owned();
        let at = line.find(GRUB_ERROR)?;
        Some(line[at..].trim_end().to_owned())
    })
}

/// The likely cause, in words, for a run that the watchdog ended: what is known of `cpus`, and `symbols` of the image.
pub fn likely_cause(raw: &[u8], cpus: &[CpuAt], symbols: Option<&Symbols>) -> String {
    let in_image = |cpu: &CpuAt| symbols.and_then(|symbols| symbols.name(cpu.instruction));
    let mut text = if let Some(error) = grub_error(raw) {
        format!("GRUB did not start the image: {error}")
    } else if image_spoke(raw) {
        "the image hangs, or needs more time (--timeout)".to_owned()
    } else if cpus.iter().any(|cpu| in_image(cpu).is_some()) {
        "the image runs, and says nothing: no serial port answers, or it hangs before it speaks"
            .to_owned()
    } else if cpus.is_empty() {
        "the image never spoke, and QEMU's monitor does not say where its CPUs are".to_owned()
    } else if raw.is_empty() {
        "the image was not started: firmware or loader say nothing, and need more time (--timeout) or more memory (--mem)"
            .to_owned()
    } else {
        "the image was not started: what firmware or loader say stands below".to_owned()
    };
    for cpu in cpus {
        let place = in_image(cpu).map_or_else(
            || "outside of the image's code".to_owned(),
            |name| format!("in {name}"),
        );
        let halted = if cpu.halted { ", halted" } else { "" };
        let _ = write!(
            text,
            "\nCPU {} is at {:#x}, {place}{halted}",
            cpu.number, cpu.instruction
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: CpuAt = CpuAt {
        number: 0,
        instruction: 0x1010,
        halted: true,
    };

    fn symbols() -> Symbols {
        let functions = vec![(0x1000, 0x20, "pagemark::wait".to_owned())];
        Symbols::of_parts(functions, Vec::new())
    }

    fn cause(raw: &str, cpus: &[CpuAt]) -> String {
        likely_cause(raw.as_bytes(), cpus, Some(&symbols()))
    }

    #[test]
    fn the_cause_follows_from_messages_and_from_where_the_cpus_are() {
        let elsewhere = CpuAt {
            instruction: 0xfff0,
            halted: false,
            ..CPU
        };
        for (raw, cpus, start) in [
            (
                "Booting\n\r\x1b[1merror: out of memory.\n\n",
                &[CPU][..],
                "GRUB did not start the image: error: out of memory.\nCPU 0 ",
            ),
            ("pagemark: error: x\n", &[], "the image hangs"),
            (
                "GRUB\nerror: no video mode.\npagemark: error: x\n",
                &[],
                "the image hangs",
            ),
            ("", &[CPU], "the image runs, and says nothing: "),
            (
                "",
                &[elsewhere],
                "the image was not started: firmware or loader say nothing",
            ),
            (
                "BdsDxe\n",
                &[elsewhere],
                "the image was not started: what firmware or loader say stands below\n",
            ),
            (
                "",
                &[],
                "the image never spoke, and QEMU's monitor does not say",
            ),
        ] {
            let cause = cause(raw, cpus);
            assert!(cause.starts_with(start), "{raw:?}: {cause}");
        }
    }

    #[test]
    fn each_cpu_has_a_line() {
        let elsewhere = CpuAt {
            number: 1,
            instruction: 0xfff0,
            halted: false,
        };
        let message = cause("", &[CPU, elsewhere]);
        let lines: Vec<_> = message.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "CPU 0 is at 0x1010, in pagemark::wait+0x10, halted",
                "CPU 1 is at 0xfff0, outside of the image's code"
            ]
        );
    }
}
