//! The bytes of a capture, as a stream: what a wire, a terminal program or an editor adds is taken off in one pass.
//!
//! - UTF-16 with a byte-order mark becomes UTF-8 (PowerShell's `Tee-Object` writes it);
//! - control characters are dropped, XON and XOFF, NUL and carriage returns among them: the image writes none but tab and line
//!   feed ([`pagemark_record::LogWriter`] replaces them). ESC stays, since [`super::lines`] removes a whole sequence by its line.

use std::io::{self, Read};

/// Bytes read at once.
const CHUNK: usize = 1 << 18;
/// Characters after a byte-order mark that distinguish UTF-16 from two odd bytes.
const PROBED: usize = 16;
const ESCAPE: u8 = 0x1b;

/// Whether a byte of a capture is kept.
const KEPT: [bool; 256] = {
    let mut kept = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        kept[byte] = matches!(byte as u8, b'\t' | b'\n' | ESCAPE);
        byte += 1;
    }
    kept[0x7f] = false;
    kept
};

/// A stream of cleaned bytes.
pub struct Wire<R> {
    inner: R,
    encoding: Option<Encoding>,
    chunk: Vec<u8>,
    /// UTF-16: a byte whose other half, and a surrogate whose partner, are in the next chunk.
    odd: Option<u8>,
    high: Option<u16>,
}

/// How characters are encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Bytes,
    Utf16 { little: bool },
}

impl<R: Read> Wire<R> {
    /// The stream behind `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            encoding: None,
            chunk: vec![0; CHUNK],
            odd: None,
            high: None,
        }
    }

    /// Appends the next cleaned bytes to `out`; `false` at the end of the stream.
    pub fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let encoding = match self.encoding {
            Some(encoding) => encoding,
            None => {
                let mut head = Vec::new();
                let most = 2 * (PROBED as u64 + 1);
                (&mut self.inner).take(most).read_to_end(&mut head)?;
                let encoding = Encoding::of(&head);
                self.encoding = Some(encoding);
                let head = match encoding {
                    Encoding::Bytes => &head[..],
                    Encoding::Utf16 { .. } => &head[2..],
                };
                self.append(encoding, head, out);
                encoding
            }
        };
        let read = loop {
            match self.inner.read(&mut self.chunk) {
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let chunk = std::mem::take(&mut self.chunk);
        self.append(encoding, &chunk[..read], out);
        self.chunk = chunk;
        Ok(read > 0)
    }

    fn append(&mut self, encoding: Encoding, bytes: &[u8], out: &mut Vec<u8>) {
        match encoding {
            Encoding::Bytes => append_kept(bytes, out),
            Encoding::Utf16 { little } => {
                for &byte in bytes {
                    let Some(first) = self.odd.take() else {
                        self.odd = Some(byte);
                        continue;
                    };
                    let pair = [first, byte];
                    let unit = match little {
                        true => u16::from_le_bytes(pair),
                        false => u16::from_be_bytes(pair),
                    };
                    self.unit(unit, out);
                }
            }
        }
    }

    /// Takes in one UTF-16 code unit.
    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        let units = [self.high.take().unwrap_or(unit), unit];
        let surrogate = matches!(unit, 0xd800..=0xdbff);
        if surrogate && units[0] == unit {
            self.high = Some(unit);
            return;
        }
        let units = if units[0] == unit {
            &units[1..]
        } else {
            &units
        };
        for character in char::decode_utf16(units.iter().copied()) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            append_kept(character.encode_utf8(&mut [0; 4]).as_bytes(), out);
        }
    }
}

impl Encoding {
    /// UTF-16, where a byte-order mark says so and most of the first characters are Latin.
    fn of(head: &[u8]) -> Self {
        let little = match head {
            [0xff, 0xfe, ..] => true,
            [0xfe, 0xff, ..] => false,
            _ => return Self::Bytes,
        };
        let pairs = head[2..].chunks_exact(2);
        let number = pairs.len();
        let latin = pairs.filter(|pair| pair[usize::from(little)] == 0).count();
        match 2 * latin > number {
            true => Self::Utf16 { little },
            false => Self::Bytes,
        }
    }
}

/// Appends the bytes that are kept.
fn append_kept(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len(), 0);
    let mut end = start;
    for &byte in bytes {
        out[end] = byte;
        end += usize::from(KEPT[usize::from(byte)]);
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut wire = Wire::new(bytes);
        while wire.fill(&mut out).unwrap() {}
        out
    }

    #[test]
    fn control_characters_go_and_text_stays() {
        assert_eq!(
            cleaned(b"\x11a\0b\r\n\t\x13\x7f\x1b[0mc"),
            b"ab\n\t\x1b[0mc"
        );
        assert_eq!(cleaned("µ…".as_bytes()), "µ…".as_bytes());
        assert_eq!(cleaned(b""), b"");
    }

    #[test]
    fn utf_16_in_either_order() {
        let text = "a log with µ, … and 😀, long enough to be recognised\r\n";
        for little in [true, false] {
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            let bytes: Vec<u8> = units
                .flat_map(|unit| match little {
                    true => unit.to_le_bytes(),
                    false => unit.to_be_bytes(),
                })
                .collect();
            assert_eq!(cleaned(&bytes), text.replace('\r', "").as_bytes());
        }
        // Two odd bytes before a log are no encoding.
        assert_eq!(cleaned(b"\xff\xfe\n@pagemark"), b"\xff\xfe\n@pagemark");
    }
}
