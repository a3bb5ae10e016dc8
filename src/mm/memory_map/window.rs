//! Which line decides what the frames between two places are, a window of such places at a time.

use arrayvec::ArrayVec;

use super::{Line, LineKind, Notice};
use crate::mm::address::{FrameRange, Pfn};

/// Places at which the kind may change that are looked at together. Few in tests, so that the window has to move.
const EDGES: usize = if cfg!(test) { 6 } else { 512 };

/// A run of [`EDGES`] frame numbers at which the kind of memory may change, in order, without any between them.
pub(super) struct Window {
    edges: ArrayVec<Pfn, EDGES>,
    /// The line of the strongest kind behind each edge.
    strongest: ArrayVec<Option<Line>, EDGES>,
    /// There are edges above the last one.
    more: bool,
}

impl Window {
    pub(super) fn new() -> Self {
        Window {
            edges: ArrayVec::new(),
            strongest: ArrayVec::new(),
            more: true,
        }
    }

    /// Moves to the edges from the last one on. `false` if there are no more.
    pub(super) fn advance(&mut self, lines: impl Iterator<Item = Line>) -> bool {
        if !self.more {
            return false;
        }
        let first = self.edges.last().copied();
        self.edges.clear();
        self.edges.extend(first);
        self.more = false;
        for line in lines {
            let frames = line.frames();
            for edge in [frames.start, frames.end] {
                if first.is_none_or(|first| first < edge) {
                    self.add(edge);
                }
            }
        }
        true
    }

    /// Adds an edge; where there is no room for all, the highest goes.
    fn add(&mut self, edge: Pfn) {
        // Most maps are sorted.
        let place = match self.edges.last() {
            Some(&last) if last < edge => self.edges.len(),
            _ => match self.edges.binary_search(&edge) {
                Ok(_) => return,
                Err(place) => place,
            },
        };
        if self.edges.is_full() {
            self.more = true;
            if place == self.edges.len() {
                return;
            }
            self.edges.pop();
        }
        self.edges.insert(place, edge);
    }

    /// Finds the line of the strongest kind that claims what lies between an edge and the next.
    pub(super) fn claim(
        &mut self,
        lines: impl Iterator<Item = Line>,
        mut note: impl FnMut(Notice),
    ) {
        self.strongest.clear();
        self.strongest.extend(self.edges.iter().map(|_| None));
        for line in lines {
            let frames = line.frames();
            let first = self.edges.partition_point(|&edge| edge < frames.start);
            for (place, pair) in self.edges.windows(2).enumerate().skip(first) {
                if pair[1] > frames.end {
                    break;
                }
                let claim = &mut self.strongest[place];
                let Some(other) = *claim else {
                    *claim = Some(line);
                    continue;
                };
                // Once for two lines: at the first frames that both have.
                let begins = frames.start.max(other.frames().start) == pair[0];
                if begins && line.overlaps(&other) {
                    let (low, high) = if line.base < other.base {
                        (line, other)
                    } else {
                        (other, line)
                    };
                    note(Notice::Overlap(low, high));
                }
                if line.kind > other.kind {
                    *claim = Some(line);
                }
            }
        }
    }

    /// What lies between two edges and is claimed, in order, and its kind.
    pub(super) fn claimed(&self) -> impl Iterator<Item = (FrameRange, LineKind)> {
        let ranges = self.edges.windows(2).map(|pair| pair[0]..pair[1]);
        let claims = ranges.zip(&self.strongest);
        claims.filter_map(|(range, line)| Some((range, line.as_ref()?.kind)))
    }
}
