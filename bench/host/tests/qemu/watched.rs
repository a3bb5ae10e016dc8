//! QEMU with a screen: what a person before it sees, as pictures.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pagemark_host::run::Boot;
use tempfile::TempDir;

/// A process that does not outlive this value, whatever a test does in between.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// QEMU with a screen, which is gone with this.
pub struct Watched {
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
    pub fn start(boot: &Boot, [width, height]: [u32; 2], serial: &[&str]) -> Self {
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
            .arg(boot.timeout.as_secs().max(280).to_string())
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
                Err(_) if start.elapsed() < Duration::from_secs(30) => {}
                Err(error) => {
                    // `timeout` ends QEMU with itself.
                    let timeout = qemu.id().to_string();
                    let _ = Command::new("kill").arg(timeout).status();
                    panic!("{error}");
                }
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
    pub fn picture(&mut self) -> PathBuf {
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

    /// What came out of the serial port.
    pub fn serial(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("serial")).unwrap()
    }

    /// Waits for the end of the log on the serial port, or for a panic; returns what came out of it.
    pub fn heard(&self) -> Vec<u8> {
        let start = Instant::now();
        loop {
            let bytes = self.serial();
            let serial = String::from_utf8_lossy(&bytes);
            let ends =
                ["end", "panic"].map(|kind| serial.find(&format!("{{\"record\":\"{kind}\"")));
            let is_over = |end: usize| serial[end..].contains('\n');
            if ends.into_iter().flatten().any(is_over) {
                return bytes;
            }
            assert!(start.elapsed() < Duration::from_secs(240), "{serial}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}
