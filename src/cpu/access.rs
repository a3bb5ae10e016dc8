//! The one way to CPUID and to model-specific registers.
//!
//! What reads them is generic over [`CpuAccess`]: on the machine that is [`ThisCpu`], on the host a table of made-up answers.

use raw_cpuid::{CpuIdReader, CpuIdResult};

/// What a CPU says of itself.
pub trait CpuAccess {
    /// A leaf of CPUID. A leaf beyond the last one says nothing that means anything: ask [`Self::leaf`].
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuIdResult;

    /// The model-specific register `index`; `None` where the CPU has none, or a hypervisor keeps it to itself.
    fn read_msr(&self, index: u32) -> Option<u64>;

    /// Writes the model-specific register `index`; `false` where the CPU refuses it.
    ///
    /// # Safety
    ///
    /// The register means what the caller thinks it does on this CPU, and nothing that runs depends on its old value.
    unsafe fn write_msr(&self, index: u32, value: u64) -> bool;

    /// Subleaf 0 of a leaf of CPUID, where the range that it is in reaches so far: basic, extended (8000_0000H).
    fn leaf(&self, leaf: u32) -> Option<CpuIdResult> {
        let range = leaf & 0xffff_0000;
        let last = self.cpuid(range, 0).eax;
        // Without a range the CPU answers with something else.
        (last & 0xffff_0000 == range && leaf <= last).then(|| self.cpuid(leaf, 0))
    }
}

/// A way to a CPU, as the crate `raw_cpuid` wants it.
#[derive(Debug)]
pub struct Reader<'c, C>(pub &'c C);

impl<C> Clone for Reader<'_, C> {
    fn clone(&self) -> Self {
        Reader(self.0)
    }
}

impl<C: CpuAccess> CpuIdReader for Reader<'_, C> {
    fn cpuid2(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
        self.0.cpuid(leaf, subleaf)
    }
}

/// The CPU that executes this.
#[cfg(any(target_os = "none", hosted))]
#[derive(Clone, Copy, Debug)]
pub struct ThisCpu;

#[cfg(any(target_os = "none", hosted))]
impl CpuAccess for ThisCpu {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
        raw_cpuid::cpuid!(leaf, subleaf)
    }

    fn read_msr(&self, index: u32) -> Option<u64> {
        super::probe::read_msr(index)
    }

    unsafe fn write_msr(&self, index: u32, value: u64) -> bool {
        // SAFETY: the caller's promise.
        unsafe { super::probe::write_msr(index, value) }
    }
}

/// A CPU of made-up answers.
#[cfg(test)]
pub(crate) mod made_up {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    /// Leaves and registers that are not named are zero and absent.
    #[derive(Default)]
    pub(crate) struct MadeUpCpu {
        leaves: BTreeMap<u32, [u32; 4]>,
        subleaves: BTreeMap<(u32, u32), [u32; 4]>,
        registers: RefCell<BTreeMap<u32, u64>>,
        /// Registers that keep their value whatever is written.
        stubborn: Vec<u32>,
    }

    impl MadeUpCpu {
        /// An Intel or AMD CPU of this family and model.
        pub(crate) fn new(vendor: &str, family: u32, model: u32) -> Self {
            let word = |at: usize| {
                let bytes = vendor.as_bytes();
                u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            };
            let base = family.min(15);
            let version =
                (family - base) << 20 | (model >> 4) << 16 | base << 8 | (model & 15) << 4;
            Self::default()
                .with(0, [0x16, word(0), word(8), word(4)])
                .with(1, [version, 0, 0, 0])
                .with(0x8000_0000, [0x8000_0021, 0, 0, 0])
        }

        /// EAX, EBX, ECX and EDX of a leaf.
        pub(crate) fn with(mut self, leaf: u32, answers: [u32; 4]) -> Self {
            self.leaves.insert(leaf, answers);
            self
        }

        /// The same of a subleaf; those of the leaf that are not named are zero.
        pub(crate) fn with_subleaf(mut self, leaf: u32, subleaf: u32, answers: [u32; 4]) -> Self {
            self.leaves.insert(leaf, [0; 4]);
            self.subleaves.insert((leaf, subleaf), answers);
            self
        }

        /// A register that can be read and written.
        pub(crate) fn with_msr(self, index: u32, value: u64) -> Self {
            self.registers.borrow_mut().insert(index, value);
            self
        }

        /// A register that takes no other value, and says nothing.
        pub(crate) fn with_stubborn_msr(mut self, index: u32, value: u64) -> Self {
            self.stubborn.push(index);
            self.with_msr(index, value)
        }

        /// A hypervisor at a base, with this last leaf.
        pub(crate) fn under(self, base: u32, signature: &[u8; 12], last: u32) -> Self {
            let word = |at| u32::from_le_bytes(signature[at..at + 4].try_into().unwrap());
            let mut features = self.leaves[&1];
            features[2] |= 1 << 31;
            self.with(1, features)
                .with(base, [last, word(0), word(4), word(8)])
        }
    }

    impl CpuAccess for MadeUpCpu {
        fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
            let of_subleaf = self.subleaves.get(&(leaf, subleaf));
            let of_leaf = || self.leaves.get(&leaf).copied().unwrap_or_default();
            let [eax, ebx, ecx, edx] = of_subleaf.copied().unwrap_or_else(of_leaf);
            CpuIdResult { eax, ebx, ecx, edx }
        }

        fn read_msr(&self, index: u32) -> Option<u64> {
            self.registers.borrow().get(&index).copied()
        }

        unsafe fn write_msr(&self, index: u32, value: u64) -> bool {
            let mut registers = self.registers.borrow_mut();
            match registers.get_mut(&index) {
                Some(register) if !self.stubborn.contains(&index) => *register = value,
                Some(_) => {}
                None => return false,
            }
            true
        }
    }

    #[test]
    fn a_leaf_beyond_the_last_one_is_absent() {
        let cpu = MadeUpCpu::new("GenuineIntel", 6, 0x97).with(0x17, [1, 2, 3, 4]);
        assert!(cpu.leaf(0x16).is_some() && cpu.leaf(0x17).is_none());
        assert!(cpu.leaf(0x8000_0021).is_some() && cpu.leaf(0x8000_0022).is_none());
        // Nothing answers in this range.
        assert!(cpu.leaf(0x8086_0001).is_none());
    }
}
