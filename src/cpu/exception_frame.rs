//! What an exception leaves on the stack, for its handlers to read and to change.

/// What the stub and the CPU left on the stack, lowest address first.
#[repr(C)]
pub struct ExceptionFrame {
    /// General registers: R15 down to RAX in the order that the stub pushed them.
    pub registers: [u64; 15],
    /// Vector number, pushed by the stub.
    pub vector: u64,
    /// Error code of the CPU, or 0 where it gives none.
    pub error_code: u64,
    /// The instruction that faulted.
    pub rip: u64,
    /// Its code segment.
    pub cs: u64,
    /// Its flags.
    pub rflags: u64,
    /// Its stack pointer.
    pub rsp: u64,
    /// Its stack segment.
    pub ss: u64,
}
