//! The naive model: a map of leaves and a set of tables, changed leaf by leaf.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::page_table::{ChangeError, MapError, Protection, ResizeError};

/// What a leaf holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    pub frame: Pfn,
    pub size: PageSize,
    pub protection: Protection,
    /// Whether A and D are set.
    pub used: bool,
}

/// Pages are numbered from address 0 of the half that the test maps in.
#[derive(Clone, Default, Debug)]
pub struct Model {
    /// By number of the first page.
    pub leaves: BTreeMap<u64, Leaf>,
    /// Tables but for the root: log2 of the pages that the table covers, and the number of the first page over those.
    pub tables: BTreeSet<(u32, u64)>,
    /// Levels of tables below the root.
    pub depth: u32,
}

/// First address of page `number`.
pub fn page(number: u64) -> VirtAddr {
    VirtAddr(super::HALF + number * PAGE_SIZE)
}

impl Model {
    /// The leaf that maps a page, and the number of its first page.
    pub fn leaf(&self, number: u64) -> Option<(u64, Leaf)> {
        let (&first, &leaf) = self.leaves.range(..=number).next_back()?;
        (number - first < leaf.size.frames()).then_some((first, leaf))
    }

    fn first_mapped(&self, pages: core::ops::Range<u64>) -> Option<u64> {
        if self.leaf(pages.start).is_some() {
            return Some(pages.start);
        }
        self.leaves.range(pages).next().map(|(&first, _)| first)
    }

    /// Maps pages from `start` to `frames`. Returns how many tables were made, or what it should fail with, having changed
    /// nothing.
    pub fn map(
        &mut self,
        start: u64,
        frames: &[Pfn],
        protection: Protection,
        largest: PageSize,
    ) -> Result<u64, MapError> {
        if let Some(number) = self.first_mapped(start..start + frames.len() as u64) {
            return Err(MapError::AlreadyMapped {
                address: page(number),
            });
        }
        let before = self.tables.len();
        let (mut number, mut rest) = (start, frames);
        while !rest.is_empty() {
            let size = self.size_for(number, rest, largest);
            for level in 1..=self.depth {
                let covers = 9 * level;
                if 1 << covers > size.frames() {
                    self.tables.insert((covers, number >> covers));
                }
            }
            let leaf = Leaf {
                frame: rest[0],
                size,
                protection,
                used: true,
            };
            self.leaves.insert(number, leaf);
            number += size.frames();
            rest = &rest[size.frames() as usize..];
        }
        Ok((self.tables.len() - before) as u64)
    }

    fn size_for(&self, number: u64, frames: &[Pfn], largest: PageSize) -> PageSize {
        [(PageSize::Size1G, 18), (PageSize::Size2M, 9)]
            .into_iter()
            .find(|&(size, covers)| {
                let pages = size.frames();
                size <= largest
                    && frames.len() as u64 >= pages
                    && (number | frames[0].0).is_multiple_of(pages)
                    && (0..pages).all(|at| frames[at as usize] == frames[0].add(at))
                    && !self.tables.contains(&(covers, number >> covers))
            })
            .map_or(PageSize::Size4K, |(size, _)| size)
    }

    /// The first pages of all leaves in a range, or what a change of it should fail with.
    pub fn whole_leaves(&self, start: u64, pages: u64) -> Result<Vec<u64>, ChangeError> {
        let mut firsts = Vec::new();
        let mut number = start;
        while number < start + pages {
            let address = page(number);
            let Some((first, Leaf { size, .. })) = self.leaf(number) else {
                return Err(ChangeError::NotMapped { address });
            };
            if first != number || start + pages - number < size.frames() {
                return Err(ChangeError::CutsLeaf { address, size });
            }
            firsts.push(first);
            number += size.frames();
        }
        Ok(firsts)
    }

    pub fn unmap(&mut self, start: u64, pages: u64) -> Result<(), ChangeError> {
        for first in self.whole_leaves(start, pages)? {
            self.leaves.remove(&first);
        }
        Ok(())
    }

    /// Changes every leaf of a range.
    pub fn change(
        &mut self,
        start: u64,
        pages: u64,
        mut change: impl FnMut(u64, &mut Leaf),
    ) -> Result<(), ChangeError> {
        for first in self.whole_leaves(start, pages)? {
            if let Some(leaf) = self.leaves.get_mut(&first) {
                change(first, leaf);
            }
        }
        Ok(())
    }

    /// Puts other frames behind a range.
    pub fn remap(&mut self, start: u64, frames: &[Pfn]) -> Result<(), ChangeError> {
        let firsts = self.whole_leaves(start, frames.len() as u64);
        // Leaves that are wrong are reported in the order of their addresses.
        let mut number = start;
        while let Some((first, leaf)) = self.leaf(number).filter(|(first, _)| *first == number) {
            let (at, pages) = ((first - start) as usize, leaf.size.frames());
            let Some(block) = frames.get(at..at + pages as usize) else {
                break;
            };
            let contiguous = (0..pages).all(|at| block[at as usize] == block[0].add(at));
            if !contiguous || !block[0].0.is_multiple_of(pages) {
                return Err(ChangeError::NoBlock {
                    address: page(first),
                    size: leaf.size,
                });
            }
            number += pages;
        }
        for first in firsts? {
            if let Some(leaf) = self.leaves.get_mut(&first) {
                leaf.frame = frames[(first - start) as usize];
                leaf.used = true;
            }
        }
        Ok(())
    }

    /// Splits the leaf that maps a page.
    pub fn split(&mut self, number: u64) -> Result<(), ResizeError> {
        let address = page(number);
        let (first, leaf) = self
            .leaf(number)
            .ok_or(ResizeError::NotMapped { address })?;
        let (size, covers) = match leaf.size {
            PageSize::Size4K => return Err(ResizeError::Smallest { address }),
            PageSize::Size2M => (PageSize::Size4K, 9),
            PageSize::Size1G => (PageSize::Size2M, 18),
        };
        for at in (0..leaf.size.frames()).step_by(size.frames() as usize) {
            let frame = leaf.frame.add(at);
            self.leaves.insert(
                first + at,
                Leaf {
                    frame,
                    size,
                    ..leaf
                },
            );
        }
        self.tables.insert((covers, first >> covers));
        Ok(())
    }

    /// Collapses the leaves from a page on into one.
    pub fn collapse(&mut self, number: u64, size: PageSize) -> Result<(), ResizeError> {
        let address = page(number);
        let (smaller, covers) = match size {
            PageSize::Size4K => return Err(ResizeError::Smallest { address }),
            PageSize::Size2M => (PageSize::Size4K, 9),
            PageSize::Size1G => (PageSize::Size2M, 18),
        };
        if !number.is_multiple_of(size.frames()) {
            return Err(ResizeError::Misaligned { address, size });
        }
        if !self.tables.contains(&(covers, number >> covers)) {
            return Err(match self.leaf(number) {
                Some(_) => ResizeError::AlreadyLarge { address },
                None => ResizeError::NotMapped { address },
            });
        }
        let numbers = (number..number + size.frames()).step_by(smaller.frames() as usize);
        let first = self.leaf(number);
        for at in numbers.clone() {
            let address = page(at);
            if smaller == PageSize::Size2M && self.tables.contains(&(9, at >> 9)) {
                return Err(ResizeError::NoContinuation { address });
            }
            let (Some((_, first)), Some((_, leaf))) = (first, self.leaf(at)) else {
                return Err(ResizeError::NotMapped { address });
            };
            if leaf.frame != first.frame.add(at - number) || leaf.protection != first.protection {
                return Err(ResizeError::NoContinuation { address });
            }
        }
        let Some((_, first)) = first else {
            return Err(ResizeError::NotMapped { address });
        };
        if !first.frame.0.is_multiple_of(size.frames()) {
            return Err(ResizeError::NoContinuation { address });
        }
        for at in numbers {
            self.leaves.remove(&at);
        }
        let leaf = Leaf {
            size,
            used: true,
            ..first
        };
        self.leaves.insert(number, leaf);
        self.tables.remove(&(covers, number >> covers));
        Ok(())
    }

    /// Takes out the tables that map nothing and lie in the range. Returns how many.
    pub fn release(&mut self, start: u64, pages: u64) -> u64 {
        let before = self.tables.len();
        let leaves = &self.leaves;
        self.tables.retain(|&(covers, number)| {
            let covered = number << covers..(number + 1) << covers;
            covered.start < start
                || covered.end > start + pages
                || leaves.range(covered).next().is_some()
        });
        (before - self.tables.len()) as u64
    }
}
