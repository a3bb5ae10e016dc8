//! The counters of events in a core: found, started, read, and left as they were.
//!
//! - Intel: architectural performance monitoring (CPUID 0AH; SDM volume 3, 20.2), fixed counters where there are some, from version 2 on
//!   under a global switch.
//! - AMD: six or more counters of the core (CPUID 8000_0001H, ECX bit 23), else the four of family 10H; the global switch of version 2
//!   (CPUID 8000_0022H; APM volume 2, 13.2).
//! - `events`: what they count, by model
//!
//! CPUID is not believed: hypervisors announce counters that raise #GP, that keep nothing, or that stand still. A counter is used only if
//! it keeps what is written to it, and all of them only if they count a known loop ([`Counters::confirm`]). One that somebody has running,
//! firmware say, is left alone. All run all the time; what counts is the difference of two readings, in the counter's own width.

pub mod events;

use arrayvec::ArrayVec;
use raw_cpuid::CpuIdResult;

use self::events::{Event, Walks};
use super::access::CpuAccess;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Core cycles.
    Cycles,
    /// Instructions that were retired.
    Instructions,
    /// Page walks for loads that were completed.
    LoadWalks,
    /// Page walks for stores that were completed.
    StoreWalks,
    /// Page walks for data, where loads and stores are not counted apart.
    Walks,
    /// Cycles of walks for loads, summed up over the walks under way.
    LoadWalkCycles,
    /// The same for stores.
    StoreWalkCycles,
}

/// The most counters that are used.
pub const MOST: usize = 6;

/// One counter.
#[derive(Clone, Copy, Debug)]
struct Counter {
    kind: Kind,
    register: u32,
    /// The bits that it has.
    width: u64,
}

/// Why nothing is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absent {
    /// The CPU announces no counters.
    NotAnnounced,
    /// MISC_ENABLE says that they are switched off.
    SwitchedOff,
    /// There are some, but each is in use, raises #GP, or keeps nothing.
    NotUsable,
    /// They stand still, or count something else.
    DoNotCount,
}

impl Absent {
    /// The words for it in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Absent::NotAnnounced => "not_announced",
            Absent::SwitchedOff => "switched_off",
            Absent::NotUsable => "not_usable",
            Absent::DoNotCount => "do_not_count",
        }
    }
}

/// Counters that run.
#[derive(Debug)]
pub struct Counters {
    used: ArrayVec<Counter, MOST>,
    /// Registers that were changed, and their values before.
    before: ArrayVec<(u32, u64), { 2 * MOST + 2 }>,
}

/// What the counters stand at, in the order of [`Counters::kinds`].
pub type Reading = [u64; MOST];

const MISC_ENABLE: u32 = 0x1a0;
const MISC_ENABLE_PERFMON: u64 = 1 << 7;

/// Of an event select: counts in rings 1 to 3, in ring 0; runs.
const USER: u64 = 1 << 16;
const KERNEL: u64 = 1 << 17;
const ENABLE: u64 = 1 << 22;

/// A value that a counter has to keep. Intel's are extended from bit 31 when they are written.
const PATTERN: u64 = 0x0123_4567;

/// The counters that can be set to any event: the registers, and how they are switched.
struct Programmable {
    /// Select and counter of the first one, and how far it is to the next.
    select: u32,
    counter: u32,
    stride: u32,
    count: u32,
    width: u64,
}

const fn width(bits: u32) -> u64 {
    match bits {
        0..64 => (1 << bits) - 1,
        _ => u64::MAX,
    }
}

impl Counters {
    /// Finds the CPU's counters and starts them.
    ///
    /// # Errors
    ///
    /// Why there are none.
    pub fn start<C: CpuAccess>(cpu: &C) -> Result<Self, Absent> {
        let vendor = cpu.cpuid(0, 0);
        let mut counters = Counters {
            used: ArrayVec::new(),
            before: ArrayVec::new(),
        };
        match vendor.ebx {
            // "Genu", "Auth", "Hygo".
            0x756e_6547 => counters.start_intel(cpu)?,
            0x6874_7541 | 0x6f67_7948 => counters.start_amd(cpu)?,
            _ => return Err(Absent::NotAnnounced),
        }
        if counters.used.is_empty() {
            counters.stop(cpu);
            return Err(Absent::NotUsable);
        }
        Ok(counters)
    }

    /// What is counted.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.used.iter().map(|counter| counter.kind)
    }

    /// What they stand at. Zero beyond the counters that there are, and for one that has gone since.
    #[must_use]
    pub fn read<C: CpuAccess>(&self, cpu: &C) -> Reading {
        let mut reading = [0; MOST];
        for (place, counter) in reading.iter_mut().zip(&self.used) {
            *place = cpu.read_msr(counter.register).unwrap_or(0);
        }
        reading
    }

    /// What they have counted between two readings, during which none of them has come round more than once.
    #[must_use]
    pub fn between(&self, before: Reading, after: Reading) -> Reading {
        let mut counts = [0; MOST];
        for (place, counter) in self.used.iter().enumerate() {
            counts[place] = after[place].wrapping_sub(before[place]) & counter.width;
        }
        counts
    }

    /// What was counted of this kind, out of `counts`.
    #[must_use]
    pub fn of(&self, kind: Kind, counts: Reading) -> Option<u64> {
        let place = self.kinds().position(|counted| counted == kind)?;
        Some(counts[place])
    }

    /// Counts a loop that executes `instructions`, and expects them, up to the few of the reading itself, and as many cycles as a CPU may
    /// take for them.
    ///
    /// # Errors
    ///
    /// [`Absent::DoNotCount`]; the counters are stopped then.
    pub fn confirm<C: CpuAccess>(
        self,
        cpu: &C,
        instructions: u64,
        work: impl FnOnce(),
    ) -> Result<Self, Absent> {
        /// A reading through a hypervisor takes an exit for each counter, which adds none of the guest's instructions.
        const OF_READING: u64 = 2000;
        const MOST_CYCLES: u64 = 1000;
        let before = self.read(cpu);
        work();
        let counts = self.between(before, self.read(cpu));
        let counted = |kind, range: core::ops::RangeInclusive<u64>| {
            self.of(kind, counts)
                .is_none_or(|count| range.contains(&count))
        };
        let holds = counted(Kind::Instructions, instructions..=instructions + OF_READING)
            && counted(Kind::Cycles, instructions / 16..=instructions * MOST_CYCLES);
        if holds {
            Ok(self)
        } else {
            self.stop(cpu);
            Err(Absent::DoNotCount)
        }
    }

    /// Leaves out the counts of walks, where they turn out not to count walks.
    pub fn without_walks(&mut self) {
        self.used
            .retain(|counter| matches!(counter.kind, Kind::Cycles | Kind::Instructions));
    }

    /// Stops them and puts back what the registers held before, the last one first.
    pub fn stop<C: CpuAccess>(self, cpu: &C) {
        for &(register, value) in self.before.iter().rev() {
            // SAFETY: the value that was found there; nobody else uses the counters.
            unsafe { cpu.write_msr(register, value) };
        }
    }

    /// Writes a register whose value is put back in the end.
    fn change<C: CpuAccess>(&mut self, cpu: &C, register: u32, value: u64) -> bool {
        let Some(before) = cpu.read_msr(register) else {
            return false;
        };
        if self.before.try_push((register, before)).is_err() {
            return false;
        }
        // SAFETY: the registers of counters, which nobody else uses; none is asked to interrupt.
        unsafe { cpu.write_msr(register, value) }
    }

    /// Takes the next free counters for these events, most wanted first. Returns the places of those that run.
    fn program<C: CpuAccess>(
        &mut self,
        cpu: &C,
        on: &Programmable,
        wanted: impl IntoIterator<Item = (Kind, Event)>,
    ) -> u64 {
        let mut running = 0;
        let mut places = 0..on.count;
        for (kind, event) in wanted {
            let value = u64::from(event.number) | u64::from(event.mask) << 8;
            for place in places.by_ref() {
                let select = on.select + on.stride * place;
                let register = on.counter + on.stride * place;
                let in_use = cpu.read_msr(select).is_none_or(|now| now & ENABLE != 0);
                if in_use || !keeps(cpu, register) {
                    continue;
                }
                if self.used.is_full() || !self.change(cpu, select, value | USER | KERNEL | ENABLE)
                {
                    continue;
                }
                self.used.push(Counter {
                    kind,
                    register,
                    width: on.width,
                });
                running |= 1 << place;
                break;
            }
        }
        running
    }

    fn start_intel<C: CpuAccess>(&mut self, cpu: &C) -> Result<(), Absent> {
        const FIXED: [(Kind, u32); 2] = [(Kind::Instructions, 0x309), (Kind::Cycles, 0x30a)];
        const FIXED_CONTROL: u32 = 0x38d;
        const GLOBAL_CONTROL: u32 = 0x38f;
        let CpuIdResult { eax, ebx, ecx, edx } = cpu.leaf(0xa).ok_or(Absent::NotAnnounced)?;
        let version = eax & 0xff;
        if version == 0 {
            return Err(Absent::NotAnnounced);
        }
        if cpu
            .read_msr(MISC_ENABLE)
            .is_some_and(|enabled| enabled & MISC_ENABLE_PERFMON == 0)
        {
            return Err(Absent::SwitchedOff);
        }
        let has_switch = version >= 2;
        let mut global = match has_switch {
            true => cpu.read_msr(GLOBAL_CONTROL).ok_or(Absent::NotUsable)?,
            false => 0,
        };
        // The first to be changed is the last to be put back.
        if has_switch && !self.change(cpu, GLOBAL_CONTROL, 0) {
            return Err(Absent::NotUsable);
        }
        if has_switch && let Some(mut control) = cpu.read_msr(FIXED_CONTROL) {
            let announced =
                |place: u32| place < edx & 0x1f || version >= 5 && ecx >> place & 1 != 0;
            let mut fixed: ArrayVec<(u32, Counter), 2> = ArrayVec::new();
            for (place, (kind, register)) in (0..).zip(FIXED) {
                if announced(place) && keeps(cpu, register) {
                    let width = width(edx >> 5 & 0xff);
                    let counter = Counter {
                        kind,
                        register,
                        width,
                    };
                    fixed.push((place, counter));
                    // Four bits each: in ring 0 and in the others.
                    control = control & !(0xf << (4 * place)) | 0x3 << (4 * place);
                }
            }
            if self.change(cpu, FIXED_CONTROL, control) {
                for (place, counter) in fixed {
                    self.used.push(counter);
                    global |= 1 << (32 + place);
                }
            }
        }
        // Bits of EBX that are set name events that are not there.
        let architectural = [
            (Kind::Cycles, events::INTEL[0], 0),
            (Kind::Instructions, events::INTEL[1], 1),
        ];
        let missing: ArrayVec<(Kind, Event), 2> = architectural
            .into_iter()
            .filter(|&(kind, _, bit)| {
                ebx >> bit & 1 == 0 && !self.kinds().any(|counted| counted == kind)
            })
            .map(|(kind, event, _)| (kind, event))
            .collect();
        let version_1 = cpu.cpuid(1, 0).eax;
        let family_6 = version_1 >> 8 & 0xf == 6;
        let model = version_1 >> 4 & 0xf | version_1 >> 12 & 0xf0;
        let kind = cpu.leaf(0x1a).map_or(0, |leaf| leaf.eax >> 24);
        let walks = family_6.then(|| events::of_intel(model, kind)).flatten();
        let on = Programmable {
            select: 0x186,
            counter: 0xc1,
            stride: 1,
            // Those of Golden Cove beyond the fourth do not count walks.
            count: (eax >> 8 & 0xff).min(4),
            width: width(eax >> 16 & 0xff),
        };
        global |= self.program(cpu, &on, missing.into_iter().chain(of_walks(walks)));
        if has_switch {
            // SAFETY: the switch of the counters; it is put back in the end.
            unsafe { cpu.write_msr(GLOBAL_CONTROL, global) };
        }
        Ok(())
    }

    fn start_amd<C: CpuAccess>(&mut self, cpu: &C) -> Result<(), Absent> {
        const GLOBAL_CONTROL: u32 = 0xc000_0301;
        const EXTENDED_COUNTERS: u32 = 1 << 23;
        let extended = cpu
            .leaf(0x8000_0001)
            .is_some_and(|leaf| leaf.ecx & EXTENDED_COUNTERS != 0);
        let version_2 = cpu.leaf(0x8000_0022).filter(|leaf| leaf.eax & 1 != 0);
        let on = match extended || version_2.is_some() {
            true => Programmable {
                select: 0xc001_0200,
                counter: 0xc001_0201,
                stride: 2,
                count: version_2.map_or(6, |leaf| leaf.ebx & 0xf),
                width: width(48),
            },
            false => Programmable {
                select: 0xc001_0000,
                counter: 0xc001_0004,
                stride: 1,
                count: 4,
                width: width(48),
            },
        };
        let global = match version_2 {
            Some(_) => {
                let now = cpu.read_msr(GLOBAL_CONTROL).ok_or(Absent::NotUsable)?;
                if !self.change(cpu, GLOBAL_CONTROL, 0) {
                    return Err(Absent::NotUsable);
                }
                Some(now)
            }
            None => None,
        };
        let version = cpu.cpuid(1, 0).eax;
        let family = (version >> 8 & 0xf) + (version >> 20 & 0xff);
        let basic = [
            (Kind::Cycles, events::AMD[0]),
            (Kind::Instructions, events::AMD[1]),
        ];
        let walks = of_walks(events::of_amd(family));
        let running = self.program(cpu, &on, basic.into_iter().chain(walks));
        if let Some(now) = global {
            // SAFETY: as for Intel's.
            unsafe { cpu.write_msr(GLOBAL_CONTROL, now | running) };
        }
        Ok(())
    }
}

/// The counts of walks, most wanted first.
fn of_walks(walks: Option<Walks>) -> ArrayVec<(Kind, Event), 4> {
    let mut wanted = ArrayVec::new();
    match walks {
        Some(Walks::Apart {
            load,
            store,
            cycles,
        }) => {
            wanted.push((Kind::LoadWalks, load));
            wanted.push((Kind::StoreWalks, store));
            if let Some([load, store]) = cycles {
                wanted.push((Kind::LoadWalkCycles, load));
                wanted.push((Kind::StoreWalkCycles, store));
            }
        }
        Some(Walks::Together(event)) => wanted.push((Kind::Walks, event)),
        None => {}
    }
    wanted
}

/// Whether a counter that does not run keeps what is written to it. It is zero then.
fn keeps<C: CpuAccess>(cpu: &C, register: u32) -> bool {
    // SAFETY: the counter is stopped, and nobody else uses it.
    let write = |value| unsafe { cpu.write_msr(register, value) };
    write(PATTERN) && cpu.read_msr(register) == Some(PATTERN) && write(0)
}

#[cfg(test)]
mod tests;
