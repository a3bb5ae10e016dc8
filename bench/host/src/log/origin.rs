//! Where a log was read and when it was made.

use std::path::{Path, PathBuf};

use jiff::civil::DateTime;

/// Where a log was read and when it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file; empty of a log that was in none.
    pub path: PathBuf,
    /// Which of the file's runs it is, from 1, if there are several.
    pub run: Option<usize>,
    /// When it was made, as far as that is known.
    pub date: Option<Date>,
}

/// A date and time, and who says so. Dates order logs; the source of one matters where two are close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The date and time, in no particular zone.
    pub time: DateTime,
    /// Who says so.
    pub source: DateSource,
}

/// Who says when a log was made, the most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DateSource {
    /// The machine's real-time clock, in the log.
    Clock,
    /// The file's name, as `pagemark run` names it: `2026-11-30-133953.log`.
    Name,
    /// The file's time of modification.
    Modified,
}

impl Origin {
    /// The file and, of several runs in it, which: `rack7.log`, `rack7.log#3`; as a terminal can show it.
    pub fn name(&self) -> String {
        let path = super::printable::path(&self.path);
        match self.run {
            Some(run) => format!("{path}#{run}"),
            None => path,
        }
    }

    /// The date and time to the minute, or `-`.
    pub fn date_shown(&self) -> String {
        self.date.map_or_else(
            || "-".to_owned(),
            |date| date.time.strftime("%Y-%m-%d %H:%M").to_string(),
        )
    }
}

impl Date {
    /// What the log's own clock says: `2026-11-30T13:39:53`.
    pub fn of_clock(text: &str) -> Option<Self> {
        let time = text.parse().ok()?;
        Some(Self {
            time,
            source: DateSource::Clock,
        })
    }

    /// What the name of a log in a pack, or else its time of modification in seconds since 1970, says.
    pub fn of_packed(path: &Path, modified: u64) -> Option<Self> {
        let name = path.file_stem()?.to_string_lossy();
        let named = in_name(&name).map(|time| Self {
            time,
            source: DateSource::Name,
        });
        let modified = i64::try_from(modified).ok().filter(|seconds| *seconds > 0);
        named.or_else(|| {
            let stamp = jiff::Timestamp::from_second(modified?).ok()?;
            Some(Self {
                time: jiff::tz::TimeZone::UTC.to_datetime(stamp),
                source: DateSource::Modified,
            })
        })
    }

    /// What a file's name, or else its time of modification, says.
    pub fn of_file(path: &Path) -> Option<Self> {
        let name = path.file_stem()?.to_string_lossy();
        in_name(&name)
            .map(|time| Self {
                time,
                source: DateSource::Name,
            })
            .or_else(|| modified(path))
    }
}

/// The first date in a name, with the time behind it where there is one.
fn in_name(name: &str) -> Option<DateTime> {
    const DATE: usize = "2026-11-30".len();
    let at = (0..name.len()).find(|at| {
        let date = name.get(*at..at + DATE);
        date.is_some_and(|date| date.parse::<jiff::civil::Date>().is_ok())
    })?;
    let date: jiff::civil::Date = name[at..at + DATE].parse().ok()?;
    let digits: String = name[at + DATE..]
        .trim_start_matches(['-', '_', 'T', 't', ' '])
        .chars()
        .filter(|character| !matches!(character, ':' | '.' | '-'))
        .take_while(char::is_ascii_digit)
        .take(6)
        .collect();
    let number = |from: usize| digits.get(from..from + 2).and_then(|two| two.parse().ok());
    let time = match (number(0), number(2)) {
        (Some(hour), Some(minute)) => {
            jiff::civil::Time::new(hour, minute, number(4).unwrap_or(0), 0).ok()
        }
        _ => None,
    };
    Some(date.to_datetime(time.unwrap_or(jiff::civil::Time::midnight())))
}

fn modified(path: &Path) -> Option<Date> {
    let time = std::fs::metadata(path).ok()?.modified().ok()?;
    let stamp = jiff::Timestamp::try_from(time).ok()?;
    Some(Date {
        time: jiff::tz::TimeZone::UTC.to_datetime(stamp),
        source: DateSource::Modified,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_s_date() {
        for (name, time) in [
            ("2026-11-30-133953", Some("2026-11-30T13:39:53")),
            ("rack7-2026-11-30", Some("2026-11-30T00:00:00")),
            ("rack7_2026-11-30_1339", Some("2026-11-30T13:39:00")),
            ("2026-11-30T13:39:53Z-boot4", Some("2026-11-30T13:39:53")),
            ("boot-2026-13-30", None),
            ("µ-boot", None),
        ] {
            assert_eq!(
                in_name(name),
                time.map(|time| time.parse().unwrap()),
                "{name}"
            );
        }
    }
}
