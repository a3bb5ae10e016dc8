//! The screen: text in the framebuffer that the loader set up, for a person at a machine without a serial cable.
//!
//! What is written goes into a grid of characters, and from there to the pixels wherever these can be reached. Nothing is ever read
//! from them: reads of write-combining memory are slow. So scrolling draws the characters anew that differ from those above.

use core::fmt;

use arrayvec::ArrayString;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::boot::framebuffer::Framebuffer;
use crate::mm::address::VirtAddr;
use crate::mmio;

/// Most characters of a line; what is right of them stays dark.
pub const COLUMNS: usize = 160;
/// Most lines.
pub const ROWS: usize = 64;

/// Characters that have room beside a code.
const WORDS_BESIDE: usize = 26;

const WEIGHT: FontWeight = FontWeight::Regular;
const HEIGHT: RasterHeight = RasterHeight::Size16;
/// Pixels from one character to the next.
const CHARACTER_WIDTH: usize = get_raster_width(WEIGHT, HEIGHT);
/// Pixels from one line to the next.
const LINE_HEIGHT: usize = HEIGHT.val();

/// The characters of a screen, line by line.
pub type Cells = [[u8; COLUMNS]; ROWS];

/// Text on a framebuffer.
pub struct Screen<'c> {
    framebuffer: Framebuffer,
    /// Where the framebuffer is mapped, and what is written is seen.
    pixels: Option<VirtAddr>,
    /// It can be reached at its physical address.
    identity: bool,
    cells: &'c mut Cells,
    columns: usize,
    rows: usize,
    /// Where the next character goes; `rows` stands for a line that is not there yet.
    row: usize,
    column: usize,
    /// A part of it is for codes.
    room: bool,
}

impl<'c> Screen<'c> {
    /// A screen that shows nothing yet and keeps its characters in `cells`; `None` if not even a character has room.
    ///
    /// # Safety
    ///
    /// If `identity`, the framebuffer is mapped at its physical address until [`Self::boot_stretch_ends`] is called. Nobody else
    /// uses it.
    #[must_use]
    pub unsafe fn new(
        framebuffer: Framebuffer,
        identity: bool,
        cells: &'c mut Cells,
    ) -> Option<Self> {
        let columns = (framebuffer.width() / CHARACTER_WIDTH).min(COLUMNS);
        let rows = (framebuffer.height() / LINE_HEIGHT).min(ROWS);
        if columns == 0 || rows == 0 {
            return None;
        }
        *cells = [[b' '; COLUMNS]; ROWS];
        Some(Screen {
            framebuffer,
            pixels: None,
            identity,
            cells,
            columns,
            rows,
            row: 0,
            column: 0,
            room: false,
        })
    }

    /// Shows what was written and what will be.
    ///
    /// # Safety
    ///
    /// The framebuffer is mapped at `address`, for writing, from now on.
    #[inline(never)]
    pub unsafe fn show_at(&mut self, address: VirtAddr) {
        self.pixels = Some(address);
        let black = self.framebuffer.grey(0);
        for y in 0..self.framebuffer.height() {
            for x in 0..self.framebuffer.width() {
                self.put_pixel(address, x, y, black);
            }
        }
        for row in 0..self.rows {
            for column in 0..self.columns {
                if self.cells[row][column] != b' ' {
                    self.draw(row, column);
                }
            }
        }
    }

    /// Shows it in the boot stretch, if it is not shown yet and can be: for a message that nothing comes after.
    pub fn show_early(&mut self) {
        if self.identity && self.pixels.is_none() {
            // SAFETY: promised to `new`.
            unsafe { self.show_at(VirtAddr(self.framebuffer.address().0)) };
        }
    }

    /// Whether anything is on it: it is mapped, and its pixels are there.
    #[must_use]
    pub const fn is_shown(&self) -> bool {
        self.pixels.is_some()
    }

    /// The identity mapping is about to go.
    pub fn boot_stretch_ends(&mut self) {
        self.identity = false;
    }

    /// Pixels of the largest square that has room beside some words; `None` if nothing is shown.
    #[must_use]
    pub fn side_for_codes(&self) -> Option<usize> {
        self.pixels?;
        let beside = WORDS_BESIDE * CHARACTER_WIDTH;
        let width = self.framebuffer.width().saturating_sub(beside);
        Some(width.min(self.framebuffer.height()))
    }

    /// Leaves a square of `side` pixels at the right edge to codes. The words go on to the left of it, and the last line is for
    /// [`Self::status`]. Whether that is new: the second time nothing changes.
    pub fn make_room(&mut self, side: usize) -> bool {
        let Some(address) = self.pixels.filter(|_| !self.room) else {
            return false;
        };
        self.room = true;
        let left = self.framebuffer.width().saturating_sub(side) / CHARACTER_WIDTH;
        self.columns = self.columns.min(left);
        // The line for the status, and one that is not there yet.
        while self.row + 1 >= self.rows {
            self.scroll();
            self.row -= 1;
        }
        self.rows -= 1;
        if self.column > 0 {
            self.end_line();
        }
        let black = self.framebuffer.grey(0);
        for y in 0..self.framebuffer.height() {
            for x in self.columns * CHARACTER_WIDTH..self.framebuffer.width() {
                self.put_pixel(address, x, y, black);
            }
        }
        true
    }

    /// Paints a pixel of the square of `side` pixels that [`Self::make_room`] left.
    pub fn paint(&self, side: usize, x: usize, y: usize, is_dark: bool) {
        let (width, height) = (self.framebuffer.width(), self.framebuffer.height());
        if let Some(address) = self.pixels
            && x < side
            && y < side
            && side <= width.min(height)
        {
            let pixel = self.framebuffer.grey(if is_dark { 0 } else { 255 });
            let (left, top) = (width - side, (height - side) / 2);
            self.put_pixel(address, left + x, top + y, pixel);
        }
    }

    /// Writes the last line, which [`Self::make_room`] took away from the words.
    pub fn status(&mut self, text: fmt::Arguments<'_>) {
        let mut line = ArrayString::<COLUMNS>::new();
        // What is longer is cut.
        let _ = fmt::write(&mut line, text);
        let characters = line.bytes().chain(core::iter::repeat(b' '));
        for (column, character) in (0..self.columns).zip(characters) {
            self.set(self.rows, column, character);
        }
    }

    #[inline(never)]
    fn put(&mut self, character: u8) {
        if self.column == self.columns {
            self.end_line();
        }
        if self.row == self.rows {
            self.scroll();
        }
        self.set(self.row, self.column, character);
        self.column += 1;
    }

    #[inline(never)]
    fn end_line(&mut self) {
        if self.row == self.rows {
            self.scroll();
        }
        self.row += 1;
        self.column = 0;
    }

    /// Moves all lines up by one.
    fn scroll(&mut self) {
        for row in 1..self.rows {
            for column in 0..self.columns {
                self.set(row - 1, column, self.cells[row][column]);
            }
        }
        self.row = self.rows - 1;
        for column in 0..self.columns {
            self.set(self.row, column, b' ');
        }
    }

    #[inline(never)]
    fn set(&mut self, row: usize, column: usize, character: u8) {
        if self.cells[row][column] != character {
            self.cells[row][column] = character;
            self.draw(row, column);
        }
    }

    #[inline(never)]
    fn draw(&self, row: usize, column: usize) {
        let Some(address) = self.pixels else {
            return;
        };
        let character = char::from(self.cells[row][column]);
        let Some(glyph) = get_raster(character, WEIGHT, HEIGHT) else {
            return;
        };
        for (y, line) in glyph.rows().enumerate() {
            for (x, &brightness) in line.iter().enumerate() {
                let (x, y) = (column * CHARACTER_WIDTH + x, row * LINE_HEIGHT + y);
                self.put_pixel(address, x, y, self.framebuffer.grey(brightness));
            }
        }
    }

    #[inline(always)]
    fn put_pixel(&self, address: VirtAddr, x: usize, y: usize, pixel: u32) {
        let bytes = self.framebuffer.pixel_bytes();
        let at = (y * self.framebuffer.pitch() + x * bytes) as u64;
        match bytes {
            // SAFETY: rows and columns are such that each character lies inside the framebuffer, which is mapped there (the promise
            // to `show_at`) and nobody else's (the promise to `new`). Pixels that are words are aligned (`Framebuffer::new`).
            4 => unsafe { mmio::at(address, at) }.write(pixel),
            // SAFETY: as above.
            2 => unsafe { mmio::at(address, at) }.write(pixel as u16),
            _ => {
                for (byte, value) in (at..).zip(pixel.to_le_bytes()).take(bytes) {
                    // SAFETY: as above.
                    unsafe { mmio::at(address, byte) }.write(value);
                }
            }
        }
    }
}

impl fmt::Debug for Screen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (columns, rows) = (self.columns, self.rows);
        write!(f, "{columns} by {rows} characters on {}", self.framebuffer)
    }
}

impl fmt::Write for Screen<'_> {
    /// Writes the text; a character that the font does not have becomes `?`.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\n' => self.end_line(),
                ' '..='~' => self.put(character as u8),
                '\t' => self.put(b' '),
                _ => self.put(b'?'),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::framebuffer::Channel;
    use crate::mm::address::PhysAddr;
    use std::fmt::Write;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    const EMPTY: Cells = [[0; COLUMNS]; ROWS];

    fn channels(bits: [(u8, u8); 3]) -> [Channel; 3] {
        bits.map(|(position, bits)| Channel { position, bits })
    }

    /// A screen of the given size in characters, with pixels of the given size in bytes, some bytes wider and some lines higher than these need; and the
    /// memory that it is in, full of what firmware left.
    fn screen(
        cells: &mut Cells,
        columns: usize,
        rows: usize,
        bytes: usize,
    ) -> (Screen<'_>, Vec<u32>) {
        let (width, height) = (columns * CHARACTER_WIDTH + 3, rows * LINE_HEIGHT + 5);
        let pitch = width * bytes + 12;
        let channels = match bytes {
            2 => channels([(11, 5), (5, 6), (0, 5)]),
            _ => channels([(16, 8), (8, 8), (0, 8)]),
        };
        let framebuffer = Framebuffer::new(
            PhysAddr(0),
            [width as u32, height as u32],
            bytes as u8 * 8,
            pitch as u32,
            channels,
        );
        // SAFETY: it is not mapped at its address, and the memory is the test's own.
        let screen = unsafe { Screen::new(framebuffer.unwrap(), false, cells) };
        (
            screen.unwrap(),
            vec![0xa5a5_a5a5; (pitch * height).div_ceil(4)],
        )
    }

    fn show(screen: &mut Screen<'_>, memory: &mut [u32]) {
        // SAFETY: the memory has the size of the framebuffer, and outlives the screen.
        unsafe { screen.show_at(VirtAddr(memory.as_mut_ptr() as u64)) };
    }

    fn bytes_of(memory: &[u32]) -> Vec<u8> {
        memory.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// The text that the pixels show, line by line.
    fn seen(screen: &Screen<'_>, memory: &[u32]) -> Vec<String> {
        let memory = bytes_of(memory);
        let bytes = screen.framebuffer.pixel_bytes();
        let pixel = |x: usize, y: usize| {
            let at = y * screen.framebuffer.pitch() + x * bytes;
            let mut word = [0; 4];
            word[..bytes].copy_from_slice(&memory[at..at + bytes]);
            u32::from_le_bytes(word)
        };
        let character = |row: usize, column: usize| {
            let shows = |&character: &char| {
                let glyph = get_raster(character, WEIGHT, HEIGHT).unwrap();
                let mut lines = glyph.rows().enumerate();
                lines.all(|(y, line)| {
                    line.iter().enumerate().all(|(x, &brightness)| {
                        let (x, y) = (column * CHARACTER_WIDTH + x, row * LINE_HEIGHT + y);
                        pixel(x, y) == screen.framebuffer.grey(brightness)
                    })
                })
            };
            (' '..='~').find(shows).expect("a character")
        };
        let line = |row| {
            (0..screen.columns)
                .map(|column| character(row, column))
                .collect()
        };
        (0..screen.rows).map(line).collect()
    }

    #[test]
    fn what_is_written_is_seen_before_and_after_it_is_shown() {
        for bytes in [2, 3, 4] {
            let mut cells = EMPTY;
            let (mut screen, mut memory) = screen(&mut cells, 6, 3, bytes);
            write!(screen, "one\ntwö").unwrap();
            show(&mut screen, &mut memory);
            assert_eq!(seen(&screen, &memory), ["one   ", "tw?   ", "      "]);
            write!(screen, "\t~\nlast").unwrap();
            assert_eq!(seen(&screen, &memory), ["one   ", "tw? ~ ", "last  "]);
        }
    }

    #[test]
    fn a_full_screen_scrolls_and_a_long_line_goes_on() {
        let mut cells = EMPTY;
        let (mut screen, mut memory) = screen(&mut cells, 4, 3, 4);
        show(&mut screen, &mut memory);
        write!(screen, "1\n2\n3\n").unwrap();
        // The last line's end makes no room before there is something to put there.
        assert_eq!(seen(&screen, &memory), ["1   ", "2   ", "3   "]);
        write!(screen, "abcdef\n\n").unwrap();
        assert_eq!(seen(&screen, &memory), ["abcd", "ef  ", "    "]);
        write!(screen, "x\ny\nz").unwrap();
        assert_eq!(seen(&screen, &memory), ["x   ", "y   ", "z   "]);
    }

    #[test]
    fn every_pixel_is_cleared_and_no_byte_between_lines_is_touched() {
        let mut cells = EMPTY;
        let (mut screen, mut memory) = screen(&mut cells, 2, 1, 3);
        show(&mut screen, &mut memory);
        let line_bytes = screen.framebuffer.width() * 3;
        for line in bytes_of(&memory).chunks_exact(screen.framebuffer.pitch()) {
            let (pixels, between) = line.split_at(line_bytes);
            assert!(pixels.iter().all(|&byte| byte == 0));
            assert!(between.iter().all(|&byte| byte == 0xa5));
        }
    }

    #[test]
    fn a_screen_larger_than_the_grid_uses_a_part() {
        let mut cells = EMPTY;
        let (mut screen, mut memory) = screen(&mut cells, COLUMNS + 9, ROWS + 2, 2);
        show(&mut screen, &mut memory);
        assert_eq!((screen.columns, screen.rows), (COLUMNS, ROWS));
        for number in 0..2 * ROWS {
            write!(screen, "{number:>COLUMNS$}").unwrap();
        }
        let lines = seen(&screen, &memory);
        assert_eq!(lines[ROWS - 1].trim(), (2 * ROWS - 1).to_string());
    }

    #[test]
    fn a_screen_without_room_for_a_character_is_none() {
        let sides = [CHARACTER_WIDTH as u32, LINE_HEIGHT as u32 - 1];
        let framebuffer =
            Framebuffer::new(PhysAddr(0), sides, 32, 64, channels([(0, 8); 3])).unwrap();
        let mut cells = EMPTY;
        // SAFETY: nothing is drawn.
        assert!(unsafe { Screen::new(framebuffer, false, &mut cells) }.is_none());
    }
}
