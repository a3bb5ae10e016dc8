//! The CPUs that have to answer, and what they do meanwhile.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use pagemark::cpu::per_cpu::PerCpu;
use pagemark::cpu::spin::{Bound, MEASUREMENT, spin_until};
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use pagemark::mm::shootdown::CpuId;
use pagemark::smp::work::Online;

use super::pages::{Pages, look};
use crate::harness::case::{Failure, expect_eq};

/// What the responders do while the initiator shoots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// They wait in HLT.
    Halted,
    /// They spin.
    Spinning,
    /// They have just read all pages of the range, and spin: their TLBs hold what they are to drop.
    Holding,
    /// They shoot at a range of their own, again and again.
    Shooting,
}

impl State {
    pub const ALL: [State; 4] = [
        State::Halted,
        State::Spinning,
        State::Holding,
        State::Shooting,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            State::Halted => "halted",
            State::Spinning => "spinning",
            State::Holding => "holding",
            State::Shooting => "shooting",
        }
    }
}

/// Turns of a loop of PAUSE in which a CPU that is one instruction before HLT gets there, and as deep as it goes at once.
const UNTIL_HALTED: u32 = 2_000;

/// Returns when a CPU that has nothing to do waits in HLT.
pub fn await_hlt(cpu: CpuId) -> Result<(), Failure> {
    let halted = PerCpu::of(cpu).halted();
    if !spin_until(|| halted.load(Acquire) != 0) {
        return Err(Failure::new(format_args!("CPU {cpu} does not halt")));
    }
    (0..UNTIL_HALTED).for_each(|_| spin_loop());
    Ok(())
}

/// What the first page of a range shows, and the last one, or one in between that shows something else than the first.
fn look_at_all([first, last]: [VirtAddr; 2]) -> [u64; 2] {
    let mut shown = [first, last].map(look);
    for page in (first.0..last.0).step_by(PAGE_SIZE as usize) {
        let word = look(VirtAddr(page));
        if word != shown[0] {
            shown[1] = word;
        }
    }
    shown
}

/// A round that is the last.
const STOP: u64 = u64::MAX;

/// Some CPUs in a state, which on demand look at the pages.
pub struct Responders<'o> {
    pub online: &'o Online,
    pub state: State,
    /// Counts the demands.
    round: AtomicU64,
}

/// The notes of a responder.
///
/// The demand that it has followed last.
const FOLLOWED: usize = 0;
/// What it saw, in two words.
const SEEN: usize = 1;
/// Its NMIs before the operation.
const BEFORE: usize = 3;

impl<'o> Responders<'o> {
    pub fn new(online: &'o Online, state: State) -> Self {
        for cpu in online.cpus() {
            for note in PerCpu::of(cpu).notes() {
                note.store(0, Relaxed);
            }
        }
        Responders {
            online,
            state,
            round: AtomicU64::new(0),
        }
    }

    /// Does `work` while the responders are in their state; `ends` are the pages that they look at. `shoot` is a shootdown of some CPU's own.
    pub fn with<R>(
        &self,
        ends: [VirtAddr; 2],
        shoot: impl Fn(CpuId) + Sync,
        work: impl FnOnce() -> R,
    ) -> R {
        let respond = |cpu: CpuId| {
            let mut known = 0;
            let mut bound = Bound::new(MEASUREMENT);
            while bound.spin() {
                if self.state == State::Shooting {
                    shoot(cpu);
                }
                let round = self.round.load(Acquire);
                if round == STOP {
                    return;
                }
                if round != known {
                    known = round;
                    let shown = match self.state {
                        State::Holding => look_at_all(ends),
                        _ => ends.map(look),
                    };
                    self.note(cpu, shown);
                    PerCpu::of(cpu).notes()[FOLLOWED].store(round, Release);
                }
            }
        };
        if self.state == State::Halted {
            return work();
        }
        self.online.run_on_all(&respond, || {
            let result = work();
            self.round.store(STOP, Release);
            result
        })
    }

    fn note(&self, cpu: CpuId, shown: [u64; 2]) {
        for (place, word) in PerCpu::of(cpu).notes()[SEEN..].iter().zip(shown) {
            place.store(word, Relaxed);
        }
    }

    /// Brings the responders into their state, which they may have left for an answer.
    pub fn prepare(&self) -> Result<(), Failure> {
        match self.state {
            State::Halted => self.online.cpus().into_iter().try_for_each(await_hlt),
            State::Holding => self.have_all_look(),
            State::Spinning | State::Shooting => Ok(()),
        }
    }

    /// Has every responder look at the pages. They are not in HLT.
    fn have_all_look(&self) -> Result<(), Failure> {
        let round = self.round.fetch_add(1, Release) + 1;
        for cpu in self.online.cpus() {
            let followed = &PerCpu::of(cpu).notes()[FOLLOWED];
            if !spin_until(|| followed.load(Acquire) == round) {
                return Err(Failure::new(format_args!("CPU {cpu} does not look")));
            }
        }
        Ok(())
    }

    /// Has every responder, and this CPU, look at the pages, and expects all to see this.
    pub fn expect(&self, pages: &Pages, expected: u64) -> Result<(), Failure> {
        let ends = pages.ends();
        if self.state == State::Halted {
            self.online
                .run_on_all(&|cpu| self.note(cpu, ends.map(look)), || ());
        } else {
            self.have_all_look()?;
        }
        expect_eq!("this CPU sees", ends.map(look), [expected; 2]);
        for cpu in self.online.cpus() {
            let seen = &PerCpu::of(cpu).notes()[SEEN..];
            expect_eq!(
                format_args!("CPU {cpu} sees"),
                [0, 1].map(|page: usize| seen[page].load(Relaxed)),
                [expected; 2]
            );
        }
        Ok(())
    }

    /// Notes how many interrupts each has answered.
    pub fn note_answers(&self) {
        for cpu in self.online.cpus() {
            let cpu = PerCpu::of(cpu);
            cpu.notes()[BEFORE].store(cpu.answered().load(Acquire), Relaxed);
        }
    }

    /// Waits until each has answered one more since. False if one does not.
    #[inline(always)]
    #[must_use]
    pub fn await_answers(&self) -> bool {
        let mut all = true;
        for cpu in self.online.cpus() {
            let cpu = PerCpu::of(cpu);
            let before = cpu.notes()[BEFORE].load(Relaxed);
            all &= spin_until(|| cpu.answered().load(Acquire) != before);
        }
        all
    }
}
