//! Address spaces: what a new root costs, and what the first touch of an area in it costs whose entry came later than the root.

use core::sync::atomic::{AtomicU64, Ordering};

use pagemark::boot::command_line::Propagation;
use pagemark::cpu::address_space::{propagated, switch_to};
use pagemark::cpu::direct_map::DirectMap;
use pagemark::cpu::exceptions;
use pagemark::cpu::invalidate::invlpg;
use pagemark::cpu::probe::PageFaultError;
use pagemark::kernel::Kernel;
use pagemark::machine::Machine;
use pagemark::mm::address::{PAGE_SIZE, VirtAddr};
use pagemark::mm::address_space::AddressSpace;
use pagemark::mm::hardware::PhysicalMemory;
use pagemark::mm::page_table::{NoOtherRoot, Reference};
use pagemark::mm::vmalloc::{Area, Request};

use super::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::Run;

pub type Space = AddressSpace<DirectMap>;

/// What the first two pages of an area hold.
const MARKS: [u64; 2] = [0x7370_6163_6500_0000, 0x7370_6163_6500_0001];

fn reference(kernel: &Kernel) -> Reference<DirectMap> {
    // SAFETY: tables are taken out of the tree here, when no other root is left, and by nobody while a case runs.
    unsafe { kernel.table.reference() }
}

pub fn new_space(kernel: &mut Kernel) -> Result<Space, Failure> {
    let (reference, memory) = (reference(kernel), *kernel.memory());
    let mut tables = kernel.tables();
    // SAFETY: the direct map covers all tables.
    let space = unsafe { AddressSpace::new(reference, memory, &mut tables) };
    space.ok_or(Failure::new(format_args!("no frame for a root")))
}

pub fn end_space(kernel: &mut Kernel, space: Space) -> Result<(), Failure> {
    // SAFETY: it is not in CR3.
    let tables = unsafe { space.into_tables() };
    kernel.free_tables(tables)?;
    Ok(())
}

/// Does `work` with the root of `space` in CR3.
fn within<R>(kernel: &Kernel, space: &Space, work: impl FnOnce() -> R) -> R {
    // SAFETY: the space lives until after the second switch.
    unsafe { switch_to(space.root()) };
    let result = work();
    // SAFETY: that is the reference table.
    unsafe { switch_to(kernel.table.root()) };
    result
}

/// An area of two pages at the start of an entry of the root. Its marks are written to the frames, so that no TLB has it yet.
fn new_area(machine: &mut Machine) -> Result<Area, Failure> {
    let bytes = reference(&machine.kernel).entry_bytes();
    let request = Request::new(2 * PAGE_SIZE).align(bytes);
    let area = machine.vmalloc.vmalloc_with(request, &mut machine.kernel)?;
    for (page, mark) in (0..).zip(MARKS) {
        let address = VirtAddr(area.start().0 + page * PAGE_SIZE);
        let frame = machine.vmalloc.vmalloc_to_page(address);
        let frame = frame.ok_or(Failure::new(format_args!("{address} has no frame")))?;
        // SAFETY: the frame is the area's, which is ours.
        unsafe {
            machine
                .kernel
                .memory()
                .with_words(frame, |words| words[0].store(mark, Ordering::Relaxed));
        }
    }
    Ok(area)
}

/// How a space comes to an entry, and from where it is touched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By the page fault.
    Lazy,
    /// By the page fault of a touch in an exception's handler.
    LazyInHandler,
    /// The entry is there before the space.
    Preallocated,
}

/// The address that a handler is to read.
static TOUCHED: AtomicU64 = AtomicU64::new(0);
/// What it read; 0 for a fault.
static READ: AtomicU64 = AtomicU64::new(0);

/// Reads a word from inside an exception's handler.
fn read_in_handler(address: VirtAddr) -> Result<u64, Failure> {
    TOUCHED.store(address.0, Ordering::Relaxed);
    exceptions::inside(|| {
        let address = VirtAddr(TOUCHED.load(Ordering::Relaxed));
        READ.store(proof::read(address).unwrap_or(0), Ordering::Relaxed);
    });
    Ok(READ.swap(0, Ordering::Relaxed))
}

/// What the accesses of a space came to.
struct Seen {
    /// The two pages of the area, and a page that was mapped before the space was made.
    words: [Result<u64, Failure>; 3],
    /// Entries that were copied by then, each time.
    propagated: [u64; 3],
    /// The guard page behind the area.
    guard: Result<(), Failure>,
}

/// An area that is mapped after a space was made, in an entry of the root that was not there, is seen in the space through one
/// page fault; with the entry made before the space, through none.
fn propagation(machine: &mut Machine, way: Way) -> Result<(), Failure> {
    // What waits for a flush would come free in between.
    machine.vmalloc.purge(&machine.kernel);
    let before = new_area(machine)?;
    let next = VirtAddr(before.start().0 + reference(&machine.kernel).entry_bytes());
    let outcome = release(machine, next)
        .and_then(|()| touch(machine, way, &before, next))
        .and_then(|()| release(machine, next));
    machine.vmalloc.vfree(before, &mut machine.kernel)?;
    outcome
}

/// Takes the tables below the root's entry for `address` out, and the entry with them, unless all are to be there always.
fn release(machine: &mut Machine, address: VirtAddr) -> Result<(), Failure> {
    if machine.options.propagation == Propagation::Preallocated {
        return Ok(());
    }
    machine.vmalloc.purge(&machine.kernel);
    let pages = reference(&machine.kernel).entry_bytes() / PAGE_SIZE;
    let (vmalloc, kernel) = (&mut machine.vmalloc, &mut machine.kernel);
    // SAFETY: no other root is in use.
    let alone = unsafe { NoOtherRoot::promise() };
    let released = vmalloc.release_tables_of_root(address, pages, alone)?;
    let tables = released.flush(&kernel.tlb);
    kernel.free_tables(tables)?;
    Ok(())
}

/// Maps an area at `next` after a space was made, and touches it in the space.
fn touch(machine: &mut Machine, way: Way, before: &Area, next: VirtAddr) -> Result<(), Failure> {
    if way == Way::Preallocated {
        let table = machine.kernel.table;
        table.preallocate(next, 1, &mut machine.kernel.tables())?;
    }
    let is_there =
        way == Way::Preallocated || machine.options.propagation == Propagation::Preallocated;
    let found = reference(&machine.kernel).has_entry(next);
    expect_eq!("the root's entry is there", found, is_there);
    let space = new_space(&mut machine.kernel)?;
    let area = match new_area(machine) {
        Ok(area) => area,
        Err(failure) => {
            end_space(&mut machine.kernel, space)?;
            return Err(failure);
        }
    };
    let start = area.start();
    let seen = within(&machine.kernel, &space, || {
        let from = propagated();
        let mut counts = [0; 3];
        let mut read = |number: usize, address: VirtAddr| {
            let word = match (number, way) {
                (0, Way::LazyInHandler) => read_in_handler(address),
                _ => proof::read(address),
            };
            counts[number] = propagated() - from;
            word
        };
        let words = [
            read(0, start),
            read(1, VirtAddr(start.0 + PAGE_SIZE)),
            read(2, before.start()),
        ];
        Seen {
            words,
            propagated: counts,
            guard: proof::expect_fault(area.guard_page(), PageFaultError::empty()),
        }
    });
    let end = propagated();
    end_space(&mut machine.kernel, space)?;
    machine.vmalloc.vfree(area, &mut machine.kernel)?;

    let [first, second, old] = seen.words;
    expect_eq!("the new area lies in the next entry", start, next);
    expect_eq!("the first page", first?, MARKS[0]);
    expect_eq!("the second page", second?, MARKS[1]);
    expect_eq!("the page that was there before", old?, MARKS[0]);
    let faults = u64::from(!is_there);
    expect_eq!("entries copied", seen.propagated, [faults; 3]);
    seen.guard?;
    expect_eq!("entries copied afterwards", propagated(), end);
    Ok(())
}

/// Making a root.
struct Create<'m> {
    machine: &'m mut Machine,
    space: Option<Result<Space, Failure>>,
}

impl Case for Create<'_> {
    fn operation(&mut self) {
        self.space = Some(new_space(&mut self.machine.kernel));
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let Some(Ok(space)) = &self.space else {
            return Err(Failure::new(format_args!("no root was made")));
        };
        // The reference table's last entry, which maps the image. Not the first word of the direct map: kexec reserves its frame.
        let root = self.machine.kernel.table.root();
        let address = VirtAddr(self.machine.frame_address(root).0 + PAGE_SIZE - 8);
        let here = proof::read(address)?;
        let there = within(&self.machine.kernel, space, || {
            // By a walk from the new root, not out of the TLB.
            invlpg(address);
            proof::read(address)
        });
        expect_eq!("a word of the direct map in the space", there?, here);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        match self.space.take() {
            Some(space) => end_space(&mut self.machine.kernel, space?),
            None => Ok(()),
        }
    }
}

/// The first touch of an area in a space.
struct FirstTouch<'m> {
    machine: &'m mut Machine,
    space: Space,
    address: VirtAddr,
    /// The root misses the entry, and has to be given it.
    missing: bool,
    propagated: u64,
    word: u64,
}

impl Case for FirstTouch<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        if self.missing {
            self.space.forget(self.address);
        }
        invlpg(self.address);
        self.word = 0;
        self.propagated = propagated();
        // SAFETY: `restore` switches back.
        unsafe { switch_to(self.space.root()) };
        Ok(())
    }

    fn operation(&mut self) {
        // SAFETY: the area is mapped in the reference table, which the page fault copies from.
        self.word = unsafe { (self.address.0 as *const u64).read_volatile() };
    }

    fn verify(&mut self) -> Result<(), Failure> {
        expect_eq!("the area's first word", self.word, MARKS[0]);
        let copied = propagated() - self.propagated;
        expect_eq!("entries copied", copied, u64::from(self.missing));
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        // SAFETY: that is the reference table.
        unsafe { switch_to(self.machine.kernel.table.root()) };
        Ok(())
    }
}

fn first_touch(machine: &mut Machine, run: &mut Run) -> Result<(), Failure> {
    let area = new_area(machine)?;
    let space = new_space(&mut machine.kernel)?;
    let mut case = FirstTouch {
        machine,
        space,
        address: area.start(),
        missing: true,
        propagated: 0,
        word: 0,
    };
    run.measure(LAZY, &mut case);
    // The entry is there again.
    case.missing = false;
    let address = case.address;
    within(&case.machine.kernel, &case.space, || proof::read(address))?;
    run.measure(PREALLOCATED, &mut case);
    end_space(&mut case.machine.kernel, case.space)?;
    case.machine.vmalloc.vfree(area, &mut case.machine.kernel)?;
    Ok(())
}

const CREATE: &str = "space/create";
const LAZY: &str = "space/first_touch/propagation=lazy";
const PREALLOCATED: &str = "space/first_touch/propagation=preallocated";

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    if run.would(CREATE) {
        run.measure(
            CREATE,
            &mut Create {
                machine,
                space: None,
            },
        );
    }
    if machine.layout.vmalloc.bytes() < 4 * reference(&machine.kernel).entry_bytes() {
        for name in [LAZY, PREALLOCATED] {
            run.skip(name, "the vmalloc region lies in one entry of the root");
        }
        return;
    }
    for (name, way) in [
        ("space/lazy", Way::Lazy),
        ("space/lazy_in_handler", Way::LazyInHandler),
        ("space/preallocated", Way::Preallocated),
    ] {
        run.check(name, propagation(machine, way));
    }
    if (run.would(LAZY) || run.would(PREALLOCATED))
        && let Err(failure) = first_touch(machine, run)
    {
        run.check(LAZY, Err(failure));
    }
}
