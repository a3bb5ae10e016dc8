//! The few words of GDB's remote protocol (GDB manual, appendix E) that QEMU needs.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// A register of x86-64, by its number in GDB's order.
#[derive(Clone, Copy)]
pub enum Register {
    /// RBX.
    Rbx = 1,
    /// R14.
    R14 = 14,
    /// The instruction that is next.
    Rip = 16,
}

/// The registers of a CPU that stands still.
pub struct Registers(Vec<u8>);

impl Registers {
    /// One of them.
    pub fn get(&self, register: Register) -> Result<u64> {
        let at = register as usize * 8;
        let bytes = self
            .0
            .get(at..at + 8)
            .context("QEMU sent too few registers")?;
        Ok(u64::from_le_bytes(bytes.try_into()?))
    }
}

/// A connection to QEMU's stub.
pub struct Gdb {
    from: BufReader<UnixStream>,
    to: UnixStream,
}

impl Gdb {
    /// Connects as soon as QEMU listens at `socket`. An answer later than `deadline` is an error.
    pub fn connect(socket: &Path, deadline: Instant) -> Result<Self> {
        let to = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    return Err(error).context("QEMU's debugger stub cannot be reached");
                }
                Err(_) => sleep(Duration::from_millis(10)),
            }
        };
        let from = BufReader::new(to.try_clone()?);
        Ok(Self { from, to })
    }

    /// Waits no longer than until `deadline` for any answer.
    pub fn patience(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "the traced run takes too long");
        Ok(self.to.set_read_timeout(Some(left))?)
    }

    /// Has the guest stop before it executes the instruction at `address`.
    pub fn break_at(&mut self, address: u64) -> Result<()> {
        let answer = self.ask(&format!("Z1,{address:x},1"))?;
        ensure!(answer.as_deref() == Some("OK"), "no breakpoint: {answer:?}");
        Ok(())
    }

    /// Has the guest no longer stop at `address`.
    pub fn unbreak(&mut self, address: u64) -> Result<()> {
        let answer = self.ask(&format!("z1,{address:x},1"))?;
        ensure!(answer.as_deref() == Some("OK"), "no breakpoint: {answer:?}");
        Ok(())
    }

    /// Lets the guest run on to a breakpoint. False: it came to its end.
    pub fn go_on(&mut self) -> Result<bool> {
        self.stopped("c")
    }

    /// Executes one instruction, breakpoint or not.
    pub fn step(&mut self) -> Result<bool> {
        self.stopped("s")
    }

    /// The CPU's registers.
    pub fn registers(&mut self) -> Result<Registers> {
        let answer = self.ask("g")?.context("QEMU ended")?;
        let byte = |at| u8::from_str_radix(answer.get(at..at + 2).unwrap_or_default(), 16);
        let bytes: Result<_, _> = (0..answer.len()).step_by(2).map(byte).collect();
        Ok(Registers(bytes.context("registers that are no numbers")?))
    }

    /// A line for QEMU's monitor. A command that it does not know is passed over.
    pub fn monitor(&mut self, line: &str) -> Result<()> {
        let hex: String = line.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut answer = self.ask(&format!("qRcmd,{hex}"))?;
        while let Some(text) = &answer
            && text.starts_with('O')
            && text != "OK"
        {
            answer = self.packet()?;
        }
        Ok(())
    }

    fn stopped(&mut self, request: &str) -> Result<bool> {
        match self.ask(request)? {
            None => Ok(false),
            Some(answer) if answer.starts_with(['W', 'X']) => Ok(false),
            Some(answer) if answer.starts_with(['T', 'S']) => Ok(true),
            Some(answer) => bail!("QEMU answers {request} with {answer:?}"),
        }
    }

    fn ask(&mut self, request: &str) -> Result<Option<String>> {
        self.to.write_all(framed(request).as_bytes())?;
        self.packet()
    }

    /// The next packet, without its frame; none where the connection ends.
    fn packet(&mut self) -> Result<Option<String>> {
        let mut packet: Option<Vec<u8>> = None;
        loop {
            let mut byte = [0];
            match self.from.read_exact(&mut byte) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Ok(None);
                }
                Err(error) => return Err(error).context("the traced run takes too long"),
            }
            match (byte[0], &mut packet) {
                (b'$', _) => packet = Some(Vec::new()),
                (b'#', Some(_)) => break,
                (byte, Some(packet)) => packet.push(byte),
                // Acknowledgements.
                (_, None) => {}
            }
        }
        // The sum is of no use on a socket that loses nothing.
        self.from.read_exact(&mut [0; 2])?;
        // QEMU may be gone with its last words unacknowledged.
        let _ = self.to.write_all(b"+");
        Ok(packet.map(|packet| String::from_utf8_lossy(&packet).into_owned()))
    }
}

fn framed(request: &str) -> String {
    let sum = request.bytes().fold(0_u8, u8::wrapping_add);
    format!("${request}#{sum:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_has_its_sum_behind_it() {
        assert_eq!(framed("OK"), "$OK#9a");
        assert_eq!(framed("g"), "$g#67");
    }

    #[test]
    fn answers_are_taken_out_of_their_frames() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut gdb = Gdb {
            from: BufReader::new(ours.try_clone().unwrap()),
            to: ours,
        };
        let registers = "0100000000000000".repeat(14) + "34120000000000c0" + "00";
        theirs.write_all(b"+$OK#9a+$T05thread:01;#07").unwrap();
        theirs
            .write_all(format!("{}+$O6869#00$OK#9a", framed(&registers)).as_bytes())
            .unwrap();
        gdb.break_at(0x1000).unwrap();
        assert!(gdb.go_on().unwrap());
        let registers = gdb.registers().unwrap();
        assert_eq!(registers.get(Register::R14).unwrap(), 0xc000_0000_0000_1234);
        assert!(registers.get(Register::Rip).is_err());
        gdb.monitor("hi").unwrap();
        let mut sent = vec![0; 14];
        theirs.read_exact(&mut sent).unwrap();
        assert!(sent.starts_with(b"$Z1,1000,1#"), "{sent:?}");
        drop(theirs);
        assert!(!gdb.go_on().unwrap_or(false));
    }
}
