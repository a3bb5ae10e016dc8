//! What can be asked of vmalloc.

use crate::mm::address::PAGE_SIZE;
use crate::mm::frame::Gfp;
use crate::mm::page_table::Protection;

/// A request for an area: the size, and whatever is not as usual. 2.4's `__vmalloc`, and the flags that came after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    pub(super) bytes: u64,
    pub(super) align: u64,
    pub(super) gfp: Gfp,
    pub(super) protection: Protection,
    pub(super) guard: bool,
    pub(super) zeroed: bool,
    pub(super) huge: bool,
}

impl Request {
    /// `bytes` bytes, rounded up to pages: at a page, with a guard page, readable and writable, from any frames.
    #[must_use]
    #[inline]
    pub const fn new(bytes: u64) -> Self {
        Request {
            bytes,
            align: PAGE_SIZE,
            gfp: Gfp::KERNEL.union(Gfp::HIGHMEM),
            protection: Protection::READ_WRITE,
            guard: true,
            zeroed: false,
            huge: false,
        }
    }

    /// At a multiple of `bytes`, which is a power of two; less than a page is a page.
    #[must_use]
    #[inline]
    pub const fn align(self, bytes: u64) -> Self {
        Request {
            align: bytes,
            ..self
        }
    }

    /// From frames that these flags allow.
    #[must_use]
    #[inline]
    pub const fn gfp(self, gfp: Gfp) -> Self {
        Request { gfp, ..self }
    }

    /// With this protection.
    #[must_use]
    #[inline]
    pub const fn protection(self, protection: Protection) -> Self {
        Request { protection, ..self }
    }

    /// Without a guard page: another area may follow at once (VM_NO_GUARD).
    #[must_use]
    #[inline]
    pub const fn no_guard(self) -> Self {
        Request {
            guard: false,
            ..self
        }
    }

    /// Full of zeros.
    #[must_use]
    #[inline]
    pub const fn zeroed(self) -> Self {
        Request {
            zeroed: true,
            ..self
        }
    }

    /// With 2 MiB leaves as far as the size and the frames allow (VM_ALLOW_HUGE_VMAP).
    #[must_use]
    #[inline]
    pub const fn huge(self) -> Self {
        Request { huge: true, ..self }
    }
}
