//! Changes of the address space: with PCIDs a switch to a space that is current keeps what the TLB has of it, without them
//! every switch drops that.

use pagemark::cpu::address_space::{enter, leave};
use pagemark::cpu::invalidate::{InvpcidType, invpcid};
use pagemark::cpu::pcid;
use pagemark::kernel::Kernel;
use pagemark::machine::Machine;
use pagemark::mm::address::{Order, PAGE_SIZE, Pfn, VirtAddr};
use pagemark::mm::frame::{Block, Gfp};
use pagemark::mm::page_table::Protection;
use pagemark::mm::tlb::{ContextFlush, Contexts, Pcid, Switch};
use pagemark_bracket::spread;

use super::refill::{LARGEST, QUICK, case_name};
use super::staleness;
use crate::cases::address_space::{Space, end_space, new_space};
use crate::cases::proof;
use crate::harness::case::{Case, Failure, expect_eq};
use crate::harness::run::{Run, Tier};

/// Where spaces have their pages: in the user half.
const USER: VirtAddr = VirtAddr(0x40_0000_0000);

/// A space with pages of its own, each of which holds a mark.
struct Own {
    space: Space,
    at: VirtAddr,
    frames: Block,
    pages: u64,
    first_mark: u64,
}

impl Own {
    /// The marks are those of `number`, page by page.
    fn new(machine: &mut Machine, at: VirtAddr, pages: u64, number: u64) -> Result<Self, Failure> {
        let order = Order::for_frames(pages);
        let order = order.ok_or(Failure::new(format_args!("too many pages for a block")))?;
        let frames = machine.kernel.frames.alloc_pages(Gfp::KERNEL, order)?;
        let mut own = Own {
            space: new_space(&mut machine.kernel)?,
            at,
            frames,
            pages,
            first_mark: number << 32,
        };
        for page in 0..pages {
            let frame = machine.frame_address(own.frame(page));
            let word = VirtAddr(frame.0 + spread::offset(page));
            // SAFETY: the block is ours.
            unsafe { proof::write(word, own.mark(page))? };
        }
        let mut tables = machine.kernel.tables();
        let frames = own.frame(0)..own.frame(pages);
        own.space
            .map(at, frames, Protection::READ_WRITE, &mut tables)?;
        Ok(own)
    }

    fn frame(&self, page: u64) -> Pfn {
        self.frames.pfn().add(page)
    }

    const fn page(&self, number: u64) -> VirtAddr {
        VirtAddr(self.at.0 + number * PAGE_SIZE)
    }

    /// Where a page's mark is.
    const fn word(&self, number: u64) -> VirtAddr {
        VirtAddr(self.page(number).0 + spread::offset(number))
    }

    /// Reads all pages of the space, which is loaded.
    fn read_all(&self) -> Result<(), Failure> {
        for number in 0..self.pages {
            let word = proof::read(self.word(number))?;
            expect_eq!("a space's word", word, self.mark(number));
        }
        Ok(())
    }

    const fn mark(&self, page: u64) -> u64 {
        self.first_mark + page
    }

    fn end(mut self, kernel: &mut Kernel, contexts: &mut Contexts) -> Result<(), Failure> {
        let owed = self.space.unmap(self.at, self.pages)?;
        owed.flush(contexts, &kernel.tlb);
        end_space(kernel, self.space)?;
        kernel.frames.free(self.frames)?;
        Ok(())
    }
}

/// The two spaces in turn, and all pages of each.
struct SwitchAndTouch<'m> {
    machine: &'m mut Machine,
    contexts: Contexts,
    spaces: [Own; 2],
    turn: usize,
    step: u64,
    sum: u64,
}

impl Case for SwitchAndTouch<'_> {
    fn prepare(&mut self) -> Result<(), Failure> {
        self.sum = 0;
        Ok(())
    }

    fn operation(&mut self) {
        self.turn ^= 1;
        let own = &self.spaces[self.turn];
        // SAFETY: the space stays, the contexts are this CPU's, and `restore` leaves it.
        unsafe { enter(own.space.loadable(), &mut self.contexts) };
        // SAFETY: the pages are mapped in the space.
        self.sum = unsafe { spread::touch(USER.0, own.pages, self.step) };
    }

    fn batch(&self) -> u32 {
        16
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let own = &self.spaces[self.turn];
        let expected: u64 = (0..own.pages).map(|page| own.mark(page)).sum();
        expect_eq!("the sum of the space's words", self.sum, expected);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), Failure> {
        // SAFETY: that is the reference table.
        unsafe { leave(self.machine.kernel.table.root(), &mut self.contexts) };
        Ok(())
    }
}

fn measure(
    machine: &mut Machine,
    run: &mut Run,
    name: &str,
    pages: u64,
    pcid: bool,
) -> Result<(), Failure> {
    let spaces = [
        Own::new(machine, USER, pages, 1)?,
        Own::new(machine, USER, pages, 2)?,
    ];
    let mut case = SwitchAndTouch {
        machine,
        contexts: Contexts::new(pcid),
        spaces,
        turn: 0,
        step: spread::step(pages),
        sum: 0,
    };
    run.measure(name, &mut case);
    let SwitchAndTouch {
        machine,
        mut contexts,
        spaces,
        ..
    } = case;
    for own in spaces {
        own.end(&mut machine.kernel, &mut contexts)?;
    }
    Ok(())
}

pub(super) fn run(machine: &mut Machine, run: &mut Run) {
    proofs(machine, run);
    for log2 in 0..=LARGEST {
        let tier = if QUICK.contains(&log2) {
            Tier::Quick
        } else {
            Tier::Full
        };
        for (how, with_pcid) in [("no_pcid", false), ("pcid", true)] {
            let pages = 1 << log2;
            let name = case_name(format_args!("tlb/switch/pages={pages}/{how}"));
            run.in_tier(tier, |run| {
                if with_pcid && !pcid::enabled() {
                    run.skip(&name, "the CPU has no PCID");
                } else if run.would(&name)
                    && let Err(failure) = measure(machine, run, &name, pages, with_pcid)
                {
                    run.check(&*name, Err(failure));
                }
            });
        }
    }
}

/// Two spaces whose pages were read in each, the first of which is loaded.
struct Scene {
    contexts: Contexts,
    one: Own,
    two: Own,
    /// Other frames for the pages of the first space.
    others: Own,
    /// The PCID of the first space.
    pcid: Pcid,
}

/// Pages of the spaces of a scene.
const PAGES: u64 = 2;

impl Scene {
    fn new(machine: &mut Machine, pcid: bool, place: u64) -> Result<Self, Failure> {
        let at = VirtAddr(USER.0 + PAGES * place * PAGE_SIZE);
        let mut scene = Scene {
            contexts: Contexts::new(pcid),
            one: Own::new(machine, at, PAGES, 1)?,
            two: Own::new(machine, at, PAGES, 2)?,
            others: Own::new(machine, at, PAGES, 3)?,
            pcid: Pcid(0),
        };
        scene.load_two();
        scene.two.read_all()?;
        scene.pcid = match scene.load_one() {
            Switch::Flush(pcid) => pcid,
            other => return Err(Failure::new(format_args!("a new context: {other:?}"))),
        };
        scene.one.read_all()?;
        Ok(scene)
    }

    /// Loads the first space as the contexts say; returns what they said.
    fn load_one(&mut self) -> Switch {
        let switch = self.contexts.switch_to(self.one.space.context());
        let (pcid, keep) = match switch {
            Switch::Nothing => return switch,
            Switch::Keep(pcid) => (pcid, true),
            Switch::Flush(pcid) => (pcid, false),
        };
        // SAFETY: as the contexts say; the space stays until `end`.
        unsafe { pcid::load(self.one.space.root(), pcid, keep) };
        switch
    }

    fn load_two(&mut self) {
        // SAFETY: the space stays until `end`, and the contexts are this CPU's.
        unsafe { enter(self.two.space.loadable(), &mut self.contexts) };
    }

    /// Puts the other frames behind the pages of the first space. Returns the flush that is owed.
    fn remap(&mut self) -> Result<ContextFlush, Failure> {
        let frames = self.others.frame(0)..self.others.frame(PAGES);
        Ok(self.one.space.remap(self.one.at, frames)?)
    }

    /// Whether a page of the first space, which is loaded, still reads as before.
    fn is_old(&self, number: u64) -> Result<bool, Failure> {
        let (old, new) = (self.one.mark(number), self.others.mark(number));
        staleness::is_old(self.one.word(number), old, new)
    }

    fn all_old(&self) -> Result<bool, Failure> {
        Ok(self.is_old(0)? & self.is_old(1)?)
    }

    /// A page of the first space after it was flushed for.
    fn expect_fresh(&self, number: u64) -> Result<(), Failure> {
        let word = proof::read(self.one.word(number))?;
        expect_eq!("the word after the flush", word, self.others.mark(number));
        Ok(())
    }

    fn all_fresh(&self) -> Result<(), Failure> {
        self.expect_fresh(0)?;
        self.expect_fresh(1)
    }

    fn end(mut self, machine: &mut Machine) -> Result<(), Failure> {
        let kernel = &mut machine.kernel;
        // SAFETY: that is the reference table.
        unsafe { leave(kernel.table.root(), &mut self.contexts) };
        for own in [self.one, self.two, self.others] {
            own.end(kernel, &mut self.contexts)?;
        }
        Ok(())
    }
}

/// A proof on a scene: whether all words that were changed were read as before until the flush.
type Proof = fn(&Machine, &mut Scene) -> Result<bool, Failure>;

fn proofs(machine: &mut Machine, run: &mut Run) {
    const ALWAYS: &[(&str, Proof)] = &[
        ("tlb/switch/loaded_context", loaded),
        ("tlb/switch/stale_context", stale),
    ];
    const WITH_PCID: &[(&str, Proof)] = &[
        ("tlb/switch/loaded_context/pcid", loaded),
        ("tlb/switch/stale_context/pcid", stale),
        ("tlb/switch/stale_meanwhile/pcid", stale_meanwhile),
    ];
    const WITH_INVPCID: &[(&str, Proof)] = &[
        ("tlb/switch/invpcid/type=address", invpcid_address),
        ("tlb/switch/invpcid/type=context", |_, scene| {
            invpcid_all_pages(scene, InvpcidType::Context)
        }),
        ("tlb/switch/invpcid/type=all", |_, scene| {
            invpcid_all_pages(scene, InvpcidType::All)
        }),
        ("tlb/switch/invpcid/type=all_non_global", |_, scene| {
            invpcid_all_pages(scene, InvpcidType::AllNonGlobal)
        }),
    ];
    let with_pcid = pcid::enabled();
    let with_invpcid = with_pcid && machine.features.invpcid;
    for (proofs, pcid, possible) in [
        (ALWAYS, false, true),
        (WITH_PCID, true, with_pcid),
        (WITH_INVPCID, true, with_invpcid),
    ] {
        for &(name, prove) in proofs.iter().filter(|_| possible) {
            if !run.would(name) {
                continue;
            }
            let outcome = staleness::prove(staleness::known(machine), |place| {
                let mut scene = Scene::new(machine, pcid, place)?;
                let proof = prove(machine, &mut scene);
                scene.end(machine)?;
                proof
            });
            run.check(name, outcome);
        }
    }
}

/// A change of the space that is loaded is flushed for at once.
fn loaded(machine: &Machine, scene: &mut Scene) -> Result<bool, Failure> {
    let owed = scene.remap()?;
    let old = scene.all_old()?;
    owed.flush(&mut scene.contexts, &machine.kernel.tlb);
    scene.all_fresh()?;
    expect_eq!("the next load", scene.load_one(), Switch::Nothing);
    Ok(old)
}

/// A change of a space whose flush finds it not loaded any more is seen when it comes back, and the switch is what does it.
fn stale(machine: &Machine, scene: &mut Scene) -> Result<bool, Failure> {
    let owed = scene.remap()?;
    let old = scene.all_old()?;
    scene.load_two();
    owed.flush(&mut scene.contexts, &machine.kernel.tlb);
    scene.two.read_all()?;
    expect_eq!("the load", scene.load_one(), Switch::Flush(scene.pcid));
    scene.all_fresh()?;
    Ok(old)
}

/// A space that is current when it comes back is kept; one that changed while another was loaded is flushed. A TLB need not keep
/// anything across a load of CR3, and Bochs's does not: what is read in between says nothing.
fn stale_meanwhile(machine: &Machine, scene: &mut Scene) -> Result<bool, Failure> {
    scene.load_two();
    expect_eq!("the load", scene.load_one(), Switch::Keep(scene.pcid));
    scene.one.read_all()?;
    scene.load_two();
    let owed = scene.remap()?;
    // With all that the TLB has of it, whether that is true or not.
    //
    // SAFETY: the space stays until `end`; what may contradict its tables are two user pages, whose frames are all ours.
    unsafe { pcid::load(scene.one.space.root(), scene.pcid, true) };
    let _ = scene.all_old()?;
    owed.flush(&mut scene.contexts, &machine.kernel.tlb);
    expect_eq!("the load", scene.load_one(), Switch::Flush(scene.pcid));
    scene.all_fresh()?;
    Ok(true)
}

/// Type 0 drops one page of the context that it names. It may drop more, and in Bochs does.
fn invpcid_address(machine: &Machine, scene: &mut Scene) -> Result<bool, Failure> {
    let owed = scene.remap()?;
    let old = scene.all_old()?;
    // SAFETY: CPUID reports the instruction, and PCIDs are enabled.
    unsafe { invpcid(InvpcidType::Address, scene.pcid.0, scene.one.page(1)) };
    scene.expect_fresh(1)?;
    let _ = scene.is_old(0)?;
    owed.flush(&mut scene.contexts, &machine.kernel.tlb);
    scene.all_fresh()?;
    Ok(old)
}

/// The other types drop all pages of the context.
fn invpcid_all_pages(scene: &mut Scene, kind: InvpcidType) -> Result<bool, Failure> {
    // The instruction is the flush that is owed.
    drop(scene.remap()?);
    let old = scene.all_old()?;
    // SAFETY: CPUID reports the instruction, and PCIDs are enabled.
    unsafe { invpcid(kind, scene.pcid.0, VirtAddr(0)) };
    scene.all_fresh()?;
    Ok(old)
}
