//! The TLBs of some CPUs, as mean as the manuals let them be: each keeps every translation that its CPU ever used, and every entry
//! of its paging-structure caches, until a flush drops it.
//!
//! Two things are cached (Intel SDM volume 3, 5.10.2 and 5.10.3): translations, which are global or a PCID's, and ways to tables,
//! which are always a PCID's: a PDE that leads to a PT, and so upwards. A walk begins at the deepest table that a way leads to,
//! whatever memory says by now of the entries above. Ways are kept even where nothing is mapped at their end, as a walk that was
//! only speculated would.
//!
//! What a flush drops is the least of what any CPU has to drop:
//!
//! | | translations of the pages | ways |
//! | --- | --- | --- |
//! | page by page | of the PCID in force, and global ones | of the PCID in force that lead to one of the pages |
//! | of the context | all of the PCID in force | all of the PCID in force |
//! | all | all | all |
//!
//! INVLPG drops all ways of the PCID in force (5.10.4.1), but INVLPGB may go by the address; and only the latter reaches other PCIDs.
//! Hence the rule of 5.10.4.2, that an entry that leads to a table and is used under other PCIDs takes more than INVLPG.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::vec::Vec;

use crate::mm::address::{PAGE_SIZE, PageSize, Pfn, VirtAddr};
use crate::mm::hardware::{PhysicalMemory, TlbInvalidate};
use crate::mm::left_out;
use crate::mm::page_table::PageTable;
use crate::mm::tlb::{Pcid, Switch};

/// Whose a translation is: a PCID's, or everybody's.
type Owner = Option<u16>;

/// Where a way leads to: the level of the table, from 1 for a PT, and the first address that it covers.
type Place = (u32, u64);

/// Bytes that a table of this level covers.
const fn covered(level: u32) -> u64 {
    1 << (12 + 9 * level)
}

/// The place of the table of this level that covers `address`.
const fn place(level: u32, address: VirtAddr) -> Place {
    (level, address.0 & !(covered(level) - 1))
}

/// What one CPU has cached.
#[derive(Default)]
struct Cpu {
    /// The PCID in force.
    pcid: u16,
    /// Page number and owner to frame.
    translations: BTreeMap<(u64, Owner), Pfn>,
    /// PCID and place to table: the paging-structure caches.
    ways: BTreeMap<(u16, Place), Pfn>,
}

impl Cpu {
    /// What a walk for `address` uses of the paging-structure caches.
    fn deepest_way(&self, address: VirtAddr) -> Option<(u32, Pfn)> {
        // With five levels a PML5E leads to a table of level 4.
        (1..=4).find_map(|level| {
            let way = self.ways.get(&(self.pcid, place(level, address)));
            Some((level, *way?))
        })
    }

    fn drop_pages(&mut self, start: VirtAddr, bytes: u64) {
        let pcid = self.pcid;
        let last = start.0 + (bytes - 1);
        self.translations.retain(|&(page, owner), _| {
            let address = page * PAGE_SIZE;
            address < start.0 || address > last || owner.is_some_and(|owner| owner != pcid)
        });
        self.ways.retain(|&(owner, (level, first)), _| {
            owner != pcid || first > last || first + (covered(level) - 1) < start.0
        });
    }

    fn drop_context(&mut self) {
        let pcid = self.pcid;
        self.translations
            .retain(|&(_, owner), _| owner != Some(pcid));
        self.ways.retain(|&(owner, _), _| owner != pcid);
    }
}

/// The TLBs of some CPUs. A flush reaches them all.
pub struct ModelTlb {
    cpus: Vec<RefCell<Cpu>>,
}

impl Default for ModelTlb {
    fn default() -> Self {
        ModelTlb::new(1)
    }
}

/// What a CPU still believes, and memory does not hold any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stale {
    /// An access goes to the frame that this page was mapped to before.
    Translation(VirtAddr),
    /// A walk goes through a table that no longer stands in its place.
    Table {
        /// An address that the walk is for.
        address: VirtAddr,
        /// The table's frame, which may be anything by now.
        table: Pfn,
    },
}

impl ModelTlb {
    /// Empty TLBs of `cpus` CPUs.
    pub fn new(cpus: usize) -> Self {
        ModelTlb {
            cpus: (0..cpus).map(|_| RefCell::default()).collect(),
        }
    }

    /// The frame that an access to `address` reaches on the first CPU, `None` for a page fault.
    pub fn access<M: PhysicalMemory>(
        &self,
        table: &PageTable<M>,
        address: VirtAddr,
    ) -> Result<Option<Pfn>, Stale> {
        self.access_on(0, table, address)
    }

    /// The same on any CPU; beyond the last one it is the first again. `table` is what that CPU has in CR3.
    pub fn access_on<M: PhysicalMemory>(
        &self,
        cpu: usize,
        table: &PageTable<M>,
        address: VirtAddr,
    ) -> Result<Option<Pfn>, Stale> {
        let mut cpu = self.cpus[cpu % self.cpus.len()].borrow_mut();
        let (pcid, page) = (cpu.pcid, address.0 / PAGE_SIZE);
        let (tables, leaf) = table.walk(address);
        let frame = leaf.map(|leaf| leaf.address.frame());
        let cached = [None, Some(pcid)].map(|owner| cpu.translations.get(&(page, owner)));
        if let Some(&cached) = cached.into_iter().flatten().next() {
            return match Some(cached) == frame {
                true => Ok(frame),
                false => Err(Stale::Translation(address)),
            };
        }
        if let Some(way) = cpu.deepest_way(address)
            && !tables.contains(&way)
        {
            let table = way.1;
            return Err(Stale::Table { address, table });
        }
        for (level, table) in tables {
            cpu.ways.insert((pcid, place(level, address)), table);
        }
        if let Some((leaf, frame)) = leaf.zip(frame) {
            let owner = (!leaf.protection().is_global()).then_some(pcid);
            cpu.translations.insert((page, owner), frame);
        }
        Ok(frame)
    }

    /// A CPU loads a context: another PCID is in force, with or without what is cached under it.
    pub fn switch(&self, cpu: usize, switch: Switch) {
        let mut cpu = self.cpus[cpu].borrow_mut();
        match switch {
            Switch::Nothing => {}
            Switch::Keep(Pcid(pcid)) => cpu.pcid = pcid,
            Switch::Flush(Pcid(pcid)) => {
                cpu.pcid = pcid;
                cpu.drop_context();
            }
        }
    }

    /// Whether any CPU could still use a translation of a page that `condition` holds for.
    pub fn holds(&self, condition: impl Fn(VirtAddr, Pfn) -> bool) -> bool {
        self.cpus.iter().any(|cpu| {
            let cpu = cpu.borrow();
            cpu.translations
                .iter()
                .any(|(&(page, _), &frame)| condition(VirtAddr(page * PAGE_SIZE), frame))
        })
    }

    /// A table that some CPU could still walk through and that does not stand in its place in `table`, the tree of all contexts.
    pub fn stale_table<M: PhysicalMemory>(&self, table: &PageTable<M>) -> Option<Stale> {
        self.cpus.iter().find_map(|cpu| {
            cpu.borrow().ways.iter().find_map(|(&(_, place), &way)| {
                let (level, address) = (place.0, VirtAddr(place.1));
                let (tables, _) = table.walk(address);
                let table = way;
                (!tables.contains(&(level, way))).then_some(Stale::Table { address, table })
            })
        })
    }
}

impl TlbInvalidate for &ModelTlb {
    fn flush_pages(&self, start: VirtAddr, pages: u64, size: PageSize) {
        if left_out::skips_this_flush() || pages == 0 {
            return;
        }
        for cpu in &self.cpus {
            cpu.borrow_mut().drop_pages(start, pages * size.bytes());
        }
    }

    fn flush_all(&self) {
        if left_out::skips_this_flush() {
            return;
        }
        for cpu in &self.cpus {
            let mut cpu = cpu.borrow_mut();
            cpu.translations.clear();
            cpu.ways.clear();
        }
    }

    fn flush_context(&self) {
        if left_out::skips_this_flush() {
            return;
        }
        for cpu in &self.cpus {
            cpu.borrow_mut().drop_context();
        }
    }
}
