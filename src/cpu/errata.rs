//! What CPUs of single models do otherwise than their manuals or CPUID say, as far as this image is concerned: one table, each line with
//! its source.

use super::features::{Features, Vendor};

const MHZ: u64 = 1_000_000;

/// What is known of a model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// INVLPG may leave global translations in the TLB while PCIDs are on, before this revision of the microcode. It does so outside of
    /// virtual machines alone, and a revision that a hypervisor shows means nothing.
    InvlpgMissesGlobals {
        /// The first revision without the fault.
        mended_in: u64,
    },
    /// CPUID offers INVLPGB, and the CPU cannot be trusted with it.
    NoInvlpgb,
    /// LFENCE waits for what is before it, and there is no register that says so.
    LfenceSerialises,
    /// The frequencies of the crystals that CPUs of the model have, where CPUID leaf 15H leaves them out.
    Crystals(&'static [u64]),
}

/// One line: CPUs, what is known of them, and from where.
#[derive(Clone, Copy, Debug)]
struct Erratum {
    vendor: Vendor,
    family: u8,
    /// First and last model of each range.
    models: &'static [(u8, u8)],
    rule: Rule,
    /// Where the rule is from; read by people.
    #[cfg_attr(not(test), expect(dead_code, reason = "for those who read the table"))]
    source: &'static str,
}

const ALL_MODELS: &[(u8, u8)] = &[(0, u8::MAX)];

const fn intel(models: &'static [(u8, u8)], rule: Rule, source: &'static str) -> Erratum {
    Erratum {
        vendor: Vendor::Intel,
        family: 6,
        models,
        rule,
        source,
    }
}

const fn amd(family: u8, models: &'static [(u8, u8)], rule: Rule, source: &'static str) -> Erratum {
    Erratum {
        vendor: Vendor::Amd,
        family,
        models,
        rule,
        source,
    }
}

const fn misses(models: &'static [(u8, u8)], mended_in: u64, source: &'static str) -> Erratum {
    intel(models, Rule::InvlpgMissesGlobals { mended_in }, source)
}

const ALDER_LAKE: &str = "Intel 682436, erratum ADL063; Linux, arch/x86/mm/init.c";
const RAPTOR_LAKE: &str = "Intel 740518, erratum RPL042; Linux, arch/x86/mm/init.c";
const LFENCE: &str =
    "AMD, Software techniques for managing speculation; Xen, xen/arch/x86/cpu/amd.c";
const SDM_CRYSTALS: &str = "Intel SDM volume 3, table 20-85; NetBSD, identcpu.c; turbostat";

#[rustfmt::skip]
const TABLE: [Erratum; 14] = [
    misses(&[(0x97, 0x97)], 0x2e, ALDER_LAKE),
    misses(&[(0x9a, 0x9a)], 0x42c, ALDER_LAKE),
    // Alder Lake N, which is all Gracemont.
    misses(&[(0xbe, 0xbe)], 0x11, ALDER_LAKE),
    misses(&[(0xb7, 0xb7)], 0x118, RAPTOR_LAKE),
    misses(&[(0xba, 0xba)], 0x4117, RAPTOR_LAKE),
    misses(&[(0xbf, 0xbf)], 0x2e, RAPTOR_LAKE),
    // Zen 2.
    amd(0x17, &[(0x30, 0x4f), (0x60, 0x7f), (0x90, 0x91), (0xa0, 0xaf)], Rule::NoInvlpgb, "Linux, arch/x86/kernel/cpu/amd.c, init_amd_zen2"),
    // K8, and Griffin. All later families have the register DE_CFG.
    amd(0x0f, ALL_MODELS, Rule::LfenceSerialises, LFENCE),
    amd(0x11, ALL_MODELS, Rule::LfenceSerialises, LFENCE),
    // Skylake, Kaby Lake and Comet Lake clients.
    intel(&[(0x4e, 0x4e), (0x5e, 0x5e), (0x8e, 0x8e), (0x9e, 0x9e), (0xa5, 0xa6)], Rule::Crystals(&[24 * MHZ]), SDM_CRYSTALS),
    // Skylake-X: servers, and workstations. The SDM has the servers' alone, and a guess would be off by 4 %.
    intel(&[(0x55, 0x55)], Rule::Crystals(&[25 * MHZ, 24 * MHZ]), "Intel SDM, as before, and OpenCore's table of CPUs"),
    // Denverton.
    intel(&[(0x5f, 0x5f)], Rule::Crystals(&[25 * MHZ]), "Linux, arch/x86/kernel/tsc.c"),
    // Goldmont, and Goldmont Plus.
    intel(&[(0x5c, 0x5c)], Rule::Crystals(&[19_200_000]), SDM_CRYSTALS),
    intel(&[(0x7a, 0x7a)], Rule::Crystals(&[19_200_000]), "NetBSD, identcpu.c; turbostat"),
];

fn rules(features: &Features) -> impl Iterator<Item = Rule> + use<> {
    let cpu = (features.vendor_kind(), features.family, features.model);
    TABLE.iter().filter_map(move |erratum| {
        let (vendor, family, model) = cpu;
        let known = |&(first, last): &(u8, u8)| (first..=last).contains(&model);
        let applies = (erratum.vendor, erratum.family) == (vendor, family)
            && erratum.models.iter().any(known);
        applies.then_some(erratum.rule)
    })
}

/// Why a feature is not used that CPUID offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Withheld {
    /// PCIDs: INVLPG may leave global translations behind.
    Pcid {
        /// The revision of the microcode.
        microcode: Option<u64>,
        /// The first one with which PCIDs would be used.
        mended_in: u64,
    },
    /// INVLPGB.
    Invlpgb,
}

impl core::fmt::Display for Withheld {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Withheld::Pcid {
                microcode,
                mended_in,
            } => write!(
                f,
                "PCIDs stay off: with microcode {:#x} INVLPG may leave global translations behind, which {mended_in:#x} mends",
                microcode.unwrap_or(0)
            ),
            Withheld::Invlpgb => write!(
                f,
                "INVLPGB is not used: CPUs of this model offer it by mistake"
            ),
        }
    }
}

/// Takes out of `features` what this CPU cannot be trusted with, and calls `withheld` for each.
pub fn apply(features: &mut Features, microcode: Option<u64>, mut withheld: impl FnMut(Withheld)) {
    let under = features.under.is_some();
    for rule in rules(features) {
        match rule {
            Rule::InvlpgMissesGlobals { mended_in }
                if features.pcid && !under && microcode.is_none_or(|found| found < mended_in) =>
            {
                features.pcid = false;
                withheld(Withheld::Pcid {
                    microcode,
                    mended_in,
                });
            }
            Rule::NoInvlpgb if features.invlpgb => {
                (features.invlpgb, features.invlpgb_pages) = (false, 0);
                withheld(Withheld::Invlpgb);
            }
            _ => {}
        }
    }
}

/// Whether LFENCE is known to wait on all CPUs of this family.
#[must_use]
pub fn lfence_serialises(features: &Features) -> bool {
    features.vendor_kind() == Vendor::Intel
        || rules(features).any(|rule| rule == Rule::LfenceSerialises)
}

/// The crystals that CPUs of this model have; none where that is not known.
#[must_use]
pub fn crystals(features: &Features) -> &'static [u64] {
    let crystals = rules(features).find_map(|rule| match rule {
        Rule::Crystals(crystals) => Some(crystals),
        _ => None,
    });
    crystals.unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::super::access::made_up::MadeUpCpu;
    use super::*;

    const PCID: u32 = 1 << 17;

    fn with_pcid(model: u32) -> MadeUpCpu {
        let cpu = MadeUpCpu::new("GenuineIntel", 6, model);
        let version = (model >> 4) << 16 | 6 << 8 | (model & 15) << 4;
        cpu.with(1, [version, 0, PCID, 0])
    }

    fn withheld(features: &mut Features, microcode: Option<u64>) -> Vec<Withheld> {
        let mut all = Vec::new();
        apply(features, microcode, |one| all.push(one));
        all
    }

    #[test]
    fn pcids_are_off_below_the_microcode_that_mends_invlpg() {
        for (model, mended_in) in [
            (0x97, 0x2e),
            (0x9a, 0x42c),
            (0xbe, 0x11),
            (0xb7, 0x118),
            (0xba, 0x4117),
            (0xbf, 0x2e),
        ] {
            let cpu = with_pcid(model);
            for (microcode, off) in [
                (Some(mended_in - 1), true),
                (Some(mended_in), false),
                (Some(mended_in + 1), false),
                (None, true),
            ] {
                let mut features = Features::read(&cpu);
                assert!(features.pcid && u32::from(features.model) == model);
                let reported = withheld(&mut features, microcode);
                let expected = Withheld::Pcid {
                    microcode,
                    mended_in,
                };
                assert_eq!(
                    reported,
                    if off { vec![expected] } else { vec![] },
                    "{model:#x}"
                );
                assert_eq!(features.pcid, !off, "{model:#x}");
            }
            // The erratum does not apply in virtual machines.
            let guest = cpu.under(0x4000_0000, b"KVMKVMKVM\0\0\0", 0x4000_0001);
            let mut features = Features::read(&guest);
            assert_eq!(withheld(&mut features, Some(1)), []);
            assert!(features.pcid);
        }
        // Meteor Lake has no such fault.
        let mut features = Features::read(&with_pcid(0xaa));
        assert_eq!(withheld(&mut features, Some(1)), []);
        assert!(features.pcid);
    }

    #[test]
    fn invlpgb_is_taken_out_on_zen_2_alone() {
        let cpu = |family, model| {
            let offers = MadeUpCpu::new("AuthenticAMD", family, model);
            offers.with(0x8000_0008, [0x3030, 1 << 3, 0, 7])
        };
        let mut zen_2 = Features::read(&cpu(0x17, 0x71));
        assert!(zen_2.invlpgb);
        assert_eq!(withheld(&mut zen_2, None), [Withheld::Invlpgb]);
        assert!(!zen_2.invlpgb && zen_2.invlpgb_pages == 0);
        let mut zen_3 = Features::read(&cpu(0x19, 0x21));
        assert_eq!(withheld(&mut zen_3, None), []);
        assert_eq!((zen_3.invlpgb, zen_3.invlpgb_pages), (true, 8));
    }

    #[test]
    fn lfence_by_family() {
        let serialises = |vendor, family| {
            lfence_serialises(&Features::read(&MadeUpCpu::new(vendor, family, 0x41)))
        };
        assert!(serialises("GenuineIntel", 6) && serialises("GenuineIntel", 15));
        assert!(serialises("AuthenticAMD", 0x0f) && serialises("AuthenticAMD", 0x11));
        for family in [0x10, 0x12, 0x14, 0x15, 0x17, 0x19, 0x1a] {
            assert!(!serialises("AuthenticAMD", family), "{family:#x}");
        }
        assert!(!serialises("HygonGenuine", 0x18) && !serialises("CentaurHauls", 6));
    }

    #[test]
    fn every_line_has_a_source_and_ranges_that_are_ranges() {
        for erratum in TABLE {
            assert!(!erratum.source.is_empty());
            assert!(!erratum.models.is_empty());
            assert!(erratum.models.iter().all(|(first, last)| first <= last));
        }
    }
}
