//! What a finished run amounts to: the log's verdict and QEMU's status, which have to agree.

use std::fmt::Write;
use std::process::ExitStatus;

use pagemark_record::{End, ExitCode, Verdict};

use super::kvm;
use super::silence::{likely_cause, refusal};
use super::{Ended, Finished};
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
    let status = match finished.ended {
        Ended::Status(status) => Some(status),
        Ended::AfterTheLog => None,
        Ended::TimedOut | Ended::GrubFailed => return Outcome::TimedOut,
        Ended::Interrupted => return Outcome::Interrupted,
        Ended::KvmFailed => {
            let why = kvm::complaint(&finished.stderr);
            return Outcome::Refused(why.unwrap_or_default());
        }
        Ended::Flooded => return Outcome::Broken("the image printed without end".to_owned()),
    };
    let meant = status.map(|status| status.code().and_then(ExitCode::from_qemu_status));
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
                "the emulator ended with {}, and the image never spoke",
                describe(status)
            ));
        }
        Err(error) => {
            return Outcome::Broken(format!(
                "{error} (the emulator ended with {})",
                describe(status)
            ));
        }
    };
    let said = match &log.ending {
        Ending::End(End { verdict, .. }) => ExitCode::from(*verdict),
        Ending::Panic(_) => ExitCode::Panic,
    };
    if meant.is_some_and(|meant| meant != Some(said)) {
        return Outcome::Broken(format!(
            "the log says {said:?}, but QEMU ended with {}",
            describe(status)
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

fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "no status".to_owned();
    };
    match status.code() {
        Some(code) => match ExitCode::from_qemu_status(code) {
            Some(meant) => format!("status {code}, the image's {meant:?}"),
            None => format!("status {code}, which the image does not give"),
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
                let cause = likely_cause(&finished.raw, &finished.cpus, symbols);
                format!("the image did not come to its end in time; QEMU was stopped\n{cause}")
            }
        };
        if !finished.stderr.trim().is_empty() {
            let _ = write!(text, "\nQEMU says:\n{}", finished.stderr.trim_end());
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
