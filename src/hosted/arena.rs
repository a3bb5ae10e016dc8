//! Physical memory of a process: one private mapping, which the kernel fills with frames of its own at the first touch.

use std::io;
use std::ops::Range;
use std::ptr;

use crate::cpu::direct_map::DirectMap;
use crate::mm::address::{PAGE_SIZE, VirtAddr};

/// Bytes of the largest page that is asked for. The arena is a multiple of it, at a multiple of it.
pub const HUGE: u64 = 2 << 20;

/// An odd number whose multiples lie far apart (the golden ratio's, Knuth, volume 3, 6.4).
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Of Linux's `mman-common.h`; not every C library has it.
const MADV_COLLAPSE: libc::c_int = 25;

/// What pages the kernel is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pages {
    /// 4 KiB, whatever the system's default is.
    Small,
    /// 2 MiB, by `madvise`; the kernel takes 4 KiB where it has none.
    Huge,
}

/// A mapping of the process, readable and writable, full of zeros at first.
#[derive(Debug)]
pub struct Mapping {
    start: u64,
    bytes: u64,
}

impl Mapping {
    /// Maps `bytes` bytes, rounded up to a multiple of [`HUGE`], at such a multiple.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn new(bytes: u64, pages: Pages) -> io::Result<Self> {
        let bytes = bytes.max(1).next_multiple_of(HUGE);
        // One more, so that a multiple lies in it.
        let reserved = (bytes + HUGE) as usize;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces none.
        let found = unsafe {
            libc::mmap(
                ptr::null_mut(),
                reserved,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            )
        };
        if found == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = (found as u64).next_multiple_of(HUGE);
        let advice = match pages {
            Pages::Small => libc::MADV_NOHUGEPAGE,
            Pages::Huge => libc::MADV_HUGEPAGE,
        };
        // SAFETY: the range lies in the mapping; advice changes no contents. A kernel without large pages refuses it, and has small
        // ones then, which `huge_bytes` reports.
        unsafe { libc::madvise(start as *mut _, bytes as usize, advice) };
        Ok(Mapping { start, bytes })
    }

    /// Where it starts.
    #[must_use]
    pub const fn start(&self) -> VirtAddr {
        VirtAddr(self.start)
    }

    /// Bytes of it.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Touches every page of these bytes of it, so that none is filled within a sample.
    pub fn populate(&self, range: Range<u64>) {
        for offset in (range.start..range.end.min(self.bytes)).step_by(PAGE_SIZE as usize) {
            // SAFETY: within the mapping, which nobody else has yet.
            unsafe { ptr::write_volatile((self.start + offset) as *mut u8, 0) };
        }
    }

    /// Touches all of it, in an order that looks random: the kernel has frames at hand in an order that is of no use to caches.
    pub fn populate_at_random(&self) {
        let pages = self.bytes / PAGE_SIZE;
        // An odd multiple goes through all numbers below a power of two.
        let all = pages.next_power_of_two();
        let order = (0..all).map(|number| number.wrapping_mul(ODD) % all);
        for page in order.filter(|&page| page < pages) {
            self.populate(page * PAGE_SIZE..(page + 1) * PAGE_SIZE);
        }
    }

    /// Has the kernel put its pages together to 2 MiB ones, which moves others to make room (Linux 6.1; an older one refuses).
    pub(super) fn collapse(&self) {
        // SAFETY: the range is this mapping's; contents stay.
        unsafe { libc::madvise(self.start as *mut _, self.bytes as usize, MADV_COLLAPSE) };
    }

    /// Gives it back.
    ///
    /// # Safety
    ///
    /// Nobody uses it any more.
    pub(super) unsafe fn unmap(self) {
        // SAFETY: the range is this mapping's, and the caller's promise. It is a whole one: the kernel does not refuse.
        unsafe { libc::munmap(self.start as *mut _, self.bytes as usize) };
    }

    /// Bytes of it that lie in 2 MiB pages, by `/proc/self/smaps`.
    #[must_use]
    pub fn huge_bytes(&self) -> u64 {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        huge_bytes(&smaps, self.start..self.start + self.bytes)
    }

    /// The window onto physical memory that this is: frame 0 lies at its start. The mapping stays for good.
    #[must_use]
    pub fn into_direct_map(self) -> DirectMap {
        // SAFETY: the mapping is readable and writable, and is never taken back.
        unsafe { DirectMap::new(self.start()) }
    }
}

/// Has the kernel place pages anew: takes what backs them back, and touches them in this order, with zeros in them.
///
/// # Safety
///
/// The pages, of `bytes` bytes each, lie in mappings of small pages, and nobody uses what is in them.
pub unsafe fn place_anew(pages: &[VirtAddr], bytes: u64) {
    let mut sorted: Vec<u64> = pages.iter().map(|page| page.0).collect();
    sorted.sort_unstable();
    // A system call for each stretch.
    for stretch in sorted.chunk_by(|&page, &next| page + bytes == next) {
        let length = stretch.len() * bytes as usize;
        // SAFETY: the caller's promise.
        unsafe { libc::madvise(stretch[0] as *mut _, length, libc::MADV_DONTNEED) };
    }
    for page in pages {
        // SAFETY: the caller's promise.
        unsafe { ptr::write_volatile(page.0 as *mut u8, 0) };
    }
}

/// The same for pages of [`PAGE_SIZE`] whose contents stay.
///
/// # Safety
///
/// The pages lie in mappings of small pages, and nobody accesses them meanwhile.
pub unsafe fn move_elsewhere(pages: &[VirtAddr]) {
    type Page = [u8; PAGE_SIZE as usize];
    // SAFETY: the caller's promise.
    let read = |page: &VirtAddr| unsafe { (page.0 as *const Page).read() };
    let contents: Vec<Page> = pages.iter().map(read).collect();
    // SAFETY: the caller's promise; the contents are kept.
    unsafe { place_anew(pages, PAGE_SIZE) };
    for (page, contents) in pages.iter().zip(contents) {
        // SAFETY: as above.
        unsafe { (page.0 as *mut Page).write(contents) };
    }
}

/// The sum of `AnonHugePages` over the mappings that begin in `range`, in bytes.
fn huge_bytes(smaps: &str, range: Range<u64>) -> u64 {
    let mut inside = false;
    let mut bytes = 0;
    for line in smaps.lines() {
        let start = line.split_once('-').map(|(start, _)| start);
        if let Some(Ok(start)) = start.map(|start| u64::from_str_radix(start, 16)) {
            inside = range.contains(&start);
        } else if let (true, Some(rest)) = (inside, line.strip_prefix("AnonHugePages:")) {
            let kib = rest.trim().trim_end_matches(" kB").parse::<u64>();
            bytes += kib.unwrap_or(0) << 10;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pages_of_one_mapping_are_counted() {
        let smaps = "7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \n\
                     Size:               4096 kB\n\
                     AnonHugePages:      2048 kB\n\
                     7f0000400000-7f0000800000 rw-p 00000000 00:00 0 \n\
                     AnonHugePages:      4096 kB\n\
                     7f0000800000-7f0000900000 rw-p 00000000 00:00 0 \n\
                     AnonHugePages:      1024 kB\n";
        assert_eq!(
            huge_bytes(smaps, 0x7f00_0000_0000..0x7f00_0080_0000),
            6 << 20
        );
        assert_eq!(huge_bytes("", 0..u64::MAX), 0);
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory by the kernel")]
    fn a_mapping_is_aligned_and_can_be_written() {
        let mapping = Mapping::new(3 << 20, Pages::Small).unwrap();
        assert_eq!(mapping.bytes(), 4 << 20);
        assert!(mapping.start().0.is_multiple_of(HUGE));
        mapping.populate(0..4 << 20);
        assert_eq!(mapping.huge_bytes(), 0);
    }
}
