//! Where a CPU sits: which core, last-level cache and package it shares with others, and of what kind it is.
//!
//! Levels: CPUID leaf 1FH, else AMD's 8000_0026H, else 0BH. Each subleaf has the bits by which an x2APIC id is shifted to that of the
//! next level, and the id; the first level's is that of a core, the last one's that of a package. Levels of unknown types widen a
//! package and nothing else. The cache: leaf 4 or AMD's 8000_001DH, by how many ids share it. Intel SDM volume 2, CPUID; AMD APM
//! volume 3, appendix E.

use raw_cpuid::CpuIdResult;

use super::access::CpuAccess;

/// A kind of core, on a CPU that has several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The fast ones.
    Performance,
    /// The small ones.
    Efficient,
}

/// Where a CPU sits. Ids are comparable within a machine, and not dense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its x2APIC id.
    pub apic: u32,
    /// The core: threads of one have the same.
    pub core: u32,
    /// The last-level cache; absent where the CPU does not say who shares it.
    pub cache: Option<u32>,
    /// The package.
    pub package: u32,
    /// The kind of core; absent where all are of one kind.
    pub kind: Option<Kind>,
}

/// How far another CPU of the machine is, nearest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Distance {
    /// Another thread of the same core.
    Sibling,
    /// Another core at the same last-level cache.
    SameCache,
    /// Another cache of the same package.
    OtherCache,
    /// Another package.
    OtherPackage,
}

impl Distance {
    /// All, nearest first.
    pub const ALL: [Distance; 4] = [
        Distance::Sibling,
        Distance::SameCache,
        Distance::OtherCache,
        Distance::OtherPackage,
    ];

    /// The name that cases give it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Distance::Sibling => "sibling",
            Distance::SameCache => "same_l3",
            Distance::OtherCache => "other_l3",
            Distance::OtherPackage => "other_package",
        }
    }
}

impl Place {
    /// How far the CPU of another place is; `None` where both are in one package, and one does not say who shares its cache.
    #[must_use]
    pub fn distance(&self, other: &Place) -> Option<Distance> {
        if self.package != other.package {
            Some(Distance::OtherPackage)
        } else if self.core == other.core {
            Some(Distance::Sibling)
        } else {
            let same = self.cache? == other.cache?;
            Some(if same {
                Distance::SameCache
            } else {
                Distance::OtherCache
            })
        }
    }
}

/// Subleaves that are looked at: no CPU has as many levels, or caches.
const MOST: u32 = 8;

/// The place of the CPU behind `cpu`; `None` where it does not say.
#[must_use]
pub fn place(cpu: &impl CpuAccess) -> Option<Place> {
    let leaves = [0x1f, 0x8000_0026, 0xb];
    let leaf = leaves
        .into_iter()
        .find(|&leaf| cpu.leaf(leaf).is_some_and(|first| is_level(&first)))?;
    let levels = || {
        let all = (0..MOST).map(move |subleaf| cpu.cpuid(leaf, subleaf));
        all.take_while(is_level)
    };
    let apic = cpu.cpuid(leaf, 0).edx;
    let shifts = || levels().map(|level| level.eax & 0x1f);
    Some(Place {
        apic,
        core: above(apic, shifts().next()?),
        cache: cache(cpu).map(|bits| above(apic, bits)),
        package: above(apic, shifts().max()?),
        kind: kind(cpu),
    })
}

/// Whether a subleaf describes a level: its type and its number of CPUs are not 0.
const fn is_level(answer: &CpuIdResult) -> bool {
    answer.ebx & 0xffff != 0 && answer.ecx >> 8 & 0xff != 0
}

/// The id without its low bits.
fn above(id: u32, bits: u32) -> u32 {
    id.checked_shr(bits).unwrap_or(0)
}

/// Bits of an id that CPUs which share the last-level cache differ in.
fn cache(cpu: &impl CpuAccess) -> Option<u32> {
    const NONE: u32 = 0;
    let of_leaf = |leaf: u32| {
        cpu.leaf(leaf)?;
        let caches = (0..MOST).map(|subleaf| cpu.cpuid(leaf, subleaf).eax);
        let last = caches
            .take_while(|cache| cache & 0x1f != NONE)
            .max_by_key(|cache| cache >> 5 & 7)?;
        let sharing = (last >> 14 & 0xfff) + 1;
        Some(sharing.next_power_of_two().ilog2())
    };
    of_leaf(4).or_else(|| of_leaf(0x8000_001d))
}

fn kind(cpu: &impl CpuAccess) -> Option<Kind> {
    const HYBRID: u32 = 1 << 15;
    const HETEROGENEOUS: u32 = 1 << 30;
    if cpu.leaf(7).is_some_and(|leaf| leaf.edx & HYBRID != 0) {
        return match cpu.leaf(0x1a)?.eax >> 24 {
            0x40 => Some(Kind::Performance),
            0x20 => Some(Kind::Efficient),
            _ => None,
        };
    }
    let leaf = cpu.leaf(0x8000_0026)?;
    if leaf.eax & HETEROGENEOUS == 0 {
        return None;
    }
    match leaf.ebx >> 28 {
        0 => Some(Kind::Performance),
        1 => Some(Kind::Efficient),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::made_up::MadeUpCpu;
    use super::*;

    const THREAD: u32 = 1 << 8;
    const CORE: u32 = 2 << 8;
    const DIE: u32 = 5 << 8;
    /// A level 3 cache that this many ids share.
    const fn level_3(sharing: u32) -> [u32; 4] {
        [3 | 3 << 5 | (sharing - 1) << 14, 0, 0, 0]
    }

    #[test]
    fn two_threads_a_core_and_one_cache_a_package() {
        // Thread 1 of core 5 of the second package.
        let id = 1 << 5 | 5 << 1 | 1;
        let cpu = MadeUpCpu::new("GenuineIntel", 6, 0x55)
            .with_subleaf(0xb, 0, [1, 2, THREAD, id])
            .with_subleaf(0xb, 1, [5, 32, CORE | 1, id])
            .with_subleaf(4, 0, [1 | 1 << 5 | 1 << 14, 0, 0, 0])
            .with_subleaf(4, 1, level_3(32));
        let place = place(&cpu).unwrap();
        assert_eq!((place.apic, place.core, place.package), (id, 0x15, 1));
        assert_eq!((place.cache, place.kind), (Some(1), None));
    }

    #[test]
    fn leaf_1f_comes_first_and_its_last_level_is_the_package() {
        let id = 0x6b;
        let cpu = MadeUpCpu::new("GenuineIntel", 6, 0x8f)
            .with_subleaf(0xb, 0, [0, 1, THREAD, 7])
            .with(0, [0x20, 0, 0, 0])
            .with_subleaf(0x1f, 0, [1, 2, THREAD, id])
            .with_subleaf(0x1f, 1, [4, 16, CORE, id])
            .with_subleaf(0x1f, 2, [6, 64, DIE, id]);
        let place = place(&cpu).unwrap();
        assert_eq!((place.core, place.package, place.cache), (0x35, 1, None));
    }

    #[test]
    fn amd_with_caches_of_eight_cores_and_two_kinds() {
        let id = 0x13;
        let efficient = 1 << 28;
        let cpu = MadeUpCpu::new("AuthenticAMD", 0x1a, 0x24)
            .with(0x8000_0000, [0x8000_0026, 0, 0, 0])
            .with_subleaf(0x8000_0026, 0, [1 | 1 << 30, 2 | efficient, THREAD, id])
            .with_subleaf(0x8000_0026, 1, [4, 16, CORE | 1, id])
            .with_subleaf(0x8000_001d, 0, level_3(16));
        let place = place(&cpu).unwrap();
        assert_eq!((place.core, place.package, place.cache), (9, 1, Some(1)));
        assert_eq!(place.kind, Some(Kind::Efficient));
    }

    #[test]
    fn the_kinds_of_intel_s_cores() {
        let of = |native: u32| {
            let cpu = MadeUpCpu::new("GenuineIntel", 6, 0x97)
                .with(0x1a, [native << 24, 0, 0, 0])
                .with(7, [0, 0, 0, 1 << 15]);
            kind(&cpu.with(0, [0x20, 0, 0, 0]))
        };
        assert_eq!(of(0x40), Some(Kind::Performance));
        assert_eq!(of(0x20), Some(Kind::Efficient));
        assert_eq!(of(0x70), None);
    }

    #[test]
    fn distances() {
        // Two threads a core, two cores a cache, two caches a package.
        let at = |apic: u32| Place {
            apic,
            core: apic >> 1,
            cache: Some(apic >> 2),
            package: apic >> 3,
            kind: None,
        };
        let found: Vec<_> = [1, 2, 3, 4, 7, 8, 15]
            .map(|apic| at(0).distance(&at(apic)).unwrap())
            .into();
        use Distance::{OtherCache, OtherPackage, SameCache, Sibling};
        let expected = [
            Sibling,
            SameCache,
            SameCache,
            OtherCache,
            OtherCache,
            OtherPackage,
            OtherPackage,
        ];
        assert_eq!(found, expected);
        let silent = |apic| Place {
            cache: None,
            ..at(apic)
        };
        assert_eq!(silent(0).distance(&silent(1)), Some(Sibling));
        assert_eq!(silent(0).distance(&silent(2)), None);
        assert_eq!(silent(0).distance(&at(2)), None);
        assert_eq!(at(0).distance(&silent(8)), Some(OtherPackage));
    }

    #[test]
    fn a_cpu_that_does_not_say_has_no_place() {
        assert_eq!(place(&MadeUpCpu::new("GenuineIntel", 6, 0x17)), None);
        // The leaf is there, and empty.
        let empty = MadeUpCpu::new("AuthenticAMD", 0x10, 2).with(0xb, [0; 4]);
        assert_eq!(place(&empty), None);
    }
}
