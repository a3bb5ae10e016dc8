//! Areas made of frames outside the direct map, which the arena lets nobody touch but one at a time. Tables it lets nobody have
//! there at all.

use super::*;
use crate::mm::frame::ZoneKind;

/// First frame of high memory, and the end of it.
const HIGH: u64 = 1024;
const END: u64 = 3072;
const FRAMES: [FrameRange; 1] = [Pfn(1)..Pfn(END)];
const ALL: [FrameRange; 1] = [Pfn(0)..Pfn(END)];
const ZONES: [(ZoneKind, Pfn); 2] = [
    (ZoneKind::Normal, Pfn(HIGH)),
    (ZoneKind::HighMem, Pfn(u64::MAX)),
];

fn with_high_memory(test: impl FnOnce(&mut Kernel<'_>, &Arena)) {
    let arena = Arena::with_high_memory(END, HIGH);
    let tlb = ModelTlb::new(1);
    let mut descriptors: Vec<_> = (0..END).map(|_| Descriptor::default()).collect();
    let metadata = Metadata {
        descriptors: &mut descriptors,
        words: &mut [],
    };
    let frames = FrameAllocator::<InDescriptor>::new(&FRAMES, &ZONES, metadata).unwrap();
    let mut kernel = arena.kernel_memory(&ALL, frames, Tlb::new(&tlb, CEILING));
    test(&mut kernel, &arena);
}

fn frame(kernel: &Kernel<'_>, address: u64) -> Pfn {
    let found = kernel.table.translate(VirtAddr(address)).unwrap();
    found.address.frame()
}

#[test]
fn areas_are_made_of_high_memory_as_long_as_there_is_some() {
    with_high_memory(|kernel, _| {
        let before = accounted(kernel);
        let (mut slots, mut nodes) = (slots(64), nodes(64));
        let mut vmalloc = Vmalloc::new(
            owned(kernel, 1 << 20),
            GapTree::new(region(1 << 20), &mut slots, &mut nodes),
            Eager,
        );
        let mut areas = Vec::new();
        // More than high memory has.
        for _ in 0..9 {
            areas.push(vmalloc.vmalloc(256 * PAGE_SIZE, kernel).unwrap());
        }
        let highest = |area: &Area| frame(kernel, area.start().0) >= Pfn(HIGH);
        assert!(areas[..7].iter().all(highest));
        assert!(!highest(&areas[8]));
        for area in areas {
            vmalloc.vfree(area, kernel).unwrap();
        }
        // Who has to have frames of the direct map gets them.
        for request in [
            Request::new(PAGE_SIZE).gfp(Gfp::KERNEL),
            Request::new(8 * PAGE_SIZE).gfp(Gfp::KERNEL | Gfp::DMA32),
        ] {
            let area = vmalloc.vmalloc_with(request, kernel).unwrap();
            assert!(frame(kernel, area.start().0) < Pfn(HIGH));
            vmalloc.vfree(area, kernel).unwrap();
        }
        assert_eq!(accounted(kernel), before);
    });
}

#[test]
fn what_lies_in_high_memory_can_be_zeroed_read_and_written() {
    with_high_memory(|kernel, arena| {
        let (mut slots, mut nodes) = (slots(64), nodes(64));
        let mut vmalloc = Vmalloc::new(
            owned(kernel, 1 << 20),
            GapTree::new(region(1 << 20), &mut slots, &mut nodes),
            Eager,
        );
        for frame in HIGH..END {
            arena.write(Pfn(frame).address(), u64::MAX);
        }
        let area = vmalloc.vzalloc(8 * PAGE_SIZE, kernel).unwrap();
        let start = area.start().0;
        for page in 0..8 {
            let frame = frame(kernel, start + page * PAGE_SIZE);
            assert!(frame >= Pfn(HIGH));
            assert_eq!(arena.read(frame.address()), 0, "{page}");
        }
        let text: Vec<u8> = (0..10_000u32).map(|byte| (byte * 7) as u8).collect();
        let at = VirtAddr(start + 4090);
        assert_eq!(vmalloc.vwrite(at, &text, kernel), text.len());
        let mut read = vec![0; text.len()];
        assert_eq!(vmalloc.vread(at, &mut read, kernel), text.len());
        assert_eq!(read, text);
        vmalloc.vfree(area, kernel).unwrap();
    });
}
