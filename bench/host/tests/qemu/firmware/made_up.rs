//! Starts the image with made-up boot information and made-up ACPI tables.
//!
//! An ELF file that QEMU starts by its PVH note holds the image's segments where they belong; a stub of a few 32-bit instructions,
//! which runs a preamble and jumps into one of the image's doors in the state in which that door's loader leaves the machine; and one
//! block with all that a loader and a firmware leave in memory. QEMU's own tables are never looked at, as nothing leads to them.
//!
//! ACPI specification 6.5, chapter 5.2; Multiboot2 specification 2.0, 3.3 and 3.6; Xen's `start_info.h` (PVH).

use std::path::Path;

use object::elf::{FileHeader64, PT_LOAD, PT_NOTE};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{LittleEndian, Object};

/// Where the stub lies, and the block of tables behind it. The machine has 1 GiB of RAM.
const STUB: u64 = 0x0800_0000;
pub const TABLES: u64 = 0x0810_0000;
pub const TABLES_BYTES: u64 = 0x10_0000;
pub const RAM_END: u64 = 0x3ffd_f000;

/// Kinds of memory map lines.
pub const USABLE: u32 = 1;
pub const RESERVED: u32 = 2;
pub const ACPI: u32 = 3;

/// A memory map: base, length, kind.
pub type Lines = Vec<(u64, u64, u32)>;

/// A PC's map, in which the block of tables is ACPI's.
pub fn usual_map() -> Lines {
    let behind = TABLES + TABLES_BYTES;
    vec![
        (0, 0x9_fc00, USABLE),
        (0x9_fc00, 0x400, RESERVED),
        (0xf_0000, 0x1_0000, RESERVED),
        (0x10_0000, TABLES - 0x10_0000, USABLE),
        (TABLES, TABLES_BYTES, ACPI),
        (behind, RAM_END - behind, USABLE),
        (RAM_END, 0x2_1000, RESERVED),
    ]
}

// --- ACPI tables ---------------------------------------------------------------------------------------------------------

/// Makes byte `at` such that all of `bytes` add up to 0.
pub fn seal(bytes: &mut [u8], at: usize) {
    let sum = bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    bytes[at] = bytes[at].wrapping_sub(sum);
}

/// A table.
pub fn table(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut table = name.to_vec();
    table.extend((36 + body.len() as u32).to_le_bytes());
    table.extend([2, 0]);
    table.extend(b"MADEUPFIRMWARE");
    table.resize(36, 0);
    table.extend(body);
    seal(&mut table, 9);
    table
}

/// MADT entries: a CPU by its xAPIC id, by its x2APIC id, and an I/O APIC.
pub fn local_apic(id: u8) -> Vec<u8> {
    vec![0, 8, id, id, 1, 0, 0, 0]
}

pub fn local_x2apic(id: u32) -> Vec<u8> {
    [
        &[9, 16, 0, 0][..],
        &id.to_le_bytes(),
        &[1, 0, 0, 0],
        &id.to_le_bytes(),
    ]
    .concat()
}

pub fn io_apic(address: u32) -> Vec<u8> {
    [&[1, 12, 0, 0][..], &address.to_le_bytes(), &[0; 4]].concat()
}

pub fn madt(entries: &[Vec<u8>]) -> Vec<u8> {
    let head = [0xfee0_0000u32, 1].map(u32::to_le_bytes).concat();
    table(b"APIC", &[head, entries.concat()].concat())
}

/// With QEMU's power-management timer.
pub fn fadt() -> Vec<u8> {
    let mut body = vec![0; 276 - 36];
    body[76 - 36..][..4].copy_from_slice(&0x608u32.to_le_bytes());
    body[91 - 36] = 4;
    table(b"FACP", &body)
}

/// With the power-management timer in memory.
pub fn fadt_of_timer_in_memory(address: u64) -> Vec<u8> {
    let mut body = vec![0; 276 - 36];
    body[91 - 36] = 4;
    // A generic address: space 0, 32 bits.
    body[208 - 36..212 - 36].copy_from_slice(&[0, 32, 0, 3]);
    body[212 - 36..220 - 36].copy_from_slice(&address.to_le_bytes());
    table(b"FACP", &body)
}

pub fn hpet(space: u8) -> Vec<u8> {
    hpet_at(space, 0xfed0_0000)
}

pub fn hpet_at(space: u8, address: u64) -> Vec<u8> {
    let body = [
        &[0, 0, 0, 0, space, 64, 0, 0][..],
        &address.to_le_bytes(),
        &[0; 4],
    ];
    table(b"HPET", &body.concat())
}

/// The console in I/O ports from `port` on.
pub fn spcr(port: u16) -> Vec<u8> {
    let mut body = vec![0; 52];
    body[4..8].copy_from_slice(&[1, 8, 0, 1]);
    body[8..10].copy_from_slice(&port.to_le_bytes());
    body[58 - 36] = 7;
    table(b"SPCR", &body)
}

/// The console in memory, with registers of 32 bits, at this address.
pub fn spcr_in_memory(address: u64) -> Vec<u8> {
    let mut body = vec![0; 52];
    body[0] = 0x12;
    body[4..8].copy_from_slice(&[0, 32, 0, 3]);
    body[8..16].copy_from_slice(&address.to_le_bytes());
    table(b"SPCR", &body)
}

/// Four CPUs and an I/O APIC as MADT entries.
pub fn four_cpus() -> Vec<Vec<u8>> {
    let cpus = (0..4).map(local_apic);
    cpus.chain([io_apic(0xfec0_0000)]).collect()
}

/// What a machine of four CPUs has.
pub fn usual_tables() -> Vec<Vec<u8>> {
    vec![madt(&four_cpus()), fadt(), hpet(0)]
}

/// The block of tables: what is put there gets an address.
pub struct Memory(Vec<u8>);

impl Memory {
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(16), 0);
        let address = TABLES + self.0.len() as u64;
        self.0.extend(bytes);
        assert!(self.0.len() as u64 <= TABLES_BYTES);
        address
    }

    /// What lies at an address.
    pub fn bytes(&self, address: u64, bytes: usize) -> Vec<u8> {
        self.0[(address - TABLES) as usize..][..bytes].to_vec()
    }

    /// Puts the tables and what leads to them: the bytes of a root pointer of revision 2, which has this OEM id, and says that
    /// the XSDT lies there if it is to say something else than the truth.
    pub fn root_pointer(
        &mut self,
        tables: &[Vec<u8>],
        oem: &[u8; 6],
        xsdt_address: Option<u64>,
    ) -> Vec<u8> {
        let addresses: Vec<u64> = tables.iter().map(|table| self.put(table)).collect();
        let narrow = addresses.iter().flat_map(|&at| (at as u32).to_le_bytes());
        let rsdt = self.put(&table(b"RSDT", &narrow.collect::<Vec<_>>()));
        let wide = addresses.iter().flat_map(|at| at.to_le_bytes());
        let xsdt = self.put(&table(b"XSDT", &wide.collect::<Vec<_>>()));
        pointer_to(oem, rsdt, xsdt_address.unwrap_or(xsdt))
    }

    /// Puts an XSDT with this content behind its header: the bytes of a root pointer that leads to it alone.
    pub fn root_pointer_to(&mut self, xsdt: &[u8]) -> Vec<u8> {
        let xsdt = self.put(&table(b"XSDT", xsdt));
        pointer_to(b"MADEUP", 0, xsdt)
    }
}

/// A root pointer of revision 2.
fn pointer_to(oem: &[u8; 6], rsdt: u64, xsdt: u64) -> Vec<u8> {
    let mut pointer = [&b"RSD PTR \0"[..], oem, &[2]].concat();
    pointer.extend([rsdt as u32, 36].map(u32::to_le_bytes).concat());
    pointer.extend(xsdt.to_le_bytes());
    pointer.resize(36, 0);
    seal(&mut pointer[..20], 8);
    seal(&mut pointer, 32);
    pointer
}

// --- The doors -----------------------------------------------------------------------------------------------------------

/// A door of the image, and what its loader leaves in memory.
pub enum Handover {
    /// The version of the start info, the address of the root pointer, the map.
    Pvh {
        version: u32,
        root_pointer: u64,
        map: Lines,
    },
    /// The tags, and bytes behind the end tag that the total size counts.
    Multiboot2 { tags: Vec<u8>, slack: usize },
}

/// A multiboot2 tag.
pub fn tag(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut tag = [kind, 8 + content.len() as u32]
        .map(u32::to_le_bytes)
        .concat();
    tag.extend(content);
    tag.resize(tag.len().next_multiple_of(8), 0);
    tag
}

fn lines(map: &Lines) -> Vec<u8> {
    let line = |&(base, length, kind): &(u64, u64, u32)| {
        [
            &base.to_le_bytes()[..],
            &length.to_le_bytes(),
            &u64::from(kind).to_le_bytes(),
        ]
        .concat()
    };
    map.iter().flat_map(line).collect()
}

/// The multiboot2 tag of a memory map.
pub fn map_tag(map: &Lines) -> Vec<u8> {
    let head = [24u32, 0].map(u32::to_le_bytes).concat();
    tag(6, &[head, lines(map)].concat())
}

/// The multiboot2 tag of a framebuffer with pixels of blue, green, red and a byte that says nothing.
pub fn framebuffer_tag(address: u64, [width, height]: [u32; 2]) -> Vec<u8> {
    let mut content = address.to_le_bytes().to_vec();
    content.extend([4 * width, width, height].map(u32::to_le_bytes).concat());
    content.extend([32, 1, 0, 0, 16, 8, 8, 8, 0, 8]);
    tag(8, &content)
}

/// Instructions that set a mode of this number of pixels of 32 bits, by the registers of QEMU's VGA card (its docs/specs/standard-vga.rst).
pub fn set_mode([width, height]: [u32; 2]) -> Vec<u8> {
    // Off, width, height, bits, and on with the pixels in one piece.
    let registers = [(4, 0), (1, width), (2, height), (3, 32), (4, 0x41)];
    // movw $port, %dx; movw $value, %ax; outw %ax, %dx
    let out = |port: u16, value: u16| {
        let [port, value] = [port, value].map(u16::to_le_bytes);
        [
            &[0x66, 0xba][..],
            &port,
            &[0x66, 0xb8],
            &value,
            &[0x66, 0xef],
        ]
        .concat()
    };
    let set = |(index, value): (u16, u32)| [out(0x1ce, index), out(0x1cf, value as u16)].concat();
    registers.into_iter().flat_map(set).collect()
}

/// A machine, as the image finds it when it is entered.
pub struct MadeUp {
    /// The block of tables.
    pub memory: Memory,
    /// 32-bit instructions that run before the image is entered.
    pub preamble: Vec<u8>,
}

impl MadeUp {
    pub fn new() -> Self {
        MadeUp {
            memory: Memory(Vec::new()),
            preamble: Vec::new(),
        }
    }

    /// With the usual tables; the address of their root pointer, too.
    pub fn usual() -> (Self, u64) {
        let mut new = Self::new();
        let pointer = new.memory.root_pointer(&usual_tables(), b"MADEUP", None);
        let address = new.memory.put(&pointer);
        (new, address)
    }

    /// Writes the ELF file that starts `image` by this handover.
    pub fn write(mut self, image: &Path, command_line: &[&str], handover: Handover, file: &Path) {
        let bytes = std::fs::read(image).unwrap();
        let elf = ElfFile64::<LittleEndian>::parse(&*bytes).unwrap();
        let text = command_line.join(" ") + "\0";
        let (entry, magic, information) = match handover {
            Handover::Pvh {
                version,
                root_pointer,
                map,
            } => {
                let text = self.memory.put(text.as_bytes());
                let lines_at = self.memory.put(&lines(&map));
                let mut start = [0x336e_c578, version, 0, 0].map(u32::to_le_bytes).concat();
                start.extend(
                    [0, text, root_pointer, lines_at]
                        .map(u64::to_le_bytes)
                        .concat(),
                );
                start.extend([map.len() as u32, 0].map(u32::to_le_bytes).concat());
                (pvh_entry(&elf), 0, self.memory.put(&start))
            }
            Handover::Multiboot2 { tags, slack } => {
                let tags = [
                    tag(1, text.as_bytes()),
                    tags,
                    tag(0, &[]),
                    vec![0xa5; slack],
                ]
                .concat();
                let head = [8 + tags.len() as u32, 0].map(u32::to_le_bytes).concat();
                let information = self.memory.put(&[head, tags].concat());
                (elf.entry(), 0x36d7_6289, information)
            }
        };
        let mut segments: Vec<(u64, Vec<u8>, u64)> = Vec::new();
        for header in elf.elf_program_headers() {
            if header.p_type(LittleEndian) == PT_LOAD {
                let content = header.data(LittleEndian, &*bytes).unwrap();
                let in_memory = header.p_memsz(LittleEndian);
                segments.push((header.p_paddr(LittleEndian), content.to_vec(), in_memory));
            }
        }
        // cli; the preamble; mov ebx, information; mov eax, magic; mov ecx, entry; jmp ecx
        let mut stub = [&[0xfa][..], &self.preamble].concat();
        for (instruction, value) in [(0xbb, information), (0xb8, magic), (0xb9, entry)] {
            stub.push(instruction);
            stub.extend((value as u32).to_le_bytes());
        }
        stub.extend([0xff, 0xe1]);
        for (address, content) in [(STUB, stub), (TABLES, self.memory.0)] {
            let in_memory = content.len() as u64;
            segments.push((address, content, in_memory));
        }
        std::fs::write(file, elf_of(&segments)).unwrap();
    }
}

/// The entry in the note of owner "Xen" and type 18.
fn pvh_entry(elf: &ElfFile64<'_, LittleEndian>) -> u64 {
    for header in elf.elf_program_headers() {
        let notes = header.notes(LittleEndian, elf.data()).unwrap();
        let Some(mut notes) = notes else { continue };
        while let Some(note) = notes.next().unwrap() {
            if note.name() == b"Xen" && note.n_type(LittleEndian).0 == 18 {
                return u64::from_le_bytes(*note.desc().first_chunk().unwrap());
            }
        }
    }
    panic!("the image has no PVH note");
}

/// An ELF file of these segments (physical address, content, size in memory) that QEMU enters at the stub.
fn elf_of(segments: &[(u64, Vec<u8>, u64)]) -> Vec<u8> {
    const PAGE: usize = 0x1000;
    const HEADER: usize = size_of::<FileHeader64<LittleEndian>>();
    let mut note = [4u32, 8, 18].map(u32::to_le_bytes).concat();
    note.extend(b"Xen\0");
    note.extend(STUB.to_le_bytes());
    let mut headers = Vec::new();
    let mut content = Vec::new();
    let mut add = |kind: u32, address: u64, bytes: &[u8], in_memory: u64| {
        let offset = (PAGE + content.len()) as u64;
        headers.extend([kind, 7].map(u32::to_le_bytes).concat());
        let words = [offset, address, address, bytes.len() as u64, in_memory, 4];
        headers.extend(words.map(u64::to_le_bytes).concat());
        content.extend(bytes);
        content.resize(content.len().next_multiple_of(PAGE), 0);
    };
    for (address, bytes, in_memory) in segments {
        add(PT_LOAD.0, *address, bytes, *in_memory);
    }
    add(PT_NOTE.0, STUB, &note, note.len() as u64);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2u16, 62].map(u16::to_le_bytes).concat());
    file.extend(1u32.to_le_bytes());
    file.extend([STUB, HEADER as u64, 0].map(u64::to_le_bytes).concat());
    file.extend(0u32.to_le_bytes());
    let number = segments.len() as u16 + 1;
    file.extend(
        [HEADER as u16, 56, number, 0, 0, 0]
            .map(u16::to_le_bytes)
            .concat(),
    );
    file.extend(headers);
    assert!(file.len() <= PAGE);
    file.resize(PAGE, 0);
    file.extend(content);
    file
}
