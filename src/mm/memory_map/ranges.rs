//! Sorted, disjoint ranges of frames, as many as there is room for.

use core::fmt;

use arrayvec::ArrayVec;

use crate::mm::address::{FrameRange, Pfn};

/// Most ranges of a list. A map of 300 lines, as large machines have them, comes to some ten.
pub const RANGES: usize = 512;
/// Ranges that a map makes of its lines: one place is left for [`split`].
pub(super) const MADE: usize = RANGES - 1;

/// A list has [`RANGES`] ranges and no place for another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyRanges;

impl fmt::Display for TooManyRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory map: more than {RANGES} ranges")
    }
}

impl core::error::Error for TooManyRanges {}

/// Sorted, disjoint, merged ranges of frames.
pub type Ranges = ArrayVec<FrameRange, RANGES>;

pub(super) fn count(ranges: &[FrameRange]) -> u64 {
    ranges.iter().map(|range| range.end.0 - range.start.0).sum()
}

/// Adds a range above all others, merged with the last one if they touch. Where there is no room the smallest range goes: how many
/// frames it had.
pub(super) fn append(ranges: &mut Ranges, range: FrameRange) -> u64 {
    match ranges.last_mut() {
        _ if range.is_empty() => 0,
        Some(last) if last.end == range.start => {
            last.end = range.end;
            0
        }
        _ => {
            let lost = if ranges.len() < MADE {
                0
            } else {
                drop_smallest(ranges)
            };
            ranges.push(range);
            lost
        }
    }
}

/// Drops the smallest range, the lowest of several; how many frames it had.
fn drop_smallest(ranges: &mut Ranges) -> u64 {
    let frames = |range: &FrameRange| range.end.0 - range.start.0;
    let smallest = ranges
        .iter()
        .enumerate()
        .min_by_key(|(_, range)| frames(range));
    match smallest.map(|(place, _)| place) {
        Some(place) => frames(&ranges.remove(place)),
        None => 0,
    }
}

/// Makes two ranges of the one that reaches over `at`, if there is one, so that who takes from the end of a range does not
/// pass by what lies below. There is room for one split of what a map has made.
///
/// # Errors
///
/// More ranges than can be held.
pub fn split(ranges: &mut Ranges, at: Pfn) -> Result<(), TooManyRanges> {
    let inside = |range: &FrameRange| range.start < at && at < range.end;
    let Some(place) = ranges.iter().position(inside) else {
        return Ok(());
    };
    let above = at..ranges[place].end;
    ranges
        .try_insert(place + 1, above)
        .map_err(|_| TooManyRanges)?;
    ranges[place].end = at;
    Ok(())
}

/// Takes the frames of `hole` out of the ranges. Where that makes more ranges than there is room for the smallest go: how many
/// frames they had.
pub(super) fn cut(ranges: &mut Ranges, hole: FrameRange) -> u64 {
    let mut lost = 0;
    let mut index = 0;
    while index < ranges.len() {
        let range = ranges[index].clone();
        let below = range.start..range.end.min(hole.start);
        let above = range.start.max(hole.end)..range.end;
        match (below.is_empty(), above.is_empty()) {
            _ if hole.is_empty() || below == range || above == range => {}
            (true, true) => {
                ranges.remove(index);
                continue;
            }
            (false, true) => ranges[index] = below,
            (true, false) => ranges[index] = above,
            (false, false) => {
                ranges[index] = below;
                ranges.insert(index + 1, above);
                if ranges.len() > MADE {
                    lost += drop_smallest(ranges);
                }
                // The hole lies in one range.
                return lost;
            }
        }
        index += 1;
    }
    lost
}
