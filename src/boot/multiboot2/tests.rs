//! Boot information as loaders build it, and broken.

use super::*;
use crate::firmware::physical::Pieces;
use crate::mm::memory_map::{Line, LineKind};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const AT: u64 = 0x10_0000;

/// Boot information as a loader builds it: tags behind one another, each padded to 8 bytes.
#[derive(Clone, Default)]
struct Information(Vec<u8>);

impl Information {
    fn tag(mut self, kind: u32, content: &[u8]) -> Self {
        self.0.extend(kind.to_le_bytes());
        self.0
            .extend((HEADER as u32 + content.len() as u32).to_le_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(HEADER), 0);
        self
    }

    fn map(self, lines: &[(u64, u64, u32)]) -> Self {
        self.lines(24, lines)
    }

    /// Lines of `stride` bytes.
    fn lines(self, stride: usize, lines: &[(u64, u64, u32)]) -> Self {
        let mut content = [stride as u32, 0].map(u32::to_le_bytes).concat();
        for &(base, length, kind) in lines {
            let start = content.len();
            content.extend(base.to_le_bytes());
            content.extend(length.to_le_bytes());
            content.extend(kind.to_le_bytes());
            content.resize(start + stride, 0xa5);
        }
        self.tag(6, &content)
    }

    /// The whole structure: the total size in front, the end tag behind.
    fn whole(self) -> Vec<u8> {
        let tags = self.tag(0, &[]).0;
        let total = HEADER as u32 + tags.len() as u32;
        [&total.to_le_bytes()[..], &[0; 4], &tags].concat()
    }

    fn memory(self) -> Pieces {
        in_memory(self.whole())
    }
}

fn in_memory(information: Vec<u8>) -> Pieces {
    let mut memory = Pieces::default();
    memory.put(AT, information);
    memory
}

const LINES: [(u64, u64, u32); 2] = [(0, 0x9_fc00, 1), (0x7fe_0000, 0x2_0000, 3)];

fn lines() -> [Line; 2] {
    let kinds = [LineKind::Usable, LineKind::AcpiReclaimable];
    [0, 1].map(|at| Line {
        base: LINES[at].0,
        length: LINES[at].1,
        kind: kinds[at],
    })
}

/// A framebuffer of 1024 by 768 pixels of 32 bits.
fn screen() -> Vec<u8> {
    let mut content = 0xfd00_0000u64.to_le_bytes().to_vec();
    content.extend([4096u32, 1024, 768].map(u32::to_le_bytes).concat());
    content.extend([32, 1, 0, 0, 16, 8, 8, 8, 0, 8]);
    content
}

fn module(start: u32, end: u32) -> Vec<u8> {
    let mut content = [start, end].map(u32::to_le_bytes).concat();
    content.extend(b"name\0");
    content
}

/// All that a loader may say.
fn everything() -> Information {
    Information::default()
        .tag(1, b"suite=full\0")
        .tag(2, b"GRUB 2.06\0")
        .tag(3, &module(0x20_0000, 0x20_0123))
        .map(&LINES)
        .tag(8, &screen())
        .tag(14, &[1; 20])
        .tag(15, &[2; 36])
        .tag(99, &[])
}

#[test]
fn what_grub_hands_over_is_read() {
    let memory = everything().memory();
    let info = read(&memory, AT).unwrap();
    assert_eq!(
        info.loader,
        Loader::Multiboot2(ArrayString::from("GRUB 2.06").unwrap())
    );
    assert_eq!(&info.command_line, "suite=full");
    assert_eq!(info.map.iter().collect::<Vec<_>>(), lines());
    assert!(
        info.loader_ranges
            .contains(&(PhysAddr(0x20_0000)..PhysAddr(0x20_0123)))
    );
    assert!(matches!(info.framebuffer, Some(Ok(_))));
    // The newer copy of the root pointer first, each with as many bytes as the tag has.
    let copies = info.root_pointers.iter().map(|copy| {
        assert!(info.loader_ranges[0].contains(&copy.address));
        (copy.bytes, memory.array(copy.address))
    });
    assert_eq!(
        copies.collect::<Vec<_>>(),
        [(36, Some([2])), (20, Some([1]))]
    );
    assert_eq!(info.complaints.kept(), []);
}

/// As kexec-tools 2.0.25 does it: bytes that are reserved for tags that are then not there.
#[test]
fn what_lies_behind_the_end_tag_is_nobodys() {
    let mut bytes = everything().whole();
    bytes.extend([0xff; 40]);
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    let memory = in_memory(bytes);
    let info = read(&memory, AT).unwrap();
    assert_eq!(info.map.iter().len(), LINES.len());
    assert_eq!(
        info.loader_ranges[0],
        PhysAddr(AT)..PhysAddr(AT + u64::from(total))
    );
    assert_eq!(info.complaints.kept(), []);
}

#[test]
fn what_makes_a_run_impossible_is_an_error() {
    let error = |information: Information| read(&information.memory(), AT).err();
    let none = Some(BootError::NoMemoryMap);
    assert_eq!(error(Information::default()), none);
    assert_eq!(error(Information::default().map(&[])), none);
    assert_eq!(error(Information::default().tag(6, &[24, 0, 0])), none);
    let line = |stride| Information::default().lines(stride, &LINES[..1]);
    assert_eq!(error(line(16)), Some(BootError::ShortMapLines(16)));
    assert_eq!(error(line(20)), None);
    let text = |text: &[u8]| Information::default().map(&LINES).tag(1, text);
    assert_eq!(error(text(b"\xff\0")), Some(BootError::CommandLineNotText));
    assert_eq!(
        error(text(&[b'x'; 600])),
        Some(BootError::CommandLineTooLong(600))
    );
    let what = "multiboot2 information";
    for address in [0, AT + 0x1_0000, u64::MAX - 7] {
        let unreachable = BootError::Unreachable { what, address };
        assert_eq!(
            read(&everything().memory(), address).err(),
            Some(unreachable)
        );
    }
    let malformed = Some(BootError::Malformed(what));
    assert_eq!(read(&in_memory(vec![7, 0, 0, 0]), AT).err(), malformed);
    let mut shifted = Pieces::default();
    shifted.put(AT, [vec![0; 4], everything().whole()].concat());
    assert_eq!(read(&shifted, AT + 4).err(), malformed);
}

/// What is wrong with a tag costs what the tag is about.
#[test]
fn a_broken_tag_costs_what_it_is_about() {
    let check = |information: Information, complaints: &[BootComplaint]| {
        let memory = information.memory();
        let info = read(&memory, AT).unwrap();
        assert_eq!(info.complaints.kept(), complaints);
        assert_eq!(info.map.iter().collect::<Vec<_>>(), lines());
        (
            info.framebuffer,
            info.root_pointers.len(),
            info.loader_ranges.len(),
        )
    };
    let map = || Information::default().map(&LINES);
    let short = |what, size| BootComplaint::ShortTag { what, size };

    let screen = screen();
    for length in 0..screen.len() {
        let size = HEADER as u32 + length as u32;
        let (framebuffer, ..) = check(map().tag(8, &screen[..length]), &[]);
        assert_eq!(framebuffer, Some(Err(FramebufferError::ShortTag(size))));
    }
    // A palette that is longer than its tag.
    let mut palette = screen.clone();
    palette[21..26].copy_from_slice(&[0, 0, 0, 0xff, 0xff]);
    let (framebuffer, ..) = check(map().tag(8, &palette), &[]);
    assert_eq!(framebuffer, Some(Err(FramebufferError::ShortTag(38))));

    for length in 0..8 {
        let tag = map().tag(3, &module(0, 1)[..length]);
        check(tag, &[short("module", HEADER as u32 + length as u32)]);
    }
    check(map().tag(3, &module(0, 1)[..8]), &[]);
    let backwards = BootComplaint::Module {
        start: 0x20_0123,
        end: 0x20_0000,
    };
    let (.., ranges) = check(map().tag(3, &module(0x20_0123, 0x20_0000)), &[backwards]);
    assert_eq!(ranges, 1);
    let many = (0..30).fold(map(), |tags, number| {
        tags.tag(3, &module(number, number + 1))
    });
    let memory = many.memory();
    assert_eq!(read(&memory, AT).unwrap().complaints.kept().len(), 7);

    let (_, pointers, _) = check(map().tag(15, &[0; 19]), &[short("ACPI root pointer", 27)]);
    assert_eq!(pointers, 0);
    let (_, pointers, _) = check(map().tag(15, &[0; 40]).tag(14, &[0; 24]), &[]);
    assert_eq!(pointers, 2);

    check(
        map().tag(2, b"\xff\xfeGRUB\0"),
        &[BootComplaint::LoaderName; 2],
    );
    check(map().tag(2, b"").tag(1, b""), &[]);
    let second = BootComplaint::Repeated;
    check(map().map(&LINES[..1]), &[second("memory map")]);
    check(
        map().tag(1, b"\0").tag(1, b"suite=full\0"),
        &[second("command line")],
    );
}

#[test]
fn lines_of_every_size_are_read_and_a_wrong_size_is_corrected() {
    for stride in 20..48 {
        let memory = Information::default().lines(stride, &LINES).memory();
        let info = read(&memory, AT).unwrap();
        assert_eq!(info.map.iter().collect::<Vec<_>>(), lines(), "{stride}");
        assert_eq!(info.complaints.kept(), []);
    }
    for (is, stated) in [
        (24, 20),
        (24, 0),
        (24, 19),
        (24, 23),
        (24, u32::MAX),
        (20, 24),
        (20, 7),
    ] {
        let mut bytes = Information::default().lines(is, &LINES).whole();
        // Behind the total size, and the tag's type and size.
        bytes[16..20].copy_from_slice(&stated.to_le_bytes());
        let memory = in_memory(bytes);
        let info = read(&memory, AT).unwrap();
        assert_eq!(info.map.iter().collect::<Vec<_>>(), lines(), "{stated}");
        let (bytes, taken) = (2 * is, is);
        let complaint = BootComplaint::MapLines {
            bytes,
            stated,
            taken,
        };
        assert_eq!(info.complaints.kept(), [complaint]);
    }
}

#[test]
fn tags_are_read_up_to_one_whose_size_cannot_be() {
    let good = Information::default().map(&LINES).whole();
    let end = good.len() - 8;
    for (kind, size) in [(1, 0), (1, 7), (1, 17), (6, u32::MAX)] {
        let mut bytes = good.clone();
        bytes[end..].copy_from_slice(&[kind, size].map(u32::to_le_bytes).concat());
        let memory = in_memory(bytes);
        let info = read(&memory, AT).unwrap();
        let offset = end;
        assert_eq!(
            info.complaints.kept(),
            [BootComplaint::Tag { offset, kind, size }]
        );
        assert_eq!(info.map.iter().collect::<Vec<_>>(), lines());
    }
    for left in [0, 4] {
        let mut bytes = good[..end + left].to_vec();
        bytes[..4].copy_from_slice(&((end + left) as u32).to_le_bytes());
        let memory = in_memory(bytes);
        let info = read(&memory, AT).unwrap();
        assert_eq!(info.complaints.kept(), [BootComplaint::NoEndTag]);
    }
}

proptest! {
    /// Whatever a loader writes into its tags, reading them ends, and not in a panic.
    #[test]
    fn damaged_tags_never_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = everything().whole();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let memory = in_memory(bytes);
        if let Ok(info) = read(&memory, AT) {
            prop_assert!(info.map.iter().len() > 0);
        }
    }
}
