//! What the options take: words of a list, numbers of a range.

use core::fmt;
use core::str::FromStr;

use crate::mm::shootdown::MAX_CPUS;

/// A typed value of an option.
pub(super) trait Value: Sized {
    /// What is accepted, for the error message.
    const ACCEPTED: Accepted;

    fn parse(text: &str) -> Option<Self>;
}

/// An option that need not be given.
impl<T: Value> Value for Option<T> {
    const ACCEPTED: Accepted = T::ACCEPTED;

    fn parse(text: &str) -> Option<Self> {
        T::parse(text).map(Some)
    }
}

/// What an option takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// One of these words.
    Words(&'static [&'static str]),
    /// What this describes.
    Text(&'static str),
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Accepted::Words(words) => List(words, "or").fmt(f),
            Accepted::Text(text) => f.write_str(text),
        }
    }
}

/// Words as a sentence lists them, the last two with this word between.
pub(super) struct List(pub(super) &'static [&'static str], pub(super) &'static str);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let List(words, last_separator) = self;
        for (place, word) in words.iter().enumerate() {
            if place > 0 && place + 1 == words.len() {
                write!(f, " {last_separator} ")?;
            } else if place > 0 {
                f.write_str(", ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

/// An option that takes one of a few words, each a variant: `Variant = "word",`.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$attribute:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {
            $($(#[$attribute])* $variant,)+
        }

        impl $name {
            /// The name that the command line and the log give it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        impl Value for $name {
            const ACCEPTED: Accepted = Accepted::Words(&[$($word),+]);

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// Which cases run, and how often each.
    #[derive(Default)]
    Suite {
        /// The cases of every day, few samples.
        #[default]
        Quick = "quick",
        /// Every case, many samples.
        Full = "full",
        /// Every case of the full suite, again and again for some time.
        Soak = "soak",
        /// No case: only measures the speed of instructions, so that a caller can choose an accelerator.
        Probe = "probe",
    }
}

words! {
    /// Where the regions of the address space lie: [`crate::mm::layout::Constants`].
    #[derive(Default)]
    LayoutName {
        /// All RAM in the direct map.
        #[default]
        Wide = "wide",
        /// The book's machine, in the top 1 GiB.
        Classic = "classic",
        /// All RAM in the direct map, with five levels of page tables.
        Wide5 = "wide5",
    }
}

words! {
    /// How address spaces come to entries of the reference table that are made after them.
    #[derive(Default)]
    Propagation {
        /// By a page fault, the first time that they miss one.
        #[default]
        Lazy = "lazy",
        /// Never: every entry of the vmalloc region is there from the start.
        Preallocated = "preallocated",
    }
}

words! {
    /// Where the code lies that takes samples.
    #[derive(Default)]
    Align {
        /// At a multiple of 64.
        #[default]
        Fixed = "fixed",
        /// Elsewhere in each round, in steps of 8 bytes: what a figure owes to that shows between its least and its most.
        Sweep = "sweep",
    }
}

words! {
    /// What is done about the core's clock rate.
    #[derive(Default)]
    Frequency {
        /// Nothing.
        #[default]
        Free = "free",
        /// It is kept from moving as far as the CPU allows, for as long as the run lasts.
        Fixed = "fixed",
    }
}

words! {
    /// What is known of the TLB's memory.
    #[derive(Default)]
    Stale {
        /// Nothing: it may keep or drop a translation that was not flushed.
        #[default]
        May = "may",
        /// It keeps each translation that was not flushed, as far as it has room. The proofs of flushes rely on it.
        Must = "must",
    }
}

words! {
    /// A failure on purpose, for tests of how failures are reported.
    Provoke {
        /// A panic.
        Panic = "panic",
        /// A stack that runs into its guard page.
        GuardPage = "guard-page",
        /// A read of address 0.
        Null = "null",
        /// A loop without end or output.
        Hang = "hang",
        /// The same, while the machine is brought up.
        BringUpHang = "bring-up-hang",
        /// A panic on another CPU, while the others are busy.
        OtherCpuPanic = "other-cpu-panic",
        /// A stack of another CPU that runs into its guard page.
        OtherCpuGuardPage = "other-cpu-guard-page",
        /// A panic on a CPU that is being started.
        StartingCpuPanic = "starting-cpu-panic",
    }
}

words! {
    /// What is left out of every operation, to see whether its proof notices.
    Mutate {
        /// All of it.
        Operation = "operation",
        /// The flush in it. Only an image built with the feature `mutation` can do that.
        Flush = "flush",
    }
}

words! {
    /// What the screen shows.
    #[derive(Default)]
    ScreenUse {
        /// The run in words; and at its end, where no serial port takes the log, that as codes.
        #[default]
        Auto = "auto",
        /// The log as codes at the end, whatever serial ports there are.
        Codes = "codes",
        /// Words alone.
        Words = "words",
    }
}

words! {
    /// What the log has for the scheduler of a lab.
    #[derive(Default)]
    Signals {
        /// Nothing.
        #[default]
        None = "none",
        /// LAVA's signals of test cases.
        Lava = "lava",
    }
}

words! {
    /// How the machine is left.
    #[derive(Default)]
    Exit {
        /// Through QEMU's debug-exit device where there is one, else halt.
        #[default]
        Auto = "auto",
        /// Halt.
        Halt = "halt",
        /// Reset.
        Reset = "reset",
    }
}

/// A label for the log's readers. The image does not interpret it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Label;

impl Value for Label {
    const ACCEPTED: Accepted = Accepted::Text("a name");

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then_some(Label)
    }
}

/// A number of rounds, each of which takes one sample of every case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rounds(pub u32);

impl Rounds {
    /// As many as there is room for.
    pub const MAX: u32 = 250;
}

impl Value for Rounds {
    const ACCEPTED: Accepted = Accepted::Text("a number from 1 to 250");

    fn parse(text: &str) -> Option<Self> {
        let rounds = u32::from_str(text).ok()?;
        (1..=Self::MAX).contains(&rounds).then_some(Rounds(rounds))
    }
}

/// A number of CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuCount(pub usize);

impl Value for CpuCount {
    const ACCEPTED: Accepted = Accepted::Text("a number from 1 to 1024");

    fn parse(text: &str) -> Option<Self> {
        let count = usize::from_str(text).ok()?;
        (1..=MAX_CPUS).contains(&count).then_some(CpuCount(count))
    }
}

/// How long the soak suite takes, or a run may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seconds(pub u32);

impl Value for Seconds {
    const ACCEPTED: Accepted = Accepted::Text("a number of seconds from 1 to 4294967295");

    fn parse(text: &str) -> Option<Self> {
        u32::from_str(text)
            .ok()
            .filter(|&seconds| seconds > 0)
            .map(Seconds)
    }
}

/// Where the random order of the rounds starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seed(pub u64);

impl Value for Seed {
    const ACCEPTED: Accepted = Accepted::Text("a number");

    fn parse(text: &str) -> Option<Self> {
        u64::from_str(text).ok().map(Seed)
    }
}

/// Pages up to which a range is flushed page by page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ceiling(pub u64);

impl Value for Ceiling {
    const ACCEPTED: Accepted = Accepted::Text("a number of pages");

    fn parse(text: &str) -> Option<Self> {
        u64::from_str(text).ok().map(Ceiling)
    }
}

/// Rounds of each check of shootdowns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shootdowns(pub u64);

impl Shootdowns {
    /// Minutes on any machine; a watchdog cannot distinguish a longer run from one that hangs.
    pub const MAX: u64 = 1_000_000;
}

impl Value for Shootdowns {
    const ACCEPTED: Accepted = Accepted::Text("a number from 1 to 1000000");

    fn parse(text: &str) -> Option<Self> {
        let rounds = u64::from_str(text).ok()?;
        (1..=Self::MAX)
            .contains(&rounds)
            .then_some(Shootdowns(rounds))
    }
}

/// A number of 4 KiB pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pages(pub u64);

impl Value for Pages {
    const ACCEPTED: Accepted = Accepted::Text("a number of pages");

    fn parse(text: &str) -> Option<Self> {
        u64::from_str(text).ok().map(Pages)
    }
}

/// A physical address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address(pub u64);

impl Value for Address {
    const ACCEPTED: Accepted = Accepted::Text("an address, such as 0xf52c0");

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").or(text.strip_prefix("0X"))?;
        // `from_str_radix` takes a sign.
        let all_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let address = u64::from_str_radix(digits, 16).ok()?;
        (all_digits && address != 0).then_some(Address(address))
    }
}
