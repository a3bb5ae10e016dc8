//! Where the CPUs of a guest are, asked of QEMU's monitor before the watchdog ends a run that says nothing more.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the monitor may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most bytes of an answer that are taken in: a CPU's registers are 3,000.
const MOST: usize = 1 << 20;
/// What the monitor writes when it waits for a command.
const PROMPT: &[u8] = b"(qemu) ";

/// One CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuAt {
    /// Its number, as QEMU counts.
    pub number: u32,
    /// The address of the next instruction; in 16-bit code without the segment's base.
    pub instruction: u64,
    /// It executed HLT and waits for an interrupt.
    pub halted: bool,
}

/// The guest's CPUs, by the monitor that listens at `socket`; none where it does not answer in time.
pub fn ask(socket: &Path) -> Vec<CpuAt> {
    let deadline = Instant::now() + PATIENCE;
    // An emulator without a monitor, or one that hangs itself, has no answer.
    let answer = UnixStream::connect(socket).and_then(|mut monitor| {
        until_prompt(&mut monitor, deadline)?;
        monitor.write_all(b"info registers -a\n")?;
        until_prompt(&mut monitor, deadline)
    });
    answer.map_or_else(
        |_| Vec::new(),
        |answer| parse(&String::from_utf8_lossy(&answer)),
    )
}

/// What comes before the next prompt.
fn until_prompt(monitor: &mut UnixStream, deadline: Instant) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(PROMPT) && answer.len() < MOST {
        let left = deadline.saturating_duration_since(Instant::now());
        monitor.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match monitor.read(&mut buffer)? {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(answer)
}

/// Reads what `info registers -a` writes: for each CPU a line `CPU#0`, then `RIP=…` (`EIP=…` outside of 64-bit mode) and `HLT=…`.
fn parse(answer: &str) -> Vec<CpuAt> {
    let mut cpus: Vec<CpuAt> = Vec::new();
    for word in answer.split_ascii_whitespace() {
        if let Some(number) = word.strip_prefix("CPU#") {
            cpus.extend(number.parse().ok().map(|number| CpuAt {
                number,
                instruction: 0,
                halted: false,
            }));
        }
        let Some(cpu) = cpus.last_mut() else { continue };
        let address = word
            .strip_prefix("RIP=")
            .or_else(|| word.strip_prefix("EIP="));
        if let Some(address) = address.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
            cpu.instruction = address;
        }
        if let Some(halted) = word.strip_prefix("HLT=") {
            cpu.halted = halted == "1";
        }
    }
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitor_s_answer() {
        let answer = "info registers -a\r\n\r\nCPU#0\r\nRAX=0000000000000000 RBX=0000000000000001\r\n\
            RIP=ffffffffc010b123 RFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\nES =0000\r\n\r\n\
            CPU#1\r\nEAX=00000000\r\nEIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n(qemu) ";
        let cpu = |number, instruction, halted| CpuAt {
            number,
            instruction,
            halted,
        };
        assert_eq!(
            parse(answer),
            [cpu(0, 0xffff_ffff_c010_b123, false), cpu(1, 0xfff0, true)]
        );
        assert_eq!(parse("unknown command\r\n(qemu) "), []);
    }

    #[test]
    fn no_monitor_is_no_answer() {
        assert_eq!(ask(Path::new("/no/monitor")), []);
    }
}
