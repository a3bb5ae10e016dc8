//! The core's counters of page walks, where there are some: a refill of 64 pages, dropped page by page, has 64 walks, and the control none.
//!
//! Counters are held against a known loop and 32 pages before they are used. This holds their figures of cases against what these cases
//! do. Figures in walks that do not fit get a tag: times by the clock hold all the same.

use pagemark::console::log;
use pagemark_record::{Record, Tag};
use pagemark_verdict::walks_fit;

use crate::harness::run::Run;

const PAGES: u32 = 64;
const REFILL: &str = "tlb/refill/pages=64/by_page";
const CONTROL: &str = "control/nops=1000";

/// Writes the check, or the tag, if both cases ran and walks were counted.
pub fn run(run: &mut Run) {
    let mut walks = |name| run.counts(name)?.all_walks();
    let (Some(refill), Some(control)) = (walks(REFILL), walks(CONTROL)) else {
        return;
    };
    if walks_fit(PAGES, refill.thousandths(), control.thousandths()) {
        return run.check("counters/walks", Ok(()));
    }
    log::record(&Record::Tag(Tag {
        tag: "walks_do_not_fit".into(),
        reason: format_args!("{REFILL} had {refill} walks, {CONTROL} had {control}").into(),
    }));
}
