//! What a case is, to the harness: an operation, how to get ready for it, how to prove it, how to undo it.

use arrayvec::ArrayString;
use core::fmt::{self, Write};
use core::mem::MaybeUninit;

use pagemark_record::Class;

/// One hot path, measured by calling `operation` again and again inside the bracket.
///
/// Of each sample only [`operation`](Case::operation) is timed. What it needs lies in `self`, what it yields is left in
/// `self`, and nothing is printed or allocated on the way.
pub trait Case {
    /// Brings about the state that the operation starts from.
    ///
    /// # Errors
    ///
    /// Why that cannot be done: the case then fails.
    fn prepare(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// What is timed. It is called as what it is alone, never through a table: that would be one instruction more.
    fn operation(&mut self)
    where
        Self: Sized;

    /// How many operations can follow on each other once the case is prepared for them: with more than one the harness times that
    /// many and twice as many at once, and takes the slope. 16 or 32 are enough where each serialises the CPU, as a flush does;
    /// where the CPU runs ahead, 64 or more.
    fn batch(&self) -> u32 {
        1
    }

    /// Brings about the state that `count` operations in a row start from: twice the batch at most. [`restore`](Case::restore) undoes
    /// all of them.
    ///
    /// # Errors
    ///
    /// As those of [`prepare`](Case::prepare).
    fn prepare_for(&mut self, _count: u32) -> Result<(), Failure> {
        self.prepare()
    }

    /// What the figure of a batch is: [`Class::Latency`] where [`link`](Case::link) has the result of the operation.
    fn class(&self) -> Class {
        Class::Throughput
    }

    /// What the next operation is to wait for, where the figure is to be a latency: what depends on the operation's result. It is
    /// compiled into the operation.
    fn link(&self) -> MaybeUninit<u64>
    where
        Self: Sized,
    {
        MaybeUninit::uninit()
    }

    /// Why there is nothing that the operation does and a proof could look at.
    fn without_effect(&self) -> Option<&'static str> {
        None
    }

    /// Proves that the operation did what the case claims, before [`restore`](Case::restore). Without the operation, or with
    /// the flush in it left out, it has to fail, and `mutate=` on the command line puts it to that proof. What it does itself it
    /// does through [`mutation::perform`](super::mutation::perform).
    ///
    /// # Errors
    ///
    /// What was found instead.
    fn verify(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Undoes the operation.
    ///
    /// # Errors
    ///
    /// What the operation failed at, or why it cannot be undone.
    fn restore(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Bytes of a failure's text.
const TEXT_BYTES: usize = 120;

/// Why a case did not do what it claims, in words for the log; a longer text than fits is cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure(ArrayString<TEXT_BYTES>);

impl Failure {
    /// A failure with this text.
    #[cold]
    #[inline(never)]
    pub fn new(text: fmt::Arguments<'_>) -> Self {
        let mut failure = ArrayString::new();
        let _ = Cut(&mut failure).write_fmt(text);
        Failure(failure)
    }

    /// Not part of `from`, which is compiled for each error.
    #[cold]
    #[inline(never)]
    fn of_error(error: &dyn core::error::Error) -> Self {
        Failure::new(format_args!("{error}"))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Any error of the memory system is a failure of the case that met it.
impl<E: core::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::of_error(&error)
    }
}

/// Fills the string as far as it goes, and drops the rest.
struct Cut<'s>(&'s mut ArrayString<TEXT_BYTES>);

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.try_push(character).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// What [`expect_eq`] returns where the values differ.
#[cold]
#[inline(never)]
pub fn differs(
    what: &dyn fmt::Display,
    found: &dyn fmt::Debug,
    expected: &dyn fmt::Debug,
) -> Failure {
    Failure::new(format_args!(
        "{what}: found {found:x?}, expected {expected:x?}"
    ))
}

/// Ends the running function with a [`Failure`] unless the two values are equal; `what` names the thing.
macro_rules! expect_eq {
    ($what:expr, $found:expr, $expected:expr) => {{
        let (found, expected) = ($found, $expected);
        if found != expected {
            return Err($crate::harness::case::differs(&$what, &found, &expected));
        }
    }};
}
pub(crate) use expect_eq;
