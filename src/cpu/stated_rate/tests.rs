use super::super::access::made_up::MadeUpCpu;
use super::*;

fn intel(model: u32) -> MadeUpCpu {
    MadeUpCpu::new("GenuineIntel", 6, model)
}

fn rates(cpu: &MadeUpCpu) -> StatedRates {
    StatedRates::read(cpu, &Features::read(cpu))
}

/// Leaves 15H and 16H of CPUs, and the rate that these have. Ice Lake and later state the crystal.
#[test]
fn leaf_15h_as_cpus_fill_it() {
    for (name, model, leaf_15h, base, stated, by_model) in [
        (
            "Ice Lake",
            0x7e,
            [2, 114, 38_400_000],
            2200,
            Some(2_188_800_000),
            None,
        ),
        (
            "N100",
            0xbe,
            [2, 42, 38_400_000],
            800,
            Some(806_400_000),
            None,
        ),
        (
            "i5-1240P",
            0x9a,
            [2, 88, 38_400_000],
            1700,
            Some(1_689_600_000),
            None,
        ),
        (
            "i7-8650U",
            0x8e,
            [2, 176, 0],
            2100,
            None,
            Some(2_112_000_000),
        ),
        (
            "i9-9900K",
            0x9e,
            [2, 300, 0],
            3600,
            None,
            Some(3_600_000_000),
        ),
        ("N4100", 0x7a, [3, 171, 0], 1100, None, Some(1_094_400_000)),
        (
            "Denverton, no leaf 16H",
            0x5f,
            [3, 264, 0],
            0,
            None,
            Some(2_200_000_000),
        ),
        (
            "Gold 6146, a server",
            0x55,
            [2, 256, 0],
            3200,
            None,
            Some(3_200_000_000),
        ),
        (
            "W-2145, a workstation",
            0x55,
            [2, 308, 0],
            3700,
            None,
            Some(3_696_000_000),
        ),
        ("55H without leaf 16H", 0x55, [2, 308, 0], 0, None, None),
        (
            "a model that is in no table",
            0xd0,
            [2, 200, 0],
            2600,
            None,
            None,
        ),
        ("no ratio", 0x9e, [2, 0, 24_000_000], 3600, None, None),
        ("an emulator's", 0x9e, [2, 2, 1], 0, None, None),
    ] {
        let [eax, ebx, ecx] = leaf_15h;
        let cpu = intel(model)
            .with(0x15, [eax, ebx, ecx, 0])
            .with(0x16, [base, 0, 0, 0]);
        let found = rates(&cpu);
        assert_eq!(
            (found.cpuid_15h, found.cpuid_15h_by_model),
            (stated, by_model),
            "{name}"
        );
        let base = (base != 0).then_some(u64::from(base) * MHZ);
        assert_eq!(found.cpuid_16h, base, "{name}");
    }
    // AMD has none of these leaves, and the model numbers are Intel's.
    let amd = MadeUpCpu::new("AuthenticAMD", 0x19, 0x5e).with(0x15, [2, 200, 0, 0]);
    assert_eq!(rates(&amd), StatedRates::default());
}

#[test]
fn what_hypervisors_state() {
    let base = 0x4000_0000;
    let vmware = intel(0x55)
        .under(base, b"VMwareVMware", base + 0x10)
        .with(base + 0x10, [2_200_000, 66_000, 0, 0]);
    assert_eq!(rates(&vmware).hypervisor, Some(2_200_000_000));
    // A KVM that has fewer leaves; what would be there is something else's.
    let kvm = intel(0x55)
        .under(base, b"KVMKVMKVM\0\0\0", base + 1)
        .with(base + 0x10, [2_200_000, 0, 0, 0]);
    assert_eq!(rates(&kvm).hypervisor, None);
    let xen = intel(0x55)
        .under(base, b"XenVMMXenVMM", base + 4)
        .with(base + 3, [1, 0, 2_400_000, 0]);
    assert_eq!(rates(&xen).hypervisor, Some(2_400_000_000));
    let hyper_v = |features: u32| {
        intel(0x55)
            .under(base, b"Microsoft Hv", base + 6)
            .with(base + 3, [features, 0, 0, 0])
            .with_msr(0x4000_0022, 2_593_905_000)
    };
    assert_eq!(rates(&hyper_v(1 << 11)).hypervisor, Some(2_593_905_000));
    assert_eq!(rates(&hyper_v(0)).hypervisor, None);
    // A last leaf that is none of the range.
    let broken = intel(0x55).under(base, b"VMwareVMware", u32::MAX);
    assert_eq!(rates(&broken).hypervisor, None);
}

#[test]
fn kvm_s_clock() {
    let base = 0x4000_0100;
    let register = |features: u32| {
        let cpu = intel(0x55)
            .under(0x4000_0000, b"Microsoft Hv", 0x4000_0005)
            .under(base, b"KVMKVMKVM\0\0\0", base + 1)
            .with(base + 1, [features, 0, 0, 0]);
        kvm_clock_register(&cpu, &Hypervisor::find(&cpu).unwrap())
    };
    assert_eq!(register(1 << 3 | 1 << 0), Some(0x4b56_4d01));
    assert_eq!((register(1 << 0), register(0)), (Some(0x12), None));
    // Multipliers and shifts as Linux computes them for 2.6 GHz, 500 MHz and 1 GHz.
    let close = |found: Option<u64>, hertz: u64| found.unwrap().abs_diff(hertz) < 10;
    assert!(close(by_kvm_clock(3_303_820_997, -1), 2_600_000_000));
    assert!(close(by_kvm_clock(1 << 31, 2), 500_000_000));
    assert!(close(by_kvm_clock(1 << 31, 1), 1_000_000_000));
    assert_eq!((by_kvm_clock(0, 0), by_kvm_clock(1, i8::MIN)), (None, None));
}

#[test]
fn a_wait_is_never_too_short() {
    let stated = |crystal| rates(&intel(0x7e).with(0x15, [2, 114, crystal, 0]));
    assert_eq!(stated(38_400_000).for_waits(), 2_188_800_000);
    assert_eq!(stated(0).for_waits(), 5_000_000_000);
    // What no CPU has.
    assert_eq!(stated(1_000_000).for_waits(), 5_000_000_000);
}
