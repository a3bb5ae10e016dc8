//! Who executes the guest's instructions, and so what a tick is.
//!
//! A hypervisor's signature is one witness, and may be missing or wrong. The others are times that no signature changes: of
//! instructions that every CPU executes several of a cycle, of a chain of which it executes one a cycle, and of one that every
//! hypervisor traps. The chain is the measure for the other two, because it takes as many core cycles everywhere, whatever the ratio
//! of the core's clock to the TSC: a laptop's core runs at four times the rate of its TSC.

/// The least and the most of several readings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Spread {
    /// Of no readings.
    pub const NONE: Self = Spread {
        min: u64::MAX,
        max: 0,
    };

    /// Takes another reading in.
    pub fn add(&mut self, reading: u64) {
        self.min = self.min.min(reading);
        self.max = self.max.max(reading);
    }

    /// The value, if all readings were equal.
    #[must_use]
    pub fn exact(self) -> Option<u64> {
        (self.min == self.max).then_some(self.min)
    }
}

/// Ticks of whole brackets, each read several times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Readings {
    /// Around nothing.
    pub empty: Spread,
    /// Around one NOP.
    pub one_nop: Spread,
    /// Around 1,000 NOPs.
    pub nops: Spread,
    /// Around 1,000 additions, each of which needs the result of the one before.
    pub additions: Spread,
    /// Around one CPUID.
    pub cpuid: Spread,
    /// Around [`ROW`] times 1,000 NOPs; [`Spread::NONE`] where nobody looked.
    pub row: Spread,
}

impl Readings {
    /// None yet.
    pub const NONE: Self = Readings {
        empty: Spread::NONE,
        one_nop: Spread::NONE,
        nops: Spread::NONE,
        additions: Spread::NONE,
        cpuid: Spread::NONE,
        row: Spread::NONE,
    };

    /// Ticks of 1,000 NOPs, the bracket's own taken off: the least, as what disturbs only adds. Of the row where it was read: one
    /// block's time is one step of some clocks, or two.
    #[must_use]
    pub const fn ticks_per_1000_nops(&self) -> u64 {
        if self.row.max > 0 {
            self.row.min.saturating_sub(self.empty.min) / ROW
        } else {
            self.nops.min.saturating_sub(self.empty.min)
        }
    }

    /// Ticks of a CPUID, likewise.
    #[must_use]
    pub const fn ticks_per_cpuid(&self) -> u64 {
        self.cpuid.min.saturating_sub(self.empty.min)
    }

    /// Core cycles that pass in `ticks`, by the chain of additions; `None` where the clock did not move during it.
    fn cycles(&self, ticks: u64) -> Option<u64> {
        let chain = self.additions.min.checked_sub(self.empty.min)?;
        let cycles =
            u128::from(ticks) * u128::from(CHAIN) / u128::from((chain != 0).then_some(chain)?);
        u64::try_from(cycles).ok()
    }
}

/// Who executes the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// The CPU, and nothing shows that anybody is above the image.
    Silicon,
    /// The CPU, under a hypervisor.
    HardwareVirtualisation,
    /// The CPU, under a hypervisor that does not say that it is there.
    HiddenVirtualisation,
    /// A hypervisor that offers itself as hardware and interprets each instruction of a kernel.
    EmulatingKvm,
    /// A program that translates instructions and does not say so, or a hypervisor that such a program executes.
    Emulator,
    /// QEMU's translator, on the host's time.
    Tcg,
    /// QEMU's translator, on a time that advances by 2^shift with each instruction.
    TcgIcount {
        /// `-icount shift=`.
        shift: u8,
    },
}

/// Times that a row executes the long block.
pub const ROW: u64 = 16;
/// NOPs of the long block, and additions of the chain.
const NOPS: u64 = 1000;
const CHAIN: u64 = 1000;
/// More ticks for a NOP than any CPU takes, even one whose core runs at a tenth of the TSC's rate.
const EMULATED_ABOVE: u64 = 10;
/// Fewer core cycles for 1,000 NOPs than any CPU takes. The widest cores of today take eight instructions a cycle, and AMD's fuse NOPs in
/// pairs on top of that: 63 cycles. A translator leaves NOPs out: what is left are jumps between two or three blocks.
const NO_CPU_BELOW: u64 = 60;
/// More core cycles for a CPUID than any CPU takes: 100 to 500, and an exit to a hypervisor and back is never less than 1,000.
const TRAPPED_ABOVE: u64 = 1000;
/// QEMU's largest shift.
const MAX_SHIFT: u8 = 10;

impl Class {
    /// Concludes the class from what says that it is a hypervisor, if anything does, and from readings.
    ///
    /// A clock that counts instructions gives itself away: no two readings of one block differ, and each NOP takes the same
    /// power of two. No hardware with fences around the block does that.
    #[must_use]
    pub fn of(hypervisor: Option<&str>, readings: &Readings) -> Self {
        if let Some(shift) = icount_shift(readings) {
            return Class::TcgIcount { shift };
        }
        let nops = readings.ticks_per_1000_nops();
        let translated = readings
            .cycles(nops)
            .is_none_or(|cycles| cycles < NO_CPU_BELOW);
        let trapped = readings
            .cycles(readings.ticks_per_cpuid())
            .is_some_and(|cycles| cycles > TRAPPED_ABOVE);
        match hypervisor {
            Some(signature) if signature.contains("TCG") => Class::Tcg,
            _ if nops / NOPS >= EMULATED_ABOVE => Class::EmulatingKvm,
            _ if translated => Class::Emulator,
            Some(_) => Class::HardwareVirtualisation,
            None if trapped => Class::HiddenVirtualisation,
            None => Class::Silicon,
        }
    }

    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::Silicon => "silicon",
            Class::HardwareVirtualisation => "hardware_virtualisation",
            Class::HiddenVirtualisation => "hidden_virtualisation",
            Class::EmulatingKvm => "emulating_kvm",
            Class::Emulator => "emulator",
            Class::Tcg => "tcg",
            Class::TcgIcount { .. } => "tcg_icount",
        }
    }

    /// `-icount shift=`, where that is what counts.
    #[must_use]
    pub const fn shift(self) -> Option<u8> {
        match self {
            Class::TcgIcount { shift } => Some(shift),
            _ => None,
        }
    }

    /// Whether the CPU itself executes the instructions, so that their times are its own.
    #[must_use]
    pub const fn is_hardware(self) -> bool {
        matches!(
            self,
            Class::Silicon | Class::HardwareVirtualisation | Class::HiddenVirtualisation
        )
    }
}

/// Why two looks at 1,000 NOPs, taken at different times and in different ways, cannot be of one machine in one state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disagreement {
    /// The first look took the machine for hardware, and no CPU takes so few core cycles as the second one shows.
    NoCpu {
        /// Core cycles for 1,000 NOPs, at the rate of the first look.
        cycles: u64,
    },
    /// One is more than twice the other.
    Apart,
}

/// Holds the ticks of 1,000 NOPs that a case measured against the readings from which `class` was concluded.
///
/// A core may have got faster since, by less than a factor of two. Ticks of a few are alike, as they are the clock's step.
#[must_use]
pub fn nops_disagree(class: Class, readings: &Readings, case: u64) -> Option<Disagreement> {
    const STEP: u64 = 60;
    let probe = readings.ticks_per_1000_nops();
    let cycles = readings.cycles(case).unwrap_or(0);
    if class.is_hardware() && cycles < NO_CPU_BELOW / 2 {
        return Some(Disagreement::NoCpu { cycles });
    }
    let apart = probe > 2 * case.saturating_add(STEP) || case > 2 * probe.saturating_add(STEP);
    apart.then_some(Disagreement::Apart)
}

fn icount_shift(readings: &Readings) -> Option<u8> {
    let empty = readings.empty.exact()?;
    let slope = |block: Spread| block.exact()?.checked_sub(empty);
    let tick = slope(readings.one_nop).filter(|tick| tick.is_power_of_two())?;
    let shift = u8::try_from(tick.trailing_zeros()).ok()?;
    let counted = slope(readings.nops)? == NOPS << shift;
    (shift <= MAX_SHIFT && counted).then_some(shift)
}

#[cfg(test)]
mod tests;
