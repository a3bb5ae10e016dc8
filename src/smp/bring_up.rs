//! Starts the CPUs that the command line asks for, one after the other, each in a place of its own: a number, and four stacks in
//! the vmalloc region, below each of which lies a page that is not mapped.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use arrayvec::ArrayVec;
use pagemark_record::{Notice, Record};
use spin::Once;
use x86::io::outb;

use super::start_up::{self, ApicId, StartError, StartUp};
use super::tlbs::AllCpus;
use super::trampoline::{FRAMES_END, Place, Trampoline};
use super::work::Processors;
use super::{doorbell, stop, tlbs, work};
use crate::boot::command_line::{Options, Suite};
use crate::console::log;
use crate::cpu::apic::{self, LocalApic};
use crate::cpu::direct_map::DirectMap;
use crate::cpu::per_cpu::{self, PerCpu};
use crate::cpu::{exceptions, invalidate, pat, pcid, stacks, tsc};
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
    let found = firmware.processors.ids.len().clamp(1, MAX_CPUS);
    match (options.smp, options.suite) {
        (Some(smp), _) => smp.0.min(found),
        (None, Suite::Full | Suite::Soak) => found,
        (None, _) => 1,
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
    /// Ticks a second; 0 if that is not known.
    pub hertz: u64,
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
    BeyondXapic(ApicId),
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
            Shortage::BeyondXapic(id) => write!(
                f,
                "the CPU with APIC id {id} cannot be reached without x2APIC, and is left out"
            ),
            Shortage::Fewer { wanted, found } => {
                write!(f, "{wanted} CPUs were asked for, and there are {found}")
            }
        }
    }
}

fn tell(shortage: &Shortage) {
    log::record(&Record::Notice(Notice {
        text: format_args!("smp: {shortage}").into(),
    }));
}

/// The number of the CPU that arrived last.
static ARRIVED: AtomicU64 = AtomicU64::new(0);
/// What every CPU that starts needs to know: how CPUs are interrupted, their TLBs, and whether those keep contexts apart.
static COMMON: Once<(LocalApic, AllCpus, bool)> = Once::new();

/// The first Rust of a started CPU, on its own stack.
extern "C" fn arrive(number: u64) -> ! {
    let Some((this, &(apic, cpus, with_pcid))) = CpuId::new(number as usize).zip(COMMON.get())
    else {
        crate::cpu::halt();
    };
    // SAFETY: the boot CPU has filled the IDT, and gives each number, with its stacks, to one CPU. Nothing has used a memory type
    // yet but write-back.
    unsafe {
        per_cpu::load(this);
        exceptions::load();
        pat::load();
    }
    invalidate::flush_everything();
    if with_pcid {
        // SAFETY: the boot CPU has them, and all CPUs are alike; the trampoline has put nothing but the root into CR3.
        unsafe { pcid::switch_on() };
    }
    apic.enable();
    PerCpu::of(this).apic_id.store(apic.id().0, Relaxed);
    ARRIVED.store(number, Release);
    work::serve(&cpus, this)
}

/// The machine, as starting one CPU needs it.
struct Hardware {
    apic: LocalApic,
    trampoline: Trampoline,
    hertz: u64,
    cpu: CpuId,
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

    fn claimed(&mut self) -> bool {
        self.trampoline.claimed()
    }

    fn take_back(&mut self) -> bool {
        self.trampoline.take_back()
    }

    fn arrived(&mut self) -> bool {
        ARRIVED.load(Acquire) == self.cpu.number() as u64
    }

    fn wait(&mut self, microseconds: u32) {
        wait(microseconds, self.hertz);
    }
}

/// Waits by the TSC, or, if its rate is not known, by writes to the port of the power-on self-test, each of which takes about
/// one microsecond on the bus.
fn wait(microseconds: u32, hertz: u64) {
    const POST: u16 = 0x80;
    if hertz == 0 {
        for _ in 0..microseconds {
            // SAFETY: the port shows a number while the machine starts, and does nothing.
            unsafe { outb(POST, 0) };
            core::hint::spin_loop();
        }
        return;
    }
    let ticks = (u128::from(hertz) * u128::from(microseconds) / 1_000_000) as u64;
    let start = tsc::read();
    while tsc::read() - start < ticks {
        core::hint::spin_loop();
    }
}

/// Starts CPUs, and tells how many run. What is missing is told in notices, and the run goes on with the CPUs that there are.
///
/// # Safety
///
/// Called once, on the boot CPU, when the memory system is up and the boot stretch has ended.
pub unsafe fn start(with: BringUp<'_>) -> Processors {
    let found = with.firmware.processors.ids.len().max(1);
    if let Some(smp) = with.options.smp
        && smp.0 > found
    {
        tell(&Shortage::Fewer {
            wanted: smp.0,
            found,
        });
    }
    let wanted = wanted(with.options, with.firmware);
    if wanted < 2 {
        return Processors::ALONE;
    }
    // SAFETY: the caller's promise.
    match unsafe { start_others(with, wanted - 1) } {
        Ok((started, apic)) => {
            log::record(&Record::Notice(Notice {
                text: format_args!(
                    "smp: {} CPUs run of {found} that there are ({})",
                    started.count() + 1,
                    apic.name()
                )
                .into(),
            }));
            Processors::new(started)
        }
        Err(shortage) => {
            tell(&shortage);
            Processors::ALONE
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
        hertz,
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
    let (table, mut tables) = kernel.table_and_tables();
    table
        .map(
            identity,
            low_frame..low_frame.add(1),
            Protection::READ_EXECUTE.not_global(),
            PageSize::Size4K,
            &mut tables,
        )
        .map_err(Shortage::NoIdentity)?;
    let root: PhysAddr = kernel.table.root().address();
    // SAFETY: the frame is set aside for just this, and lies in the direct map; the root was put below 4 GiB.
    let trampoline = unsafe { Trampoline::new(low_frame, direct_map.address(low_frame), root) };
    let mut hardware = Hardware {
        apic,
        trampoline,
        hertz,
        cpu: CpuId::BOOT,
    };
    let others = others_to_start(firmware, apic);
    start_up::reset(&mut hardware, &others);
    let started = start_each(&mut hardware, &others, wanted, kernel, vmalloc);
    stop::started(started);
    // It was mapped above. The others drop it when they are brought online.
    if let Ok(pending) = kernel.table.unmap(identity, 1) {
        pending.flush(&kernel.tlb);
    }
    Ok((started, apic))
}

/// Every CPU that can be reached, but this one.
fn others_to_start(firmware: &Firmware, apic: LocalApic) -> ArrayVec<ApicId, MAX_CPUS> {
    let this = apic.id();
    let mut others = ArrayVec::new();
    for &cpu in firmware.processors.ids.iter().filter(|&&cpu| cpu != this) {
        if cpu <= apic.highest_id() {
            // There is room: the table has no more, and this CPU is one of them.
            let _ = others.try_push(cpu);
        } else {
            tell(&Shortage::BeyondXapic(cpu));
        }
    }
    others
}

/// Starts up to `wanted` of `others`. A CPU that does not answer leaves its place to the next one.
fn start_each(
    hardware: &mut Hardware,
    others: &[ApicId],
    wanted: usize,
    kernel: &mut Kernel,
    vmalloc: &mut VmallocRegion,
) -> CpuMask {
    let mut started = CpuMask::EMPTY;
    let mut next = (1..MAX_CPUS).filter_map(CpuId::new).peekable();
    let mut ready = false;
    for &other in others {
        let Some(&cpu) = next.peek().filter(|_| (started.count() as usize) < wanted) else {
            break;
        };
        if !ready {
            if let Err(error) = give_stacks(cpu, kernel, vmalloc) {
                tell(&Shortage::NoStacks(error));
                break;
            }
            ready = true;
        }
        hardware.cpu = cpu;
        hardware.trampoline.make_ready(&Place {
            stack: PerCpu::of(cpu).stacks()[0].range.end,
            entry: arrive,
            argument: cpu.number() as u64,
        });
        match start_up::start(hardware, other) {
            Ok(()) => started = started.with(cpu),
            Err(error) => {
                tell(&Shortage::NotStarted(error));
                if let StartError::Silent(_) = error {
                    continue;
                }
            }
        }
        ready = false;
        next.next();
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
