use std::vec::Vec;

use super::super::access::made_up::MadeUpCpu;
use super::*;

const GENERAL: u32 = 8 << 8 | 48 << 16 | 8 << 24;

/// An Intel CPU with `version` of the counters, of which the programmable ones exist as registers.
fn intel(model: u32, version: u32) -> MadeUpCpu {
    let fixed = if version >= 2 { 3 | 48 << 5 } else { 0 };
    let mut cpu = MadeUpCpu::new("GenuineIntel", 6, model)
        .with(0xa, [version | GENERAL, 0, 0, fixed])
        .with_msr(MISC_ENABLE, MISC_ENABLE_PERFMON);
    for place in 0..8 {
        cpu = cpu.with_msr(0x186 + place, 0).with_msr(0xc1 + place, 0);
    }
    if version >= 2 {
        for register in [0x309, 0x30a, 0x30b, 0x38d, 0x38f] {
            cpu = cpu.with_msr(register, 0);
        }
    }
    cpu
}

fn amd(version_2: bool) -> MadeUpCpu {
    let mut cpu = MadeUpCpu::new("AuthenticAMD", 0x1a, 2).with(0x8000_0000, [0x8000_0022, 0, 0, 0]);
    cpu = cpu.with(0x8000_0001, [0, 0, 1 << 23, 0]);
    if version_2 {
        cpu = cpu.with(0x8000_0022, [1, 6, 0, 0]).with_msr(0xc000_0301, 0);
    }
    for place in 0..12 {
        cpu = cpu.with_msr(0xc001_0200 + place, 0);
    }
    cpu
}

fn kinds(counters: &Counters) -> Vec<Kind> {
    counters.kinds().collect()
}

fn write(cpu: &MadeUpCpu, register: u32, value: u64) {
    // SAFETY: it is made up.
    assert!(unsafe { cpu.write_msr(register, value) });
}

#[test]
fn intel_s_fixed_counters_leave_the_others_to_walks() {
    let cpu = intel(0x8f, 5)
        .with_msr(0x38f, 4 << 32)
        .with_msr(0x38d, 0x300);
    let counters = Counters::start(&cpu).unwrap();
    use Kind::{Cycles, Instructions, LoadWalkCycles, LoadWalks, StoreWalkCycles, StoreWalks};
    let all = [
        Instructions,
        Cycles,
        LoadWalks,
        StoreWalks,
        LoadWalkCycles,
        StoreWalkCycles,
    ];
    assert_eq!(kinds(&counters), all);
    // What another use of the fixed counters has set stays.
    assert_eq!(cpu.read_msr(0x38d), Some(0x333));
    assert_eq!(cpu.read_msr(0x38f), Some(7 << 32 | 0xf));
    let selects = [0x186, 0x187, 0x188, 0x189, 0x18a].map(|select| cpu.read_msr(select).unwrap());
    assert_eq!(selects, [0x43_0e12, 0x43_0e13, 0x43_1012, 0x43_1013, 0]);
    counters.stop(&cpu);
    assert_eq!(cpu.read_msr(0x38f), Some(4 << 32));
    assert_eq!(cpu.read_msr(0x38d), Some(0x300));
    assert_eq!(cpu.read_msr(0x186), Some(0));
}

#[test]
fn the_first_version_has_programmable_counters_and_no_switch() {
    let counters = Counters::start(&intel(0xff, 1)).unwrap();
    assert_eq!(kinds(&counters), [Kind::Cycles, Kind::Instructions]);
    // The events that are not there are named by their bits.
    let cpu = intel(0xff, 1).with(0xa, [1 | GENERAL, 1, 0, 0]);
    let counters = Counters::start(&cpu).unwrap();
    assert_eq!(kinds(&counters), [Kind::Instructions]);
}

#[test]
fn versions_2_to_5_have_a_switch_and_fixed_counters() {
    for version in 2..=5 {
        let cpu = intel(0x55, version);
        let counters = Counters::start(&cpu).unwrap();
        let all = [Kind::Instructions, Kind::Cycles, Kind::LoadWalks];
        assert_eq!(kinds(&counters)[..3], all, "{version}");
        assert_eq!(cpu.read_msr(0x38d), Some(0x33), "{version}");
        assert_eq!(cpu.read_msr(0x38f), Some(3 << 32 | 0xf), "{version}");
        // Fixed counters that are not announced are left alone; version 5 alone announces them by a map.
        let cpu = intel(0x55, version).with(0xa, [version | GENERAL, 0, 1 << 1, 48 << 5]);
        let counters = Counters::start(&cpu).unwrap();
        let fixed = if version == 5 { 0x30 } else { 0 };
        assert_eq!(cpu.read_msr(0x38d), Some(fixed), "{version}");
        assert_eq!(kinds(&counters)[0], Kind::Cycles, "{version}");
        assert!(kinds(&counters).contains(&Kind::Instructions), "{version}");
    }
}

#[test]
fn amd_s_four_counters_of_family_10h_are_used_where_there_are_no_others() {
    let mut cpu = MadeUpCpu::new("AuthenticAMD", 0x17, 1);
    for place in 0..8 {
        cpu = cpu.with_msr(0xc001_0000 + place, 0);
    }
    let counters = Counters::start(&cpu).unwrap();
    let all = [Kind::Cycles, Kind::Instructions, Kind::Walks];
    assert_eq!(kinds(&counters), all);
    let selects = [0, 1, 2, 3].map(|place| cpu.read_msr(0xc001_0000 + place).unwrap());
    assert_eq!(selects, [0x43_0076, 0x43_00c0, 0x43_f045, 0]);
    // A refill of 64 pages.
    let before = counters.read(&cpu);
    write(&cpu, 0xc001_0006, 64);
    let counts = counters.between(before, counters.read(&cpu));
    assert_eq!(counters.of(Kind::Walks, counts), Some(64));
    counters.stop(&cpu);
    assert_eq!(cpu.read_msr(0xc001_0002), Some(0));
}

#[test]
fn counters_that_somebody_uses_or_that_keep_nothing_are_left_alone() {
    // Firmware has the first one; the second keeps nothing.
    let cpu = intel(0x55, 1)
        .with_msr(0x186, ENABLE | 0x3c)
        .with_stubborn_msr(0xc2, 0);
    let counters = Counters::start(&cpu).unwrap();
    assert_eq!(kinds(&counters), [Kind::Cycles, Kind::Instructions]);
    assert_eq!(cpu.read_msr(0x186), Some(ENABLE | 0x3c));
    let selects = [0x187, 0x188, 0x189].map(|select| cpu.read_msr(select).unwrap());
    assert_eq!(selects, [0, 0x43_003c, 0x43_00c0]);
}

#[test]
fn what_is_announced_and_raises_a_fault_is_absent() {
    let announced = |cpu: MadeUpCpu| Counters::start(&cpu).err();
    let bare = || MadeUpCpu::new("GenuineIntel", 6, 0x55).with(0xa, [2 | GENERAL, 0, 0, 3]);
    // Every register faults.
    assert_eq!(announced(bare()), Some(Absent::NotUsable));
    assert_eq!(
        announced(bare().with(0xa, [0; 4])),
        Some(Absent::NotAnnounced)
    );
    assert_eq!(
        announced(intel(0x55, 2).with_msr(MISC_ENABLE, 0)),
        Some(Absent::SwitchedOff)
    );
    // KVM without counters answers 0 to AMD's and drops what is written.
    let mut kvm = MadeUpCpu::new("AuthenticAMD", 0x19, 1);
    for place in 0..8 {
        kvm = kvm.with_stubborn_msr(0xc001_0000 + place, 0);
    }
    assert_eq!(announced(kvm), Some(Absent::NotUsable));
    let none = MadeUpCpu::new("CentaurHauls", 6, 15);
    assert_eq!(announced(none), Some(Absent::NotAnnounced));
}

#[test]
fn amd_s_counters_run_with_and_without_a_switch() {
    for version_2 in [true, false] {
        let cpu = amd(version_2);
        let counters = Counters::start(&cpu).unwrap();
        let all = [Kind::Cycles, Kind::Instructions, Kind::Walks];
        assert_eq!(kinds(&counters), all);
        let selects = [0, 2, 4, 6].map(|place| cpu.read_msr(0xc001_0200 + place).unwrap());
        assert_eq!(selects, [0x43_0076, 0x43_00c0, 0x43_f045, 0]);
        assert_eq!(cpu.read_msr(0xc000_0301), version_2.then_some(7));
        counters.stop(&cpu);
        assert_eq!(cpu.read_msr(0xc000_0301), version_2.then_some(0));
        assert_eq!(cpu.read_msr(0xc001_0204), Some(0));
    }
}

#[test]
fn a_counter_that_comes_round_has_counted_all_the_same() {
    let cpu = amd(true);
    let counters = Counters::start(&cpu).unwrap();
    write(&cpu, 0xc001_0201, (1 << 48) - 10);
    let before = counters.read(&cpu);
    write(&cpu, 0xc001_0201, 90);
    write(&cpu, 0xc001_0205, 64);
    let counts = counters.between(before, counters.read(&cpu));
    assert_eq!(counters.of(Kind::Cycles, counts), Some(100));
    assert_eq!(counters.of(Kind::Walks, counts), Some(64));
    assert_eq!(counters.of(Kind::LoadWalks, counts), None);
}

#[test]
fn counters_that_stand_still_or_count_something_else_are_stopped() {
    for (cycles, instructions, holds) in [
        (5_000, 20_100, true),
        (0, 0, false),
        (5_000, 19_000, false),
        (0, 20_100, false),
        (5_000, 30_000, false),
    ] {
        let cpu = amd(true);
        let confirmed = Counters::start(&cpu).unwrap().confirm(&cpu, 20_000, || {
            write(&cpu, 0xc001_0201, cycles);
            write(&cpu, 0xc001_0203, instructions);
        });
        assert_eq!(confirmed.is_ok(), holds, "{cycles} {instructions}");
        assert_eq!(cpu.read_msr(0xc000_0301) == Some(7), holds);
    }
}
