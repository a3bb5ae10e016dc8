//! What struck the run, as tags: the samples that the kernel struck, and those at another rate of the core.

use pagemark::console::log;
use pagemark_record::{Disturbances, Record, Tag};

/// What is known of the time before the figures: nothing strikes a process then that matters.
pub struct Strikes;

impl Strikes {
    /// Nothing to remember.
    pub const fn before_the_figures() -> Self {
        Strikes
    }

    /// Tags the figures with what struck samples of all cases.
    pub fn tag(self, struck: Disturbances) {
        let Disturbances {
            preempted,
            migrated,
            frequency,
            ..
        } = struck;
        for (tag, count, what) in [
            (
                "preempted",
                preempted,
                "were taken again: the kernel ran something else on the core",
            ),
            (
                "migrated",
                migrated,
                "were taken again: the kernel moved the thread",
            ),
            (
                "frequency",
                frequency,
                "are at another rate of the core than the first",
            ),
        ] {
            if count > 0 {
                log::record(&Record::Tag(Tag {
                    tag: tag.into(),
                    reason: format_args!("{count} samples {what}").into(),
                }));
            }
        }
    }
}
