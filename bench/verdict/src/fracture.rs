//! Page fracturing: a guest's large page that the hypervisor backs with small ones.
//!
//! The CPU keeps such a page in pieces, and because it does not know which pieces belong together, INVLPG of any page then drops
//! everything (Amit, "Optimizing the TLB Shootdown Algorithm with Page Access Tracking", 2017, and his patches for Linux of
//! 2018). A figure for INVLPG on such a machine is one for a full flush.

/// Ticks that reading a few pages took, in the same order each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reloads {
    /// With every translation in the TLB.
    pub warm: u64,
    /// After INVLPG of a page that is none of them.
    pub after_invlpg: u64,
    /// After everything was dropped.
    pub after_flush: u64,
}

/// Whether one INVLPG costs as much afterwards as a full flush: nearer to it than to nothing. `None` where a full flush
/// itself does not show.
#[must_use]
pub fn fractured(reloads: Reloads) -> Option<bool> {
    let Reloads {
        warm,
        after_invlpg,
        after_flush,
    } = reloads;
    // Less than a quarter more is what noise does.
    let shown = after_flush > warm + warm / 4;
    shown.then(|| after_invlpg > warm + (after_flush - warm) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(warm: u64, after_invlpg: u64, after_flush: u64) -> Option<bool> {
        fractured(Reloads {
            warm,
            after_invlpg,
            after_flush,
        })
    }

    #[test]
    fn one_invlpg_against_a_full_flush() {
        assert_eq!(of(200, 230, 1400), Some(false));
        assert_eq!(of(200, 1350, 1400), Some(true));
        // Where a full flush does not show, nothing can be said.
        assert_eq!(of(200, 200, 220), None);
        assert_eq!(of(0, 0, 0), None);
    }
}
