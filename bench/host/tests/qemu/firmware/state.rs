//! What firmware and loaders leave in the CPU's registers and in the BIOS data area: the run passes all the same.

use super::*;

/// A run on four CPUs whose first one executes this before it enters the image.
fn after(preamble: &[u8]) -> Log {
    let (mut made_up, address) = MadeUp::usual();
    made_up.preamble = preamble.to_vec();
    let log = by_pvh(made_up, address, usual_map(), &ON_FOUR);
    noticed(&log, &["smp: 4 CPUs run"]);
    log
}

/// movl %crN, %eax; orl $bits, %eax; movl %eax, %crN
fn or_into(register: u8, bits: u32) -> Vec<u8> {
    let operands = 0xc0 | register << 3;
    let [a, b, c, d] = bits.to_le_bytes();
    vec![0x0f, 0x20, operands, 0x0d, a, b, c, d, 0x0f, 0x22, operands]
}

/// movl $register, %ecx; movl $low, %eax; movl $high, %edx; wrmsr
fn write_msr(register: u32, low: u32, high: u32) -> Vec<u8> {
    let mut code = Vec::new();
    for (instruction, value) in [(0xb9, register), (0xb8, low), (0xba, high)] {
        code.push(instruction);
        code.extend(value.to_le_bytes());
    }
    code.extend([0x0f, 0x30]);
    code
}

#[test]
fn bits_that_are_left_on_in_control_registers_do_no_harm() {
    // CR0: caches off; write protection, alignment mask and numeric errors; task switched and emulation.
    for bits in [0x4000_0000, 0x6000_0000, 0x0005_0020, 0xc] {
        after(&or_into(0, bits));
    }
    // CR4: SMEP and SMAP; global pages and UMIP; five levels and global pages.
    for bits in [0x30_0000, 0x880, 0x1080] {
        after(&or_into(4, bits));
    }
    // EFER: NX and system calls, before long mode.
    after(&write_msr(0xc000_0080, 0x801, 0));
}

#[test]
fn memory_types_that_leave_everything_uncached_do_no_harm() {
    const DEFAULT_TYPE: u32 = 0x2ff;
    after(&write_msr(DEFAULT_TYPE, 0x800, 0));
    after(&write_msr(DEFAULT_TYPE, 0, 0));
}

/// A counter that begins shortly before it wraps, or with its highest bit set.
#[test]
fn the_time_stamp_counter_may_stand_at_any_value() {
    for (low, high) in [
        (0xffff_0000, u32::MAX),
        (0, 0x8000_0000),
        (u32::MAX, 0x7fff_ffff),
    ] {
        after(&write_msr(0x10, low, high));
    }
}

/// cld's opposite, and a breakpoint that is armed.
#[test]
fn flags_and_debug_registers_may_hold_anything() {
    after(&[0xfd]);
    // movl $0x8100000, %eax; movl %eax, %dr0; movl $1, %eax; movl %eax, %dr7
    let mut code = vec![0xb8, 0, 0, 0x10, 0x08, 0x0f, 0x23, 0xc0];
    code.extend([0xb8, 1, 0, 0, 0, 0x0f, 0x23, 0xf8]);
    after(&code);
}

/// In ROM, at 0, beyond everything, and in the data area itself.
#[test]
fn an_extended_bios_data_area_may_be_said_to_be_anywhere() {
    for segment in [0xf000u16, 0, 0xffff, 0x40] {
        let [low, high] = segment.to_le_bytes();
        after(&[0x66, 0xc7, 0x05, 0x0e, 0x04, 0, 0, low, high]);
    }
}

/// The boot CPU's alone: the others' stays where it was.
#[test]
fn a_local_apic_may_be_elsewhere_or_off() {
    const BASE: u32 = 0x1b;
    const BOOT_CPU: u32 = 0x100;
    const ENABLED: u32 = 0x800;
    for base in [0xfed1_0000 | BOOT_CPU | ENABLED, 0xfee0_0000 | BOOT_CPU] {
        let (mut made_up, address) = MadeUp::usual();
        made_up.preamble = write_msr(BASE, base, 0);
        by_pvh(made_up, address, usual_map(), &SHORT);
    }
}
