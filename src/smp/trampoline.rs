//! The trampoline: `boot/trampoline.s`, copied into a frame below 1 MiB, with what the CPU that starts there needs.

use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{
    AtomicU32, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use x86::msr::{IA32_EFER, rdmsr};

use crate::cpu::registers::cr4;
use crate::mm::address::{PAGE_SIZE, Pfn, PhysAddr, VirtAddr};

/// CR4.PCIDE, which can only be set in 64-bit mode.
const CR4_PCIDE: u64 = 1 << 17;
/// EFER.LMA, which the CPU sets itself.
const EFER_LMA: u64 = 1 << 10;
/// `frame` numbers that a start-up interrupt can name end here: 1 MiB, less what belongs to the firmware and to adapters.
pub const FRAMES_END: Pfn = Pfn(0xa0);

/// The last of the points that a CPU passes in `boot/trampoline.s`.
pub const LAST_POINT: u32 = 3;

/// The end of `boot/trampoline.s`, field for field.
#[repr(C)]
struct Parameters {
    /// 1: a place is ready. A CPU that starts takes it.
    claim: AtomicU32,
    cr3: u32,
    cr4: u32,
    efer: u32,
    cr0: u32,
    to_protected: u32,
    protected_selector: u32,
    padding: u16,
    gdt_limit: u16,
    gdt: u32,
    to_long: u32,
    long_selector: u32,
    /// The last point that a CPU has passed in `boot/trampoline.s`.
    point: AtomicU32,
    stack: u64,
    entry: u64,
    argument: u64,
}

const _: () = assert!(offset_of!(Parameters, stack) == 48 && size_of::<Parameters>() == 72);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_protected: u8;
    static trampoline_long: u8;
    static trampoline_gdt: u8;
    static trampoline_parameters: u8;
    static trampoline_end: u8;
}

/// The trampoline in its frame.
pub struct Trampoline {
    frame: Pfn,
    parameters: *mut Parameters,
}

/// What a CPU finds when it starts.
pub struct Place {
    /// The end of its stack.
    pub stack: VirtAddr,
    /// Where it goes on, in 64-bit mode.
    pub entry: extern "C" fn(u64) -> !,
    /// What it gets there.
    pub argument: u64,
}

impl Trampoline {
    /// Copies the trampoline into `frame`. CPUs that start there go over to the page table at `root`, and to the modes that this
    /// CPU is in.
    ///
    /// # Safety
    ///
    /// The frame lies below [`FRAMES_END`], is nobody else's and stays so, and is mapped at `window`, writable; `root` lies below
    /// 4 GiB.
    pub unsafe fn new(frame: Pfn, window: VirtAddr, root: PhysAddr) -> Self {
        let start = &raw const trampoline_start;
        let offset = |symbol: *const u8| symbol as u64 - start as u64;
        let linear = |symbol: *const u8| (frame.address().0 + offset(symbol)) as u32;
        let bytes = offset(&raw const trampoline_end);
        assert!(bytes <= PAGE_SIZE, "the trampoline is larger than a frame");
        let place = window.0 as *mut u8;
        let parameters = (window.0 + offset(&raw const trampoline_parameters)) as *mut Parameters;
        // SAFETY: the frame is ours and mapped there.
        unsafe { ptr::copy_nonoverlapping(start, place, bytes as usize) };
        // SAFETY: the parameters are the last part of what was copied, and no CPU reads them yet.
        let values = unsafe { &mut *parameters };
        values.cr3 = root.0 as u32;
        values.cr4 = (cr4() & !CR4_PCIDE) as u32;
        // SAFETY: every CPU with long mode has the register.
        values.efer = (unsafe { rdmsr(IA32_EFER) } & !EFER_LMA) as u32;
        // SAFETY: reading CR0 has no effect.
        values.cr0 = unsafe { x86::controlregs::cr0() }.bits() as u32;
        values.to_protected = linear(&raw const trampoline_protected);
        values.gdt = linear(&raw const trampoline_gdt);
        values.to_long = linear(&raw const trampoline_long);
        Trampoline { frame, parameters }
    }

    /// Its frame's number, as a start-up interrupt names it.
    pub const fn frame(&self) -> u8 {
        self.frame.0 as u8
    }

    fn claim(&self) -> &AtomicU32 {
        // SAFETY: the frame stays mapped, and the word is used as an atomic alone while CPUs start.
        unsafe { &(*self.parameters).claim }
    }

    fn point(&self) -> &AtomicU32 {
        // SAFETY: as for `claim`.
        unsafe { &(*self.parameters).point }
    }

    /// Makes a place ready. The one before has been claimed or taken back, and a CPU that claimed it has arrived.
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "the fields of one value"
    )]
    pub fn make_ready(&mut self, place: &Place) {
        // SAFETY: no CPU reads the parameters while no place is ready.
        unsafe {
            (*self.parameters).stack = place.stack.0;
            (*self.parameters).entry = place.entry as *const () as u64;
            (*self.parameters).argument = place.argument;
        }
        self.point().store(0, Relaxed);
        self.claim().store(1, Release);
    }

    /// Whether the place has been claimed.
    pub fn claimed(&self) -> bool {
        self.claim().load(Acquire) == 0
    }

    /// The last point that the CPU has passed which claimed the place: 1 to [`LAST_POINT`]; 0 if none.
    pub fn passed(&self) -> u32 {
        self.point().load(Acquire)
    }

    /// Takes the place back; `false` if it has been claimed.
    pub fn take_back(&mut self) -> bool {
        self.claim().swap(0, AcqRel) == 1
    }
}
