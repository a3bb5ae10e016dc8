//! Which hypervisor says that it is there: CPUID 1 ECX bit 31, and leaves from 4000_0000H on.

use arrayvec::ArrayString;

use super::access::CpuAccess;

/// A hypervisor that says that it is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hypervisor {
    /// Its name, or its signature where that is not a known one.
    pub name: ArrayString<16>,
    /// Its first leaf.
    pub base: u32,
}

/// Signatures, and whose they are. Linux's `arch/x86/kernel/cpu` has these, and Xen's and KVM's documentation.
const KNOWN: [(&[u8; 12], &str); 10] = [
    (b"KVMKVMKVM\0\0\0", KVM),
    (b"TCGTCGTCGTCG", "QEMU TCG"),
    (b"Microsoft Hv", HYPER_V),
    (b"VMwareVMware", "VMware"),
    (b"XenVMMXenVMM", XEN),
    (b"VBoxVBoxVBox", "VirtualBox"),
    (b"bhyve bhyve ", "bhyve"),
    (b"ACRNACRNACRN", "ACRN"),
    (b"Jailhouse\0\0\0", "Jailhouse"),
    (b" QNXQVMBSQG ", "QNX"),
];

/// Names that leaves and registers hang on.
pub const KVM: &str = "KVM";
/// See [`KVM`].
pub const XEN: &str = "Xen";
/// See [`KVM`].
pub const HYPER_V: &str = "Hyper-V";

/// Where the leaves of hypervisors begin, and how far the bases of two are apart.
const FIRST_BASE: u32 = 0x4000_0000;
const BASES_APART: u32 = 0x100;
/// Bases that are looked at. Linux looks at 256; what stands behind another's leaves is the second or third.
const BASES: u32 = 4;

impl Hypervisor {
    /// The one that `cpu` runs under. KVM and Xen that offer Hyper-V's leaves first are found by their own, behind those.
    #[must_use]
    pub fn find(cpu: &impl CpuAccess) -> Option<Self> {
        const ANNOUNCED: u32 = 1 << 31;
        if cpu.cpuid(1, 0).ecx & ANNOUNCED == 0 {
            return None;
        }
        let first = Self::at(cpu, FIRST_BASE);
        if &first.name == HYPER_V {
            let behind = (1..BASES).map(|n| Self::at(cpu, FIRST_BASE + n * BASES_APART));
            for other in behind {
                if matches!(other.name.as_str(), KVM | XEN) {
                    return Some(other);
                }
            }
        }
        Some(first)
    }

    fn at(cpu: &impl CpuAccess, base: u32) -> Self {
        let leaf = cpu.cpuid(base, 0);
        let mut signature = [0; 12];
        for (bytes, word) in signature.chunks_mut(4).zip([leaf.ebx, leaf.ecx, leaf.edx]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let known = KNOWN.iter().find(|(known, _)| *known == &signature);
        let mut name = ArrayString::new();
        // No name and no signature is longer.
        match known {
            Some((_, known)) => name.push_str(known),
            None => signature
                .into_iter()
                .filter(u8::is_ascii_graphic)
                .for_each(|byte| name.push(char::from(byte))),
        }
        if name.is_empty() {
            name.push_str("unnamed");
        }
        Hypervisor { name, base }
    }

    /// The last of its leaves. Early KVM left it 0 and meant base + 1 (Linux, Documentation/virt/kvm/x86/cpuid.rst).
    #[must_use]
    pub fn last_leaf(&self, cpu: &impl CpuAccess) -> u32 {
        match cpu.cpuid(self.base, 0).eax {
            0 => self.base + 1,
            last => last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::made_up::MadeUpCpu;
    use super::*;

    fn intel() -> MadeUpCpu {
        MadeUpCpu::new("GenuineIntel", 6, 0x55)
    }

    fn name(cpu: &MadeUpCpu) -> Option<String> {
        Hypervisor::find(cpu).map(|found| found.name.to_string())
    }

    #[test]
    fn each_signature_has_its_name() {
        assert_eq!(name(&intel()), None);
        for (signature, known) in KNOWN {
            let cpu = intel().under(FIRST_BASE, signature, FIRST_BASE + 1);
            assert_eq!(name(&cpu).as_deref(), Some(known));
        }
        let other = intel().under(FIRST_BASE, b"Some\x01one\xff's ", FIRST_BASE);
        assert_eq!(name(&other).as_deref(), Some("Someone's"));
        // The bit alone.
        let bit = intel().under(FIRST_BASE, &[0; 12], 0);
        assert_eq!(name(&bit).as_deref(), Some("unnamed"));
    }

    #[test]
    fn kvm_is_found_behind_hyper_v_s_leaves_and_with_a_last_leaf_of_0() {
        let behind = FIRST_BASE + 0x100;
        let both = intel()
            .under(FIRST_BASE, b"Microsoft Hv", FIRST_BASE + 5)
            .under(behind, b"KVMKVMKVM\0\0\0", behind + 1);
        let found = Hypervisor::find(&both).unwrap();
        assert_eq!((found.name.as_str(), found.base), (KVM, behind));
        let early = intel().under(FIRST_BASE, b"KVMKVMKVM\0\0\0", 0);
        let found = Hypervisor::find(&early).unwrap();
        assert_eq!(found.last_leaf(&early), FIRST_BASE + 1);
        let alone = intel().under(FIRST_BASE, b"Microsoft Hv", FIRST_BASE + 5);
        assert_eq!(name(&alone).as_deref(), Some(HYPER_V));
    }

    #[test]
    fn a_signature_without_the_bit_is_none() {
        let cpu = intel().with(FIRST_BASE, [FIRST_BASE + 1, 0x4b4d_564b, 0x564b_4d56, 0x4d]);
        assert_eq!(name(&cpu), None);
    }
}
