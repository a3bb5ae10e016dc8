//! The groups whose operations a process cannot execute: each is skipped as a whole, with the reason.

/// Groups by name: the patterns of their cases' names, and why none of them runs.
macro_rules! groups {
    ($($group:ident: $tier:ident, $patterns:expr, $reason:expr;)+) => {
        $(
            pub(super) mod $group {
                use pagemark::machine::Machine;

                use crate::harness::run::{Run, Tier};

                pub(in crate::cases) fn run(_: &mut Machine, run: &mut Run) {
                    run.in_tier(Tier::$tier, |run| {
                        for group in $patterns {
                            run.skip_group(group, $reason);
                        }
                    });
                }
            }
        )+
    };
}

groups! {
    tlb: Quick, ["tlb"], "dropping translations takes ring 0";
    entry: Full, ["entry"], "a process is in ring 3 already, and its kernel is another";
    fault: Quick, ["fault"], "the kernel handles a process's page faults";
    assist: Full, ["assist"], "dropping translations takes ring 0";
    address_space: Quick, ["space"], "writing CR3 takes ring 0";
    shootdown: Full, ["ipi", "shootdown", "sibling"], "interrupting another CPU and dropping translations takes ring 0";
    test_vmalloc: Full, ["test_vmalloc"], "each iteration writes to an area, and the CPU does not translate its address in a process";
}
