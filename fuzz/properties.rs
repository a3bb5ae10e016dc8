//! What holds of everything that reads firmware, loaders and command lines, for all bytes there are: it ends, it does not panic, and
//! it claims no RAM that a line of the memory map does not give. One function a fuzz target; `src/fuzz_seeds.rs` puts the committed seeds
//! through the same functions as plain tests. In this folder, once `cargo install cargo-fuzz --locked` has been run:
//!
//! ```sh
//! mkdir -p corpus/acpi
//! cargo +nightly fuzz run --fuzz-dir . acpi corpus/acpi seeds/acpi -- -max_total_time=600 -timeout=10
//! ```
//!
//! What is found lies in `artifacts/acpi`. Mend it, and put the file among the seeds.

use std::collections::BTreeSet;
use std::format;
use std::ops::Range;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use pagemark::boot::command_line::{self, Options};
use pagemark::boot::{self, BootInfo};
use pagemark::firmware::acpi::{self, Firmware, RootPointer, SerialSpace};
use pagemark::firmware::bios;
use pagemark::firmware::physical::ReadPhysical;
use pagemark::mm::address::{PAGE_SIZE, Pfn, PhysAddr};
use pagemark::mm::memory_map::{Line, LineKind, MemoryMap, Notice};

/// Where the input lies in physical memory. Low, so that few bytes of an address have to be guessed.
const AT: u64 = 0x1000;

/// Physical memory in which only the input can be read.
struct Memory {
    words: Vec<u64>,
    length: usize,
}

impl Memory {
    fn new(bytes: &[u8]) -> Self {
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        Memory {
            words: words.collect(),
            length: bytes.len(),
        }
    }
}

impl ReadPhysical for Memory {
    fn bytes(&self, start: PhysAddr, length: usize) -> Option<&[u8]> {
        // SAFETY: words are bytes.
        let bytes = &unsafe { self.words.align_to::<u8>() }.1[..self.length];
        let first = usize::try_from(start.0.checked_sub(AT)?).ok()?;
        bytes.get(first..first.checked_add(length)?)
    }
}

/// ACPI tables: as they lie there, and with signatures and checksums made right, which a fuzzer would not guess.
pub fn acpi(input: &[u8]) {
    let raw = Memory::new(input);
    tables(&acpi::read(&raw, [RootPointer::at(PhysAddr(AT))]));
    let _ = bios::extended_data_area(&raw);

    // The first byte says which checksums are right; what follows is a chain of tables: a byte for the name, two for the length, and
    // as many bytes of body.
    let Some((&sealed, mut rest)) = input.split_first() else {
        return;
    };
    const NAMES: [&[u8; 4]; 6] = [b"APIC", b"FACP", b"HPET", b"SPCR", b"DBG2", b"SSDT"];
    let mut bytes = vec![0; 64];
    let mut addresses = Vec::new();
    while let &[name, low, high, ref behind @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([low, high])).min(behind.len());
        let (body, behind) = behind.split_at(length);
        addresses.push(AT + bytes.len() as u64);
        let mut table = header(NAMES[usize::from(name) % NAMES.len()], body);
        if sealed & 1 != 0 || name & 0x80 == 0 {
            seal(&mut table, 9);
        }
        bytes.extend(table);
        rest = behind;
    }
    let wide: Vec<u8> = addresses.iter().flat_map(|at| at.to_le_bytes()).collect();
    let narrow: Vec<u8> = addresses
        .iter()
        .flat_map(|&at| (at as u32).to_le_bytes())
        .collect();
    let mut pointer = b"RSD PTR \0MADEUP\x02".to_vec();
    for (name, list) in [(b"RSDT", narrow), (b"XSDT", wide)] {
        let at = AT + bytes.len() as u64;
        let mut table = header(name, &list);
        if sealed & 2 != 0 || name == b"RSDT" {
            seal(&mut table, 9);
        }
        bytes.extend(table);
        match name {
            b"RSDT" => pointer.extend([at as u32, 36].into_iter().flat_map(u32::to_le_bytes)),
            _ => pointer.extend(at.to_le_bytes()),
        }
    }
    pointer.resize(36, 0);
    seal(&mut pointer[..20], 8);
    if sealed & 4 != 0 {
        seal(&mut pointer, 32);
    }
    bytes[..36].copy_from_slice(&pointer);
    let there = if sealed & 8 != 0 { 36 } else { 20 };
    let pointer = RootPointer {
        address: PhysAddr(AT),
        bytes: there,
    };
    tables(&acpi::read(&Memory::new(&bytes), [pointer]));
}

/// A table whose checksum is 0.
fn header(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut table = name.to_vec();
    table.extend((36 + body.len() as u32).to_le_bytes());
    table.extend([2, 0]);
    table.resize(36, 0xff);
    table.extend(body);
    table
}

/// Makes byte `at` such that all of `bytes` add up to 0.
fn seal(bytes: &mut [u8], at: usize) {
    let sum = bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    bytes[at] = bytes[at].wrapping_sub(sum);
}

/// What is said of tables is what the types promise.
fn tables(firmware: &Firmware) {
    let processors = &firmware.processors;
    let ids: BTreeSet<_> = processors.ids.iter().collect();
    assert_eq!(ids.len(), processors.ids.len(), "a CPU twice");
    let enabled = processors.enabled as usize;
    assert_eq!(enabled.min(processors.ids.capacity()), ids.len());
    assert!(processors.ids.iter().all(|id| id.0 != u32::MAX));
    let io_apics: BTreeSet<_> = firmware.io_apics.registers.iter().collect();
    assert_eq!(io_apics.len(), firmware.io_apics.registers.len());
    assert!(io_apics.iter().all(|address| address.0 != 0));
    assert!(
        firmware
            .pm_timer
            .is_none_or(|port| port != 0 && port <= u16::MAX - 3)
    );
    assert!(
        firmware
            .hpet
            .is_none_or(|address| address.0 != 0 && address.0.is_multiple_of(8))
    );
    for hint in &firmware.serial {
        assert!(
            [1, 2, 4].contains(&hint.stride) && [1, 2, 4].contains(&hint.access),
            "{hint:?}"
        );
        let last = hint.address.checked_add(8 * u64::from(hint.stride) - 1);
        assert!(hint.address != 0 && last.is_some(), "{hint:?}");
        assert!(
            hint.space == SerialSpace::Memory || hint.stride == 1 && last <= Some(0xffff),
            "{hint:?}"
        );
        assert!(hint.baud != Some(0));
    }
    firmware
        .complaints
        .for_each(|text| assert!(!format!("{text}").is_empty()));
}

/// Multiboot2 information: as it lies there, and with a total size that fits.
pub fn multiboot2(input: &[u8]) {
    door(boot::multiboot2::MAGIC, input);
    let mut sized = input.to_vec();
    if let Some(total) = sized.first_chunk_mut() {
        *total = (input.len() as u32).to_le_bytes();
        door(boot::multiboot2::MAGIC, &sized);
    }
}

/// PVH start info: as it lies there, and with a magic that fits.
pub fn pvh(input: &[u8]) {
    door(boot::pvh::MAGIC, input);
    let mut started = input.to_vec();
    if let Some(magic) = started.first_chunk_mut() {
        *magic = boot::pvh::MAGIC.to_le_bytes();
        door(boot::pvh::MAGIC, &started);
    }
}

/// What a loader says, and all that is made of it.
fn door(magic: u32, input: &[u8]) {
    let memory = Memory::new(input);
    let info = match boot::read(&memory, magic, AT as u32) {
        Ok(info) => info,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(info.map.iter().len() > 0);
    assert_eq!(info.command_line.trim(), &info.command_line);
    info.complaints
        .for_each(|text| assert!(!format!("{text}").is_empty()));
    if let Some(Ok(screen)) = info.framebuffer {
        assert!(screen.address().0.checked_add(screen.bytes()).is_some());
    }
    line_of_words(&info.command_line);
    tables(&acpi::read(&memory, info.root_pointers.iter().copied()));
    ram(&info);
}

/// The map that a run would be made on.
fn ram(info: &BootInfo<'_>) {
    let lines: Vec<_> = info.map.iter().collect();
    for bits in [36, 52] {
        map(&lines, bits, &info.loader_ranges);
    }
}

/// A memory map: the first byte is how many bits an address has, the second how many reservations there are, of two bytes start and
/// one byte length each, in pages; then lines of 17 bytes: base, length, kind.
pub fn memory_map(input: &[u8]) {
    let &[bits, holes, ref rest @ ..] = input else {
        return;
    };
    let (holes, rest) = rest.split_at(rest.len().min(3 * usize::from(holes % 8)));
    let holes: Vec<_> = holes
        .chunks_exact(3)
        .map(|hole| {
            let start = u64::from(u16::from_le_bytes([hole[0], hole[1]])) * PAGE_SIZE;
            PhysAddr(start)..PhysAddr(start + u64::from(hole[2]) * PAGE_SIZE / 2)
        })
        .collect();
    let lines: Vec<_> = rest
        .chunks_exact(17)
        .map(|line| {
            let word = |at: usize| u64::from_le_bytes(line[at..at + 8].try_into().unwrap());
            Line {
                base: word(0),
                length: word(8),
                kind: LineKind::from_e820(line[16].into()),
            }
        })
        .collect();
    map(&lines, 20 + bits % 33, &holes);
}

/// Against a model that asks of a frame by itself what every line and reservation says of it, at every frame where that can change.
fn map(lines: &[Line], bits: u8, holes: &[Range<PhysAddr>]) {
    let map = MemoryMap::new(lines.iter().copied(), bits, holes);
    let limit = 1u64 << bits.min(52);
    let lossy = map
        .notices()
        .0
        .iter()
        .any(|notice| matches!(notice, Notice::TooManyRanges { .. }))
        || map.notices().1 > 0;
    let end = |line: &Line| line.base.saturating_add(line.length).min(limit);

    let mut frames = BTreeSet::from([0, 1]);
    let edges = lines.iter().flat_map(|line| [line.base, end(line)]);
    let edges = edges.chain(holes.iter().flat_map(|hole| [hole.start.0, hole.end.0]));
    for edge in edges {
        let frame = edge.min(limit) / PAGE_SIZE;
        frames.extend(frame.saturating_sub(2)..=frame + 2);
    }
    // Of a long map only some, so that it takes milliseconds and not seconds; which ones depends on the map.
    const LOOKS: usize = 100_000;
    let step = (frames.len() * (lines.len() + holes.len()) / LOOKS).max(1);
    for &frame in frames.iter().skip(lines.len() % step).step_by(step) {
        let bytes = frame * PAGE_SIZE..(frame + 1) * PAGE_SIZE;
        let touches = |from: u64, to: u64| from < bytes.end && bytes.start < to && from < to;
        let strongest = lines
            .iter()
            .filter(|line| match line.kind {
                LineKind::Usable => line.base <= bytes.start && bytes.end <= end(line),
                _ => touches(line.base, end(line)),
            })
            .map(|line| line.kind)
            .max();
        let kept = frame == 0 || holes.iter().any(|hole| touches(hole.start.0, hole.end.0));
        let is_ram = matches!(
            strongest,
            Some(LineKind::Usable | LineKind::AcpiReclaimable | LineKind::AcpiNvs)
        );
        let is_free = strongest == Some(LineKind::Usable) && !kept;
        let among = |ranges: &[Range<Pfn>]| ranges.iter().any(|range| range.contains(&Pfn(frame)));
        let (ram, free) = (among(map.ram()), among(map.free()));
        // Nothing is claimed that there is not; and all there is, unless a notice says otherwise.
        assert!(is_ram || !ram, "frame {frame:#x} is no RAM");
        assert!(is_free || !free, "frame {frame:#x} is not free");
        assert!(
            lossy || ram == is_ram && free == is_free,
            "frame {frame:#x} is lost"
        );
    }
    for ranges in [map.ram(), map.free()] {
        assert!(ranges.iter().all(|range| range.start < range.end));
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
    let inside =
        |free: &Range<Pfn>, ram: &Range<Pfn>| ram.start <= free.start && free.end <= ram.end;
    let all = |free: &Range<Pfn>| map.ram().iter().any(|ram| inside(free, ram));
    assert!(map.free().iter().all(all), "free, and no RAM");
}

/// A command line.
pub fn command_line(input: &[u8]) {
    if let Ok(line) = std::str::from_utf8(input) {
        line_of_words(line);
    }
}

fn line_of_words(line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let name = command_line::file_name(line);
    assert!(name.is_none_or(|name| words[0] == name));
    let options = &words[usize::from(name.is_some())..];
    match Options::parse(line) {
        Ok(parsed) => {
            // The order does not matter, and no key is there twice.
            let keys: BTreeSet<_> = options.iter().map(|word| word.split('=').next()).collect();
            assert_eq!(keys.len(), options.len(), "{line}");
            let mut backwards: Vec<_> = options.to_vec();
            backwards.reverse();
            let backwards = backwards.join(" ");
            // A path in front would be taken for the file's name.
            if command_line::file_name(&backwards).is_none() {
                assert_eq!(Options::parse(&backwards), Ok(parsed), "{line}");
            }
        }
        Err(error) => {
            let message = error.to_string();
            let named = |word: &&str| {
                let key = word.split('=').next().unwrap_or(word);
                message.contains(&format!("`{key}`")) || message.contains(&format!("`{word}`"))
            };
            assert!(options.iter().any(named), "{line}: {message}");
        }
    }
}
