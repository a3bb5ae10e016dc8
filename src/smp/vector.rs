//! Interrupts by vector between CPUs, as kernels use them, beside the NMIs that the image calls its CPUs by.
//!
//! Interrupts are off everywhere. A CPU lets one in while it is in [`receive`], by a vector that has a gate; another one for what is
//! spurious has one, too. All else that could interrupt it is masked at its source.

use core::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

use x86::irq;

use super::{tlbs, work};
use crate::cpu::exception_frame::ExceptionFrame;
use crate::cpu::per_cpu;
use crate::cpu::spin::{Bound, MEASUREMENT};
use crate::mm::shootdown::CpuId;

/// The vector that CPUs send to each other: the first that is no exception's.
pub const CALL: u8 = 32;
/// The vector of a spurious interrupt.
pub const SPURIOUS: u8 = 33;

/// Sends the interrupt to a CPU, which is to be in [`receive`].
#[inline]
pub fn send(cpu: CpuId) {
    tlbs::local_apic().send_vector(tlbs::apic_id(cpu), CALL);
}

/// Lets the interrupt in on this CPU until `over` is not 0, in HLT or in a loop. `ready` becomes 1 as soon as none is lost. A CPU in HLT
/// looks at `over` after an interrupt alone.
pub fn receive(in_hlt: bool, over: &AtomicU64, ready: &AtomicU64) {
    let apic = tlbs::local_apic();
    let before = apic.accept_vectors(SPURIOUS);
    ready.store(1, Release);
    if in_hlt {
        work::wait_for(over, true);
    } else {
        // SAFETY: what can come has a gate, whose handler leaves everything as it was.
        unsafe { irq::enable() };
        let mut bound = Bound::new(MEASUREMENT);
        while over.load(Acquire) == 0 && bound.spin() {}
        // SAFETY: as they were before.
        unsafe { irq::disable() };
    }
    apic.accept_as_before(before);
}

/// For the exception handler: answers the interrupt.
pub fn called(frame: &mut ExceptionFrame) {
    work::restart_wait(frame);
    per_cpu::this().answered.fetch_add(1, Release);
    tlbs::local_apic().end_of_interrupt();
}
