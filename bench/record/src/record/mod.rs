//! The records, one type each. `T` is the type of their texts: [`crate::Text`] where they are written, `String` where they
//! are read.
//!
//! Here are those that begin a run, end it, or describe it in words.

mod case;
mod environment;
mod machine;
mod memory;

use core::fmt;

use arrayvec::ArrayVec;
#[cfg(feature = "read")]
use serde::Deserialize;
use serde::Serialize;

pub use case::{
    Advice, AdviceKind, Boot, CaseResult, Check, Class, Counts, Crossover, Disturbances, Probe,
    Skip, Translations,
};
pub use environment::{Environment, Frequencies, Tag};
pub use machine::{Clock, CoreKind, Cpu, Machine, Region, Unit};
pub use memory::{Buddyinfo, Frames, Moment, ORDERS, Zone};

use crate::{Hex, Vmallocinfo};

/// The most return addresses that a [`Panic`] carries; the outermost ones are left out.
pub const MAX_ADDRESSES: usize = 32;

/// One line of the log that a program reads. In JSON its key `record` says which one it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(tag = "record", rename_all = "lowercase")]
#[expect(missing_docs, reason = "each type says what it is")]
#[expect(
    clippy::large_enum_variant,
    reason = "the addresses of a panic cannot be boxed in the image"
)]
pub enum Record<T> {
    Start(Start<T>),
    Environment(Environment<T>),
    Tag(Tag<T>),
    Machine(Machine<T>),
    Cpu(Cpu),
    Region(Region<T>),
    Zone(Zone<T>),
    Buddyinfo(Buddyinfo<T>),
    Vmallocinfo(Vmallocinfo),
    Notice(Notice<T>),
    Boot(Boot),
    Check(Check<T>),
    Result(CaseResult<T>),
    Skip(Skip<T>),
    Frames(Frames),
    Crossover(Crossover),
    Advice(Advice),
    Probe(Probe),
    Error(Error<T>),
    Panic(Panic<T>),
    End(End),
}

/// The first record of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Start<T> {
    /// [`crate::SCHEMA`] of the image.
    pub schema: u32,
    /// The source that the image was built from, as `git describe` names it.
    pub revision: T,
    /// The suite that runs: `quick`, `full`, `probe`.
    pub suite: T,
    /// The command line, as the loader gave it.
    pub command_line: T,
    /// Bytes by which the code lies further up than usual: 0, or a multiple of 16 below 64.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub text_offset: u32,
}

fn is_usual(text_offset: &u32) -> bool {
    *text_offset == 0
}

/// Something that a person should know and that did not stop the run: a repair of the loader's memory map, for one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Notice<T> {
    /// The sentence.
    pub text: T,
}

/// Why a run could not be made as it was asked for: a bad command line, too little RAM.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Error<T> {
    /// The sentence; it names the offending value.
    pub message: T,
}

/// The image's last words. No `end` follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct Panic<T> {
    /// What went wrong.
    pub message: T,
    /// The source file, where known, as [`source`](crate::source()) names it; empty where not.
    pub file: T,
    /// The line in it; 0 where not known.
    pub line: u32,
    /// Return addresses on the stack, innermost first, and at an exception the interrupted instruction. Stale ones may be among
    /// them.
    pub addresses: ArrayVec<Hex, MAX_ADDRESSES>,
}

/// The last record of a run that went to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
pub struct End {
    /// How it went.
    pub verdict: Verdict,
    /// The number of lines before this one ([`crate::LineSum`]).
    pub lines: u64,
    /// Their CRC-32.
    pub crc32: Hex,
}

/// How a run went that went to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(Deserialize))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every check held and every frame came back.
    Pass,
    /// A check failed.
    Fail,
    /// It could not be made as it was asked for; an `error` record says why.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
        })
    }
}
