//! Two CPUs with model TLBs that keep everything that is not flushed, and a few address spaces that change under them.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

const CPUS: usize = 2;
const SPACES: usize = 9;
const PAGES: u8 = 3;

/// A space: its context, and which version of each page its table holds.
struct Space {
    context: Context,
    table: [u32; PAGES as usize],
}

impl Space {
    fn new(version: u32) -> Self {
        Space {
            context: Context::new(),
            table: [version; PAGES as usize],
        }
    }
}

/// A CPU: the real bookkeeping, and the hardware whose state it tracks.
struct Cpu {
    contexts: Contexts,
    keeps: bool,
    /// CR3: the space, and its PCID.
    cr3: Option<(usize, u16)>,
    /// PCID and page to version.
    tlb: BTreeMap<(u16, u8), u32>,
    /// Contexts whose translations the TLB kept since it was current with them, by PCID: a naive model, of what happened alone.
    current: BTreeMap<u16, u64>,
}

impl Cpu {
    fn drop_pcid(&mut self, pcid: u16) {
        self.tlb.retain(|&(of, _), _| of != pcid);
    }

    fn switch(&mut self, number: usize, space: &Space) -> Result<(), TestCaseError> {
        let choice = self.contexts.switch_to(&space.context);
        let id = space.context.id;
        match choice {
            Switch::Nothing => {
                prop_assert!(self.cr3.is_some_and(|(loaded, _)| loaded == number));
            }
            Switch::Keep(pcid) => {
                prop_assert!(self.keeps);
                self.cr3 = Some((number, pcid.0));
            }
            Switch::Flush(pcid) => {
                let needless = self.keeps && self.current.values().any(|&held| held == id);
                prop_assert!(!needless, "{number} was current");
                prop_assert_eq!(pcid != Pcid(0), self.keeps);
                self.drop_pcid(pcid.0);
                self.cr3 = Some((number, pcid.0));
            }
        }
        if let Some((_, pcid)) = self.cr3 {
            self.current.insert(pcid, id);
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.contexts.leave();
        self.cr3 = None;
    }

    fn access(&mut self, spaces: &[Space], page: u8) -> Result<(), TestCaseError> {
        if let Some((space, pcid)) = self.cr3 {
            let now = spaces[space].table[usize::from(page)];
            let seen = *self.tlb.entry((pcid, page)).or_insert(now);
            prop_assert_eq!(seen, now, "a stale use of page {} in {}", page, space);
        }
        Ok(())
    }

    /// Its part of a flush: what a responder does, and the initiator itself.
    fn catch_up(&mut self, space: &Space, pages: &BTreeSet<u8>, flushes: Generations) -> CatchUp {
        let action = self.contexts.catch_up(flushes);
        if let Some((_, pcid)) = self.cr3 {
            match action {
                CatchUp::Nothing => {}
                CatchUp::Pages => self
                    .tlb
                    .retain(|(of, page), _| *of != pcid || !pages.contains(page)),
                CatchUp::Whole => self.drop_pcid(pcid),
            }
        }
        // A context that is not loaded has become stale; one that is loaded is current again.
        let loaded = self.cr3.map(|(_, pcid)| pcid);
        self.current
            .retain(|pcid, id| *id != space.context.id || Some(*pcid) == loaded);
        action
    }
}

#[derive(Clone, Debug)]
enum Step {
    Switch {
        cpu: usize,
        space: usize,
    },
    Leave {
        cpu: usize,
    },
    Access {
        cpu: usize,
        page: u8,
    },
    /// Flushes of one space that are under way at the same time, each of these pages, the first and the last of them merged or
    /// not; the CPUs answer them in some order.
    Flush {
        space: usize,
        changes: Vec<BTreeSet<u8>>,
        merged: bool,
        backwards: bool,
    },
    /// The space ends and another takes its place.
    Renew {
        space: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let cpu = 0..CPUS;
    let space = 0..SPACES;
    let pages = prop::collection::btree_set(0..PAGES, 1..=PAGES as usize);
    prop_oneof![
        6 => (cpu.clone(), space.clone()).prop_map(|(cpu, space)| Step::Switch { cpu, space }),
        1 => cpu.clone().prop_map(|cpu| Step::Leave { cpu }),
        6 => (cpu, 0..PAGES).prop_map(|(cpu, page)| Step::Access { cpu, page }),
        3 => (space.clone(), prop::collection::vec(pages, 1..4), any::<bool>(), any::<bool>())
            .prop_map(|(space, changes, merged, backwards)| Step::Flush { space, changes, merged, backwards }),
        1 => space.prop_map(|space| Step::Renew { space }),
    ]
}

fn live(pcid: bool, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut version = 0;
    let mut spaces: Vec<Space> = (0..SPACES).map(|_| Space::new(0)).collect();
    let mut cpus: Vec<Cpu> = (0..CPUS)
        .map(|_| Cpu {
            contexts: Contexts::new(pcid),
            keeps: pcid,
            cr3: None,
            tlb: BTreeMap::new(),
            current: BTreeMap::new(),
        })
        .collect();
    for step in steps {
        match step {
            Step::Switch { cpu, space } => cpus[*cpu].switch(*space, &spaces[*space])?,
            Step::Leave { cpu } => cpus[*cpu].leave(),
            Step::Access { cpu, page } => cpus[*cpu].access(&spaces, *page)?,
            Step::Flush {
                space,
                changes,
                merged,
                backwards,
            } => {
                let mut flushes = Vec::new();
                for pages in changes {
                    version += 1;
                    for &page in pages {
                        spaces[*space].table[usize::from(page)] = version;
                    }
                    flushes.push((pages.clone(), spaces[*space].context.advance()));
                }
                if *merged && flushes.len() > 1 {
                    let (pages, generations) = flushes.remove(0);
                    let last = flushes.last_mut().unwrap();
                    last.0.extend(pages);
                    last.1 = last.1.join(generations).unwrap();
                }
                if *backwards {
                    flushes.reverse();
                }
                for cpu in &mut cpus {
                    for (pages, generations) in &flushes {
                        let action = cpu.catch_up(&spaces[*space], pages, *generations);
                        let one = flushes.len() == 1;
                        prop_assert!(!one || action != CatchUp::Whole, "one flush is enough");
                    }
                }
                // All are done: nobody sees an old version any more.
                for cpu in &mut cpus {
                    for page in 0..PAGES {
                        cpu.access(&spaces, page)?;
                    }
                }
            }
            Step::Renew { space } => {
                // Nobody has it loaded when it ends.
                for cpu in &mut cpus {
                    if cpu.cr3.is_some_and(|(loaded, _)| loaded == *space) {
                        cpu.leave();
                    }
                }
                version += 1;
                spaces[*space] = Space::new(version);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 512 }, ..ProptestConfig::default() })]

    #[test]
    fn nothing_stale_is_used_and_nothing_current_is_flushed(
        pcid in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        live(pcid, &steps)?;
    }
}

#[test]
fn a_current_context_is_kept_and_a_stale_one_flushed() {
    let (one, two) = (Context::new(), Context::new());
    let mut cpu = Contexts::new(true);
    assert_eq!(cpu.switch_to(&one), Switch::Flush(Pcid(1)));
    assert_eq!(cpu.switch_to(&one), Switch::Nothing);
    assert_eq!(cpu.switch_to(&two), Switch::Flush(Pcid(2)));
    assert_eq!(cpu.switch_to(&one), Switch::Keep(Pcid(1)));
    let flush = two.advance();
    assert_eq!(cpu.catch_up(flush), CatchUp::Nothing);
    assert_eq!(cpu.switch_to(&two), Switch::Flush(Pcid(2)));
    assert_eq!(cpu.catch_up(flush), CatchUp::Nothing);
    assert_eq!(cpu.catch_up(two.advance()), CatchUp::Pages);
    let _ = two.advance();
    assert_eq!(cpu.catch_up(two.advance()), CatchUp::Whole);
    let _ = two.advance();
    assert_eq!(cpu.switch_to(&two), Switch::Flush(Pcid(2)));
    cpu.leave();
    assert_eq!(cpu.switch_to(&two), Switch::Keep(Pcid(2)));
}

#[test]
fn the_seventh_context_takes_the_place_of_the_first() {
    let contexts: Vec<_> = (0..=ASIDS).map(|_| Context::new()).collect();
    let mut cpu = Contexts::new(true);
    for (number, context) in contexts.iter().enumerate() {
        let pcid = Pcid((number % ASIDS) as u16 + 1);
        assert_eq!(cpu.switch_to(context), Switch::Flush(pcid));
    }
    assert_eq!(cpu.switch_to(&contexts[1]), Switch::Keep(Pcid(2)));
    assert_eq!(cpu.switch_to(&contexts[0]), Switch::Flush(Pcid(2)));
}

#[test]
fn without_pcid_every_switch_flushes() {
    let (one, two) = (Context::new(), Context::new());
    let mut cpu = Contexts::new(false);
    for context in [&one, &two, &one] {
        assert!(matches!(cpu.switch_to(context), Switch::Flush(_)));
    }
    assert_eq!(cpu.switch_to(&one), Switch::Nothing);
    cpu.leave();
    assert!(matches!(cpu.switch_to(&one), Switch::Flush(_)));
}

#[test]
fn merged_flushes_count_as_one_only_if_none_is_between() {
    let (one, two) = (Context::new(), Context::new());
    let mut cpu = Contexts::new(true);
    let _ = cpu.switch_to(&one);
    let [first, second] = [one.advance(), one.advance()];
    assert_eq!(first.join(two.advance()), None);
    assert_eq!(cpu.catch_up(second.join(first).unwrap()), CatchUp::Pages);
    let [first, _, third] = [one.advance(), one.advance(), one.advance()];
    assert_eq!(cpu.catch_up(first.join(third).unwrap()), CatchUp::Whole);
    assert_eq!(cpu.switch_to(&one), Switch::Nothing);
}

#[test]
fn the_second_look_sees_a_change_since_the_first_once() {
    let (one, two) = (Context::new(), Context::new());
    let mut cpu = Contexts::new(true);
    assert!(!cpu.changed_meanwhile(&one));
    let _ = cpu.switch_to(&one);
    assert!(!cpu.changed_meanwhile(&one));
    let _ = one.advance();
    assert!(cpu.changed_meanwhile(&one));
    assert!(!cpu.changed_meanwhile(&one));
    // What it saw it has caught up with, and another context's changes are not its business.
    let _ = two.advance();
    assert!(!cpu.changed_meanwhile(&one));
    assert_eq!(cpu.switch_to(&one), Switch::Nothing);
}
