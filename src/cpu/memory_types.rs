//! The memory types that firmware has given to physical addresses by MTRRs (Intel SDM volume 3, 13.11; AMD APM volume 2, 7.7).
//!
//! RAM that is not write-back makes a walk of its page tables many times as slow, and firmware that runs out of MTRRs leaves some so,
//! mostly at the top (Linux, `arch/x86/kernel/cpu/mtrr/cleanup.c`). The image changes nothing of it, and reports what it finds.

use core::ops::Range;

use arrayvec::ArrayVec;

use super::access::CpuAccess;
use super::features::{Features, Vendor};
use crate::mm::address::{PAGE_SIZE, PhysAddr};

/// A memory type, as MTRRs encode it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MtrrType {
    /// 0: UC.
    Uncacheable,
    /// 1: WC.
    WriteCombining,
    /// 4: WT.
    WriteThrough,
    /// 5: WP.
    WriteProtected,
    /// 6: WB.
    WriteBack,
    /// Any other, or two that must not meet.
    Undefined,
}

impl MtrrType {
    const fn from_code(code: u8) -> Self {
        match code {
            0 => MtrrType::Uncacheable,
            1 => MtrrType::WriteCombining,
            4 => MtrrType::WriteThrough,
            5 => MtrrType::WriteProtected,
            6 => MtrrType::WriteBack,
            _ => MtrrType::Undefined,
        }
    }

    /// The type where two ranges overlap: UC before all, WT before WB; anything else is undefined.
    fn and(self, other: Self) -> Self {
        use MtrrType::{Uncacheable, Undefined, WriteBack, WriteThrough};
        match (self, other) {
            (one, other) if one == other => one,
            (Uncacheable, _) | (_, Uncacheable) => Uncacheable,
            (WriteThrough, WriteBack) | (WriteBack, WriteThrough) => WriteThrough,
            _ => Undefined,
        }
    }
}

impl core::fmt::Display for MtrrType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            MtrrType::Uncacheable => "uncacheable",
            MtrrType::WriteCombining => "write-combining",
            MtrrType::WriteThrough => "write-through",
            MtrrType::WriteProtected => "write-protected",
            MtrrType::WriteBack => "write-back",
            MtrrType::Undefined => "of an undefined type",
        })
    }
}

const MTRR_CAP: u32 = 0xfe;
const DEFAULT_TYPE: u32 = 0x2ff;
const VARIABLE: u32 = 0x200;
/// The fixed ranges: a register of eight types each, the bytes that one type covers, and the first address.
const FIXED: [(u32, u64, u64); 11] = [
    (0x250, 64 << 10, 0x0_0000),
    (0x258, 16 << 10, 0x8_0000),
    (0x259, 16 << 10, 0xa_0000),
    (0x268, 4 << 10, 0xc_0000),
    (0x269, 4 << 10, 0xc_8000),
    (0x26a, 4 << 10, 0xd_0000),
    (0x26b, 4 << 10, 0xd_8000),
    (0x26c, 4 << 10, 0xe_0000),
    (0x26d, 4 << 10, 0xe_8000),
    (0x26e, 4 << 10, 0xf_0000),
    (0x26f, 4 << 10, 0xf_8000),
];
const FIXED_END: u64 = 1 << 20;
/// Variable ranges that are read. CPUs have 8 to 10, and no more than 32 fit before other registers.
const MOST_VARIABLE: usize = 32;

/// A variable range: addresses that agree with `base` in the bits of `mask`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Variable {
    base: u64,
    mask: u64,
    kind: MtrrType,
    /// Its only end, where the mask has no gaps.
    end: Option<u64>,
}

/// What the MTRRs of a CPU say.
#[derive(Clone, Debug)]
pub struct MemoryTypes {
    enabled: bool,
    default: MtrrType,
    /// The types of each register of [`FIXED`]; none where these are off.
    fixed: Option<[u64; FIXED.len()]>,
    variable: ArrayVec<Variable, MOST_VARIABLE>,
    /// AMD: memory from 4 GiB to here is write-back whatever the ranges say.
    write_back_to: Option<u64>,
}

impl MemoryTypes {
    /// Reads them; `None` where the CPU has none (CPUID 1 EDX bit 12).
    pub fn read(cpu: &impl CpuAccess, features: &Features) -> Option<Self> {
        const HAS_MTRR: u32 = 1 << 12;
        if cpu.cpuid(1, 0).edx & HAS_MTRR == 0 {
            return None;
        }
        let cap = cpu.read_msr(MTRR_CAP)?;
        let default = cpu.read_msr(DEFAULT_TYPE)?;
        let enabled = default & 1 << 11 != 0;
        let fixed = (enabled && cap & 1 << 8 != 0 && default & 1 << 10 != 0)
            .then(|| FIXED.map(|(register, ..)| cpu.read_msr(register).unwrap_or(0)));
        let addresses = (1u64 << features.physical_bits.clamp(32, 52)) - PAGE_SIZE;
        let variable = (0..(cap & 0xff) as usize)
            .take(MOST_VARIABLE)
            .filter_map(|number| {
                let register = VARIABLE + 2 * number as u32;
                let (base, mask) = (cpu.read_msr(register)?, cpu.read_msr(register + 1)?);
                let valid = mask & 1 << 11 != 0;
                let kind = MtrrType::from_code(base as u8);
                let (base, mask) = (base & addresses, mask & addresses);
                // Without gaps in the mask its lowest bit is the size of the range.
                let size = addresses + PAGE_SIZE - mask;
                let whole = size.is_power_of_two() && base.is_multiple_of(size);
                valid.then_some(Variable {
                    base,
                    mask,
                    kind,
                    end: whole.then_some(base + size),
                })
            })
            .collect();
        Some(MemoryTypes {
            enabled,
            default: MtrrType::from_code(default as u8),
            fixed,
            variable,
            write_back_to: amd_write_back(cpu, features),
        })
    }

    /// The type of the frame at an address.
    fn of(&self, address: u64) -> MtrrType {
        if !self.enabled {
            return MtrrType::Uncacheable;
        }
        if let Some(fixed) = self.fixed.filter(|_| address < FIXED_END) {
            let registers = FIXED.iter().zip(fixed);
            for (&(_, bytes, first), types) in registers {
                if (first..first + 8 * bytes).contains(&address) {
                    let eighth = (address - first) / bytes;
                    // Types have three bits; bits 3 and 4 are AMD's RdMem and WrMem (APM volume 2, 7.8.1).
                    return MtrrType::from_code((types >> (8 * eighth)) as u8 & 0b111);
                }
            }
        }
        if self
            .write_back_to
            .is_some_and(|end| (1 << 32..end).contains(&address))
        {
            return MtrrType::WriteBack;
        }
        self.variable
            .iter()
            .filter(|range| address & range.mask == range.base & range.mask)
            .map(|range| range.kind)
            .reduce(MtrrType::and)
            .unwrap_or(self.default)
    }

    /// The next address behind `address` at which a range may begin or end.
    fn next_border(&self, address: u64) -> u64 {
        let mut next = u64::MAX;
        let mut consider = |border: u64| {
            if border > address {
                next = next.min(border);
            }
        };
        if address < FIXED_END && self.fixed.is_some() {
            // The smallest of the fixed ranges.
            consider((address / (4 << 10) + 1) * (4 << 10));
        }
        consider(FIXED_END);
        consider(1 << 32);
        consider(self.write_back_to.unwrap_or(0));
        for range in &self.variable {
            if let Some(end) = range.end {
                consider(range.base);
                consider(end);
                continue;
            }
            // The lowest bit of a mask with gaps is the size of each of its pieces. No firmware is known to have one.
            let size = 1u64.checked_shl(range.mask.trailing_zeros()).unwrap_or(0);
            if let Some(piece) = address.checked_div(size) {
                consider(piece.saturating_add(1).saturating_mul(size));
            }
        }
        next
    }

    /// Calls `found` for each piece of `ram` that is not write-back.
    pub fn not_write_back(
        &self,
        ram: impl IntoIterator<Item = Range<PhysAddr>>,
        mut found: impl FnMut(Range<PhysAddr>, MtrrType),
    ) {
        for range in ram {
            let mut start = range.start.0;
            let mut pending: Option<(u64, MtrrType)> = None;
            while start < range.end.0 {
                let kind = self.of(start);
                match pending {
                    Some((_, before)) if before == kind => {}
                    _ => {
                        if let Some((first, before)) = pending
                            && before != MtrrType::WriteBack
                        {
                            found(PhysAddr(first)..PhysAddr(start), before);
                        }
                        pending = Some((start, kind));
                    }
                }
                start = self.next_border(start).min(range.end.0);
            }
            if let Some((first, kind)) = pending
                && kind != MtrrType::WriteBack
            {
                found(PhysAddr(first)..range.end, kind);
            }
        }
    }
}

/// AMD's SYSCFG: with bit 21 TOM2 is the end of RAM above 4 GiB, and with bit 22 all of that is write-back (APM volume 2, 7.9.1).
fn amd_write_back(cpu: &impl CpuAccess, features: &Features) -> Option<u64> {
    const SYSCFG: u32 = 0xc001_0010;
    const TOM2: u32 = 0xc001_001d;
    const BOTH: u64 = 1 << 21 | 1 << 22;
    if features.vendor_kind() != Vendor::Amd || cpu.read_msr(SYSCFG)? & BOTH != BOTH {
        return None;
    }
    Some(cpu.read_msr(TOM2)? & 0x000f_ffff_ff80_0000)
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "RAM of one range")]
mod tests {
    use super::*;
    use crate::cpu::access::made_up::MadeUpCpu;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;
    /// 39 bits of physical address.
    const ADDRESSES: u64 = (1 << 39) - 1;

    /// A CPU whose MTRRs are on, with this default, these variable ranges and fixed ranges that are all write-back.
    fn cpu(vendor: &str, default: u64, ranges: &[(u64, u64, u64)]) -> MadeUpCpu {
        let mut cpu = MadeUpCpu::new(vendor, 6, 0x55)
            .with(0x8000_0008, [0x3027, 0, 0, 0])
            .with_msr(MTRR_CAP, 1 << 8 | ranges.len() as u64)
            .with_msr(DEFAULT_TYPE, 1 << 11 | 1 << 10 | default);
        let version = cpu.cpuid(1, 0).eax;
        cpu = cpu.with(1, [version, 0, 0, 1 << 12]);
        for (register, ..) in FIXED {
            cpu = cpu.with_msr(register, 0x0606_0606_0606_0606);
        }
        for (number, &(base, size, kind)) in ranges.iter().enumerate() {
            let register = VARIABLE + 2 * number as u32;
            cpu = cpu
                .with_msr(register, base | kind)
                .with_msr(register + 1, ADDRESSES & !(size - 1) | 1 << 11);
        }
        cpu
    }

    fn found(cpu: &MadeUpCpu, ram: &[Range<u64>]) -> Vec<(Range<u64>, MtrrType)> {
        let types = MemoryTypes::read(cpu, &Features::read(cpu)).unwrap();
        let mut all = Vec::new();
        let ram = ram.iter().map(|r| PhysAddr(r.start)..PhysAddr(r.end));
        types.not_write_back(ram, |range, kind| {
            all.push((range.start.0..range.end.0, kind))
        });
        all
    }

    /// The default is write-back, and the hole below 4 GiB is not: as firmware of today does it.
    #[test]
    fn a_hole_that_is_no_ram_is_no_fault() {
        let cpu = cpu("GenuineIntel", 6, &[(2 * GIB, 2 * GIB, 0)]);
        let ram = [0..0xa_0000, MIB..2 * GIB, 4 * GIB..34 * GIB];
        assert_eq!(found(&cpu, &ram), []);
        // RAM that the map has in the hole.
        let ram = [MIB..2 * GIB + 16 * MIB];
        let hole = 2 * GIB..2 * GIB + 16 * MIB;
        assert_eq!(found(&cpu, &ram), [(hole, MtrrType::Uncacheable)]);
    }

    /// The default is uncacheable, and ranges make RAM write-back: as firmware did it that ran out of them.
    #[test]
    fn the_top_of_ram_that_no_range_covers() {
        let cpu = cpu(
            "GenuineIntel",
            0,
            &[(0, 4 * GIB, 6), (3 * GIB, GIB, 0), (4 * GIB, 4 * GIB, 6)],
        );
        let ram = [MIB..3 * GIB, 4 * GIB..8 * GIB + 512 * MIB];
        let top = 8 * GIB..8 * GIB + 512 * MIB;
        assert_eq!(found(&cpu, &ram), [(top, MtrrType::Uncacheable)]);
    }

    #[test]
    fn overlapping_ranges() {
        let kinds = |one, other| {
            let cpu = cpu("GenuineIntel", 6, &[(0, 4 * GIB, one), (GIB, GIB, other)]);
            let found = found(&cpu, &[GIB..2 * GIB]);
            found.first().map(|(_, kind)| *kind)
        };
        assert_eq!(kinds(6, 6), None);
        assert_eq!(kinds(6, 0), Some(MtrrType::Uncacheable));
        assert_eq!(kinds(4, 6), Some(MtrrType::WriteThrough));
        assert_eq!(kinds(1, 6), Some(MtrrType::Undefined));
        assert_eq!(kinds(1, 0), Some(MtrrType::Uncacheable));
    }

    #[test]
    fn fixed_ranges_and_mtrrs_that_are_off() {
        // 90000H to 94000H is the fifth eighth of register 258H.
        let cpu = cpu("GenuineIntel", 6, &[]).with_msr(0x258, 0x0606_0600_0606_0606);
        let ram = [0x1000..0xa_0000, MIB..GIB];
        let piece = 0x9_0000..0x9_4000;
        assert_eq!(found(&cpu, &ram), [(piece, MtrrType::Uncacheable)]);
        let off = cpu.with_msr(DEFAULT_TYPE, 6);
        let all = [
            (0x1000..0xa_0000, MtrrType::Uncacheable),
            (MIB..GIB, MtrrType::Uncacheable),
        ];
        assert_eq!(found(&off, &ram), all);
        let without = MadeUpCpu::new("GenuineIntel", 6, 0x55);
        assert!(MemoryTypes::read(&without, &Features::read(&without)).is_none());
    }

    #[test]
    fn amd_s_memory_above_4_gib() {
        let ranges = [(0, 4 * GIB, 6)];
        let forced = |syscfg| {
            let cpu = cpu("AuthenticAMD", 0, &ranges)
                .with_msr(0xc001_0010, syscfg)
                .with_msr(0xc001_001d, 8 * GIB);
            found(&cpu, &[4 * GIB..9 * GIB])
        };
        let (both, one) = (1 << 21 | 1 << 22, 1 << 21);
        assert_eq!(forced(both), [(8 * GIB..9 * GIB, MtrrType::Uncacheable)]);
        assert_eq!(forced(one), [(4 * GIB..9 * GIB, MtrrType::Uncacheable)]);
    }

    /// A mask with a gap: every other GiB.
    #[test]
    fn a_mask_with_gaps() {
        let cpu = cpu("GenuineIntel", 6, &[(0, GIB, 0)]).with_msr(VARIABLE + 1, GIB | 1 << 11);
        let odd = [(2 * GIB..3 * GIB, MtrrType::Uncacheable)];
        assert_eq!(found(&cpu, &[GIB..4 * GIB]), odd);
    }
}
