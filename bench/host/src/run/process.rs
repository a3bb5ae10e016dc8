//! An emulator's process. It ends with the value that stands for it, and on Linux also with this tool, in whatever way that ends.

use std::io;
#[cfg(target_os = "linux")]
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context, Result};

/// A child that does not outlive this value, nor the thread that started it.
pub struct Process(pub(crate) Child);

impl Process {
    /// Starts the command.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`].
    pub fn start(command: &mut Command) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        end_with_this_thread(command);
        command.spawn().map(Self)
    }

    /// Its status, if it has ended.
    pub(super) fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.0
            .try_wait()
            .context("the emulator's end cannot be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has Linux kill the child when this thread ends (PR_SET_PDEATHSIG): after SIGKILL no destructor runs.
#[cfg(target_os = "linux")]
fn end_with_this_thread(command: &mut Command) {
    use rustix::process::{
        Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal,
    };

    let tool: Pid = getpid();
    let arrange = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The tool may have ended before.
        if getppid() != Some(tool) {
            kill_process(getpid(), Signal::KILL)?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes system calls alone, and allocates nothing.
    unsafe { command.pre_exec(arrange) };
}
