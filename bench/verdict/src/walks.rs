//! Counters of page walks, held against operations whose walks are known.
//!
//! An operation that drops the translations of some pages and reads each of them walks once for each, and a CPU that speculates walks
//! more: up to twice as often is taken for that. An operation that touches no page but its own code and stack does not walk.

/// Whether the counted walks, in thousandths of a walk an operation, fit: `refill` of an operation that reads `pages` pages whose
/// translations it has dropped, `control` of one that reads nothing.
#[must_use]
pub const fn walks_fit(pages: u32, refill: i64, control: i64) -> bool {
    let least = pages as i64 * 1000;
    least <= refill && refill <= 2 * least && control.abs() < 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_for_each_page_and_none_in_the_control() {
        assert!(walks_fit(64, 64_000, 0));
        // Speculation, and noise of a difference.
        assert!(walks_fit(64, 71_500, 31) && walks_fit(64, 64_000, -31));
        // A counter that stands still, counts half of them, or counts something else.
        assert!(!walks_fit(64, 0, 0));
        assert!(!walks_fit(64, 32_000, 0));
        assert!(!walks_fit(64, 4_096_000, 0));
        assert!(!walks_fit(64, 64_000, 1_000));
    }
}
