//! The GDT and the TSS: one code and one data segment, and stacks of their own for the three exceptions that may strike
//! when the running stack cannot be trusted (Intel SDM volume 3, 7.14.5, "Interrupt Stack Table").

use super::stacks::Stack;
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
    let code: DescriptorBuilder =
        DescriptorBuilder::code_descriptor(0, 0xf_ffff, CodeSegmentType::ExecuteRead);
    let data: DescriptorBuilder =
        DescriptorBuilder::data_descriptor(0, 0xf_ffff, DataSegmentType::ReadWrite);
    // SAFETY: only the address is taken, of tables that are there (the caller's promise).
    let tss_address = unsafe { &raw const (*segments).tss as u64 };
    let task = <DescriptorBuilder as GateDescriptorBuilder<u64>>::tss_descriptor(
        tss_address,
        size_of::<TaskStateSegment>() as u64 - 1,
        true,
    );
    let gdt = Gdt {
        null: Descriptor::NULL,
        code: code
            .present()
            .dpl(Ring::Ring0)
            .limit_granularity_4kb()
            .l()
            .finish(),
        data: data
            .present()
            .dpl(Ring::Ring0)
            .limit_granularity_4kb()
            .db()
            .finish(),
        task: task.present().dpl(Ring::Ring0).finish(),
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
        load_ds(DATA);
        load_es(DATA);
        load_ss(DATA);
        load_tr(TASK);
    }
}
