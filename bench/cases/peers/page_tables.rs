//! Page tables of other crates: the operations of `pt/...`, with the flush that each owes, in a root of the peer's own.
//!
//! The root has the kernel's half of ours and is in CR3 while the peer is measured, so that its effects can be proved by accesses;
//! the peer maps in the lower half, where there is nothing of ours.

use pagemark::cpu::address_space::switch_to;
use pagemark::cpu::probe::PageFaultError;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, Pfn, PhysAddr, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::Levels;
use pagemark_peers::page_tables::{Multiarch, Offset, PageTables, TABLE_FRAMES};

use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

/// The first page of the peers' mappings, where a PT begins.
const START: u64 = 1 << 40;
/// Pages of the longer shape.
const PAGES: u64 = 512;
/// Where in a page an address is translated.
const OFFSET: u64 = 0x123;

/// The names of one peer's cases: map, protect and unmap of each shape, and translate.
struct Names {
    one: [&'static str; 3],
    many: [&'static str; 3],
    translate: &'static str,
}

macro_rules! names {
    ($peer:literal) => {
        Names {
            one: names!($peer, "pages=1"),
            many: names!($peer, "pages=512"),
            translate: concat!("peer/", $peer, "/translate"),
        }
    };
    ($peer:literal, $shape:literal) => {
        [
            concat!("peer/", $peer, "/map/", $shape),
            concat!("peer/", $peer, "/protect/", $shape),
            concat!("peer/", $peer, "/unmap/", $shape),
        ]
    };
}

impl Names {
    fn any(&self, run: &Run) -> bool {
        let mut all = self.one.iter().chain(&self.many).chain([&self.translate]);
        all.any(|name| run.would(name))
    }
}

/// A peer, the frames that it maps, and what came of its operation.
struct Window<'p, P> {
    peer: &'p mut P,
    /// The first frame, and where it lies in the direct map.
    first: Pfn,
    direct: VirtAddr,
    pages: u64,
    done: bool,
}

impl<P: PageTables> Window<'_, P> {
    /// The same, lent to a case.
    const fn again(&mut self) -> Window<'_, P> {
        Window {
            peer: self.peer,
            first: self.first,
            direct: self.direct,
            pages: self.pages,
            done: true,
        }
    }

    const fn page(&self, number: u64) -> VirtAddr {
        VirtAddr(START + number * PAGE_SIZE)
    }

    #[inline(always)]
    fn map(&mut self) {
        let physical = self.first.address().0;
        self.done = self.peer.map(START, physical, self.pages);
    }

    #[inline(always)]
    fn unmap(&mut self) {
        self.done = self.peer.unmap(START, self.pages);
    }

    fn expect_done(&self) -> Result<(), Failure> {
        if self.done {
            return Ok(());
        }
        Err(Failure::new(format_args!("the peer reports an error")))
    }

    /// Each page shows its frame; the last page's translation is the oldest then.
    fn expect_frames(&self) -> Result<(), Failure> {
        for number in (0..self.pages).rev() {
            let mark = 0x7065_6572_0000_0000 + number;
            // SAFETY: the frame is ours.
            unsafe { proof::write(VirtAddr(self.direct.0 + number * PAGE_SIZE), mark)? };
            let found = proof::read(self.page(number))?;
            expect_eq!("a mapped page", found, mark);
        }
        proof::expect_fault(self.page(self.pages), PageFaultError::empty())
    }
}

struct Map<'p, P>(Window<'p, P>);

impl<P: PageTables> Case for Map<'_, P> {
    fn operation(&mut self) {
        self.0.map();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.0.expect_done()?;
        self.0.expect_frames()
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.0.unmap();
        self.0.expect_done()
    }
}

struct Protect<'p, P>(Window<'p, P>);

impl<P: PageTables> Case for Protect<'_, P> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.map();
        self.0.expect_done()?;
        for number in 0..self.0.pages {
            // SAFETY: the frame is ours.
            unsafe { proof::write(self.0.page(number), number)? };
        }
        Ok(())
    }

    fn operation(&mut self) {
        self.0.done = self.0.peer.protect(START, self.0.pages);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.0.expect_done()?;
        for number in (0..self.0.pages).rev() {
            let page = self.0.page(number);
            // SAFETY: a page that can be written to after all is ours.
            unsafe { proof::expect_read_only(page)? };
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.0.expect_done()?;
        self.0.unmap();
        self.0.expect_done()
    }
}

struct Unmap<'p, P>(Window<'p, P>);

impl<P: PageTables> Case for Unmap<'_, P> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.0.map();
        self.0.expect_done()?;
        self.0.expect_frames()
    }

    fn operation(&mut self) {
        self.0.unmap();
    }

    fn verify(&mut self) -> Result<(), Failure> {
        self.0.expect_done()?;
        for number in 0..self.0.pages {
            proof::expect_fault(self.0.page(number), PageFaultError::empty())?;
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.0.expect_done()
    }
}

struct Translate<'p, P> {
    window: Window<'p, P>,
    address: u64,
    found: Option<u64>,
}

impl<P: PageTables> Case for Translate<'_, P> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.found = None;
        self.window.map();
        self.window.expect_done()
    }

    fn operation(&mut self) {
        self.found = self.window.peer.translate(self.address);
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let expected = self.window.first.address().0 + OFFSET;
        expect_eq!(
            "the physical address",
            self.found.map(PhysAddr),
            Some(PhysAddr(expected))
        );
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        self.window.unmap();
        self.window.expect_done()
    }
}

/// Frames for all peers: those that are mapped, and those of tables.
struct Memory {
    mapped: Block,
    tables: Block,
}

impl Memory {
    fn measure<P: PageTables>(
        &self,
        machine: &Machine,
        run: &mut Run,
        names: &Names,
        peer: &mut P,
    ) {
        let first = self.mapped.pfn();
        let mut window = Window {
            peer,
            first,
            direct: machine.frame_address(first),
            pages: 1,
            done: true,
        };
        for ([map, protect, unmap], pages) in [(names.one, 1), (names.many, PAGES)] {
            window.pages = pages;
            run.measure(map, &mut Map(window.again()));
            run.measure(protect, &mut Protect(window.again()));
            run.measure(unmap, &mut Unmap(window.again()));
        }
        window.pages = 1;
        let mut translate = Translate {
            window,
            address: START + OFFSET,
            found: None,
        };
        run.measure(names.translate, &mut translate);
    }

    /// Measures a peer with its root in CR3.
    fn measure_within<P: PageTables>(
        &self,
        machine: &Machine,
        run: &mut Run,
        names: &Names,
        mut peer: P,
    ) {
        let root = PhysAddr(peer.root()).frame();
        let kernel = &machine.kernel;
        // SAFETY: the reference table's upper tables stay while this runs.
        let reference = unsafe { kernel.table.reference() };
        // SAFETY: the root is the peer's, which uses its other half alone.
        unsafe { reference.copy_kernel_half(root) };
        // SAFETY: it has the kernel's half, and stays until after the second switch.
        unsafe { switch_to(root) };
        self.measure(machine, run, names, &mut peer);
        // SAFETY: that is the reference table.
        unsafe { switch_to(machine.kernel.table.root()) };
    }
}

/// All of them, one after the other in the same frames.
pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    let offset = names!("x86_64");
    let multiarch = names!("page_table_multiarch");
    if ![&offset, &multiarch].iter().any(|names| names.any(run)) {
        return;
    }
    if machine.kernel.table.levels() != Levels::Four {
        return run.skip(offset.translate, "the peers have four levels");
    }
    let outcome = measure_all(machine, run, &offset, &multiarch);
    run.check("peer/page_tables", outcome);
}

fn measure_all(
    machine: &mut Machine,
    run: &mut Run,
    offset: &Names,
    multiarch: &Names,
) -> Result<(), Failure> {
    let mut block = |frames| {
        let order = Order::for_frames(frames).unwrap_or(Order::MAX);
        machine.kernel.frames.alloc_pages(Gfp::KERNEL, order)
    };
    let memory = Memory {
        mapped: block(PAGES)?,
        tables: block(TABLE_FRAMES)?,
    };
    let window = machine.layout.direct_map.start.0;
    let tables = memory.tables.pfn().address().0;
    // SAFETY: the direct map has all RAM that is allocated for the kernel, and the frames are ours.
    let peer = unsafe { Offset::new(window, tables) };
    memory.measure_within(machine, run, offset, peer);
    // SAFETY: as above: the one before is gone.
    let peer = unsafe { Multiarch::new(window, tables) };
    let peer = peer.ok_or(Failure::new(format_args!("the peer has no root")))?;
    memory.measure_within(machine, run, multiarch, peer);
    machine.kernel.frames.free(memory.mapped)?;
    machine.kernel.frames.free(memory.tables)?;
    Ok(())
}
