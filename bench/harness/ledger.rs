//! What the cases have yielded so far: every sample of every case, in memory that is there from the start.

use arrayvec::{ArrayString, ArrayVec};
use pagemark::boot::command_line::Rounds;
use pagemark_record::{Disturbances, Figure};

use super::random::Random;
use super::sample::Sample;

/// The most cases of a run.
pub const MAX_CASES: usize = 400;
/// The longest name of a case.
pub const MAX_NAME: usize = 96;
/// The most samples of a case that are kept.
const MAX_SAMPLES: usize = Rounds::MAX as usize;

/// What one case has yielded.
pub struct Entry {
    /// Its name.
    pub name: ArrayString<MAX_NAME>,
    /// Operations in a sample.
    pub batch: u32,
    /// The samples, each the cost of one operation and the harness.
    pub samples: ArrayVec<Figure, MAX_SAMPLES>,
    /// The cost of the harness alone, measured beside each sample.
    pub empties: ArrayVec<Figure, MAX_SAMPLES>,
    /// What struck samples.
    pub disturbances: Disturbances,
    /// The core's rate while the last samples were taken, in cycles per 1,000 ticks.
    pub rate: Option<u64>,
    /// Samples taken, kept or not.
    pub taken: u64,
}

impl Entry {
    /// Adds a sample. Of more than there is room for, every one is kept with the same probability (Vitter's algorithm R).
    pub fn push(&mut self, sample: Sample, random: &mut Random) {
        self.batch = sample.batch;
        self.taken += 1;
        if self.samples.try_push(sample.with_operation).is_ok() {
            self.empties.push(sample.empty);
            return;
        }
        let place = random.below(self.taken) as usize;
        if let Some(kept) = self.samples.get_mut(place) {
            *kept = sample.with_operation;
            self.empties[place] = sample.empty;
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
pub struct Ledger(ArrayVec<Entry, MAX_CASES>);

/// All zeros, and so no part of the image's file.
static mut LEDGER: Ledger = Ledger(ArrayVec::new_const());

impl Ledger {
    /// The one ledger.
    ///
    /// # Safety
    ///
    /// Called once.
    pub unsafe fn new() -> &'static mut Self {
        let ledger = &raw mut LEDGER;
        // SAFETY: the caller's promise.
        unsafe { &mut *ledger }
    }

    /// The entry of the case with this name, made when it comes for the first time.
    pub fn entry(&mut self, name: &str) -> Result<&mut Entry, Refused> {
        // Found by its place: a borrow that is returned would last for the other branch too.
        let place = match self.0.iter().position(|entry| &entry.name == name) {
            Some(place) => place,
            None => {
                let entry = Entry {
                    name: ArrayString::from(name).map_err(|_| Refused::Name)?,
                    batch: 1,
                    samples: ArrayVec::new_const(),
                    empties: ArrayVec::new_const(),
                    disturbances: Disturbances::default(),
                    rate: None,
                    taken: 0,
                };
                self.0.try_push(entry).map_err(|_| Refused::Full)?;
                self.0.len() - 1
            }
        };
        Ok(&mut self.0[place])
    }

    /// All entries.
    pub fn entries(&mut self) -> &mut [Entry] {
        &mut self.0
    }
}
