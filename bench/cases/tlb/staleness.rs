//! Reads between the change of an entry and the flush that is owed for it. They may yield what was there before: whether they do
//! is the TLB's business, and it proves something only where a machine is known to have one that keeps all that it has room for
//! (`stale=must`): there, an old word before the flush and the new one after it prove the flush.

use pagemark::boot::command_line::Stale;
use pagemark::machine::Machine;
use pagemark::mm::address::VirtAddr;

use crate::cases::proof;
use crate::harness::case::Failure;

/// Places at which a proof is tried. What runs meanwhile may push a translation out of a TLB that gives each page one place, as
/// Bochs's does; it does not do that to each page of a large set.
const PLACES: u64 = 8;

/// Reads a word whose entry has just been changed without a flush: whether it is the old one.
///
/// # Errors
///
/// It is neither.
pub(super) fn is_old(address: VirtAddr, old: u64, new: u64) -> Result<bool, Failure> {
    match proof::read(address)? {
        word if word == old => Ok(true),
        word if word == new => Ok(false),
        word => Err(Failure::new(format_args!(
            "the word before the flush: found {word:x}, expected {old:x} or {new:x}"
        ))),
    }
}

/// A proof that says, at each place, whether all words were old before the flush. Where the TLB has to keep them, they must have
/// been at one place.
///
/// # Errors
///
/// The proof fails, wherever; or the old words were not seen.
pub(super) fn prove(
    stale: Stale,
    mut at_place: impl FnMut(u64) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    for place in 0..PLACES {
        let old = at_place(place)?;
        if old || stale == Stale::May {
            return Ok(());
        }
    }
    Err(Failure::new(format_args!(
        "the TLB kept no translation at any of {PLACES} places"
    )))
}

/// What the command line says of the machine's TLB.
pub(super) fn known(machine: &Machine) -> Stale {
    machine.options.stale
}
