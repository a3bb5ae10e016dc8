//! Both protocols between CPUs that are threads: each has a TLB that keeps what it is not asked to drop, and takes its interrupts
//! between any two reads and wherever it waits.
//!
//! A plain `cargo test` lets the threads run many times as they happen to. All interleavings up to a number of preemptions, and in
//! them every value that a load may see on a CPU with a weaker memory model than x86, are what `loom` goes through:
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib shootdown --target-dir target/loom`.
//! That it finds what is wrong is shown by protocols with the bugs that the field knows (`planted`).

#[cfg(not(loom))]
mod answers;
mod contexts;
mod model;
#[cfg(loom)]
mod planted;
mod scenarios;

use super::{GlobalSlot, Mailboxes, Protocol};
use contexts::LeftOut;
use model::{explore, mailboxes};

#[test]
fn global_slot_two_initiators_that_respond_to_each_other() {
    explore::<2>(|| scenarios::initiators::<_, 2>(GlobalSlot::new(), 2, 1));
}

#[test]
fn mailboxes_two_initiators_that_respond_to_each_other() {
    explore::<2>(|| scenarios::initiators::<_, 2>(mailboxes::<2>(), 2, 1));
}

#[test]
fn global_slot_two_initiators_and_a_reader() {
    explore::<3>(|| scenarios::initiators::<_, 3>(GlobalSlot::new(), 2, 1));
}

#[test]
fn mailboxes_two_initiators_and_a_reader() {
    explore::<3>(|| scenarios::initiators::<_, 3>(mailboxes::<3>(), 2, 1));
}

/// Numbers so far apart that each CPU is in a word of its own. Under `loom` a word has room for two CPUs, so that three of them
/// need two words in every test.
#[cfg(not(loom))]
#[test]
fn cpus_in_different_words_of_a_set() {
    const SPREAD: usize = 70;
    explore::<3>(|| scenarios::initiators::<_, 3>(GlobalSlot::new(), 2, SPREAD));
    explore::<3>(|| scenarios::initiators::<_, 3>(mailboxes::<{ 3 * SPREAD }>(), 2, SPREAD));
}

#[test]
fn global_slot_one_after_the_other() {
    explore::<2>(|| scenarios::rounds(GlobalSlot::new()));
}

#[test]
fn mailboxes_one_after_the_other() {
    explore::<2>(|| scenarios::rounds(mailboxes::<2>()));
}

#[test]
fn mailboxes_a_cpu_that_falls_idle_and_comes_back() {
    explore::<2>(|| scenarios::idle(mailboxes::<2>()));
}

#[test]
fn an_idle_cpu_is_left_alone_until_it_is_woken() {
    explore::<2>(scenarios::idle_is_left_alone);
}

#[test]
fn global_slot_tables_leave_the_tree_while_a_cpu_is_idle() {
    explore::<2>(|| scenarios::tables(GlobalSlot::new()));
}

#[test]
fn mailboxes_tables_leave_the_tree_while_a_cpu_is_idle() {
    explore::<2>(|| scenarios::tables(mailboxes::<2>()));
}

#[test]
fn requests_that_wait_at_once_are_one_flush() {
    explore::<3>(scenarios::merged);
}

#[test]
fn the_protocols_have_names() {
    assert_ne!(GlobalSlot::NAME, <Mailboxes as Protocol>::NAME);
}

#[test]
fn global_slot_a_space_changes_under_a_cpu_that_switches() {
    explore::<2>(|| contexts::switching(GlobalSlot::new(), LeftOut::Nothing));
}

#[test]
fn mailboxes_a_space_changes_under_a_cpu_that_switches() {
    explore::<2>(|| contexts::switching(mailboxes::<2>(), LeftOut::Nothing));
}
