//! Brings the machine up, in order, and hands the application one [`Machine`].
//!
//! ```text
//! boot stretch (tables of boot/entry.s, identity mapping of 4 GiB)
//!   segments, exceptions          every fault is reported from here on
//!   boot information, command line
//!   ACPI tables (the command line may name their root pointer), console
//!   memory map -> layout -> boot-time allocator -> kernel map
//! CR3                             the identity mapping is gone
//!   frame allocator, vmalloc, screen
//!   the other CPUs
//! ```
//!
//! What goes wrong on the way is one [`BringUpError`], reported as an `error` record.

mod error;
pub mod image;
mod limit;
mod memory;
mod needed_memory;
mod presence;
mod set_aside;

use core::hint::spin_loop;
use core::ops::Range;
use core::{fmt, iter, slice};

use arrayvec::ArrayString;
use pagemark_record::{Error, ExitCode, Probe, Record, Verdict};

use crate::boot::command_line::{self, Options, Provoke, Serial, Suite};
use crate::boot::framebuffer::{Framebuffer, FramebufferError};
use crate::boot::info::IDENTITY_END;
use crate::boot::{self, BootInfo, Loader, entry};
use crate::console::screen::Screen;
use crate::console::serial::place::Place;
use crate::console::serial::{self, SerialPort};
use crate::console::show;
use crate::console::{delivery, log, start};
use crate::cpu::access::ThisCpu;
use crate::cpu::direct_map::DirectMap;
use crate::cpu::features::Features;
use crate::cpu::stated_rate::StatedRates;
use crate::cpu::tsc::{self, Brackets};
use crate::cpu::{apic, errata, exceptions, machine_check, microcode, pat, per_cpu, watchdog};
use crate::firmware::acpi::{self, Firmware, RootPointer, SerialTable};
use crate::firmware::bios;
use crate::firmware::leave;
use crate::firmware::physical::Identity;
use crate::kernel::{Addresses, Kernel, VmallocRegion};
use crate::mm::address::{FrameRange, Order, PAGE_SIZE, Pfn, PhysAddr, VirtAddr};
use crate::mm::fixmap::Fixmap;
use crate::mm::frame::{Gfp, ZoneEnds};
use crate::mm::kmap::Kmap;
use crate::mm::layout::Layout;
use crate::mm::vmalloc::{Area, Caching};

use crate::mm::shootdown::CpuId;
use crate::smp::bring_up::{self, BringUp};
use crate::smp::work::Processors;

pub use error::{BringUpError, SetUpError};
use memory::Memory;

/// Everything the application works with.
pub struct Machine {
    /// What the CPU can do.
    pub features: Features,
    /// The revision of its microcode, where it shows one; 0 is none.
    pub microcode: Option<u64>,
    /// Who loaded the image.
    pub loader: Loader,
    /// What the firmware's tables say.
    pub firmware: Firmware,
    /// What the command line asks for.
    pub options: Options,
    /// Where the virtual regions lie.
    pub layout: Layout,
    /// Which zones the frame allocator has.
    pub zones: &'static ZoneEnds,
    /// Bytes of RAM.
    pub ram_bytes: u64,
    /// Frames, page table and TLB.
    pub kernel: Kernel,
    /// The window onto all RAM that is direct-mapped.
    pub direct_map: DirectMap,
    /// Slots at addresses known at compile time.
    pub fixmap: Fixmap<DirectMap>,
    /// The way to frames outside the direct map.
    pub kmap: Kmap<'static, DirectMap>,
    /// The vmalloc region.
    pub vmalloc: VmallocRegion,
    /// The scratch region, where nothing is mapped but by who uses it at a time.
    pub scratch: Addresses,
    /// The CPUs.
    pub processors: Processors,
}

impl Machine {
    /// Where the first byte of a frame of the direct map lies there. Frames of HIGHMEM have no such address.
    #[must_use]
    pub const fn frame_address(&self, frame: Pfn) -> VirtAddr {
        VirtAddr(self.layout.direct_map.start.0 + frame.address().0)
    }

    /// All RAM, as the sane memory map has it.
    #[must_use]
    pub fn ram(&self) -> &'static [FrameRange] {
        memory::ram()
    }

    /// Ticks since the image's entry, without those of getting the log out ([`delivery`]).
    #[must_use]
    pub fn ticks_since_entry(&self) -> u64 {
        let delivery = delivery::ticks();
        tsc::read() - entry::ticks_at_entry() - delivery
    }
}

/// Why cases that need ring 0 do not run here; `None` where there is ring 0.
pub const WITHOUT_RING_0: Option<&str> = None;

/// Where the pages of an area can be accessed: at its address.
///
/// # Errors
///
/// None here: where the area is mapped it can be accessed.
pub const fn pages_of(area: &Area) -> Result<VirtAddr, &'static str> {
    Ok(area.start())
}

/// Brings the machine up, runs `application` on it, and leaves with its verdict.
///
/// # Safety
///
/// Called once, by the entry code, with what the loader handed over.
pub unsafe fn start(magic: u32, info: u32, application: fn(&mut Machine) -> Verdict) -> ! {
    // SAFETY: this is the boot CPU, at the link address, with interrupts off, for the first time.
    unsafe { per_cpu::load(CpuId::BOOT) };
    // SAFETY: as above; nothing uses the table yet.
    unsafe { exceptions::fill() };
    // SAFETY: the table is full, and its segments are loaded.
    unsafe { exceptions::load() };
    // SAFETY: the boot stretch has not ended, and what the loader left is untouched.
    let memory = unsafe { Identity::new() };
    let mut boot = boot::read(&memory, magic, info);
    let command_line = boot
        .as_ref()
        .map_or(ArrayString::new(), |boot| boot.command_line);
    let options = Options::parse(&command_line);
    let named = options.as_ref().ok().and_then(|options| options.rsdp);
    let handed_over = boot.as_ref().map_or(&[][..], |boot| &boot.root_pointers);
    let pointers = named
        .map(|address| RootPointer::at(PhysAddr(address.0)))
        .into_iter()
        .chain(handed_over.iter().copied())
        .chain(iter::once_with(|| bios::find_root_pointer(&memory).map(RootPointer::at)).flatten());
    let firmware = acpi::read(&memory, pointers);
    let words = Options::of_good_words(&command_line);
    leave::arrange(words.exit, firmware.reset);
    if let Ok(boot) = &mut boot
        && let Some(Ok(screen)) = boot.framebuffer
    {
        let address = screen.address();
        let pixels = address..PhysAddr(address.0 + screen.bytes());
        if let Some(what) = device_in(&firmware, &pixels) {
            boot.framebuffer = Some(Err(FramebufferError::Device { address, what }));
        }
    }
    let has_ram = |bytes: Range<PhysAddr>| {
        let image = image::loaded();
        let boot = boot.as_ref().ok();
        image.start < bytes.end && bytes.start < image.end
            || boot.is_some_and(|boot| boot.has_ram(&bytes))
    };
    let no_port = |place: Place| {
        let bytes = place.memory()?;
        if bytes.end.0 > IDENTITY_END {
            Some("it is above 4 GiB, out of reach while the machine is brought up")
        } else if has_ram(bytes.clone()) {
            Some("RAM is there")
        } else {
            device_in(&firmware, &bytes).and(Some("another device is there"))
        }
    };
    let refused = match words.serial {
        Serial::At(place) => no_port(place).map(|why| (place, why)),
        _ => None,
    };
    // That one is refused for its address is said by another.
    let asked = refused.map_or(words.serial, |_| Serial::Any);
    // SAFETY: the boot stretch has not ended, and the console is the only user of serial ports.
    let find = |asked| unsafe { serial::find(asked, &firmware.serial, no_port) };
    let (port, is_silent) = delivery::timed(|| {
        let port = find(asked);
        let is_silent = port.place().is_none() && matches!(asked, Serial::At(_) | Serial::Pci);
        let port = if is_silent { find(Serial::Any) } else { port };
        (port, is_silent)
    });
    log::start(port);

    if let Ok(Some(Ok(framebuffer))) = boot.as_ref().map(|boot| boot.framebuffer) {
        let start = framebuffer.address();
        let end = PhysAddr(start.0 + framebuffer.bytes());
        let in_reach = end.0 <= IDENTITY_END && !has_ram(start..end);
        // SAFETY: the boot stretch maps what lies below that end; the screen stops using that mapping when it ends, before CR3 is written.
        unsafe { log::add_screen(framebuffer, in_reach) };
    }

    start::record(&options, &command_line);
    if let Some(name) = command_line::file_name(&command_line) {
        log::notice(format_args!(
            "command line: `{name}` is no option, and taken for the image's file"
        ));
    }
    show::use_screen(words.screen);
    delivery::timed(show::announce);
    let of_firmware = firmware
        .serial
        .iter()
        .find(|hint| hint.table == SerialTable::Spcr);
    let of_firmware = of_firmware.map(|hint| (hint, serial::place_of(hint).and_then(no_port)));
    let boot = boot.unwrap_or_else(|error| refuse(&BringUpError::Boot(error)));
    let options = options.unwrap_or_else(|error| refuse(&error));
    if let Some((place, why)) = refused {
        refuse(&BringUpError::NoSerialPort(place, why));
    }
    if is_silent {
        log::notice(format_args!(
            "command line: {asked}: no serial port answers there; the first that does is used"
        ));
    }
    boot.complaints.for_each(log::notice);
    firmware.complaints.for_each(log::notice);
    if let (Some((hint, why)), Serial::Any) = (of_firmware, options.serial)
        && log::with_port(|port| port.is_named_by(hint)) == Some(false)
    {
        let why = why.unwrap_or("nothing answers there");
        log::notice(format_args!("ACPI: {hint}: {why}"));
    }
    if options.suite == Suite::Probe {
        log::record(&Record::Probe(probe()));
        finish(Verdict::Pass);
    }
    // SAFETY: the boot stretch has not ended.
    let machine = unsafe { bring_up(&boot, &memory, firmware, options) };
    let mut machine = machine.unwrap_or_else(|error| refuse(&error));
    let verdict = application(&mut machine);
    watchdog::disarm();
    finish(verdict)
}

/// Whose registers lie among these bytes, of the devices that the image uses.
#[inline(never)]
fn device_in(firmware: &Firmware, bytes: &Range<PhysAddr>) -> Option<&'static str> {
    let of_local_apic = |page: PhysAddr| page < bytes.end && bytes.start.0 < page.0 + PAGE_SIZE;
    match apic::page().is_some_and(of_local_apic) {
        true => Some("the local APIC"),
        false => firmware.device_in(bytes),
    }
}

/// Ticks of a microsecond for waits.
///
/// Where instructions are counted, CPUs take turns at each PAUSE: a start takes a number of turns there, not a time, and one millionth of
/// a second's instructions would take the host minutes.
fn ticks_per_microsecond(features: &Features) -> u64 {
    const COUNTED: u64 = 10;
    match Brackets::take().counts_instructions() {
        true => COUNTED,
        false => StatedRates::read(&ThisCpu, features).for_waits() / 1_000_000,
    }
}

/// Times what shows who executes the instructions: of each the least of a few tries, the cost of reading the clock taken off.
fn probe() -> Probe {
    let tries = [(); 5].map(|()| Brackets::take());
    let least = |block: fn(&Brackets) -> u64| tries.iter().map(block).min().unwrap_or(0);
    let empty = least(|ticks| ticks.empty);
    Probe {
        ticks_per_1000_nops: least(|ticks| ticks.nops).saturating_sub(empty),
        ticks_per_1000_additions: Some(least(|ticks| ticks.additions).saturating_sub(empty)),
        ticks_per_cpuid: Some(least(|ticks| ticks.cpuid).saturating_sub(empty)),
    }
}

/// Reports why there is no run, and leaves.
fn refuse(error: &dyn core::error::Error) -> ! {
    log::with_screen(Screen::show_early);
    log::record(&Record::Error(Error {
        message: format_args!("{error}").into(),
    }));
    finish(Verdict::Error)
}

fn finish(verdict: Verdict) -> ! {
    log::end(verdict);
    let code = match ExitCode::from(verdict) {
        // The status alone does not say that there is no log.
        ExitCode::Pass if !log::is_heard() => ExitCode::Error,
        code => code,
    };
    show::before_leaving(code);
    leave::leave(code)
}

/// Not inlined: what it keeps on the stack, memory maps for the most part, is gone when the application runs.
///
/// # Safety
///
/// Called once, in the boot stretch.
#[inline(never)]
unsafe fn bring_up(
    boot: &BootInfo<'_>,
    left: &Identity,
    firmware: Firmware,
    options: Options,
) -> Result<Machine, BringUpError> {
    let mut features = Features::read(&ThisCpu);
    let microcode = microcode::revision(&ThisCpu, &features);
    errata::apply(&mut features, microcode, |withheld| {
        log::notice(format_args!("CPU: {withheld}"));
    });
    machine_check::switch_on(&features, |bank| {
        log::notice(format_args!("machine check, from before the run: {bank}"));
    });
    if !features.no_execute {
        return Err(BringUpError::NoFeature("NX (execute-disable)"));
    }
    if !features.page_attributes {
        return Err(BringUpError::NoFeature("PAT (page attribute table)"));
    }
    // SAFETY: just checked; the boot tables use index 0 only.
    unsafe { pat::load() };
    let ticks_per_microsecond = ticks_per_microsecond(&features);
    show::set_second(ticks_per_microsecond * 1_000_000);
    let extended_bios_data = bios::extended_data_area(left);
    // SAFETY: the caller's promise.
    let mut memory =
        unsafe { memory::set_up(boot, extended_bios_data, &firmware, &features, &options)? };
    map_serial_port(&mut memory);
    if let Some(framebuffer) = boot.framebuffer {
        show_screen(framebuffer, &mut memory);
    }
    if let Some(seconds) = options.limit {
        // SAFETY: once, on the boot CPU.
        unsafe { limit::arm(&firmware, &mut memory, seconds.0) };
    }
    if options.provoke == Some(Provoke::BringUpHang) {
        loop {
            spin_loop();
        }
    }
    // SAFETY: the memory system is up; all of this is done once.
    let processors = unsafe {
        bring_up::start(BringUp {
            options: &options,
            firmware: &firmware,
            low_frame: memory.low_frame,
            ticks_per_microsecond,
            direct_map: memory.direct_map,
            fixmap: &memory.fixmap,
            kernel: &mut memory.kernel,
            vmalloc: &mut memory.vmalloc,
        })
    };
    Ok(Machine {
        features,
        microcode,
        loader: boot.loader.clone(),
        firmware,
        options,
        layout: memory.layout,
        zones: memory.zones,
        ram_bytes: memory.ram_bytes,
        kernel: memory.kernel,
        direct_map: memory.direct_map,
        fixmap: memory.fixmap,
        kmap: memory.kmap,
        vmalloc: memory.vmalloc,
        scratch: memory.scratch,
        processors,
    })
}

/// Maps the registers of the log's serial port, to stay, if they lie in memory.
fn map_serial_port(memory: &mut Memory) {
    let registers = delivery::timed(|| log::with_port(|port| port.memory()).flatten());
    let Some((address, bytes)) = registers else {
        return;
    };
    let (vmalloc, kernel) = (&mut memory.vmalloc, &mut memory.kernel);
    match vmalloc.ioremap(address, bytes, Caching::Uncached, kernel) {
        Ok(area) => {
            // SAFETY: all registers are mapped there, and stay.
            log::with_port(|port| unsafe { port.map(area.into_raw()) });
        }
        Err(error) => {
            log::with_port(SerialPort::give_up_unmapped);
            log::notice(format_args!("serial port at {address}: {error}"));
        }
    }
}

/// Gives the log memory of its own, from which it is shown as codes: 4 MiB, where there is ten times as much.
fn set_memory_aside(memory: &mut Memory) {
    const ORDER: u8 = 10;
    let words = (PAGE_SIZE as usize / 4) << ORDER;
    let frames = &mut memory.kernel.frames;
    if memory.ram_bytes < 40 << 20 {
        return;
    }
    let Some(Ok(block)) = Order::new(ORDER).map(|order| frames.alloc_pages(Gfp::KERNEL, order))
    else {
        return;
    };
    let first = memory.direct_map.address(block.into_raw().0).0 as *mut u32;
    // SAFETY: the block is in the direct map, ours for good, and zeros or not, its words are words.
    let memory = unsafe { slice::from_raw_parts_mut(first, words) };
    if let Some((workspace, tape)) = show::Workspace::cut(memory) {
        show::set_workspace(workspace);
        log::move_tape(tape);
    }
}

/// Maps the framebuffer, to stay, and shows the screen; or reports why not.
fn show_screen(framebuffer: Result<Framebuffer, FramebufferError>, memory: &mut Memory) {
    let notice = |text: fmt::Arguments<'_>| {
        log::notice(format_args!("screen: {text}"));
    };
    let framebuffer = match framebuffer {
        Ok(framebuffer) => framebuffer,
        Err(error) => {
            return notice(format_args!(
                "the loader's framebuffer is of no use: {error}"
            ));
        }
    };
    let (vmalloc, kernel) = (&mut memory.vmalloc, &mut memory.kernel);
    let (address, bytes) = (framebuffer.address(), framebuffer.bytes());
    match vmalloc.ioremap(address, bytes, Caching::WriteCombining, kernel) {
        // SAFETY: all of it is mapped there, and nothing is shown yet.
        Ok(area) if !unsafe { presence::of_pixels(area.address(), &framebuffer) } => {
            notice(format_args!(
                "{framebuffer}: its pixels do not keep what is written to them"
            ));
            // It was mapped above, and nobody has its address.
            let _ = vmalloc.iounmap(area, kernel);
        }
        Ok(area) => {
            notice(format_args!("{framebuffer}"));
            // SAFETY: all of it is mapped there, and stays.
            log::with_screen(|screen| unsafe { screen.show_at(area.into_raw()) });
            set_memory_aside(memory);
        }
        Err(error) => notice(format_args!("{framebuffer}: {error}")),
    }
}
