//! Writes a log: records, the benchmark lines beside them, and text for people.

use core::fmt::{self, Write};

use serde_json_core::ser::Serializer;

use crate::{
    CaseResult, Clock, End, Figure, Hex, LineSum, MAX_ADDRESSES, MAX_AREAS, MAX_SERIES, MAX_TEXT,
    Machine, PREFIX, Record, TestCase, TestResult, Text, Unit, Verdict,
};

/// Bytes of JSON that one area of a `vmallocinfo` takes, at most.
const MAX_AREA: usize = 192;
/// Bytes of JSON that the longest record takes: `machine` has eight texts, `panic` two and its addresses, `result` one and its
/// series, `vmallocinfo` its areas; the rest of a record, keys and numbers, takes well under 640 bytes.
const MAX_JSON: usize = 640
    + max(
        max(8 * (MAX_TEXT + 5), 2 * (MAX_TEXT + 5) + MAX_ADDRESSES * 21),
        max(MAX_TEXT + 5 + MAX_SERIES + 5, MAX_AREAS * MAX_AREA),
    );

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Whether `name` can name a case: parts that `/` separates, written in visible ASCII, beginning with a letter. It does not end in
/// `-` and digits, which benchstat would take off as a number of CPUs.
pub const fn is_case_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let (mut at, mut digits) = (0, 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_graphic() {
            return false;
        }
        digits = if bytes[at].is_ascii_digit() {
            digits + 1
        } else {
            0
        };
        at += 1;
    }
    let cpus = digits > 0 && digits < bytes.len() && bytes[bytes.len() - digits - 1] == b'-';
    !bytes.is_empty() && bytes[0].is_ascii_alphabetic() && !cpus
}

/// The writer of one log. Lines end in `\n`; a console whose far end wants `\r\n` adds the `\r` itself.
///
/// It is also a [`fmt::Write`] for text: every line of it is written behind `# `, so that no text can pass for a record, nor
/// benchstat take it for a line of its own. Control characters in it become `?`, tabs stay.
///
/// Nothing is lost when `out` is whole: a text that is too long for a record is cut and marked ([`MAX_TEXT`]). Errors are
/// those of `out` alone.
pub struct LogWriter<W> {
    lines: Lines<W>,
    json: [u8; MAX_JSON],
    signals: bool,
}

impl<W: Write> LogWriter<W> {
    /// A log that goes to `out`. Text may come before the `start` record; the lines count from that record on.
    pub const fn new(out: W) -> Self {
        Self {
            lines: Lines {
                out,
                sum: None,
                inside: false,
            },
            json: [0; MAX_JSON],
            signals: false,
        }
    }

    /// Also writes LAVA's signal of each case and check from now on ([`TestCase`]), as text for people.
    pub const fn signal_test_cases(&mut self) {
        self.signals = true;
    }

    /// Writes one record on a line of its own. Before a result its benchmark line comes, and after the machine the
    /// configuration that benchstat keeps beside the results. An `end` states the lines and the CRC-32 of this log, whatever
    /// the record passed in says.
    pub fn record(&mut self, record: &Record<Text<'_>>) -> fmt::Result {
        match record {
            Record::Start(_) => {
                // The loader or the firmware may have left its last line unended.
                self.lines.out.write_char('\n')?;
                self.lines.inside = false;
                self.lines.sum = Some(LineSum::new());
                self.json(record)
            }
            Record::Panic(_) => {
                // Another writer may have been at work when this one was made for the last words.
                self.lines.end_line()?;
                self.json(record)
            }
            Record::Machine(machine) => {
                self.json(record)?;
                self.configuration(machine)
            }
            Record::Result(result) => {
                self.benchmark(result)?;
                self.json(record)?;
                self.signal(
                    &result.case,
                    TestResult::Pass,
                    Some((result.at_least_resolution(result.median), result.unit)),
                )
            }
            Record::Skip(skip) => {
                self.json(record)?;
                self.signal(&skip.case, TestResult::Skip, None)
            }
            Record::Check(check) => {
                self.json(record)?;
                let result = if check.pass {
                    TestResult::Pass
                } else {
                    TestResult::Fail
                };
                self.signal(&check.name, result, None)
            }
            Record::End(end) => self.end(end.verdict),
            _ => self.json(record),
        }
    }

    /// Writes the `end` record. Lines after it are no part of the log.
    pub fn end(&mut self, verdict: Verdict) -> fmt::Result {
        self.lines.end_started_line()?;
        let sum = self.lines.sum.take().unwrap_or_default();
        self.json(&Record::End(End {
            verdict,
            lines: sum.lines(),
            crc32: Hex(sum.crc32().into()),
        }))
    }

    /// The console behind the log.
    pub const fn out(&mut self) -> &mut W {
        &mut self.lines.out
    }

    fn json(&mut self, record: &Record<Text<'_>>) -> fmt::Result {
        let mut serializer = Serializer::new(&mut self.json);
        // MAX_JSON is enough for every record: an error here is one of a text's own Display.
        serde::Serialize::serialize(record, &mut serializer).map_err(|_| fmt::Error)?;
        let len = serializer.end();
        let json = core::str::from_utf8(&self.json[..len]).map_err(|_| fmt::Error)?;
        self.lines.end_started_line()?;
        self.lines.write_str(PREFIX)?;
        self.lines.write_str(json)?;
        self.lines.end_line()
    }

    fn configuration(&mut self, machine: &Machine<Text<'_>>) -> fmt::Result {
        let Machine {
            cpu,
            hypervisor,
            clock,
            layout,
            ..
        } = machine;
        self.line(format_args!("cpu: {cpu}"))?;
        self.line(format_args!(
            "hypervisor: {}",
            hypervisor.unwrap_or(Text::Plain("none"))
        ))?;
        self.line(format_args!("clock: {clock}"))?;
        self.line(format_args!("layout: {layout}"))?;
        let unit = clock.unit();
        let properties = match clock {
            Clock::Icount => "assume=exact better=lower",
            Clock::Tsc | Clock::Emulated => "better=lower",
        };
        for statistic in ["", "min-", "p99-", "max-"] {
            self.line(format_args!("Unit {statistic}{unit} {properties}"))?;
        }
        Ok(())
    }

    fn benchmark(&mut self, result: &CaseResult<Text<'_>>) -> fmt::Result {
        let CaseResult {
            case,
            unit,
            samples,
            ns,
            cycles,
            ..
        } = result;
        // benchstat takes numbers only: for a figure below the resolution it gets the resolution.
        let [min, median, p99, max] = [result.min, result.median, result.p99, result.max]
            .map(|figure| result.at_least_resolution(figure));
        let resolved = !result.is_below_resolution(result.median);
        let [ns, cycles] = [ns, cycles].map(|figure| figure.filter(|_| resolved));
        self.line(format_args!(
            "Benchmark{} {samples} {median} {unit}{}{}{}{} {min} min-{unit} {p99} p99-{unit} {max} max-{unit}",
            Capital(case),
            Measured(&cycles, "cycles"),
            Measured(&ns, "ns"),
            Measured(&result.counts.instructions, "instructions"),
            Measured(&result.counts.all_walks(), "walks"),
        ))
    }

    fn signal(
        &mut self,
        case: &Text<'_>,
        result: TestResult,
        measurement: Option<(Figure, Unit)>,
    ) -> fmt::Result {
        if !self.signals {
            return Ok(());
        }
        let signal = TestCase {
            case,
            result,
            measurement,
        };
        self.lines.end_started_line()?;
        writeln!(self, "{signal}")
    }

    /// One line for benchstat, so without the mark of text for people.
    fn line(&mut self, arguments: fmt::Arguments<'_>) -> fmt::Result {
        self.lines.end_started_line()?;
        OneLine(&mut self.lines).write_fmt(arguments)?;
        self.lines.end_line()
    }
}

impl<W: Write> Write for LogWriter<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            let line = piece.strip_suffix('\n');
            let content = line.unwrap_or(piece);
            let content = content.strip_suffix('\r').unwrap_or(content);
            if !content.is_empty() {
                if !self.lines.inside {
                    self.lines.write_str("# ")?;
                }
                OneLine(&mut self.lines).write_str(content)?;
            }
            if line.is_some() {
                self.lines.end_line()?;
            }
        }
        Ok(())
    }
}

/// The lines on their way to the console, summed up as they pass.
struct Lines<W> {
    out: W,
    /// The sum since the `start` record; none before it and after the `end`.
    sum: Option<LineSum>,
    /// Something stands in the current line.
    inside: bool,
}

impl<W: Write> Lines<W> {
    fn end_line(&mut self) -> fmt::Result {
        self.inside = false;
        if let Some(sum) = &mut self.sum {
            sum.end_line();
        }
        self.out.write_char('\n')
    }

    fn end_started_line(&mut self) -> fmt::Result {
        if self.inside { self.end_line() } else { Ok(()) }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.inside |= !piece.is_empty();
        if let Some(sum) = &mut self.sum {
            sum.bytes(piece.as_bytes());
        }
        self.out.write_str(piece)
    }
}

/// Keeps a text within its line and free of what a terminal would obey.
struct OneLine<'a, W>(&'a mut W);

impl<W: Write> Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut parts = text.split(|character: char| character.is_control() && character != '\t');
        self.0.write_str(parts.next().unwrap_or_default())?;
        for part in parts {
            self.0.write_char('?')?;
            self.0.write_str(part)?;
        }
        Ok(())
    }
}

/// A figure and its unit, where there is one.
struct Measured<'a>(&'a Option<Figure>, &'static str);

impl fmt::Display for Measured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(figure) => write!(f, " {figure} {}", self.1),
            None => Ok(()),
        }
    }
}

/// A name with its first letter in upper case, as it follows the word `Benchmark`.
struct Capital<'a>(&'a Text<'a>);

impl fmt::Display for Capital<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct First<'a, 'f>(&'a mut fmt::Formatter<'f>, bool);

        impl Write for First<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let mut rest = text.chars();
                if self.1
                    && let Some(first) = rest.next()
                {
                    self.1 = false;
                    self.0.write_char(first.to_ascii_uppercase())?;
                }
                self.0.write_str(rest.as_str())
            }
        }

        write!(First(f, true), "{}", self.0)
    }
}
