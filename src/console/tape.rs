//! The log in memory, for the codes at the end of the run: it lies behind the primer of its packing.

use pagemark_codes::PRIMER;

/// Text in memory that only grows.
#[derive(Debug)]
pub struct Tape {
    buffer: &'static mut [u8],
    used: usize,
    /// Nothing was lost.
    whole: bool,
}

impl Tape {
    /// An empty tape in this memory.
    #[must_use]
    pub fn new(buffer: &'static mut [u8]) -> Self {
        let mut tape = Tape {
            buffer,
            used: 0,
            whole: true,
        };
        tape.write(PRIMER);
        tape
    }

    /// Appends; what has no room is lost.
    pub fn write(&mut self, text: &[u8]) {
        let end = self.used + text.len();
        match self.buffer.get_mut(self.used..end) {
            Some(place) if self.whole => {
                place.copy_from_slice(text);
                self.used = end;
            }
            _ => self.whole = false,
        }
    }

    /// Goes on in other memory.
    pub fn move_to(&mut self, buffer: &'static mut [u8]) {
        let mut tape = Tape {
            buffer,
            used: 0,
            whole: true,
        };
        tape.write(self.primed());
        tape.whole &= self.whole;
        *self = tape;
    }

    /// Primer and text.
    #[must_use]
    pub fn primed(&self) -> &[u8] {
        &self.buffer[..self.used]
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.primed().get(PRIMER.len()..).unwrap_or(&[])
    }

    /// Whether all that was written is there.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn tape(room: usize) -> Tape {
        Tape::new(vec![0; PRIMER.len() + room].leak())
    }

    #[test]
    fn text_is_kept_and_moved() {
        let mut tape = tape(8);
        tape.write(b"one\n");
        tape.move_to(vec![0xaa; PRIMER.len() + 16].leak());
        tape.write(b"two and more");
        assert_eq!(tape.text(), b"one\ntwo and more");
        assert!(tape.is_whole() && tape.primed().starts_with(PRIMER));
    }

    #[test]
    fn what_has_no_room_is_missed() {
        let mut tape = tape(4);
        tape.write(b"one\n");
        tape.write(b"t");
        // What comes behind it would stand in a wrong place.
        tape.write(b"");
        assert_eq!((tape.text(), tape.is_whole()), (&b"one\n"[..], false));
        tape.move_to(vec![0; PRIMER.len() + 16].leak());
        tape.write(b"x");
        assert_eq!((tape.text(), tape.is_whole()), (&b"one\n"[..], false));
    }
}
