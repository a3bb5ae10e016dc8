//! What CPUs do to each other. Each is run with a right protocol, and with wrong ones that it has to catch.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::Arc;

use super::model::{Machine, Part, mailboxes};
use crate::mm::shootdown::sync::AtomicU64;
use crate::mm::shootdown::{Cpus, Mailboxes, Protocol, Slot};

/// The first `initiators` CPUs have read all and change a page each, at once; the others read. Numbers are `spread` apart.
pub fn initiators<P: Protocol + Send + Sync + 'static, const CPUS: usize>(
    protocol: P,
    initiators: usize,
    spread: usize,
) {
    let machine = Machine::<P, CPUS>::spread(protocol, spread);
    let parts = core::array::from_fn(|number| -> Part<P, CPUS> {
        if number < initiators {
            Box::new(move |cpu| {
                cpu.read(1 - number);
                let version = cpu.remap(number);
                cpu.expect_gone(number, version);
            })
        } else {
            Box::new(|cpu| {
                cpu.read(0);
                cpu.take_interrupt();
                cpu.read(1);
            })
        }
    });
    machine.run(parts);
}

/// One CPU changes a page twice while the other reads.
pub fn rounds<P: Protocol + Send + Sync + 'static>(protocol: P) {
    let machine = Machine::<P, 2>::new(protocol);
    machine.run([
        Box::new(|cpu| {
            for _ in 0..2 {
                let version = cpu.remap(0);
                cpu.expect_gone(0, version);
            }
        }),
        Box::new(|cpu| {
            for _ in 0..2 {
                cpu.read(0);
                cpu.take_interrupt();
            }
        }),
    ]);
}

/// One CPU changes a page; the other, which has read it, falls idle, is woken, and reads it again.
pub fn idle<P: Protocol + Send + Sync + 'static>(protocol: P) {
    let machine = Machine::<P, 2>::new(protocol);
    let gone = Arc::new(AtomicU64::new(0));
    let seen = gone.clone();
    machine.run([
        Box::new(move |cpu| {
            let version = cpu.remap(0);
            gone.store(version, Release);
        }),
        Box::new(move |cpu| {
            cpu.read(0);
            cpu.machine().protocol.enter_idle(cpu);
            cpu.take_interrupt();
            cpu.machine().protocol.leave_idle(cpu);
            let gone = seen.load(Acquire);
            let version = cpu.read(0);
            assert!(
                version >= gone,
                "read version {version} after the shootdown for version {gone}"
            );
        }),
    ]);
}

/// An idle CPU neither hears of a change nor answers, flushes once when it is woken, and not at all if nothing was changed.
pub fn idle_is_left_alone() {
    let machine = Machine::<Mailboxes<[Slot; 2]>, 2>::new(mailboxes());
    let (initiator, idler) = (machine.cpu(0), machine.cpu(1));
    for changes in [0, 1, 3] {
        let flushes = machine.flushes(1);
        idler.read(0);
        machine.protocol.enter_idle(&idler);
        for _ in 0..changes {
            // Nobody answers: it would hang if it waited.
            initiator.remap(0);
        }
        machine.protocol.leave_idle(&idler);
        assert_eq!(machine.flushes(1) - flushes, u64::from(changes > 0));
        let version = idler.read(0);
        initiator.expect_gone(0, version);
        // It is awake, and current: the next range is all it drops.
        let pages = idler.read(1);
        let part = machine.cpu(1);
        let waiting = super::model::thread::spawn(move || {
            while part.machine().flushes(1) == flushes + u64::from(changes > 0) {
                let _ = part.pause(&mut ());
            }
        });
        initiator.remap(0);
        waiting.join().unwrap();
        assert_eq!(idler.read(1), pages);
    }
}

/// Two CPUs ask a third one before it looks: it flushes once, and answers both.
pub fn merged() {
    let machine = Machine::<Mailboxes<[Slot; 3]>, 3>::new(mailboxes());
    let asked = Arc::new(AtomicU64::new(0));
    let ask = |page: usize| -> Part<Mailboxes<[Slot; 3]>, 3> {
        let asked = asked.clone();
        Box::new(move |cpu| {
            asked.fetch_add(1, Relaxed);
            let version = cpu.remap(page);
            cpu.expect_gone(page, version);
        })
    };
    machine.run([
        ask(0),
        ask(1),
        Box::new(|cpu| {
            cpu.read(0);
            cpu.read(1);
        }),
    ]);
    // One flush each if they came one after the other, one for both if they waited together.
    assert!((1..=2).contains(&machine.flushes(2)));
}

/// Tables that a CPU has walked leave the tree while it is idle: it is asked, and answers, before they are used again.
pub fn tables<P: Protocol + Send + Sync + 'static>(protocol: P) {
    let machine = Machine::<P, 2>::new(protocol);
    let idler = machine.cpu(1);
    idler.read(0);
    machine.protocol.enter_idle(&idler);
    drop(idler);
    machine.run([
        Box::new(|cpu| {
            let version = cpu.replace_table(0);
            cpu.expect_gone(0, version);
        }),
        Box::new(|cpu| {
            cpu.take_interrupt();
            cpu.machine().protocol.leave_idle(cpu);
        }),
    ]);
}
