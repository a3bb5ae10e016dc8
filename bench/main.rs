//! main
#![cfg_attr(target_os = "none", no_std, no_main)]
#[cfg(target_os = "none")]
mod image {
    use core::fmt::Write;
    use pagemark::console::serial::*;
    use pagemark::cpu::*;
    use pagemark::mm::address::*;
    #[unsafe(no_mangle)]
    extern "C" fn image_entry(magic: u32, info: u32) -> ! {
        let mut s = unsafe { SerialPort::new(COM1) };
        let _ = writeln!(s, "hello {magic:#x} {info:#x}");
        unsafe {
            segments::load();
            exceptions::load();
        }
        let f = features::Features::read();
        let _ = writeln!(s, "{f:?}");
        let n = tsc::ticks_per_1000_nops();
        let c = tsc::Clock::detect(&f, n);
        let fw = unsafe { pagemark::firmware::acpi::Firmware::read(PhysAddr(0xf52c0)) };
        let _ = writeln!(s, "{n} {c:?} {fw:?}");
        let _ = writeln!(
            s,
            "{:?}",
            tsc::frequency(c, fw.ok().and_then(|f| f.pm_timer))
        );
        let _ = writeln!(s, "{:?}", probe::read(VirtAddr(0xffff_9000_0000_0000)));
        let _ = writeln!(s, "{:?}", unsafe {
            probe::write(VirtAddr(0xffff_9000_0000_0000), 1)
        });
        let _ = writeln!(s, "{:?}", unsafe {
            probe::fetch(VirtAddr(0xffff_9000_0000_0000))
        });
        let _ = writeln!(s, "{:?}", probe::read(VirtAddr(0x1000)));
        let _ = writeln!(
            s,
            "entry {}",
            tsc::read() - pagemark::boot::entry::ticks_at_entry()
        );
        unsafe { x86::io::outl(0xf4, 0x10) };
        halt()
    }
    #[panic_handler]
    fn panic(i: &core::panic::PanicInfo) -> ! {
        let mut s = unsafe { SerialPort::new(COM1) };
        let _ = writeln!(s, "{i}");
        halt()
    }
}
#[cfg(not(target_os = "none"))]
fn main() {}
