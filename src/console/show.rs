//! The end of a run on a machine whose log nobody hears: it is shown as a loop of codes, for ever or some times.

use core::fmt::Write;
use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use pagemark_codes::{Frames, MODEL_WORDS, Packing, crc32, pack};
use pagemark_record::ExitCode;
use spin::Mutex;

use super::codes::{CODE_BYTES, Shape};
use super::log;
use super::screen::Screen;
use super::tape::Tape;
use crate::boot::command_line::{Exit, ScreenUse};
use crate::cpu::tsc;
use crate::firmware::leave;

/// How often all codes are shown before an emulator is left, if one is there to be left.
pub const LOOPS: u32 = 2;
/// The same before a reset of a machine that has nothing but the screen: time to take out a camera.
pub const LOOPS_BEFORE_RESET: u32 = 20;
/// Ticks a second where their rate is not known, and where instructions are counted.
const USUAL_HERTZ: u64 = 1_000_000_000;
/// No TSC is slower.
const SLOWEST_HERTZ: u64 = 100_000_000;
/// Most bytes of a packed log: 250 codes of the largest shape hold 570 KiB.
const PACKED_BYTES: usize = 512 << 10;

/// Memory for packing, and for the log itself.
pub struct Workspace {
    model: &'static mut [u32],
    packed: &'static mut [u8],
}

impl Workspace {
    /// Takes its part of `memory`, and returns what is left for the log; `None` if that is nothing.
    #[must_use]
    pub fn cut(memory: &'static mut [u32]) -> Option<(Self, &'static mut [u8])> {
        let (model, rest) = memory.split_at_mut_checked(MODEL_WORDS)?;
        let (packed, rest) = rest.split_at_mut_checked(PACKED_BYTES / 4)?;
        let packed = bytes_of(packed);
        Some((Workspace { model, packed }, bytes_of(rest)))
    }
}

fn bytes_of(words: &'static mut [u32]) -> &'static mut [u8] {
    // SAFETY: every byte of a word is a byte, and bytes are aligned anywhere.
    unsafe { words.align_to_mut().1 }
}

static WORKSPACE: Mutex<Option<Workspace>> = Mutex::new(None);
/// For the code that is drawn, and its data.
static BUFFERS: Mutex<[[u8; CODE_BYTES]; 2]> = Mutex::new([[0; CODE_BYTES]; 2]);
/// Ticks of a second.
static SECOND: AtomicU64 = AtomicU64::new(USUAL_HERTZ);
/// What the command line says.
static USE: AtomicU8 = AtomicU8::new(ScreenUse::Auto as u8);
/// A panic while codes are shown shows none.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Says what the screen is for.
pub fn use_screen(what: ScreenUse) {
    USE.store(what as u8, Relaxed);
}

/// Whether the run ends with codes: they are asked for, or no serial port takes the log.
pub fn is_due() -> bool {
    let unheard = log::with_port(|port| port.works()) != Some(true);
    let what = USE.load(Relaxed);
    what == ScreenUse::Codes as u8 || unheard && what == ScreenUse::Auto as u8
}

/// Says on the screen where the log goes.
pub fn announce() {
    let place = log::with_port(|port| port.place().filter(|_| port.works())).flatten();
    let codes = match is_due() {
        true => "; at the end as codes on this screen",
        false => "",
    };
    match place {
        Some(place) => log::aside(format_args!("log: {place}{codes}")),
        None => log::aside(format_args!("log: no serial port takes it{codes}")),
    }
}

/// Says how many ticks a second has, if that is known.
pub fn set_second(hertz: u64) {
    if hertz >= SLOWEST_HERTZ {
        SECOND.store(hertz, Relaxed);
    }
}

/// Gives the log memory of its own.
pub fn set_workspace(workspace: Workspace) {
    *WORKSPACE.lock() = Some(workspace);
}

/// Shows the log as codes where that is due, as often as the way of leaving wants it; an emulator is left between.
pub fn before_leaving(code: ExitCode) {
    match leave::arranged() {
        _ if !is_due() => {}
        Exit::Reset => codes(Some(LOOPS_BEFORE_RESET)),
        Exit::Halt => codes(None),
        Exit::Auto => {
            codes(Some(LOOPS));
            leave::exit_emulator(code);
            codes(None);
        }
    }
}

/// Shows the log as codes, one a second, a number of times or for ever. Without a screen, or where it does not fit, there are none.
pub fn codes(loops: Option<u32>) {
    if SHOWN.swap(true, Relaxed) {
        return;
    }
    log::with_tape_and_screen(|tape, screen| {
        let mut workspace = WORKSPACE.lock();
        let [data, scratch] = &mut *BUFFERS.lock();
        if let Err(why) = show(tape, screen, workspace.as_mut(), [data, scratch], loops) {
            let _ = writeln!(screen, "no codes of the log: {why}");
        }
    });
    SHOWN.store(false, Relaxed);
}

fn show(
    tape: &Tape,
    screen: &mut Screen<'_>,
    workspace: Option<&mut Workspace>,
    [data, scratch]: [&mut [u8; CODE_BYTES]; 2],
    loops: Option<u32>,
) -> Result<(), &'static str> {
    let side = screen.side_for_codes().ok_or("the screen is not shown")?;
    if !tape.is_whole() {
        return Err("it is longer than the memory for it");
    }
    let text = tape.text();
    let (packed, packing) = match workspace {
        Some(Workspace { model, packed }) => {
            let used = pack(tape.primed(), model, packed).map_err(|_| "it is too long")?;
            (&packed[..used], Packing::Modelled)
        }
        None => (text, Packing::Stored),
    };
    let bytes = u32::try_from(text.len()).map_err(|_| "it is too long")?;
    let frames = |shape: Shape| {
        let frames = Frames::new(packed, packing, crc32(text), bytes, shape.room(scratch));
        frames.map(|frames| (shape, frames))
    };
    let mut shapes = Shape::for_side(side).into_iter().flatten();
    let (shape, frames) = shapes
        .find_map(frames)
        .ok_or("it is too long for this screen")?;
    let (count, enough) = (frames.count(), frames.data());
    let words = screen.make_room(shape.side());
    let _ = words.then(|| {
        write!(
        screen,
        "\nThe log is in {count} codes,\none a second; any {enough} of\nthem suffice. Photograph\nor film the screen, then:\npagemark scan IMAGES\n"
        )
    });
    let second = SECOND.load(Relaxed);
    let mut passed = 0;
    while loops.is_none_or(|loops| passed < loops) {
        for number in 0..count {
            let bytes = frames.write(number, data).len();
            shape.draw(data, bytes, scratch, |x, y, is_dark| {
                screen.paint(shape.side(), x, y, is_dark);
            });
            screen.status(format_args!("code {} of {count}", number + 1));
            wait(second);
        }
        passed += 1;
    }
    Ok(())
}

fn wait(ticks: u64) {
    let start = tsc::read();
    while tsc::read().wrapping_sub(start) < ticks {
        spin_loop();
        // An emulator takes long for a look at the clock.
        (0..1000).for_each(|count| {
            black_box(count);
        });
    }
}
