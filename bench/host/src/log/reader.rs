//! Reads a run in two steps: its frame, from `start` to `end` with nothing lost; then what the records in it say together.

use std::collections::HashSet;

use pagemark_record::{
    CaseResult, End, Frames, Hex, LineSum, Machine, OLDEST_SCHEMA, Record, SCHEMA, Start, Verdict,
    is_case_name,
};

use super::capture::Captures;
use super::error::Twice;
use super::lines::{Line, record};
use super::{Ending, Fault, Log, LogError, Origin};

/// Reads a capture of exactly one run.
pub fn read(capture: &[u8]) -> Result<Log, LogError> {
    let mut runs = Captures::new(capture);
    let mut next = || runs.next().expect("memory is read without errors");
    let no_start = || LogError::new(1, Fault::NoStart);
    let run = next().unwrap_or_else(|| Err(no_start()))?;
    match next() {
        None => Ok(run.log),
        Some(Ok(second)) => Err(LogError::new(
            second.line,
            Fault::SecondStart { first: run.line },
        )),
        Some(Err(error)) => Err(match error.fault {
            // The beginning of a second run.
            Fault::NoEnd | Fault::NoStart => {
                LogError::new(error.line, Fault::SecondStart { first: run.line })
            }
            _ => error,
        }),
    }
}

/// Reads the lines of one run, the first of which carries its `start` record. The lines that were proved are not summed up again.
pub(super) fn read_run(lines: &[Line<'_>], proved: bool) -> Result<Log, LogError> {
    let mut frame = Frame::BeforeStart;
    let mut last = 1;
    for line in lines {
        last = line.number;
        frame = frame.line(line, proved)?;
    }
    let fault = match frame {
        Frame::BeforeStart => Fault::NoStart,
        Frame::Inside(mut run) => {
            run.whole_lines()?;
            Fault::NoEnd
        }
        Frame::Over(run, end) => return end.log(*run),
    };
    Err(LogError::new(last, fault))
}

/// How far the log has been read.
enum Frame {
    BeforeStart,
    Inside(Box<Run>),
    Over(Box<Run>, Box<Closing>),
}

/// A run's first record and those that followed, each with its line.
struct Run {
    first: usize,
    start: Start<String>,
    records: Vec<(usize, Record<String>)>,
    sum: LineSum,
    /// The last line is a record that cannot be read. A panic while it was written explains that, nothing else does.
    broken: Option<LogError>,
}

/// A run's last record and its line.
struct Closing {
    line: usize,
    ending: Ending,
}

impl Frame {
    fn line(mut self, line: &Line<'_>, proved: bool) -> Result<Self, LogError> {
        let at = |fault| LogError::new(line.number, fault);
        let record = match record(&line.bytes).transpose() {
            Ok(record) => record,
            // The log was cut inside its last line.
            Err(_) if !line.ended => None,
            Err(error) => {
                let error = at(Fault::Malformed(error.into()));
                let Self::Inside(run) = &mut self else {
                    return Err(error);
                };
                run.whole_lines()?;
                run.add(line, proved);
                run.broken = Some(error);
                return Ok(self);
            }
        };
        if let (Self::Inside(run), false) = (&mut self, matches!(record, Some(Record::Panic(_)))) {
            run.whole_lines()?;
        }
        self.record(line, record, proved).map_err(at)
    }

    fn record(
        self,
        line: &Line<'_>,
        record: Option<Record<String>>,
        proved: bool,
    ) -> Result<Self, Fault> {
        match (self, record) {
            (Self::BeforeStart, None) => Ok(Self::BeforeStart),
            (Self::BeforeStart, Some(Record::Start(start))) => {
                if !(OLDEST_SCHEMA..=SCHEMA).contains(&start.schema) {
                    return Err(Fault::Schema {
                        found: start.schema,
                    });
                }
                let mut run = Run {
                    first: line.number,
                    start,
                    records: Vec::new(),
                    sum: LineSum::new(),
                    broken: None,
                };
                run.add(line, proved);
                Ok(Self::Inside(Box::new(run)))
            }
            (Self::BeforeStart, Some(record)) => Err(Fault::BeforeStart(name(&record))),
            (Self::Inside(run) | Self::Over(run, _), Some(Record::Start(_))) => {
                Err(Fault::SecondStart { first: run.first })
            }
            (Self::Inside(run), Some(Record::End(end))) => {
                if !proved {
                    run.verify(&end)?;
                }
                Ok(Self::Over(
                    run,
                    Box::new(Closing {
                        line: line.number,
                        ending: Ending::End(end),
                    }),
                ))
            }
            (Self::Inside(run), Some(Record::Panic(panic))) => Ok(Self::Over(
                run,
                Box::new(Closing {
                    line: line.number,
                    ending: Ending::Panic(panic.into()),
                }),
            )),
            (Self::Inside(mut run), record) => {
                run.add(line, proved);
                run.records
                    .extend(record.map(|record| (line.number, record)));
                Ok(Self::Inside(run))
            }
            (Self::Over(run, closing), None) => Ok(Self::Over(run, closing)),
            (Self::Over(..), Some(record)) => Err(Fault::AfterEnd(name(&record))),
        }
    }
}

impl Run {
    fn add(&mut self, line: &Line<'_>, proved: bool) {
        if !proved {
            self.sum.bytes(&line.bytes);
            self.sum.end_line();
        }
    }

    /// Refuses a record that cannot be read.
    fn whole_lines(&mut self) -> Result<(), LogError> {
        self.broken.take().map_or(Ok(()), Err)
    }

    fn verify(&self, end: &End) -> Result<(), Fault> {
        let (lines, crc32) = (self.sum.lines(), Hex(self.sum.crc32().into()));
        if end.lines != lines {
            return Err(Fault::LineCount {
                stated: end.lines,
                found: lines,
            });
        }
        if end.crc32 != crc32 {
            return Err(Fault::Crc {
                stated: end.crc32,
                found: crc32,
            });
        }
        Ok(())
    }
}

impl Closing {
    /// Sorts the records by kind and holds them against each other.
    fn log(self, run: Run) -> Result<Log, LogError> {
        let mut log = Log {
            origin: Origin::default(),
            start: run.start,
            machine: None,
            environment: None,
            regions: Vec::new(),
            zones: Vec::new(),
            buddyinfo: Vec::new(),
            vmallocinfo: Vec::new(),
            notices: Vec::new(),
            boot: None,
            checks: Vec::new(),
            results: Vec::new(),
            skips: Vec::new(),
            frames: None,
            cpus: Vec::new(),
            crossovers: Vec::new(),
            advice: Vec::new(),
            probe: None,
            errors: Vec::new(),
            ending: self.ending,
        };
        let mut cases = HashSet::new();
        for (line, record) in run.records {
            log.add(record, &mut cases)
                .map_err(|fault| LogError::new(line, fault))?;
        }
        log.check_verdict()
            .map_err(|fault| LogError::new(self.line, fault))?;
        Ok(log)
    }
}

impl Log {
    fn add(&mut self, record: Record<String>, cases: &mut HashSet<String>) -> Result<(), Fault> {
        let kind = name(&record);
        match record {
            Record::Machine(machine) => once(&mut self.machine, machine, kind)?,
            Record::Environment(environment) => once(&mut self.environment, environment, kind)?,
            Record::Tag(tag) => self.tag(&tag.tag, &tag.reason),
            Record::Region(region) => self.regions.push(region),
            Record::Zone(zone) => self.zones.push(zone),
            Record::Buddyinfo(info) => self.buddyinfo.push(info),
            Record::Vmallocinfo(info) => self.vmallocinfo.push(info),
            Record::Notice(notice) => self.notices.push(notice.text),
            Record::Boot(boot) => once(&mut self.boot, boot, kind)?,
            Record::Check(check) => self.checks.push(check),
            Record::Result(result) => {
                check_result(&result, self.machine.as_ref())?;
                if !cases.insert(result.case.clone()) {
                    return Err(Fault::Twice(Twice::Case(result.case)));
                }
                self.results.push(result);
            }
            Record::Skip(skip) => {
                if !cases.insert(skip.case.clone()) {
                    return Err(Fault::Twice(Twice::Case(skip.case)));
                }
                self.skips.push(skip);
            }
            Record::Frames(frames) => once(&mut self.frames, frames, kind)?,
            Record::Crossover(crossover) => self.crossovers.push(crossover),
            Record::Cpu(cpu) => self.cpus.push(cpu),
            Record::Advice(advice) => self.advice.push(advice),
            Record::Probe(probe) => once(&mut self.probe, probe, kind)?,
            Record::Error(error) => self.errors.push(error.message),
            Record::Start(_) | Record::Panic(_) | Record::End(_) => {
                unreachable!("these are the frame of a run, not its contents")
            }
        }
        Ok(())
    }

    /// Adds a tag to the environment's, and its reason to the notices.
    fn tag(&mut self, tag: &str, reason: &str) {
        self.notices.push(format!("{tag}: {reason}"));
        if let Some(environment) = &mut self.environment {
            if !environment.tags.is_empty() {
                environment.tags.push(' ');
            }
            environment.tags.push_str(tag);
        }
    }

    /// A verdict is believed only where the records bear it out.
    fn check_verdict(&self) -> Result<(), Fault> {
        let Ending::End(End {
            verdict: Verdict::Pass,
            ..
        }) = self.ending
        else {
            return Ok(());
        };
        let contradiction = |what: String| {
            Err(Fault::Contradiction(format!(
                "the verdict is pass, but {what}"
            )))
        };
        if let Some(check) = self.checks.iter().find(|check| !check.pass) {
            return contradiction(format!("the check {} failed", check.name));
        }
        if let Some(error) = self.errors.first() {
            return contradiction(format!("there is an error: {error}"));
        }
        match self.frames {
            Some(Frames { at_start, at_end }) if at_start != at_end => {
                contradiction(format!("of {at_start} free frames {at_end} came back"))
            }
            _ => Ok(()),
        }
    }
}

fn once<R>(slot: &mut Option<R>, record: R, kind: &'static str) -> Result<(), Fault> {
    match slot.replace(record) {
        None => Ok(()),
        Some(_) => Err(Fault::Twice(Twice::Record(kind))),
    }
}

fn check_result(
    result: &CaseResult<String>,
    machine: Option<&Machine<String>>,
) -> Result<(), Fault> {
    let CaseResult {
        case,
        unit,
        samples,
        min,
        median,
        p99,
        max,
        ..
    } = result;
    let contradiction = |what: String| Err(Fault::Contradiction(what));
    if !is_case_name(case) {
        return contradiction(format!("{case:?} cannot be the name of a case"));
    }
    let Some(machine) = machine else {
        return contradiction(format!("a result of {case} before the machine is known"));
    };
    if *unit != machine.clock.unit() {
        return contradiction(format!(
            "{case} is in {unit}, the machine's clock is {}",
            machine.clock
        ));
    }
    if *samples == 0 || !(min <= median && median <= p99 && p99 <= max) {
        return contradiction(format!(
            "{case}: {samples} samples with min {min}, median {median}, p99 {p99}, max {max}"
        ));
    }
    Ok(())
}

/// The name of a record's kind, as the log has it.
pub(super) fn name(record: &Record<String>) -> &'static str {
    match record {
        Record::Start(_) => "start",
        Record::Machine(_) => "machine",
        Record::Environment(_) => "environment",
        Record::Tag(_) => "tag",
        Record::Region(_) => "region",
        Record::Zone(_) => "zone",
        Record::Buddyinfo(_) => "buddyinfo",
        Record::Vmallocinfo(_) => "vmallocinfo",
        Record::Notice(_) => "notice",
        Record::Boot(_) => "boot",
        Record::Check(_) => "check",
        Record::Result(_) => "result",
        Record::Skip(_) => "skip",
        Record::Frames(_) => "frames",
        Record::Crossover(_) => "crossover",
        Record::Cpu(_) => "cpu",
        Record::Advice(_) => "advice",
        Record::Probe(_) => "probe",
        Record::Error(_) => "error",
        Record::Panic(_) => "panic",
        Record::End(_) => "end",
    }
}
