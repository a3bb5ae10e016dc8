//! The instructions that drop translations, and the machine's side of the TLB seam.
//!
//! Intel SDM volume 3, 5.10.4 (which operation invalidates what).
//!
//! - `instructions`: INVLPG, CR3, CR4.PGE: every CPU
//! - `invpcid`: INVPCID, types 0 to 3
//! - `broadcast`: INVLPGB and TLBSYNC, which reach all CPUs
//! - `local`: this CPU's TLB, by the cheapest of them

mod broadcast;
mod instructions;
mod invpcid;
mod local;

pub use broadcast::BroadcastTlb;
pub use instructions::{evict, flush_everything, invlpg, reload_cr3, toggle_pge};
pub use invpcid::{InvpcidType, invpcid};
pub use local::LocalTlb;

/// Whether [`evict`] does what it says.
pub const CAN_EVICT: bool = true;
