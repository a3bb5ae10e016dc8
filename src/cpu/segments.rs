//! The GDT and the TSS: one code and one data segment of the kernel and of ring 3 each, and stacks of their own for the three exceptions that may strike
//! when the running stack cannot be trusted (Intel SDM volume 3, 7.14.5, "Interrupt Stack Table").

use super::stacks::Stack;
use crate::mm::address::VirtAddr;
use x86::Ring;
use x86::bits64::segmentation::{Descriptor64, load_cs};
use x86::bits64::task::TaskStateSegment;
use x86::dtables::{DescriptorTablePointer, lgdt};
use x86::segmentation::{
    BuildDescriptor, CodeSegmentType, DataSegmentType, Descriptor, DescriptorBuilder,
    GateDescriptorBuilder, SegmentDescriptorBuilder, SegmentSelector, load_ds, load_es, load_ss,
};
use x86::task::load_tr;

/// Selector of the kernel's code segment.
pub const CODE: SegmentSelector = SegmentSelector::new(1, Ring::Ring0);
const DATA: SegmentSelector = SegmentSelector::new(2, Ring::Ring0);
const TASK: SegmentSelector = SegmentSelector::new(3, Ring::Ring0);
/// What SYSRET adds 8 and 16 to; the upper half of the task's descriptor has the place.
pub const USER_BASE: SegmentSelector = SegmentSelector::new(4, Ring::Ring3);
/// Selector of ring 3's stack and data.
pub const USER_DATA: SegmentSelector = SegmentSelector::new(5, Ring::Ring3);
/// Selector of ring 3's code.
pub const USER_CODE: SegmentSelector = SegmentSelector::new(6, Ring::Ring3);

/// Slots of the interrupt stack table, as the gates name them (1 is the first; 0 means "stay on this stack").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum InterruptStack {
    /// The non-maskable interrupt.
    Nmi = 1,
    /// #DF, the double fault.
    DoubleFault = 2,
    /// #MC, the machine check.
    MachineCheck = 3,
}

#[repr(C)]
struct Gdt {
    null: Descriptor,
    code: Descriptor,
    data: Descriptor,
    task: Descriptor64,
    user_data: Descriptor,
    user_code: Descriptor,
}

/// The tables of one CPU.
pub struct Segments {
    gdt: Gdt,
    tss: TaskStateSegment,
}

impl Segments {
    /// Tables with nothing in them.
    pub const EMPTY: Segments = Segments {
        gdt: Gdt {
            null: Descriptor::NULL,
            code: Descriptor::NULL,
            data: Descriptor::NULL,
            task: Descriptor64::NULL,
            user_data: Descriptor::NULL,
            user_code: Descriptor::NULL,
        },
        tss: TaskStateSegment::new(),
    };
}

/// Fills the GDT and the TSS of this CPU and loads them, the segment registers and the task register. Its exceptions get these
/// stacks. GS is left alone.
///
/// # Safety
///
/// Called once on each CPU, at the image's link address, with interrupts off; `segments` are this CPU's, and stay.
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "the registers that one table is loaded by"
)]
pub unsafe fn load(segments: *mut Segments, stacks: &[Stack; 4]) {
    let mut tss = TaskStateSegment::new();
    let [_, exceptions @ ..] = stacks;
    let slots = [
        InterruptStack::Nmi,
        InterruptStack::DoubleFault,
        InterruptStack::MachineCheck,
    ];
    for (slot, stack) in slots.into_iter().zip(exceptions) {
        // The crate numbers the slots from 0, the gates from 1.
        tss.set_ist(slot as usize - 1, stack.range.end.0);
    }
    let code = |ring| {
        let code: DescriptorBuilder =
            DescriptorBuilder::code_descriptor(0, 0xf_ffff, CodeSegmentType::ExecuteRead);
        code.present()
            .dpl(ring)
            .limit_granularity_4kb()
            .l()
            .finish()
    };
    let data = |ring| {
        let data: DescriptorBuilder =
            DescriptorBuilder::data_descriptor(0, 0xf_ffff, DataSegmentType::ReadWrite);
        data.present()
            .dpl(ring)
            .limit_granularity_4kb()
            .db()
            .finish()
    };
    // SAFETY: only the address is taken, of tables that are there (the caller's promise).
    let tss_address = unsafe { &raw const (*segments).tss as u64 };
    let task = <DescriptorBuilder as GateDescriptorBuilder<u64>>::tss_descriptor(
        tss_address,
        size_of::<TaskStateSegment>() as u64 - 1,
        true,
    );
    let gdt = Gdt {
        null: Descriptor::NULL,
        code: code(Ring::Ring0),
        data: data(Ring::Ring0),
        task: task.present().dpl(Ring::Ring0).finish(),
        user_data: data(Ring::Ring3),
        user_code: code(Ring::Ring3),
    };
    // SAFETY: the tables are this CPU's, which has not loaded them yet.
    unsafe { segments.write(Segments { gdt, tss }) };
    let gdt = DescriptorTablePointer {
        limit: size_of::<Gdt>() as u16 - 1,
        // SAFETY: as above.
        base: unsafe { &raw const (*segments).gdt },
    };
    // SAFETY: the descriptors are the flat ones that 64-bit mode expects. From here on software leaves the tables alone: the CPU marks
    // the TSS busy.
    unsafe {
        lgdt(&gdt);
        load_cs(CODE);
        load_data();
        load_tr(TASK);
    }
}

/// Sets the stack for what comes from ring 3, and returns the one before.
///
/// # Safety
///
/// `segments` are this CPU's, which has loaded them. Nobody uses what lies below `stack`, as long as it is set and ring 3 runs.
pub unsafe fn set_entry_stack(segments: *mut Segments, stack: VirtAddr) -> VirtAddr {
    // SAFETY: the tables are this CPU's, which runs this and is not in ring 3.
    let tss = unsafe { &mut (*segments).tss };
    let [before, ..] = tss.rsp;
    tss.set_rsp(Ring::Ring0, stack.0);
    VirtAddr(before)
}

/// Loads the data segment registers, which IRETQ to ring 3 and an entry from it have emptied.
///
/// # Safety
///
/// The CPU has loaded its tables.
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "the registers of one descriptor"
)]
pub unsafe fn load_data() {
    // SAFETY: the descriptors are there (the caller's promise).
    unsafe {
        load_ds(DATA);
        load_es(DATA);
        load_ss(DATA);
    }
}
