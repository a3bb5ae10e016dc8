//! Starts the CPUs that the command line asks for, one after the other, each in a place of its own: a number, and four stacks in
//! the vmalloc region, below each of which lies a page that is not mapped.

use core::fmt;
use core::hint::spin_loop;
use core::sync::atomic::{
    AtomicBool, AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use arrayvec::ArrayVec;
use spin::Once;

use super::start_up::{ApicId, Progress, StartError, StartUp, Starter};
use super::tlbs::AllCpus;
use super::trampoline::{FRAMES_END, LAST_POINT, Place, Trampoline};
use super::work::Processors;
use super::{doorbell, stop, tlbs, work};
use crate::boot::command_line::{LayoutName, Options, Provoke, Suite};
use crate::console::log;
use crate::cpu::apic::{self, LocalApic};
use crate::cpu::direct_map::DirectMap;
use crate::cpu::per_cpu::{self, PerCpu};
use crate::cpu::{exceptions, invalidate, machine_check, pat, pcid, stacks, tsc};
use crate::firmware::acpi::Firmware;
use crate::kernel::{Kernel, VmallocRegion};
use crate::mm::address::{PageSize, Pfn, PhysAddr, VirtAddr};
use crate::mm::fixmap::{Fixmap, FixmapSlot};
use crate::mm::page_table::{MapError, Protection};
use crate::mm::shootdown::{CpuId, CpuMask, Cpus, MAX_CPUS};
use crate::mm::tlb::Tlb;
use crate::mm::vmalloc::{Area, VmallocError};

/// Bytes of a CPU's stacks: the main one, and those of NMI, #DF and #MC.
const STACK_BYTES: [u64; 4] = [64 << 10, 16 << 10, 16 << 10, 16 << 10];

/// How many CPUs the run is to have: what `smp=` says, else all in the full suite and one in any other; never more than there
/// are.
#[must_use]
pub fn wanted(options: &Options, firmware: &Firmware) -> usize {
    let found = firmware.processors.ids.len().clamp(1, most(options.layout));
    match (options.smp, options.suite) {
        (Some(smp), _) => smp.0.min(found),
        (None, Suite::Full | Suite::Soak) => found,
        (None, _) => 1,
    }
}

/// How many CPUs a layout has room for: in the book's each needs a slot of the fixmap, for high memory.
const fn most(layout: LayoutName) -> usize {
    match layout {
        LayoutName::Classic => FixmapSlot::CPUS as usize,
        LayoutName::Wide | LayoutName::Wide5 => MAX_CPUS,
    }
}

/// How many numbers for CPUs there have to be, so that this many run: a CPU that stops while it starts uses its number up.
#[must_use]
pub fn numbers(wanted: usize) -> usize {
    const SPARE: usize = 8;
    match wanted {
        1 => 1,
        wanted => (wanted + SPARE).min(MAX_CPUS),
    }
}

/// Where a start-up interrupt can lead to: the frame numbers end here.
pub const LOW_FRAMES_END: Pfn = FRAMES_END;

/// What the machine has for its other CPUs.
pub struct BringUp<'m> {
    /// What is asked for.
    pub options: &'m Options,
    /// What there is.
    pub firmware: &'m Firmware,
    /// A frame below [`LOW_FRAMES_END`] that is nobody else's, if one was free.
    pub low_frame: Option<Pfn>,
    /// Ticks of a microsecond: no fewer than there are.
    pub ticks_per_microsecond: u64,
    /// All RAM.
    pub direct_map: DirectMap,
    /// For the registers of the local APIC.
    pub fixmap: &'m Fixmap<DirectMap>,
    /// The page table that the CPUs run on, and frames.
    pub kernel: &'m mut Kernel,
    /// For their stacks.
    pub vmalloc: &'m mut VmallocRegion,
}

/// Why there are fewer CPUs than were asked for.
enum Shortage {
    NoLocalApic,
    NoLowFrame,
    NoIdentity(MapError),
    NoStacks(VmallocError),
    NotStarted(StartError),
    MoreNotStarted(usize),
    BeyondXapic(usize),
    NoRoom(usize),
    Unlisted(ApicId),
    Fewer { wanted: usize, found: usize },
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::NoLocalApic => write!(f, "this CPU has no local APIC"),
            Shortage::NoLowFrame => {
                write!(f, "no frame below 640 KiB is free for CPUs to start in")
            }
            Shortage::NoIdentity(error) => write!(f, "the frame to start in: {error}"),
            Shortage::NoStacks(error) => write!(f, "stacks: {error}"),
            Shortage::NotStarted(error) => error.fmt(f),
            Shortage::MoreNotStarted(count) => {
                write!(f, "{count} more CPUs do not start, and are left out")
            }
            Shortage::BeyondXapic(count) => write!(
                f,
                "{count} CPUs have APIC ids above 254, which only an x2APIC reaches, and are left out"
            ),
            Shortage::NoRoom(most) => {
                write!(
                    f,
                    "the layout has room for {most} CPUs, and the others are left out"
                )
            }
            Shortage::Unlisted(this) => write!(
                f,
                "the boot CPU, with APIC id {}, is not in the MADT, and counts as one of those that are",
                this.0
            ),
            Shortage::Fewer { wanted, found } => {
                write!(f, "{wanted} CPUs were asked for, and there are {found}")
            }
        }
    }
}

fn notice(what: &dyn fmt::Display) {
    log::notice(format_args!("smp: {what}"));
}

/// How far the CPU has come that starts: the points of [`arrive`] that it has passed, behind those of the trampoline.
static POINT: AtomicU32 = AtomicU32::new(0);
/// The point at which a CPU has arrived.
const ARRIVED: u32 = LAST_POINT + 3;
/// `provoke=starting-cpu-panic`.
static PANIC_AT_START: AtomicBool = AtomicBool::new(false);
/// What every CPU that starts needs to know: how CPUs are interrupted, their TLBs, and whether those keep contexts apart.
static COMMON: Once<(LocalApic, AllCpus, bool)> = Once::new();

/// The first Rust of a started CPU, on its own stack.
extern "C" fn arrive(number: u64) -> ! {
    POINT.store(LAST_POINT + 1, Release);
    let Some((this, &(apic, cpus, with_pcid))) = CpuId::new(number as usize).zip(COMMON.get())
    else {
        crate::cpu::halt();
    };
    // SAFETY: the boot CPU has filled the IDT, and gives each number, with its stacks, to one CPU.
    unsafe { per_cpu::load(this) };
    // SAFETY: as above; the segments are loaded.
    unsafe { exceptions::load() };
    stop::take_part();
    if PANIC_AT_START.load(Relaxed) {
        panic!("provoked on CPU {this}, which is being started, by the command line");
    }
    // SAFETY: nothing has used a memory type yet but write-back.
    unsafe { pat::load() };
    machine_check::switch_on_like_boot_cpu(|bank| {
        log::notice(format_args!(
            "machine check, from before the run: CPU {this}: {bank}"
        ));
    });
    POINT.store(LAST_POINT + 2, Release);
    invalidate::flush_everything();
    if with_pcid {
        // SAFETY: the boot CPU has them, and all CPUs are alike; the trampoline has put nothing but the root into CR3.
        unsafe { pcid::switch_on() };
    }
    apic.enable();
    PerCpu::of(this).apic_id.store(apic.id().0, Relaxed);
    POINT.store(ARRIVED, Release);
    work::serve(&cpus, this)
}

/// The machine, as starting one CPU needs it.
struct Hardware {
    apic: LocalApic,
    trampoline: Trampoline,
    ticks_per_microsecond: u64,
}

impl StartUp for Hardware {
    fn send_init(&mut self, cpu: ApicId) {
        // SAFETY: the CPU has not been started, or did not get to the end of it.
        unsafe { self.apic.send_init(cpu) };
    }

    fn send_start_up(&mut self, cpu: ApicId) {
        // SAFETY: the trampoline lies there.
        unsafe { self.apic.send_start_up(cpu, self.trampoline.frame()) };
    }

    fn progress(&mut self) -> Progress {
        match POINT.load(Acquire).max(self.trampoline.passed()) {
            ARRIVED => Progress::Arrived,
            0 if !self.trampoline.claimed() => Progress::None,
            point => Progress::Alive(point),
        }
    }

    fn take_back(&mut self) -> bool {
        self.trampoline.take_back()
    }

    fn wait(&mut self, microseconds: u32) -> u32 {
        wait(microseconds, self.ticks_per_microsecond)
    }
}

/// Waits by the TSC, and returns the microseconds that have passed. Ends by itself where the TSC stands still.
fn wait(microseconds: u32, ticks_per_microsecond: u64) -> u32 {
    /// A turn of the loop takes a few nanoseconds at least.
    const TURNS_PER_MICROSECOND: u32 = 500;
    let start = tsc::read();
    let ticks = u64::from(microseconds) * ticks_per_microsecond;
    for _ in 0..microseconds.saturating_mul(TURNS_PER_MICROSECOND) {
        if tsc::read().wrapping_sub(start) >= ticks {
            break;
        }
        spin_loop();
    }
    let passed = tsc::read().wrapping_sub(start) / ticks_per_microsecond;
    u32::try_from(passed).unwrap_or(u32::MAX).max(microseconds)
}

/// Starts CPUs, and records how many run. Notices report those that are missing, and the run goes on with the others;
/// [`Processors::missing`] counts those that the machine has and the run goes without.
///
/// # Safety
///
/// Called once, on the boot CPU, when the memory system is up and the boot stretch has ended.
pub unsafe fn start(with: BringUp<'_>) -> Processors {
    let listed = &with.firmware.processors;
    let found = (listed.enabled as usize).max(1);
    let idle = listed.disabled + listed.online_capable;
    if idle > 0 {
        notice(&format_args!("{idle} CPUs are listed and not enabled"));
    }
    if let Some(smp) = with.options.smp
        && smp.0 > found
    {
        notice(&Shortage::Fewer {
            wanted: smp.0,
            found,
        });
    }
    if found > most(with.options.layout) {
        notice(&Shortage::NoRoom(most(with.options.layout)));
    }
    let wanted = wanted(with.options, with.firmware);
    if wanted < 2 {
        return Processors::alone(0);
    }
    let provoked = with.options.provoke == Some(Provoke::StartingCpuPanic);
    PANIC_AT_START.store(provoked, Relaxed);
    // SAFETY: the caller's promise.
    match unsafe { start_others(with, wanted - 1) } {
        Ok((started, apic)) => {
            let running = started.count() + 1;
            notice(&format_args!(
                "{running} CPUs run of {found} that there are ({})",
                apic.name()
            ));
            Processors::new(started, wanted - running)
        }
        Err(shortage) => {
            notice(&shortage);
            Processors::alone(wanted - 1)
        }
    }
}

/// # Safety
///
/// As for [`start`].
unsafe fn start_others(with: BringUp<'_>, wanted: usize) -> Result<(CpuMask, LocalApic), Shortage> {
    let BringUp {
        firmware,
        low_frame,
        ticks_per_microsecond,
        direct_map,
        fixmap,
        kernel,
        vmalloc,
        ..
    } = with;
    let found = apic::find().ok_or(Shortage::NoLocalApic)?;
    let low_frame = low_frame.ok_or(Shortage::NoLowFrame)?;
    let cpus = AllCpus::new(*kernel.tlb.invalidate().cpus().local());
    if let apic::Found::X(registers) = found {
        let local = Tlb::new(*cpus.local(), 1);
        let (slot, frame) = (FixmapSlot::LOCAL_APIC, registers.frame());
        fixmap.set(slot, frame, Protection::DEVICE, &local);
    }
    // SAFETY: just mapped, if it is registers; the slot is for nothing else.
    let apic = unsafe { LocalApic::new(found, FixmapSlot::LOCAL_APIC.address()) };
    apic.enable();
    PerCpu::of(CpuId::BOOT).apic_id.store(apic.id().0, Relaxed);
    COMMON.call_once(|| (apic, cpus, pcid::enabled()));
    tlbs::interrupt_by(apic);
    doorbell::expect(cpus);

    let identity = VirtAddr(low_frame.address().0);
    // SAFETY: nobody else has addresses of the lower half.
    let mut owned = unsafe { kernel.table.own(identity, 1) };
    owned
        .map(
            identity,
            low_frame..low_frame.add(1),
            Protection::READ_EXECUTE.not_global(),
            PageSize::Size4K,
            &mut kernel.tables(),
        )
        .map_err(Shortage::NoIdentity)?;
    let root: PhysAddr = kernel.table.root().address();
    // SAFETY: the frame is set aside for just this, and lies in the direct map; the root was put below 4 GiB.
    let trampoline = unsafe { Trampoline::new(low_frame, direct_map.address(low_frame), root) };
    let mut hardware = Hardware {
        apic,
        trampoline,
        ticks_per_microsecond,
    };
    let (this, highest) = (apic.id(), apic.highest_id());
    let listed = || firmware.processors.ids.iter().copied();
    let above = listed().filter(|&cpu| cpu > highest).count();
    if above > 0 {
        notice(&Shortage::BeyondXapic(above));
    }
    if this <= highest && !listed().any(|cpu| cpu == this) {
        notice(&Shortage::Unlisted(this));
    }
    // Never this one: an INIT would end the run.
    let others = listed().filter(|&cpu| cpu != this && cpu <= highest);
    let others: ArrayVec<ApicId, MAX_CPUS> = others.collect();
    Starter::reset(&mut hardware, others.iter().copied());
    let started = start_each(&mut hardware, &others, wanted, kernel, vmalloc);
    // It was mapped above. The others drop it when they are brought online.
    if let Ok(pending) = owned.unmap(identity, 1) {
        pending.flush(&kernel.tlb);
    }
    Ok((started, apic))
}

/// Starts up to `wanted` of `others`. A CPU that does not answer leaves its place to the next one.
fn start_each(
    hardware: &mut Hardware,
    others: &[ApicId],
    wanted: usize,
    kernel: &mut Kernel,
    vmalloc: &mut VmallocRegion,
) -> CpuMask {
    /// CPUs that are left out with a notice each.
    const MOST_NAMED: usize = 8;
    let mut starter = Starter::default();
    let mut left_out = 0;
    let mut started = CpuMask::EMPTY;
    let mut next = (1..numbers(wanted + 1)).filter_map(CpuId::new).peekable();
    let mut ready = false;
    for &other in others {
        let Some(&cpu) = next.peek().filter(|_| started.count() < wanted) else {
            break;
        };
        if !ready {
            if let Err(error) = give_stacks(cpu, kernel, vmalloc) {
                notice(&Shortage::NoStacks(error));
                break;
            }
            ready = true;
        }
        // So that an NMI reaches it as soon as it says that it can take one.
        PerCpu::of(cpu).apic_id.store(other.0, Relaxed);
        POINT.store(0, Relaxed);
        hardware.trampoline.make_ready(&Place {
            stack: PerCpu::of(cpu).stacks()[0].range.end,
            entry: arrive,
            argument: cpu.number() as u64,
        });
        match starter.start(hardware, other) {
            Ok(()) => started = started.with(cpu),
            Err(error) => {
                stop::given_up(cpu);
                left_out += 1;
                if left_out <= MOST_NAMED {
                    notice(&Shortage::NotStarted(error));
                }
                if let StartError::Silent(_) = error {
                    continue;
                }
            }
        }
        ready = false;
        next.next();
    }
    if left_out > MOST_NAMED {
        notice(&Shortage::MoreNotStarted(left_out - MOST_NAMED));
    }
    started
}

/// Gives a CPU its stacks. They stay, even if it is never started.
fn give_stacks(
    cpu: CpuId,
    kernel: &mut Kernel,
    vmalloc: &mut VmallocRegion,
) -> Result<(), VmallocError> {
    let mut areas: ArrayVec<Area, 4> = ArrayVec::new();
    for bytes in STACK_BYTES {
        match vmalloc.vmalloc(bytes, kernel) {
            Ok(area) => areas.push(area),
            Err(error) => {
                for area in areas {
                    // It has just been allocated.
                    let _ = vmalloc.vfree(area, kernel);
                }
                return Err(error);
            }
        }
    }
    let ranges = core::array::from_fn(|stack| {
        let area = &areas[stack];
        area.start()..VirtAddr(area.start().0 + area.bytes())
    });
    for area in areas {
        // They are never given back; the ranges say where they are.
        let _ = area.into_raw();
    }
    PerCpu::of(cpu).set_stacks(stacks::of_started_cpu(ranges));
    Ok(())
}
