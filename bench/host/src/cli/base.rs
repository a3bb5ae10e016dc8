//! What new logs are held against: a baseline file or logs. `gate`, `export` and `list` read it.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::compare::allow::Allow;
use crate::gate::baseline::Baseline;
use crate::gate::{self, Judgement};
use crate::log::Log;
use crate::log::side::{self, Reading};

/// What new logs are held against.
pub(super) enum Base {
    File(Baseline),
    Logs(Vec<Log>),
}

/// The baseline file, or the logs, at `paths`.
pub(super) fn base(paths: &[PathBuf], reading: &mut Reading) -> Result<Base> {
    Ok(match baseline_file(paths)? {
        Some(baseline) => Base::File(baseline),
        None => Base::Logs(reading.logs(paths)?),
    })
}

/// Judges by a baseline file, or by logs.
pub(super) fn judge(
    base: &Base,
    new: &[Log],
    history: &[Log],
    alarms: f64,
    allow: &Allow,
) -> Result<Judgement> {
    Ok(match base {
        Base::File(base) => {
            gate::passed("new", new, allow)?;
            gate::exact::judge(base, &gate::agreed("new", new)?, allow.clone())?
        }
        Base::Logs(base) => gate::judge_logs(base, new, history, alarms, allow.clone())?,
    })
}

/// The baseline, if the base is one.
fn baseline_file(base: &[PathBuf]) -> Result<Option<Baseline>> {
    let [path] = base else { return Ok(None) };
    if path.is_dir() || path == Path::new(side::STDIN) {
        return Ok(None);
    }
    let unreadable = || format!("{} cannot be read", path.display());
    let mut head = Vec::new();
    let file = side::open(path).with_context(unreadable)?;
    file.take(64)
        .read_to_end(&mut head)
        .with_context(unreadable)?;
    if !Baseline::is_one(&head) {
        return Ok(None);
    }
    let bytes = side::bytes(path)?;
    let text = std::str::from_utf8(&bytes).with_context(|| path.display().to_string())?;
    let baseline = text.parse().with_context(|| path.display().to_string())?;
    Ok(Some(baseline))
}
