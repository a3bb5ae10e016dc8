//! Which lists the caches of each generation have.

use super::list::List;
use super::rule::Rule;
use crate::mm::frame::Gfp;

/// Which lists a cache has.
pub trait CachePolicy {
    /// Empty lists for a zone of `frames` frames on a machine of `cpus` CPUs.
    fn new(frames: u64, cpus: u64) -> Self;

    /// The list that serves a request.
    fn list(&mut self, gfp: Gfp) -> &mut List;

    /// All lists.
    fn lists(&mut self) -> impl Iterator<Item = &mut List>;

    /// Frames on all lists.
    fn frames(&self) -> usize;
}

/// 2.6.0: hot and cold.
#[derive(Debug)]
pub struct HotCold([List; 2]);

impl CachePolicy for HotCold {
    fn new(frames: u64, _: u64) -> Self {
        HotCold([Rule::hot(frames), Rule::cold(frames)].map(List::new))
    }

    #[inline]
    fn list(&mut self, gfp: Gfp) -> &mut List {
        &mut self.0[usize::from(gfp.contains(Gfp::COLD))]
    }

    fn lists(&mut self) -> impl Iterator<Item = &mut List> {
        self.0.iter_mut()
    }

    fn frames(&self) -> usize {
        self.0.iter().map(List::len).sum()
    }
}

/// 6.x: one list.
#[derive(Debug)]
pub struct Batched(List);

impl CachePolicy for Batched {
    fn new(frames: u64, cpus: u64) -> Self {
        Batched(List::new(Rule::modern(frames, cpus)))
    }

    #[inline]
    fn list(&mut self, _: Gfp) -> &mut List {
        &mut self.0
    }

    fn lists(&mut self) -> impl Iterator<Item = &mut List> {
        core::iter::once(&mut self.0)
    }

    fn frames(&self) -> usize {
        self.0.len()
    }
}
