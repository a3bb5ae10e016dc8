//! What is done to the contents of a whole frame: clearing, copying, writing its lines back. Each by the ways that kernels choose between.
//!
//! Linux clears pages by REP STOSB where the CPU has it fast (ERMS), else by REP STOSQ or plain stores, and persistent memory around the caches
//! (arch/x86/lib/clear_page_64.S, copy_page_64.S, usercopy_64.c); FreeBSD and Xen clear by MOVNTI or by AMD's CLZERO. Stores around the caches
//! end in SFENCE, as nobody may see the frame before they are there.
//!
//! The frames are those of two blocks, one after the other: 256 KiB each, more than an L1 has and less than most an L2.

use core::arch::asm;

use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};

use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// Frames of a block.
const FRAMES: u64 = 64;
/// What a word holds before it is cleared or copied to.
const OLD: u64 = 0x0c0c_0c0c_0c0c_0c0c;
/// What the words of the frames that are copied from hold, with their place.
const SOURCE: u64 = 0x5050_0000_0000_0000;

/// What a frame holds afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Zero,
    Copy,
    /// What it held before.
    Nothing,
}

/// The work on one frame after the other. `work` takes the addresses of a frame to write to and of one to copy from.
struct Contents<W> {
    to: VirtAddr,
    from: VirtAddr,
    next: u64,
    effect: Effect,
    work: W,
}

/// The words of a frame of a block.
fn words(block: VirtAddr, frame: u64) -> impl Iterator<Item = VirtAddr> {
    let start = block.0 + frame * PAGE_SIZE;
    (start..start + PAGE_SIZE).step_by(8).map(VirtAddr)
}

impl<W: Fn(u64, u64)> Case for Contents<W> {
    fn prepare_for(&mut self, _count: u32) -> Result<(), Failure> {
        if self.effect == Effect::Nothing {
            // There are lines to write back.
            for frame in 0..FRAMES {
                for word in words(self.to, frame) {
                    // SAFETY: the frame is ours.
                    unsafe { (word.0 as *mut u64).write_volatile(OLD) };
                }
            }
        }
        self.next = 0;
        Ok(())
    }

    fn operation(&mut self) {
        let place = self.next % FRAMES * PAGE_SIZE;
        (self.work)(self.to.0 + place, self.from.0 + place);
        self.next += 1;
    }

    fn batch(&self) -> u32 {
        FRAMES as u32 / 2
    }

    fn without_effect(&self) -> Option<&'static str> {
        (self.effect == Effect::Nothing).then_some("memory holds what the caches held")
    }

    fn verify(&mut self) -> Result<(), Failure> {
        if self.effect == Effect::Nothing {
            return Ok(());
        }
        for (to, from) in words(self.to, 0).zip(words(self.from, 0)) {
            let expected = match self.effect {
                Effect::Zero => 0,
                _ => proof::read(from)?,
            };
            expect_eq!("a word of the frame", proof::read(to)?, expected);
        }
        Ok(())
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        for word in words(self.to, 0) {
            // SAFETY: the frame is ours.
            unsafe { proof::write(word, OLD)? };
        }
        self.prepare_for(1)
    }
}

/// The instruction for each of a number of steps through a frame, from RDI on.
macro_rules! each {
    ($to:ident, $step:expr, $($instruction:literal),+) => {
        // SAFETY: the frame at `to` is the case's.
        unsafe {
            asm!(
                "2:",
                $($instruction,)+
                "add rdi, {step}",
                "cmp rdi, {end}",
                "jb 2b",
                step = const $step,
                end = in(reg) $to + PAGE_SIZE,
                inout("rdi") $to => _,
                in("rax") 0_u64,
                options(nostack),
            )
        }
    };
}

/// A string instruction with a REP prefix; the count is in RCX.
macro_rules! repeat {
    ($instruction:literal, $to:ident, $from:expr, $count:expr) => {
        // SAFETY: the frame at `to` is the case's, and so is the one at `from`; the direction flag is clear.
        unsafe {
            asm!(
                concat!("rep ", $instruction),
                inout("rcx") $count => _,
                inout("rdi") $to => _,
                inout("rsi") $from => _,
                in("rax") 0_u64,
                options(nostack, preserves_flags),
            )
        }
    };
}

fn store_fence() {
    // SAFETY: SFENCE touches nothing.
    unsafe { asm!("sfence", options(nostack, preserves_flags)) };
}

const WORDS: u64 = PAGE_SIZE / 8;

/// The cases, in their order.
const NAMES: [&str; 10] = [
    "frame/clear/by=rep_stosb",
    "frame/clear/by=rep_stosq",
    "frame/clear/by=stores",
    "frame/clear/by=movnti",
    "frame/clear/by=clzero",
    "frame/copy/by=rep_movsb",
    "frame/copy/by=rep_movsq",
    "frame/copy/by=movnti",
    "frame/write_back/by=clflush",
    "frame/write_back/by=clflushopt",
];

/// A case in the making.
struct Frames<'r> {
    run: &'r mut Run,
    to: VirtAddr,
    from: VirtAddr,
}

impl Frames<'_> {
    fn measure(&mut self, name: &str, effect: Effect, work: impl Fn(u64, u64)) {
        let mut case = Contents {
            to: self.to,
            from: self.from,
            next: 0,
            effect,
            work,
        };
        self.run.measure(name, &mut case);
    }

    fn clear(&mut self) {
        let zero = Effect::Zero;
        self.measure(NAMES[0], zero, |to, _| {
            repeat!("stosb", to, 0_u64, PAGE_SIZE);
        });
        self.measure(NAMES[1], zero, |to, _| {
            repeat!("stosq", to, 0_u64, WORDS);
        });
        self.measure(NAMES[2], zero, |to, _| {
            each!(
                to,
                64,
                "mov [rdi], rax",
                "mov [rdi + 8], rax",
                "mov [rdi + 16], rax",
                "mov [rdi + 24], rax",
                "mov [rdi + 32], rax",
                "mov [rdi + 40], rax",
                "mov [rdi + 48], rax",
                "mov [rdi + 56], rax"
            );
        });
        self.measure(NAMES[3], zero, |to, _| {
            each!(
                to,
                64,
                "movnti [rdi], rax",
                "movnti [rdi + 8], rax",
                "movnti [rdi + 16], rax",
                "movnti [rdi + 24], rax",
                "movnti [rdi + 32], rax",
                "movnti [rdi + 40], rax",
                "movnti [rdi + 48], rax",
                "movnti [rdi + 56], rax"
            );
            store_fence();
        });
        let name = NAMES[4];
        // CPUID 8000_0008H, EBX bit 0: CLZERO (AMD APM volume 3), of the line at RAX.
        if !has_extended(0x8000_0008, 0) {
            return self.run.skip(name, "the CPU has no CLZERO");
        }
        self.measure(name, zero, |to, _| {
            // SAFETY: the frame is the case's, and each line of it is cleared.
            unsafe {
                asm!(
                    "2:", "clzero", "add rax, 64", "cmp rax, {end}", "jb 2b",
                    end = in(reg) to + PAGE_SIZE, inout("rax") to => _, options(nostack),
                )
            };
            store_fence();
        });
    }

    fn copy(&mut self) {
        let copy = Effect::Copy;
        self.measure(NAMES[5], copy, |to, from| {
            repeat!("movsb", to, from, PAGE_SIZE);
        });
        self.measure(NAMES[6], copy, |to, from| {
            repeat!("movsq", to, from, WORDS);
        });
        self.measure(NAMES[7], copy, |to, from| {
            // SAFETY: both frames are the case's.
            unsafe {
                asm!(
                    "2:",
                    "mov rax, [rsi]", "mov rcx, [rsi + 8]", "movnti [rdi], rax", "movnti [rdi + 8], rcx",
                    "add rsi, 16", "add rdi, 16", "cmp rdi, {end}", "jb 2b",
                    end = in(reg) to + PAGE_SIZE,
                    inout("rdi") to => _, inout("rsi") from => _,
                    out("rax") _, out("rcx") _,
                    options(nostack),
                )
            };
            store_fence();
        });
    }

    /// Writes the lines of a frame back and drops them, as before its memory type changes (Intel SDM volume 3, 12.12.4).
    fn write_back(&mut self) {
        let nothing = Effect::Nothing;
        self.measure(NAMES[8], nothing, |to, _| {
            each!(to, 64, "clflush [rdi]");
        });
        let name = NAMES[9];
        // CPUID 7, EBX bit 23.
        if core::arch::x86_64::__cpuid_count(7, 0).ebx >> 23 & 1 == 0 {
            return self.run.skip(name, "the CPU has no CLFLUSHOPT");
        }
        self.measure(name, nothing, |to, _| {
            each!(to, 64, "clflushopt [rdi]");
            store_fence();
        });
    }
}

/// A bit of EBX of an extended leaf of CPUID.
fn has_extended(leaf: u32, bit: u32) -> bool {
    use core::arch::x86_64::__cpuid;
    __cpuid(0x8000_0000).eax >= leaf && __cpuid(leaf).ebx >> bit & 1 != 0
}

fn blocks(machine: &mut Machine) -> Result<[Block; 2], Failure> {
    let order = Order::for_frames(FRAMES).ok_or(Failure::new(format_args!("no such order")))?;
    let frames = &mut machine.kernel.frames;
    Ok([
        frames.alloc_pages(Gfp::KERNEL, order)?,
        frames.alloc_pages(Gfp::KERNEL, order)?,
    ])
}

/// The cases of the full suite.
pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    run.in_tier(Tier::Full, |run| {
        if !NAMES.iter().any(|name| run.would(name)) {
            return;
        }
        let blocks = match blocks(machine) {
            Ok(blocks) => blocks,
            Err(failure) => return run.check("frame/blocks", Err(failure)),
        };
        let [to, from] = [0, 1].map(|block: usize| machine.frame_address(blocks[block].pfn()));
        for frame in 0..FRAMES {
            for (place, word) in words(from, frame).enumerate() {
                // SAFETY: the block is ours.
                unsafe { (word.0 as *mut u64).write_volatile(SOURCE + place as u64) };
            }
        }
        let mut frames = Frames { run, to, from };
        frames.clear();
        frames.copy();
        frames.write_back();
        for block in blocks {
            if let Err(error) = machine.kernel.frames.free(block) {
                run.check("frame/blocks", Err(error.into()));
            }
        }
    });
}
