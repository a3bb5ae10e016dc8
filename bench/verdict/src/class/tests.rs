//! Readings of machines that the host is not. Those marked "read" were taken by the image on such a machine; the others are made up
//! from figures that are public: of CPUID, of exits and of NOPs a cycle.

use super::*;

/// A machine: what says that it is a hypervisor, the least and the most ticks of each bracket, and what is to be concluded.
struct Machine {
    name: &'static str,
    hypervisor: Option<&'static str>,
    empty: [u64; 2],
    one_nop: [u64; 2],
    nops: [u64; 2],
    additions: [u64; 2],
    cpuid: [u64; 2],
    /// Where somebody looked.
    row: Option<[u64; 2]>,
    class: Class,
}

impl Machine {
    fn readings(&self) -> Readings {
        let spread = |[min, max]: [u64; 2]| Spread { min, max };
        Readings {
            empty: spread(self.empty),
            one_nop: spread(self.one_nop),
            nops: spread(self.nops),
            additions: spread(self.additions),
            cpuid: spread(self.cpuid),
            row: self.row.map_or(Spread::NONE, spread),
        }
    }
}

const SILICON: Machine = Machine {
    name: "Xeon at its base rate: four NOPs a cycle",
    hypervisor: None,
    empty: [34, 60],
    one_nop: [34, 62],
    nops: [284, 420],
    additions: [1034, 1300],
    cpuid: [160, 240],
    row: None,
    class: Class::Silicon,
};

/// Its clock moves in steps of 26 ticks. The row is by its `control/nops=1000`, of which the 99th percentile was 2.4 ticks.
const TRANSLATED_BUSY: Machine = Machine {
    name: "KVM whose host is a translator on a busy host (read)",
    hypervisor: Some("KVM"),
    empty: [1, 900],
    one_nop: [1, 900],
    nops: [52, 1066],
    additions: [572, 6370],
    cpuid: [68_744, 900_000],
    row: Some([39, 9000]),
    class: Class::Emulator,
};

const MACHINES: [Machine; 23] = [
    SILICON,
    TRANSLATED_BUSY,
    Machine {
        name: "Intel N100: the core runs at 3.4 GHz, the TSC at 806 MHz, five NOPs a cycle",
        empty: [14, 40],
        one_nop: [14, 42],
        nops: [61, 110],
        additions: [251, 330],
        cpuid: [54, 80],
        ..SILICON
    },
    Machine {
        name: "a laptop of Intel's at 4.8 GHz, TSC at 2.2 GHz, eight NOPs a cycle",
        empty: [18, 50],
        one_nop: [18, 50],
        nops: [75, 140],
        additions: [476, 600],
        cpuid: [90, 130],
        ..SILICON
    },
    Machine {
        name: "Zen 5 laptop at 5.1 GHz, TSC at 2.0 GHz, NOPs fused in pairs: sixteen a cycle",
        empty: [20, 40],
        one_nop: [20, 40],
        nops: [45, 80],
        additions: [412, 520],
        cpuid: [60, 100],
        ..SILICON
    },
    Machine {
        name: "EPYC at its base rate: the TSC moves in steps",
        empty: [66, 88],
        one_nop: [66, 88],
        nops: [242, 330],
        additions: [1056, 1210],
        cpuid: [176, 264],
        ..SILICON
    },
    Machine {
        name: "a core that is throttled to 400 MHz under a TSC of 3 GHz",
        empty: [255, 300],
        one_nop: [255, 300],
        nops: [2130, 2600],
        additions: [7755, 8100],
        cpuid: [1755, 2400],
        ..SILICON
    },
    Machine {
        name: "an in-order Atom: two NOPs a cycle, a slow CPUID",
        empty: [48, 60],
        one_nop: [48, 60],
        nops: [548, 620],
        additions: [1048, 1100],
        cpuid: [548, 700],
        ..SILICON
    },
    Machine {
        name: "silicon with a system-management interrupt in a reading of each block",
        empty: [34, 400_000],
        one_nop: [34, 62],
        nops: [284, 420_000],
        additions: [1034, 500_000],
        cpuid: [160, 390_000],
        ..SILICON
    },
    Machine {
        name: "KVM on Intel",
        hypervisor: Some("KVM"),
        cpuid: [1234, 9000],
        class: Class::HardwareVirtualisation,
        ..SILICON
    },
    Machine {
        name: "KVM that hides (-cpu host,kvm=off,-hypervisor)",
        hypervisor: None,
        cpuid: [1234, 9000],
        class: Class::HiddenVirtualisation,
        ..SILICON
    },
    Machine {
        name: "KVM that hides, on a core that runs at four times its TSC's rate",
        hypervisor: None,
        empty: [14, 40],
        one_nop: [14, 42],
        nops: [61, 110],
        additions: [251, 330],
        cpuid: [330, 2000],
        row: None,
        class: Class::HiddenVirtualisation,
    },
    Machine {
        name: "VMware",
        hypervisor: Some("VMware"),
        cpuid: [1900, 24_000],
        class: Class::HardwareVirtualisation,
        ..SILICON
    },
    Machine {
        name: "Hyper-V",
        hypervisor: Some("Hyper-V"),
        cpuid: [1500, 30_000],
        class: Class::HardwareVirtualisation,
        ..SILICON
    },
    Machine {
        name: "Xen HVM",
        hypervisor: Some("Xen"),
        cpuid: [2300, 40_000],
        class: Class::HardwareVirtualisation,
        ..SILICON
    },
    Machine {
        name: "VirtualBox",
        hypervisor: Some("VBoxVBoxVBox"),
        cpuid: [4200, 90_000],
        class: Class::HardwareVirtualisation,
        ..SILICON
    },
    Machine {
        name: "bhyve",
        hypervisor: Some("bhyve"),
        cpuid: [2100, 20_000],
        class: Class::HardwareVirtualisation,
        ..SILICON
    },
    Machine {
        name: "QEMU's translator (read)",
        hypervisor: Some("QEMU TCG"),
        empty: [0, 26],
        one_nop: [0, 26],
        nops: [1, 26],
        additions: [572, 623],
        cpuid: [1, 26],
        row: None,
        class: Class::Tcg,
    },
    Machine {
        name: "QEMU's translator that hides (read: -cpu max,-hypervisor)",
        hypervisor: None,
        empty: [0, 26],
        one_nop: [0, 26],
        nops: [1, 141_804],
        additions: [572, 90_000],
        cpuid: [1, 60_000],
        row: None,
        class: Class::Emulator,
    },
    Machine {
        name: "KVM whose host is such a translator (read)",
        hypervisor: Some("KVM"),
        empty: [0, 26],
        one_nop: [0, 26],
        nops: [1, 26],
        additions: [312, 900],
        cpuid: [60_000, 900_000],
        row: None,
        class: Class::Emulator,
    },
    Machine {
        name: "a clock that stands still",
        hypervisor: None,
        empty: [0, 0],
        one_nop: [0, 0],
        nops: [0, 0],
        additions: [0, 0],
        cpuid: [0, 0],
        row: None,
        class: Class::Emulator,
    },
    Machine {
        name: "KVM that interprets a guest's kernel (read)",
        hypervisor: Some("KVM"),
        empty: [11_000, 13_000],
        one_nop: [12_500, 16_000],
        nops: [1_830_000, 1_900_000],
        additions: [1_840_000, 2_000_000],
        cpuid: [28_000, 40_000],
        row: None,
        class: Class::EmulatingKvm,
    },
    Machine {
        name: "QEMU's translator with -icount (read)",
        hypervisor: Some("QEMU TCG"),
        empty: [5, 5],
        one_nop: [6, 6],
        nops: [1005, 1005],
        additions: [1005, 1005],
        cpuid: [8, 8],
        row: None,
        class: Class::TcgIcount { shift: 0 },
    },
];

#[test]
fn every_kind_of_machine() {
    for machine in &MACHINES {
        let class = Class::of(machine.hypervisor, &machine.readings());
        assert_eq!(class, machine.class, "{}", machine.name);
    }
}

/// An emulator is hardware under no name; a hypervisor's name makes no hardware of one.
#[test]
fn no_signature_makes_hardware_of_an_emulator() {
    for machine in MACHINES
        .iter()
        .filter(|machine| !machine.class.is_hardware())
    {
        for signature in [
            None,
            Some("KVM"),
            Some("Xen"),
            Some("Hyper-V"),
            Some("QEMU TCG"),
        ] {
            let class = Class::of(signature, &machine.readings());
            assert!(!class.is_hardware(), "{} as {signature:?}", machine.name);
        }
    }
}

#[test]
fn icount_with_every_shift() {
    let block = |ticks: u64, shift: u8| Spread {
        min: ticks << shift,
        max: ticks << shift,
    };
    for shift in 0..=10 {
        let readings = Readings {
            empty: block(4, shift),
            one_nop: block(5, shift),
            nops: block(1004, shift),
            additions: block(1004, shift),
            cpuid: block(8, shift),
            row: Spread::NONE,
        };
        for signature in [None, Some("QEMU TCG")] {
            assert_eq!(Class::of(signature, &readings), Class::TcgIcount { shift });
        }
        // One NOP in 1,000 cost a tick less: no count of instructions.
        let almost = Readings {
            nops: block(1003, shift),
            ..readings
        };
        assert_eq!(Class::of(Some("QEMU TCG"), &almost), Class::Tcg);
    }
    // Exact readings alone are none either.
    let exact = |[min, _]: [u64; 2]| Spread { min, max: min };
    let silicon = Readings {
        empty: exact(SILICON.empty),
        one_nop: exact(SILICON.one_nop),
        nops: exact(SILICON.nops),
        ..SILICON.readings()
    };
    assert_eq!(Class::of(None, &silicon), Class::Silicon);
}

/// Sixteen blocks in a bracket say of a CPU what one says.
#[test]
fn a_closer_look_changes_nothing_of_a_cpu() {
    for machine in MACHINES
        .iter()
        .filter(|machine| machine.class.is_hardware())
    {
        let [empty, nops] = [machine.empty, machine.nops];
        let row = empty[0] + ROW * (nops[0] - empty[0]);
        let looked = Machine {
            row: Some([row, row * 2]),
            ..*machine
        };
        let class = Class::of(machine.hypervisor, &looked.readings());
        assert_eq!(class, machine.class, "{}", machine.name);
    }
}

#[test]
fn a_translator_whose_clock_moves_in_steps_is_no_cpu_at_a_closer_look() {
    let at_first = Machine {
        row: None,
        ..TRANSLATED_BUSY
    };
    let class = |machine: &Machine| Class::of(machine.hypervisor, &machine.readings());
    assert_eq!(class(&at_first), Class::HardwareVirtualisation);
    assert_eq!(class(&TRANSLATED_BUSY), Class::Emulator);
}

#[test]
fn figures_of_one_machine() {
    let disagree = |machine: &Machine, case| {
        let readings = machine.readings();
        nops_disagree(Class::of(machine.hypervisor, &readings), &readings, case)
    };
    for case in [250, 480, 130] {
        assert_eq!(disagree(&SILICON, case), None, "{case}");
    }
    // The translator that the run was moved to, and the one that was taken for a CPU.
    let no_cpu = |cycles| Some(Disagreement::NoCpu { cycles });
    assert_eq!(disagree(&SILICON, 2), no_cpu(2));
    let at_first = Machine {
        row: None,
        ..TRANSLATED_BUSY
    };
    assert_eq!(disagree(&at_first, 0), no_cpu(0));
    assert_eq!(disagree(&SILICON, 1_830_000), Some(Disagreement::Apart));
    // No case of a CPU in the state that it was in contradicts itself, and a translator's ticks are as they come.
    for machine in &MACHINES {
        let case = machine.nops[0] - machine.empty[0];
        assert_eq!(disagree(machine, case), None, "{}", machine.name);
    }
    for machine in MACHINES
        .iter()
        .filter(|machine| machine.class == Class::Emulator)
    {
        assert_eq!(disagree(machine, 8), None, "{}", machine.name);
    }
}

#[test]
fn the_spread_of_readings() {
    let mut spread = Spread::NONE;
    for reading in [3, 1, 2] {
        spread.add(reading);
    }
    assert_eq!(spread, Spread { min: 1, max: 3 });
    assert_eq!(spread.exact(), None);
}
