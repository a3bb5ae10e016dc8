//! A clock rate that does not move: turbo off and a fixed request to the hardware's own governor, for as long as a [`Steady`] lasts.
//!
//! - Intel: IA32_MISC_ENABLE bit 38 (turbo off; SDM volume 4), and where the firmware has hardware P-states on, IA32_HWP_REQUEST with the
//!   guaranteed level as least, most and wanted one (SDM volume 3, 15.4).
//! - AMD: HWCR bit 25 (CpbDis; APM volume 2, 17.2), and where CPPC is on, its request with the nominal level (PPR of family 19H, MSRC001_02B0
//!   to 02B3).
//!
//! Nothing is switched on that firmware left off. A register that refuses a write, or reads as if nothing had been written, as a hypervisor's
//! do, is left as it is. All of this is of the CPU that executes it.

use arrayvec::ArrayVec;

use super::access::CpuAccess;

const MISC_ENABLE: u32 = 0x1a0;
const TURBO_OFF: u64 = 1 << 38;
const PM_ENABLE: u32 = 0x770;
const HWP_CAPABILITIES: u32 = 0x771;
const HWP_REQUEST: u32 = 0x774;
const THERM_STATUS: u32 = 0x19c;

const HWCR: u32 = 0xc001_0015;
const BOOST_OFF: u64 = 1 << 25;
const CPPC_CAPABILITIES: u32 = 0xc001_02b0;
const CPPC_ENABLE: u32 = 0xc001_02b1;
const CPPC_REQUEST: u32 = 0xc001_02b3;

/// What was fixed.
#[derive(Debug, Default)]
pub struct Steady {
    /// Registers that were changed, and their values before.
    before: ArrayVec<(u32, u64), 2>,
    turbo: bool,
    request: bool,
}

impl Steady {
    /// Fixes what can be.
    pub fn fix(cpu: &dyn CpuAccess) -> Self {
        let mut steady = Steady::default();
        match cpu.cpuid(0, 0).ebx {
            // "Genu", "Auth", "Hygo".
            0x756e_6547 => steady.fix_intel(cpu),
            0x6874_7541 | 0x6f67_7948 => steady.fix_amd(cpu),
            _ => {}
        }
        steady
    }

    /// The words for it in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match (self.turbo, self.request) {
            (true, true) => "turbo_off request_fixed",
            (true, false) => "turbo_off",
            (false, true) => "request_fixed",
            (false, false) => "refused",
        }
    }

    /// Puts back what was found.
    pub fn end(self, cpu: &dyn CpuAccess) {
        for &(register, value) in self.before.iter().rev() {
            // SAFETY: the value that was found there.
            unsafe { cpu.write_msr(register, value) };
        }
    }

    fn fix_intel(&mut self, cpu: &dyn CpuAccess) {
        const HWP: u32 = 1 << 7;
        if let Some(enabled) = cpu.read_msr(MISC_ENABLE) {
            self.turbo = self.change(cpu, MISC_ENABLE, enabled, enabled | TURBO_OFF);
        }
        let has_hwp = cpu.leaf(6).is_some_and(|leaf| leaf.eax & HWP != 0);
        if has_hwp && cpu.read_msr(PM_ENABLE).is_some_and(|on| on & 1 != 0) {
            let guaranteed = cpu.read_msr(HWP_CAPABILITIES).map(|levels| levels >> 8);
            // Least, most and wanted level are the lowest three bytes.
            self.request = self.fix_request(cpu, HWP_REQUEST, guaranteed);
        }
    }

    fn fix_amd(&mut self, cpu: &dyn CpuAccess) {
        const BOOST: u32 = 1 << 9;
        const CPPC: u32 = 1 << 27;
        let boosts = cpu
            .leaf(0x8000_0007)
            .is_some_and(|leaf| leaf.edx & BOOST != 0);
        if boosts && let Some(hwcr) = cpu.read_msr(HWCR) {
            self.turbo = self.change(cpu, HWCR, hwcr, hwcr | BOOST_OFF);
        }
        let has_cppc = cpu
            .leaf(0x8000_0008)
            .is_some_and(|leaf| leaf.ebx & CPPC != 0);
        if has_cppc && cpu.read_msr(CPPC_ENABLE).is_some_and(|on| on & 1 != 0) {
            let nominal = cpu.read_msr(CPPC_CAPABILITIES).map(|levels| levels >> 16);
            // Most, least and wanted level are the lowest three bytes.
            self.request = self.fix_request(cpu, CPPC_REQUEST, nominal);
        }
    }

    /// Has all three levels of a request be `level`, of which the lowest byte counts; 0 is none.
    fn fix_request(&mut self, cpu: &dyn CpuAccess, register: u32, level: Option<u64>) -> bool {
        let level = level.unwrap_or(0) & 0xff;
        let Some(now) = cpu.read_msr(register).filter(|_| level != 0) else {
            return false;
        };
        self.change(cpu, register, now, now & !0xff_ffff | (level * 0x01_0101))
    }

    /// Writes a register, and looks whether it holds the value then; it need not be written where it does already.
    fn change(&mut self, cpu: &dyn CpuAccess, register: u32, now: u64, value: u64) -> bool {
        if now == value {
            return true;
        }
        // SAFETY: the registers ask for a clock rate, and nothing that runs depends on one.
        let holds =
            unsafe { cpu.write_msr(register, value) } && cpu.read_msr(register) == Some(value);
        if holds {
            // There is room for both registers of a CPU.
            let _ = self.before.try_push((register, now));
        }
        holds
    }
}

/// Whether the CPU is being slowed down because it is too hot (IA32_THERM_STATUS bit 0; SDM volume 3, 15.8.5); none where it does not say.
pub fn too_hot(cpu: &dyn CpuAccess) -> Option<bool> {
    const DIGITAL_SENSOR: u32 = 1;
    let intel = cpu.cpuid(0, 0).ebx == 0x756e_6547;
    let says = intel
        && cpu
            .leaf(6)
            .is_some_and(|leaf| leaf.eax & DIGITAL_SENSOR != 0);
    let status = says.then(|| cpu.read_msr(THERM_STATUS)).flatten()?;
    Some(status & 1 != 0)
}

/// Whether rates, in cycles per 1,000 ticks of windows that follow on each other, have settled: the last three differ by half a per cent at most.
#[must_use]
pub fn settled(rates: &[u64]) -> bool {
    let [.., a, b, c] = *rates else {
        return false;
    };
    let (least, most) = (a.min(b).min(c), a.max(b).max(c));
    (most - least) * 200 <= most
}

#[cfg(test)]
mod tests {
    use super::super::access::made_up::MadeUpCpu;
    use super::*;

    fn intel() -> MadeUpCpu {
        MadeUpCpu::new("GenuineIntel", 6, 0x8f)
            .with(6, [1 << 7 | 1, 0, 0, 0])
            .with_msr(MISC_ENABLE, 0x85_0089)
            .with_msr(PM_ENABLE, 1)
            .with_msr(HWP_CAPABILITIES, 0x0108_1a26)
            .with_msr(HWP_REQUEST, 0x8000_2601)
    }

    fn amd() -> MadeUpCpu {
        MadeUpCpu::new("AuthenticAMD", 0x1a, 2)
            .with(0x8000_0007, [0, 0, 0, 1 << 9])
            .with(0x8000_0008, [0, 1 << 27, 0, 0])
            .with_msr(HWCR, 0x100_0010)
            .with_msr(CPPC_CAPABILITIES, 0xc478_3c0f)
            .with_msr(CPPC_ENABLE, 1)
            .with_msr(CPPC_REQUEST, 0x3f00_0fc4)
    }

    #[test]
    fn intel_s_turbo_and_request_are_fixed_and_put_back() {
        let cpu = intel();
        let steady = Steady::fix(&cpu);
        assert_eq!(steady.name(), "turbo_off request_fixed");
        assert_eq!(cpu.read_msr(MISC_ENABLE), Some(0x40_0085_0089));
        assert_eq!(cpu.read_msr(HWP_REQUEST), Some(0x801a_1a1a));
        steady.end(&cpu);
        assert_eq!(cpu.read_msr(MISC_ENABLE), Some(0x85_0089));
        assert_eq!(cpu.read_msr(HWP_REQUEST), Some(0x8000_2601));
    }

    #[test]
    fn amd_s_boost_and_request_are_fixed_and_put_back() {
        let cpu = amd();
        let steady = Steady::fix(&cpu);
        assert_eq!(steady.name(), "turbo_off request_fixed");
        assert_eq!(cpu.read_msr(HWCR), Some(0x300_0010));
        assert_eq!(cpu.read_msr(CPPC_REQUEST), Some(0x3f78_7878));
        steady.end(&cpu);
        assert_eq!(cpu.read_msr(HWCR), Some(0x100_0010));
        assert_eq!(cpu.read_msr(CPPC_REQUEST), Some(0x3f00_0fc4));
    }

    #[test]
    fn what_firmware_left_off_stays_off() {
        let cpu = intel().with_msr(PM_ENABLE, 0);
        assert_eq!(Steady::fix(&cpu).name(), "turbo_off");
        assert_eq!(cpu.read_msr(HWP_REQUEST), Some(0x8000_2601));
        // Turbo is off: there is nothing to put back.
        let cpu = amd().with_msr(HWCR, BOOST_OFF).with_msr(CPPC_ENABLE, 0);
        let steady = Steady::fix(&cpu);
        assert_eq!(steady.name(), "turbo_off");
        assert!(steady.before.is_empty());
    }

    #[test]
    fn a_hypervisor_s_registers_refuse_or_forget() {
        let none = MadeUpCpu::new("GenuineIntel", 6, 0x8f).with(6, [1 << 7, 0, 0, 0]);
        assert_eq!(Steady::fix(&none).name(), "refused");
        let forgets = MadeUpCpu::new("AuthenticAMD", 0x19, 1)
            .with(0x8000_0007, [0, 0, 0, 1 << 9])
            .with_stubborn_msr(HWCR, 0);
        let steady = Steady::fix(&forgets);
        assert_eq!(steady.name(), "refused");
        assert!(steady.before.is_empty());
        assert_eq!(
            Steady::fix(&MadeUpCpu::new("CentaurHauls", 6, 15)).name(),
            "refused"
        );
    }

    #[test]
    fn a_cpu_that_is_slowed_down_says_so() {
        assert_eq!(
            too_hot(&intel().with_msr(THERM_STATUS, 0x8800_0001)),
            Some(true)
        );
        assert_eq!(
            too_hot(&intel().with_msr(THERM_STATUS, 0x8832_0002)),
            Some(false)
        );
        assert_eq!([too_hot(&intel()), too_hot(&amd())], [None, None]);
    }

    #[test]
    fn three_like_rates_are_settled() {
        assert!(settled(&[1000, 1200, 1400, 1405, 1399]));
        assert!(!settled(&[1400, 1400, 1410]) && !settled(&[1400, 1400]));
    }
}
