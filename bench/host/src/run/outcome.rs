//! What a finished run amounts to: the log's verdict and QEMU's status, which have to agree.

use std::fmt::Write;
use std::process::ExitStatus;

use pagemark_record::{End, ExitCode, Verdict};

use super::kvm;
use super::silence::{likely_cause, refusal};
use super::{By, Ended, Finished};
use crate::image::Symbols;
use crate::log::{Ending, Log, lines, read};

/// Lines of the log that an explanation quotes.
const QUOTED: usize = 10;

/// How a run went.
#[derive(Debug)]
pub enum Outcome {
    /// Everything held.
    Pass(Box<Log>),
    /// A check failed.
    Fail(Box<Log>),
    /// It could not be made as it was asked for.
    Error(Box<Log>),
    /// The image panicked.
    Panic(Box<Log>),
    /// It could not be made as it was asked for, and there is no log; the text says why: what the image's first instructions miss, or
    /// what KVM cannot do.
    Refused(String),
    /// There is no whole log, or QEMU's status says otherwise; the text says what is wrong.
    Broken(String),
    /// The watchdog ended it.
    TimedOut,
    /// The user ended it.
    Interrupted,
}

/// Judges a run by its log, and by the status that QEMU ended with.
pub fn judge(finished: &Finished) -> Outcome {
    let by = finished.by;
    let status = match finished.ended {
        Ended::Status(status) => Some(status),
        Ended::AfterTheLog => None,
        Ended::TimedOut | Ended::GrubFailed => return Outcome::TimedOut,
        Ended::Interrupted => return Outcome::Interrupted,
        Ended::KvmFailed => {
            let why = kvm::complaint(&finished.stderr);
            return Outcome::Refused(why.unwrap_or_default());
        }
        Ended::Flooded => return Outcome::Broken("the suite printed without end".to_owned()),
    };
    let meant = status.map(|status| status.code().and_then(|code| by.meaning(code)));
    let refused = match meant {
        Some(Some(ExitCode::Error)) => refusal(&finished.raw),
        _ => None,
    };
    let refused = refused.or_else(|| {
        let silent = finished.raw.is_empty();
        silent.then(|| kvm::complaint(&finished.stderr)).flatten()
    });
    if let Some(why) = refused {
        return Outcome::Refused(why);
    }
    let log = match read(&finished.raw) {
        Ok(log) => Box::new(log),
        Err(_) if finished.raw.is_empty() => {
            return Outcome::Broken(format!(
                "{} ended with {}, and the suite never spoke",
                by.name(),
                describe(by, status)
            ));
        }
        Err(error) => {
            return Outcome::Broken(format!(
                "{error} ({} ended with {})",
                by.name(),
                describe(by, status)
            ));
        }
    };
    let said = match &log.ending {
        Ending::End(End { verdict, .. }) => ExitCode::from(*verdict),
        Ending::Panic(_) => ExitCode::Panic,
    };
    if meant.is_some_and(|meant| meant != Some(said)) {
        return Outcome::Broken(format!(
            "the log says {said:?}, but {} ended with {}",
            by.name(),
            describe(by, status)
        ));
    }
    match &log.ending {
        Ending::End(End {
            verdict: Verdict::Pass,
            ..
        }) => Outcome::Pass(log),
        Ending::End(End {
            verdict: Verdict::Fail,
            ..
        }) => Outcome::Fail(log),
        Ending::End(End {
            verdict: Verdict::Error,
            ..
        }) => Outcome::Error(log),
        Ending::Panic(_) => Outcome::Panic(log),
    }
}

impl By {
    /// The name in messages.
    const fn name(self) -> &'static str {
        match self {
            Self::Emulator => "the emulator",
            Self::Process => "the process",
        }
    }

    /// What the suite means by this status: QEMU's own, or `pagemark run`'s, which a process ends with.
    fn meaning(self, status: i32) -> Option<ExitCode> {
        match (self, status) {
            (Self::Emulator, status) => ExitCode::from_qemu_status(status),
            (Self::Process, 0) => Some(ExitCode::Pass),
            (Self::Process, 1) => Some(ExitCode::Fail),
            (Self::Process, 2) => Some(ExitCode::Error),
            (Self::Process, 3) => Some(ExitCode::Panic),
            (Self::Process, _) => None,
        }
    }
}

fn describe(by: By, status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "no status".to_owned();
    };
    match status.code() {
        Some(code) => match by.meaning(code) {
            Some(meant) => format!("status {code}, the suite's {meant:?}"),
            None => format!("status {code}, which the suite does not give"),
        },
        None => status.to_string(),
    }
}

impl Outcome {
    /// The status that this tool ends with.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Pass(_) => 0,
            Self::Fail(_) => 1,
            Self::Error(_) | Self::Refused(_) => 2,
            Self::Panic(_) => 3,
            Self::Broken(_) => 4,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
        }
    }

    /// The log, where there is a whole one.
    pub fn log(&self) -> Option<&Log> {
        match self {
            Self::Pass(log) | Self::Fail(log) | Self::Error(log) | Self::Panic(log) => Some(log),
            Self::Refused(_) | Self::Broken(_) | Self::TimedOut | Self::Interrupted => None,
        }
    }

    /// What a person should know where the log's table does not say it: what went wrong, and the last lines.
    ///
    /// `symbols` are the image's.
    pub fn explanation(&self, finished: &Finished, symbols: Option<&Symbols>) -> Option<String> {
        let mut text = match self {
            Self::Pass(_) | Self::Fail(_) | Self::Error(_) | Self::Panic(_) => return None,
            Self::Interrupted => return Some("interrupted".to_owned()),
            Self::Refused(what) | Self::Broken(what) => what.clone(),
            Self::TimedOut => {
                match finished.by {
                    By::Process => "the process did not come to its end in time, and was stopped: it hangs, or needs more time (--timeout)".to_owned(),
                    By::Emulator => {
                        let cause = likely_cause(&finished.raw, &finished.cpus, symbols);
                        format!("the image did not come to its end in time; QEMU was stopped\n{cause}")
                    }
                }
            }
        };
        if !finished.stderr.trim().is_empty() {
            let name = match finished.by {
                By::Emulator => "QEMU",
                By::Process => "the process",
            };
            let _ = write!(text, "\n{name} says:\n{}", finished.stderr.trim_end());
        }
        if finished.raw.is_empty() {
            return Some(text);
        }
        let lines: Vec<_> = lines::lines(&finished.raw)
            .filter(|line| !line.bytes.is_empty())
            .collect();
        text += "\nthe log's last lines:";
        for line in &lines[lines.len().saturating_sub(QUOTED)..] {
            let _ = write!(
                text,
                "\n{:>6}  {}",
                line.number,
                String::from_utf8_lossy(&line.bytes)
            );
        }
        Some(text)
    }
}
