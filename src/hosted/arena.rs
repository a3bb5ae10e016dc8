//! Physical memory of a process: one private mapping, which the kernel fills with frames of its own at the first touch.

use std::io;
use std::ops::Range;
use std::ptr;

use crate::cpu::direct_map::DirectMap;
use crate::mm::address::{PAGE_SIZE, VirtAddr};

/// Bytes of the largest page that is asked for. The arena is a multiple of it, at a multiple of it.
pub const HUGE: u64 = 2 << 20;

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
