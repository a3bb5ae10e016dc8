//! Who executes the guest's instructions, and so what a tick is.

/// The least and the most of several readings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Spread {
    /// Of these readings; `None` of none.
    pub fn of(readings: impl IntoIterator<Item = u64>) -> Option<Self> {
        readings
            .into_iter()
            .fold(None, |spread: Option<Self>, reading| {
                let Spread { min, max } = spread.unwrap_or(Spread {
                    min: reading,
                    max: reading,
                });
                Some(Spread {
                    min: min.min(reading),
                    max: max.max(reading),
                })
            })
    }

    /// The value, if all readings were equal.
    #[must_use]
    pub fn exact(self) -> Option<u64> {
        (self.min == self.max).then_some(self.min)
    }
}

/// Who executes the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// The CPU, and nobody is above the image.
    Silicon,
    /// The CPU, under a hypervisor.
    HardwareVirtualisation,
    /// A hypervisor that offers itself as hardware and interprets each instruction of a kernel.
    EmulatingKvm,
    /// QEMU's translator, on the host's time.
    Tcg,
    /// QEMU's translator, on a time that advances by 2^shift with each instruction.
    TcgIcount {
        /// `-icount shift=`.
        shift: u8,
    },
}

/// NOPs of the long block.
const NOPS: u64 = 1000;
/// More ticks for a NOP than any CPU takes.
const EMULATED_ABOVE: u64 = 10;
/// QEMU's largest shift.
const MAX_SHIFT: u8 = 10;

impl Class {
    /// Concludes the class. The readings are ticks of whole brackets: around nothing, around one NOP, around 1,000.
    ///
    /// A clock that counts instructions gives itself away: no two readings of one block differ, and each NOP takes the same
    /// power of two. No hardware with fences around the block does that. Ten ticks a NOP are more than any hardware takes.
    #[must_use]
    pub fn of(hypervisor: Option<&str>, empty: Spread, one: Spread, thousand: Spread) -> Self {
        if let Some(shift) = icount_shift(empty, one, thousand) {
            return Class::TcgIcount { shift };
        }
        let slope = thousand.min.saturating_sub(empty.min) / NOPS;
        match hypervisor {
            Some(signature) if signature.contains("TCG") => Class::Tcg,
            _ if slope >= EMULATED_ABOVE => Class::EmulatingKvm,
            Some(_) => Class::HardwareVirtualisation,
            None => Class::Silicon,
        }
    }

    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::Silicon => "silicon",
            Class::HardwareVirtualisation => "hardware_virtualisation",
            Class::EmulatingKvm => "emulating_kvm",
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
        matches!(self, Class::Silicon | Class::HardwareVirtualisation)
    }
}

fn icount_shift(empty: Spread, one: Spread, thousand: Spread) -> Option<u8> {
    let (empty, one, thousand) = (empty.exact()?, one.exact()?, thousand.exact()?);
    let tick = one
        .checked_sub(empty)
        .filter(|tick| tick.is_power_of_two())?;
    let shift = u8::try_from(tick.trailing_zeros()).ok()?;
    (shift <= MAX_SHIFT && thousand.checked_sub(empty)? == NOPS << shift).then_some(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(min: u64, max: u64) -> Spread {
        Spread { min, max }
    }

    fn exact(value: u64) -> Spread {
        spread(value, value)
    }

    #[test]
    fn icount_with_every_shift() {
        for shift in 0..=10 {
            let class = Class::of(
                Some("TCGTCGTCGTCG"),
                exact(4 << shift),
                exact(5 << shift),
                exact(1004 << shift),
            );
            assert_eq!(class, Class::TcgIcount { shift });
            assert!(!class.is_hardware());
        }
        // A hidden signature hides nothing.
        let hidden = Class::of(None, exact(4), exact(5), exact(1004));
        assert_eq!(hidden, Class::TcgIcount { shift: 0 });
    }

    /// Readings as they were taken on such machines.
    #[test]
    fn machines_that_are_known() {
        let tcg = Class::of(
            Some("TCGTCGTCGTCG"),
            spread(104, 2600),
            spread(104, 1300),
            spread(650, 141_804),
        );
        assert_eq!(tcg, Class::Tcg);
        let emulating = [spread(11_000, 13_000), spread(12_500, 16_000)];
        let emulating = Class::of(
            Some("KVMKVMKVM"),
            emulating[0],
            emulating[1],
            spread(1_830_000, 1_900_000),
        );
        assert_eq!(emulating, Class::EmulatingKvm);
        assert!(!emulating.is_hardware());
        let kvm =
            |signature| Class::of(signature, spread(34, 300), spread(34, 90), spread(204, 900));
        assert_eq!(kvm(Some("KVMKVMKVM")), Class::HardwareVirtualisation);
        assert_eq!(kvm(Some("Microsoft Hv")), Class::HardwareVirtualisation);
        assert_eq!(kvm(None), Class::Silicon);
        assert!(kvm(None).is_hardware());
    }

    #[test]
    fn exact_readings_alone_are_no_icount() {
        // A coarse clock that did not move within any of the blocks, and one that moved once.
        let stuck = Class::of(Some("KVMKVMKVM"), exact(0), exact(0), exact(0));
        assert_eq!(stuck, Class::HardwareVirtualisation);
        let even = Class::of(None, exact(34), exact(34), exact(284));
        assert_eq!(even, Class::Silicon);
        // One NOP in 1,000 cost a tick less: no count of instructions.
        let almost = Class::of(Some("TCGTCGTCGTCG"), exact(4), exact(5), exact(1003));
        assert_eq!(almost, Class::Tcg);
    }

    #[test]
    fn the_spread_of_readings() {
        assert_eq!(Spread::of([3, 1, 2]), Some(spread(1, 3)));
        assert_eq!(Spread::of([]), None);
        assert_eq!(spread(1, 3).exact(), None);
    }
}
