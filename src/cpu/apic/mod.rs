//! The local APIC, for what one CPU sends to another: INIT, the start-up interrupt, NMIs, interrupts by vector (Intel SDM volume 3, chapter 12).
//!
//! In x2APIC mode where CPUID reports it, through MSRs; else through its page of registers, which the fixmap maps uncached, at
//! the same address on every CPU. Its own interrupts are masked (`local_vectors`). None but the NMI is let in, but for what a case sends by vector.

pub mod local_vectors;

use core::arch::asm;
use core::hint::spin_loop;

use raw_cpuid::CpuId;
use x86::apic::xapic::{XAPIC_EOI, XAPIC_ICR0, XAPIC_ICR1, XAPIC_ID, XAPIC_SVR};
use x86::apic::{DeliveryMode, DeliveryStatus, Level};
use x86::msr::{IA32_APIC_BASE, rdmsr, wrmsr};

use crate::mm::address::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::mmio;
use crate::smp::start_up::ApicId;

const BASE_X2APIC: u64 = 1 << 10;
const BASE_ENABLED: u64 = 1 << 11;
/// Bits of IA32_APIC_BASE that are the address.
const BASE_ADDRESS: u64 = ((1 << 52) - 1) & !(PAGE_SIZE - 1);

/// Interrupt command: delivery modes, level "assert", and the status bit of xAPIC.
const NMI: u32 = (DeliveryMode::NMI as u32) << 8 | ASSERT;
const FIXED: u32 = (DeliveryMode::Fixed as u32) << 8 | ASSERT;
const INIT: u32 = (DeliveryMode::Init as u32) << 8 | ASSERT;
const START_UP: u32 = (DeliveryMode::StartUp as u32) << 8 | ASSERT;
const ASSERT: u32 = (Level::Assert as u32) << 14;
const SEND_PENDING: u32 = (DeliveryStatus::SendPending as u32) << 12;

/// The model-specific register that x2APIC has for the one at this offset of the page (Intel SDM volume 3, 12.12.1.2).
const fn msr(offset: u32) -> u32 {
    const FIRST: u32 = 0x800;
    FIRST + offset / 16
}

/// Looks at the status after which a command is sent all the same: the last one is stuck, and waiting longer helps nobody.
const PATIENCE: u32 = 1_000_000;

/// How the CPUs' local APICs are spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalApic {
    /// By MSRs.
    X2,
    /// By the registers at this address.
    X(VirtAddr),
}

/// What the machine's local APICs can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// They have MSRs.
    X2,
    /// Registers in this frame.
    X(PhysAddr),
}

/// What this CPU has; `None` for no local APIC, or one that the firmware has switched off.
#[must_use]
pub fn find() -> Option<Found> {
    let page = page()?;
    let features = CpuId::new().get_feature_info()?;
    Some(match features.has_x2apic() {
        true => Found::X2,
        false => Found::X(page),
    })
}

/// The page that this CPU's local APIC, if it is switched on, has its registers in as long as it is not in x2APIC mode.
#[must_use]
pub fn page() -> Option<PhysAddr> {
    let features = CpuId::new().get_feature_info()?;
    if !features.has_apic() {
        return None;
    }
    // SAFETY: every CPU with a local APIC and long mode has the register.
    let base = unsafe { rdmsr(IA32_APIC_BASE) };
    (base & BASE_ENABLED != 0).then_some(PhysAddr(base & BASE_ADDRESS))
}

impl LocalApic {
    /// The APICs whose registers, if they have any, are mapped at `registers`.
    ///
    /// # Safety
    ///
    /// The registers stay mapped there, uncached, and nobody else uses them.
    #[must_use]
    pub const unsafe fn new(found: Found, registers: VirtAddr) -> Self {
        match found {
            Found::X2 => LocalApic::X2,
            Found::X(_) => LocalApic::X(registers),
        }
    }

    /// This as a word.
    #[must_use]
    pub const fn word(self) -> u64 {
        match self {
            LocalApic::X2 => 0,
            LocalApic::X(registers) => registers.0,
        }
    }

    /// What [`word`](Self::word) made this word of.
    #[inline(always)]
    pub(crate) const fn of_word(word: u64) -> Self {
        match word {
            0 => LocalApic::X2,
            registers => LocalApic::X(VirtAddr(registers)),
        }
    }

    /// The name that the log gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LocalApic::X2 => "x2APIC",
            LocalApic::X(_) => "xAPIC",
        }
    }

    /// The highest number that a command can be sent to. The one above it means "all".
    #[must_use]
    pub const fn highest_id(self) -> ApicId {
        match self {
            LocalApic::X2 => ApicId(u32::MAX - 1),
            LocalApic::X(_) => ApicId(0xfe),
        }
    }

    /// Brings this CPU's APIC into the mode that all use.
    pub fn enable(self) {
        if self == LocalApic::X2 {
            // SAFETY: every CPU with a local APIC and long mode has the register.
            let base = unsafe { rdmsr(IA32_APIC_BASE) };
            // SAFETY: CPUID reports the mode; from xAPIC mode it is one step, and in x2APIC mode nothing changes.
            unsafe { wrmsr(IA32_APIC_BASE, base | BASE_X2APIC | BASE_ENABLED) };
        }
    }

    /// The number that this CPU's APIC answers to.
    #[must_use]
    pub fn id(self) -> ApicId {
        match self {
            // SAFETY: the mode is on.
            LocalApic::X2 => ApicId(unsafe { rdmsr(msr(XAPIC_ID)) } as u32),
            LocalApic::X(registers) => ApicId(read(registers, XAPIC_ID) >> 24),
        }
    }

    /// Resets a CPU: it then waits for a start-up interrupt.
    ///
    /// # Safety
    ///
    /// Nobody depends on what the CPU does.
    pub unsafe fn send_init(self, cpu: ApicId) {
        self.send(cpu, INIT);
    }

    /// Starts a CPU that waits for it, at the first byte of frame number `frame`, in real mode.
    ///
    /// # Safety
    ///
    /// Code that may run there lies there.
    pub unsafe fn send_start_up(self, cpu: ApicId, frame: u8) {
        self.send(cpu, START_UP | u32::from(frame));
    }

    /// Sends an NMI. What was written before is visible to the CPU that takes it.
    #[inline]
    pub fn send_nmi(self, cpu: ApicId) {
        self.send(cpu, NMI);
    }

    /// Sends an interrupt by vector, which a CPU takes that [accepts](Self::accept_vectors) them and has interrupts on.
    #[inline]
    pub fn send_vector(self, cpu: ApicId, vector: u8) {
        self.send(cpu, FIXED | u32::from(vector));
    }

    /// Has this CPU's APIC accept interrupts by vector, which one that is switched off by software drops. A spurious one comes as
    /// `spurious`. Returns what [`accept_as_before`](Self::accept_as_before) undoes that with.
    #[must_use]
    pub fn accept_vectors(self, spurious: u8) -> u32 {
        const SWITCHED_ON: u32 = 1 << 8;
        let before = self.register(XAPIC_SVR);
        self.set_register(XAPIC_SVR, SWITCHED_ON | u32::from(spurious));
        before
    }

    /// Undoes [`accept_vectors`](Self::accept_vectors).
    pub fn accept_as_before(self, before: u32) {
        self.set_register(XAPIC_SVR, before);
    }

    /// The interrupt by vector that this CPU took last has been handled: the next one may come.
    #[inline]
    pub fn end_of_interrupt(self) {
        self.set_register(XAPIC_EOI, 0);
    }

    fn register(self, offset: u32) -> u32 {
        match self {
            // SAFETY: the mode is on.
            LocalApic::X2 => unsafe { rdmsr(msr(offset)) as u32 },
            LocalApic::X(registers) => read(registers, offset),
        }
    }

    #[inline]
    fn set_register(self, offset: u32, value: u32) {
        match self {
            // SAFETY: the mode is on, and the callers write what the registers allow.
            LocalApic::X2 => unsafe { wrmsr(msr(offset), value.into()) },
            LocalApic::X(registers) => write(registers, offset, value),
        }
    }

    #[inline]
    fn send(self, cpu: ApicId, command: u32) {
        match self {
            LocalApic::X2 => {
                // Unlike a store, the WRMSR does not wait for earlier stores (SDM 12.12.3).
                // SAFETY: fences.
                unsafe { asm!("mfence", "lfence", options(nostack, preserves_flags)) };
                // SAFETY: the mode is on.
                unsafe { wrmsr(msr(XAPIC_ICR0), u64::from(cpu.0) << 32 | u64::from(command)) };
            }
            LocalApic::X(registers) => {
                for _ in 0..PATIENCE {
                    if read(registers, XAPIC_ICR0) & SEND_PENDING == 0 {
                        break;
                    }
                    spin_loop();
                }
                // The second store sends. An NMI between the two does no harm, as its handler sends nothing.
                write(registers, XAPIC_ICR1, cpu.0 << 24);
                write(registers, XAPIC_ICR0, command);
            }
        }
    }
}

fn read(registers: VirtAddr, offset: u32) -> u32 {
    // SAFETY: promised to `LocalApic::new`; each register is 32 bits wide and 16-byte aligned.
    unsafe { mmio::at(registers, offset.into()) }.read()
}

fn write(registers: VirtAddr, offset: u32, value: u32) {
    // SAFETY: as for `read`.
    unsafe { mmio::at(registers, offset.into()) }.write(value);
}
