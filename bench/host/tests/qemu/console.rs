//! The serial port that the log goes to: which one is found, and what becomes of a run whose port is of no use.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pagemark_host::log::read;
use pagemark_record::ExitCode;

use super::{SHORT, pvh};

/// How a run on a machine with other serial ports ended, and what came out of the last of them.
struct Seen {
    status: Option<i32>,
    serial: Vec<u8>,
}

/// Boots with these arguments in place of COM1.
fn with_serial(words: &[&str], arguments: &[&str]) -> Seen {
    let command_line = [&SHORT, words].concat();
    let (boot, scratch) = (pvh(&command_line), tempfile::tempdir().unwrap());
    let command = boot.command(scratch.path()).unwrap();
    let mut usual: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let serial = usual.iter().position(|word| word == "-serial").unwrap();
    usual.drain(serial..serial + 2);
    let output = Command::new("timeout")
        .arg(boot.timeout.as_secs().to_string())
        .arg(command.get_program())
        .args(usual)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Seen {
        status: output.status.code(),
        serial: output.stdout,
    }
}

/// The run passes, and its log is whole.
fn is_heard(words: &[&str], arguments: &[&str]) {
    let seen = with_serial(words, arguments);
    let text = String::from_utf8_lossy(&seen.serial);
    assert_eq!(
        seen.status,
        Some(ExitCode::Pass.qemu_status()),
        "{arguments:?}\n{text}"
    );
    let log = read(&seen.serial).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{text}"));
    assert!(!log.results.is_empty());
}

#[test]
fn where_no_com1_is_the_next_port_serves() {
    for missing in 1..4 {
        let mut arguments = ["-serial", "none"].repeat(missing);
        arguments.extend(["-serial", "chardev:com1"]);
        is_heard(&[], &arguments);
    }
}

#[test]
fn a_port_on_pci_serves_where_there_is_no_other() {
    is_heard(&[], &["-device", "pci-serial,chardev=com1"]);
    // One of four on a card, behind a bridge.
    is_heard(
        &[],
        &[
            "-device",
            "pcie-pci-bridge,id=bridge",
            "-device",
            "pci-serial-2x,bus=bridge,addr=3,chardev1=com1",
        ],
    );
}

#[test]
fn the_command_line_chooses() {
    let second = ["-serial", "null", "-serial", "chardev:com1"];
    is_heard(&["serial=com2"], &second);
    is_heard(&["serial=port:0x2f8,9600"], &second);
    let pci = ["-serial", "null", "-device", "pci-serial,chardev=com1"];
    is_heard(&["serial=pci"], &pci);
    let seen = with_serial(&["serial=none"], &["-serial", "chardev:com1"]);
    assert_eq!(seen.serial, b"");
}

/// A typing error costs a notice, not the log.
#[test]
fn a_port_that_is_asked_for_and_does_not_answer_is_named_elsewhere() {
    for (word, named) in [
        ("serial=com3", "COM3, 115200 baud: no serial port answers"),
        (
            "serial=port:0xfff8",
            "I/O port 0xfff8, 115200 baud: no serial port answers",
        ),
        (
            "serial=mmio:0xffff0000,32",
            "memory at 0xffff0000, registers of 32 bits",
        ),
        ("serial=pci", "PCI: no serial port answers"),
    ] {
        let seen = with_serial(&[word], &["-serial", "chardev:com1"]);
        assert_eq!(seen.status, Some(ExitCode::Pass.qemu_status()), "{word}");
        let notices = read(&seen.serial).unwrap().notices;
        assert!(
            notices.iter().any(|notice| notice.contains(named)),
            "{notices:?}"
        );
    }
}

/// Nobody would know of a pass.
#[test]
fn a_run_that_nobody_hears_does_not_pass() {
    let seen = with_serial(&[], &[]);
    assert_eq!(seen.status, Some(ExitCode::Error.qemu_status()));
    assert_eq!(seen.serial, b"");
}

/// An SPCR behind its header (Microsoft's specification of the table, revision 2): a 16550 at these ports.
fn spcr(folder: &Path, port: u64, baud: u8) -> String {
    let mut body = vec![0; 80 - 36];
    // Address space 1 is that of I/O ports; registers of 8 bits.
    body[4..8].copy_from_slice(&[1, 8, 0, 1]);
    body[8..16].copy_from_slice(&port.to_le_bytes());
    body[58 - 36] = baud;
    // No PCI device.
    body[64 - 36..68 - 36].fill(0xff);
    let file = folder.join("spcr");
    std::fs::write(&file, body).unwrap();
    format!("sig=SPCR,rev=2,data={}", file.display())
}

#[test]
fn the_firmwares_console_serves_and_port_0_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let second = spcr(folder.path(), 0x2f8, 7);
    is_heard(
        &[],
        &[
            "-acpitable",
            &second,
            "-serial",
            "null",
            "-serial",
            "chardev:com1",
        ],
    );
    let off = spcr(folder.path(), 0, 0);
    is_heard(&[], &["-acpitable", &off, "-serial", "chardev:com1"]);
    // A port that does not answer is passed over.
    let wrong = spcr(folder.path(), 0x3e8, 7);
    is_heard(&[], &["-acpitable", &wrong, "-serial", "chardev:com1"]);
}

/// A pipe that somebody holds open and does not read: once it is full, the transmitter stays full. Of its `room` bytes the rest is
/// filled. The reader has to live as long as QEMU.
fn stuck_pipe(folder: &Path, room: usize) -> (String, std::fs::File) {
    let pipe = folder.join("pipe");
    for end in ["in", "out"] {
        let made = Command::new("mkfifo")
            .arg(pipe.with_extension(end))
            .status();
        assert!(made.unwrap().success());
    }
    let mut options = std::fs::File::options();
    let held = options.read(true).write(true);
    let reader = held.open(pipe.with_extension("out")).unwrap();
    let mut filler = reader.try_clone().unwrap();
    std::io::Write::write_all(&mut filler, &vec![b'.'; (64 << 10) - room]).unwrap();
    (format!("pipe,id=stuck,path={}", pipe.display()), reader)
}

#[test]
fn a_port_that_does_not_drain_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    // More than a short run writes fits into a pipe, so most of it is taken.
    let (chardev, _reader) = stuck_pipe(folder.path(), 4 << 10);
    let start = Instant::now();
    let seen = with_serial(&[], &["-chardev", &chardev, "-serial", "chardev:stuck"]);
    // There is no screen either, so the run is not said to pass.
    assert_eq!(seen.status, Some(ExitCode::Error.qemu_status()));
    assert!(start.elapsed() < Duration::from_secs(100));
}

/// Nor before there is a log.
#[test]
fn a_port_that_does_not_drain_holds_no_refusal_up() {
    let folder = tempfile::tempdir().unwrap();
    let (chardev, _reader) = stuck_pipe(folder.path(), 0);
    let arguments = ["-chardev", &chardev, "-serial", "chardev:stuck"];
    let start = Instant::now();
    let seen = with_serial(&[], &[&arguments[..], &["-cpu", "max,-sse2"]].concat());
    assert_eq!(seen.status, Some(ExitCode::Error.qemu_status()));
    assert!(start.elapsed() < Duration::from_secs(100));
}
