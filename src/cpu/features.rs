//! What CPUID says: who made the CPU, under which hypervisor it runs, and what the memory system may use of it.

use arrayvec::ArrayString;
use core::fmt::Write;
use raw_cpuid::CpuId;

use super::access::{CpuAccess, Reader};
use super::hypervisor::Hypervisor;

/// Who made a CPU, as far as rules hang on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vendor {
    /// Intel.
    Intel,
    /// AMD, and Hygon, whose CPUs are AMD's.
    Amd,
    /// Somebody else.
    Other,
}

/// The facts that the image depends on or reports; read once at start-up.
#[derive(Clone, Debug)]
pub struct Features {
    /// Vendor string, such as `GenuineIntel`.
    pub vendor: ArrayString<12>,
    /// Brand string without padding; empty where the CPU has none.
    pub brand: ArrayString<48>,
    /// Family, model and stepping as the manuals count them (extended fields added in).
    pub family: u8,
    /// See `family`.
    pub model: u8,
    /// See `family`.
    pub stepping: u8,
    /// The hypervisor, if one says that it is there.
    pub under: Option<Hypervisor>,
    /// The hypervisor is QEMU's own emulator, TCG.
    pub tcg: bool,
    /// Bits of a physical address.
    pub physical_bits: u8,
    /// Bits of a virtual address.
    pub virtual_bits: u8,
    /// NX: pages can be made not executable.
    pub no_execute: bool,
    /// PAT: leaves select one of eight memory types.
    pub page_attributes: bool,
    /// PGE: translations can be global.
    pub global_pages: bool,
    /// 1 GiB leaves.
    pub gib_pages: bool,
    /// Process-context identifiers.
    pub pcid: bool,
    /// The INVPCID instruction.
    pub invpcid: bool,
    /// The INVLPGB and TLBSYNC instructions.
    pub invlpgb: bool,
    /// Pages that one INVLPGB takes; 0 without the instruction.
    pub invlpgb_pages: u16,
    /// Five levels of page tables.
    pub la57: bool,
    /// RDTSCP. Some hypervisors end the machine on it where CPUID does not report it.
    pub rdtscp: bool,
    /// The TSC runs at one rate in every power state.
    pub invariant_tsc: bool,
}

impl Features {
    /// Asks the CPU. What single models cannot be trusted with is still in: [`errata::apply`](super::errata::apply) takes it out.
    #[must_use]
    pub fn read(cpu: &impl CpuAccess) -> Self {
        let cpuid = CpuId::with_cpuid_reader(Reader(cpu));
        let basic = cpuid.get_feature_info();
        let extended = cpuid.get_extended_feature_info();
        let processor = cpuid.get_extended_processor_and_feature_identifiers();
        let capacity = cpuid.get_processor_capacity_feature_info();
        let under = Hypervisor::find(cpu);

        let mut vendor = ArrayString::new();
        if let Some(info) = cpuid.get_vendor_info() {
            let _ = vendor.try_push_str(info.as_str());
        }
        let mut brand = ArrayString::new();
        if let Some(info) = cpuid.get_processor_brand_string() {
            let _ = brand.try_push_str(info.as_str().trim());
        }
        Features {
            vendor,
            brand,
            family: basic.as_ref().map_or(0, |info| info.family_id()),
            model: basic.as_ref().map_or(0, |info| info.model_id()),
            stepping: basic.as_ref().map_or(0, |info| info.stepping_id()),
            tcg: under
                .as_ref()
                .is_some_and(|under| under.name.contains("TCG")),
            under,
            physical_bits: capacity
                .as_ref()
                .map_or(36, |info| info.physical_address_bits()),
            virtual_bits: capacity
                .as_ref()
                .map_or(48, |info| info.linear_address_bits()),
            no_execute: processor
                .as_ref()
                .is_some_and(|info| info.has_execute_disable()),
            page_attributes: basic.as_ref().is_some_and(|info| info.has_pat()),
            global_pages: basic.as_ref().is_some_and(|info| info.has_pge()),
            gib_pages: processor.as_ref().is_some_and(|info| info.has_1gib_pages()),
            pcid: basic.as_ref().is_some_and(|info| info.has_pcid()),
            invpcid: extended.as_ref().is_some_and(|info| info.has_invpcid()),
            invlpgb: capacity.as_ref().is_some_and(|info| info.has_invlpgb()),
            invlpgb_pages: capacity
                .as_ref()
                .filter(|info| info.has_invlpgb())
                .map_or(0, |info| info.invlpgb_max_pages().saturating_add(1)),
            la57: extended.as_ref().is_some_and(|info| info.has_la57()),
            rdtscp: processor.as_ref().is_some_and(|info| info.has_rdtscp()),
            invariant_tsc: cpuid
                .get_advanced_power_mgmt_info()
                .is_some_and(|info| info.has_invariant_tsc()),
        }
    }

    /// Who made the CPU.
    #[must_use]
    pub fn vendor_kind(&self) -> Vendor {
        match self.vendor.as_str() {
            "GenuineIntel" => Vendor::Intel,
            "AuthenticAMD" | "HygonGenuine" => Vendor::Amd,
            _ => Vendor::Other,
        }
    }

    /// The name of the hypervisor, if one says that it is there.
    #[must_use]
    pub fn hypervisor(&self) -> Option<&str> {
        self.under.as_ref().map(|under| under.name.as_str())
    }

    /// The brand string, or the vendor where the CPU has none.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.brand.is_empty() {
            &self.vendor
        } else {
            &self.brand
        }
    }

    /// The names of the optional features that are there, as Linux's `/proc/cpuinfo` has them, separated by spaces.
    #[must_use]
    pub fn names(&self) -> ArrayString<96> {
        let mut names = ArrayString::new();
        for (present, name) in [
            (self.no_execute, "nx"),
            (self.global_pages, "pge"),
            (self.gib_pages, "pdpe1gb"),
            (self.pcid, "pcid"),
            (self.invpcid, "invpcid"),
            (self.invlpgb, "invlpgb"),
            (self.la57, "la57"),
            (self.rdtscp, "rdtscp"),
            (self.invariant_tsc, "nonstop_tsc"),
        ] {
            if present {
                let separator = if names.is_empty() { "" } else { " " };
                let _ = write!(names, "{separator}{name}");
            }
        }
        names
    }
}
