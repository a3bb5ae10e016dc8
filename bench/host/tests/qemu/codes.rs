//! The log from the screen: pictures of a machine without a serial port give it back.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pagemark_host::log::read;
use pagemark_host::run::Boot;
use pagemark_host::scan::Scan;
use tempfile::TempDir;

use super::boots::grub;
use super::pagemark::pagemark;

/// QEMU with a screen, which is gone with this.
struct Watched {
    qemu: Child,
    monitor: UnixStream,
    answers: BufReader<UnixStream>,
    folder: TempDir,
    pictures: usize,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Killed, `timeout` would leave QEMU behind.
        let _ = writeln!(self.monitor, "quit");
        let _ = self.qemu.wait();
    }
}

impl Watched {
    /// Starts a boot with a screen of this size, these arguments in place of COM1, and no way out.
    fn start(boot: &Boot, [width, height]: [u32; 2], serial: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = boot.command(folder.path()).unwrap();
        let mut usual: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        for (word, count) in [("-serial", 2), ("isa-debug-exit,iobase=0xf4,iosize=0x4", 1)] {
            let at = usual.iter().position(|argument| argument == word).unwrap();
            usual.drain(at..at + count);
        }
        // What is left of the device's option.
        let at = usual
            .iter()
            .rposition(|argument| argument == "-device")
            .unwrap();
        usual.remove(at);
        let socket = folder.path().join("monitor");
        let qemu = Command::new("timeout")
            .arg("280")
            .arg(command.get_program())
            .args(usual)
            .args(serial)
            .args([
                "-device",
                &format!("VGA,edid=on,xres={width},yres={height}"),
            ])
            .arg("-monitor")
            .arg(format!("unix:{},server,nowait", socket.display()))
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(folder.path().join("serial")).unwrap())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let monitor = loop {
            match UnixStream::connect(&socket) {
                Ok(monitor) => break monitor,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(30), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        Watched {
            answers: BufReader::new(monitor.try_clone().unwrap()),
            qemu,
            monitor,
            folder,
            pictures: 0,
        }
    }

    /// Takes a picture of the screen.
    fn picture(&mut self) -> PathBuf {
        self.pictures += 1;
        let path = self.folder.path().join(format!("{}.ppm", self.pictures));
        // The second command's answer comes when the first is done.
        writeln!(self.monitor, "screendump {}\nprint 6*7", path.display()).unwrap();
        let mut line = String::new();
        while line.trim() != "0x2a" {
            line.clear();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "QEMU ended");
        }
        path
    }

    /// Takes pictures until they hold a log; returns them.
    fn pictures(&mut self) -> Vec<PathBuf> {
        let (mut scan, mut pictures) = (Scan::default(), Vec::new());
        let start = Instant::now();
        while !scan.is_whole() {
            assert!(
                start.elapsed() < Duration::from_secs(240),
                "{:?}",
                scan.log()
            );
            std::thread::sleep(Duration::from_millis(300));
            let picture = self.picture();
            if !scan.file(&picture).unwrap().is_empty() {
                pictures.push(picture);
            }
        }
        pictures
    }

    /// Waits for the end of the log on the serial port; returns the log.
    fn heard(&self) -> Vec<u8> {
        let start = Instant::now();
        loop {
            let serial = String::from_utf8_lossy(&self.serial()).into_owned();
            let end = serial.find("{\"record\":\"end\"");
            if end.is_some_and(|end| serial[end..].contains('\n')) {
                return on_the_wire(serial.as_bytes());
            }
            assert!(start.elapsed() < Duration::from_secs(240), "{serial}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn serial(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("serial")).unwrap()
    }
}

/// What `pagemark scan` makes of the pictures.
fn scanned(pictures: &[PathBuf]) -> Vec<u8> {
    let output = pagemark(&["scan"], pictures);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    output.stdout
}

/// The log behind what firmware and loader wrote, without the CRs of the wire.
fn on_the_wire(serial: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(serial).replace('\r', "");
    let start = text.find("@pagemark {\"record\":\"start\"").expect("a log");
    text.as_bytes()[start..].to_vec()
}

#[test]
fn a_serial_port_and_the_screen_give_the_same_log_to_the_byte() {
    let (boot, _iso) = grub(
        &["suite=quick", "only=control/*,pt/*", "screen=codes"],
        false,
    );
    let mut watched = Watched::start(&boot, [1024, 768], &["-serial", "chardev:com1"]);
    let pictures = watched.pictures();
    let log = scanned(&pictures);
    assert_eq!(
        String::from_utf8_lossy(&log),
        String::from_utf8_lossy(&on_the_wire(&watched.serial()))
    );
    assert!(read(&log).unwrap().results.len() > 10);
}

/// The whole quick suite without a serial port, and by the same machine with one: GRUB takes another time to start the image, so
/// the logs differ in what is timed from there on, but no figure of a case and no check does.
#[test]
fn without_a_serial_port_the_log_comes_by_the_screen() {
    let (boot, _iso) = grub(&["suite=quick"], false);
    let mut watched = Watched::start(&boot, [1024, 768], &[]);
    let log = scanned(&watched.pictures());
    drop(watched);
    let heard = Watched::start(&boot, [1024, 768], &["-serial", "chardev:com1"]).heard();
    let [log, heard] = [log, heard].map(|bytes| read(&bytes).unwrap());
    let figures = |log: &pagemark_host::log::Log| {
        let results = log.results.iter();
        results
            .map(|result| (result.case.clone(), result.median))
            .collect::<Vec<_>>()
    };
    assert!(log.results.len() > 100);
    assert_eq!(figures(&log), figures(&heard));
    assert_eq!(log.checks, heard.checks);
}

/// The worst that there is to tell, on a small stack.
#[test]
fn a_panic_comes_by_the_screen() {
    let words = ["suite=quick", "provoke=guard-page"];
    let (boot, _iso) = grub(&words, false);
    let mut watched = Watched::start(&boot, [1024, 768], &[]);
    let log = String::from_utf8(scanned(&watched.pictures())).unwrap();
    assert!(
        log.contains("\"record\":\"panic\"") && log.contains("guard page"),
        "{log}"
    );
}

#[test]
fn what_is_no_picture_of_a_log_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (text, empty) = (
        folder.path().join("text.png"),
        folder.path().join("empty.ppm"),
    );
    std::fs::write(&text, "no picture").unwrap();
    std::fs::write(
        &empty,
        [b"P6\n64 64\n255\n".to_vec(), vec![255; 64 * 64 * 3]].concat(),
    )
    .unwrap();
    for (file, told) in [
        (&text, "cannot be read as a picture"),
        (&empty, "no code of a log"),
    ] {
        let output = pagemark(&["scan"], &[file as &Path]);
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(told), "{stderr}");
    }
}
