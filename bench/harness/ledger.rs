//! What the cases have yielded so far: every sample of every case, in memory that is taken before the first one. It is no part
//! of the image, which would not fit into a small machine's memory then, even to say so.

use core::mem::{self, MaybeUninit};

use arrayvec::{ArrayString, ArrayVec};
use pagemark::boot::command_line::Rounds;
use pagemark::mm::address::{Order, PAGE_SIZE};
use pagemark_bracket::Sample;
use pagemark_bracket::sample::METERED;
use pagemark_record::{Class, Disturbances, Figure};

use super::random::Random;
use super::round;

/// The most cases of a run: those of the full suite on 1,024 CPUs, and some.
const MAX_CASES: usize = 1200;
/// The longest name of a case.
pub const MAX_NAME: usize = 96;
/// The most samples of a case that are kept.
pub(super) const MAX_SAMPLES: usize = Rounds::MAX as usize;
/// The most samples by counters.
pub const MAX_COUNTED: usize = 15;

/// What one case has yielded.
pub struct Entry {
    /// Its name.
    pub name: ArrayString<MAX_NAME>,
    /// What the figure is.
    pub class: Class,
    /// Operations in a sample.
    pub batch: u32,
    /// Samples that each round is the mean of; 0 before the first.
    pub repeats: u32,
    /// The samples, each the cost of one operation and the harness.
    pub samples: ArrayVec<Figure, MAX_SAMPLES>,
    /// The cost of the harness alone, measured beside each sample.
    pub empties: ArrayVec<Figure, MAX_SAMPLES>,
    /// What the core's counters counted of an operation, in samples of their own.
    pub counts: ArrayVec<[Figure; METERED], MAX_COUNTED>,
    /// What struck samples.
    pub disturbances: Disturbances,
    /// The core's rate beside each sample, in cycles per 1,000 ticks; 0 where it is not known.
    pub rates: ArrayVec<u16, MAX_SAMPLES>,
    /// Samples taken, kept or not.
    pub taken: u64,
}

impl Entry {
    /// Operations that share a step of the clock in a round.
    pub const fn shares(&self) -> u32 {
        round::shares(self.batch, self.repeats)
    }

    /// Adds a sample, and the core's rate beside it. Of more than there is room for, every one is kept with the same probability (Vitter's
    /// algorithm R).
    pub fn push(&mut self, sample: Sample, rate: Option<u64>, random: &mut Random) {
        let rate = rate.and_then(|rate| u16::try_from(rate).ok()).unwrap_or(0);
        self.batch = sample.batch;
        self.taken += 1;
        if self.samples.try_push(sample.with_operation).is_ok() {
            self.empties.push(sample.empty);
            self.rates.push(rate);
            return;
        }
        let place = random.below(self.taken) as usize;
        if let Some(kept) = self.samples.get_mut(place) {
            *kept = sample.with_operation;
            self.empties[place] = sample.empty;
            self.rates[place] = rate;
        }
    }
}

/// Why a case cannot be entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The ledger is full.
    Full,
    /// The name is too long.
    Name,
}

/// The cases of a run, in the order in which they came first.
pub struct Ledger {
    entries: ArrayVec<&'static mut Entry, MAX_CASES>,
    /// Where the next entries go.
    room: &'static mut [MaybeUninit<Entry>],
    /// And those behind them.
    more_room: &'static mut [MaybeUninit<Entry>],
}

impl Ledger {
    /// Entries in a block of frames of [`Self::ORDER`]: enough for the full suite on few CPUs.
    pub const IN_A_BLOCK: usize = (Self::ORDER.frames() * PAGE_SIZE) as usize / size_of::<Entry>();
    /// The largest block that an allocator has.
    pub const ORDER: Order = Order::MAX;

    /// An empty one, whose entries go to `room` and then to `more_room`.
    pub fn new(
        room: &'static mut [MaybeUninit<Entry>],
        more_room: &'static mut [MaybeUninit<Entry>],
    ) -> Self {
        Ledger {
            entries: ArrayVec::new(),
            room,
            more_room,
        }
    }

    /// The entry of the case with this name, made when it comes for the first time.
    pub fn entry(&mut self, name: &str) -> Result<&mut Entry, Refused> {
        // Found by its place: a borrow that is returned would last for the other branch too.
        let place = match self.entries.iter().position(|entry| &entry.name == name) {
            Some(place) => place,
            None => {
                let name = ArrayString::from(name).map_err(|_| Refused::Name)?;
                if self.entries.is_full() {
                    return Err(Refused::Full);
                }
                if self.room.is_empty() {
                    self.room = mem::take(&mut self.more_room);
                }
                let (first, rest) = mem::take(&mut self.room)
                    .split_first_mut()
                    .ok_or(Refused::Full)?;
                self.room = rest;
                self.entries.push(first.write(Entry {
                    name,
                    class: Class::Single,
                    batch: 1,
                    repeats: 0,
                    samples: ArrayVec::new_const(),
                    empties: ArrayVec::new_const(),
                    counts: ArrayVec::new_const(),
                    disturbances: Disturbances::default(),
                    rates: ArrayVec::new_const(),
                    taken: 0,
                }));
                self.entries.len() - 1
            }
        };
        Ok(self.entries[place])
    }

    /// All entries.
    pub fn entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().map(|entry| &mut **entry)
    }
}
