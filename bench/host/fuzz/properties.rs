//! What holds of the reader of logs for all bytes there are:
//!
//! - it never panics, and nor do the table and the exports of what it took for a log;
//! - what it takes for a whole log has an `end` record that states the lines and the CRC-32 of just that log, or a `panic`;
//! - a log whose `end` record checks is never said to be damaged or incomplete;
//! - cut anywhere, such a log is incomplete, or all that matters is there; with a byte changed it is refused, or says the same;
//! - what the wire adds changes nothing.
//!
//! Most bytes have no `end` record that checks, and a fuzzer would never guess one. So the properties make one for them.

use pagemark_host::export::{Format, export};
use pagemark_host::log::capture::Captures;
use pagemark_host::log::lines::{lines, record};
use pagemark_host::log::{Ending, Fault, Log, read};
use pagemark_host::show;
use pagemark_host::style::Look;
use pagemark_record::{OLDEST_SCHEMA, PREFIX, Record, SCHEMA};

/// The formats that are written in no time; the page with its plots is not.
const FORMATS: [Format; 9] = [
    Format::Markdown,
    Format::Annotations,
    Format::Bmf,
    Format::SmallerIsBetter,
    Format::GoogleBenchmark,
    Format::GoText,
    Format::Junit,
    Format::Tap,
    Format::Csv,
];

/// Panics where one of them does not hold.
pub fn hold(bytes: &[u8]) {
    if let Ok(log) = read(bytes) {
        whole(&as_written(bytes), &log);
        render(&log);
    }
    let sealed = Sealed::around(bytes);
    match read(&sealed.log) {
        Ok(log) => {
            whole(&as_written(&sealed.log), &log);
            render(&log);
            cut(&sealed, &log);
            changed(&sealed, &log);
            on_the_wire(&sealed.log, &log);
        }
        Err(error) => assert!(
            matches!(
                error.fault,
                Fault::Malformed(_) | Fault::Twice(_) | Fault::Contradiction(_)
                    // By a line that is meant for one and does not parse, so that it was not left out.
                    | Fault::SecondStart { .. }
            ),
            "{error}"
        ),
    }
}

/// The lines of the only run in `bytes`, put together again.
fn as_written(bytes: &[u8]) -> Vec<u8> {
    let mut captures = Captures::new(bytes);
    let run = captures.next().expect("memory is read without errors");
    run.expect("there is a run").expect("it is whole").text
}

/// Finds the lines of the run by itself and sums them up by another implementation of the CRC-32.
fn whole(bytes: &[u8], log: &Log) {
    let mut sum: Option<(u64, crc32fast::Hasher)> = None;
    let (mut over, mut broken) = (false, false);
    for line in lines(bytes) {
        let parsed = record(&line.bytes).and_then(Result::ok);
        let panicked = matches!(parsed, Some(Record::Panic(_)));
        assert!(!broken || panicked, "a broken record was passed over");
        broken = line.ended && matches!(record(&line.bytes), Some(Err(_)));
        assert!(!over || parsed.is_none(), "a record after the last");
        match (&parsed, &sum) {
            (Some(Record::Start(start)), None) => {
                assert!((OLDEST_SCHEMA..=SCHEMA).contains(&start.schema));
                sum = Some((0, crc32fast::Hasher::new()));
            }
            (Some(Record::Start(_)), Some(_)) => panic!("a second start"),
            (Some(Record::End(end)), Some((lines, crc32))) => {
                assert_eq!(end.lines, *lines);
                assert_eq!(end.crc32.0, u64::from(crc32.clone().finalize()));
                assert!(matches!(&log.ending, Ending::End(said) if said == end));
                over = true;
            }
            (Some(Record::Panic(_)), Some(_)) => {
                assert!(matches!(log.ending, Ending::Panic(_)));
                over = true;
            }
            (Some(_), None) => panic!("a record before the first"),
            _ => {}
        }
        if let (Some((lines, crc32)), false) = (&mut sum, over) {
            *lines += 1;
            crc32.update(&line.bytes);
            crc32.update(b"\n");
        }
    }
    assert!(over, "no record closes it");
}

fn render(log: &Log) {
    show::render(log, Look::Plain, None);
    for format in FORMATS {
        export(format, log, None, &[]);
    }
}

/// A log with an `end` record that checks.
struct Sealed {
    log: Vec<u8>,
    /// Where all of its last record is there.
    complete: usize,
    /// A number that depends on the bytes, and on nothing else.
    chosen: usize,
}

impl Sealed {
    /// Of the lines of `bytes`, but those that begin or end a run.
    fn around(bytes: &[u8]) -> Self {
        let mut log = format!(
            "{PREFIX}{{\"record\":\"start\",\"schema\":{SCHEMA},\"revision\":\"\",\"suite\":\"\",\"command_line\":\"\"}}\n"
        )
        .into_bytes();
        let mut count = 1;
        for line in lines(bytes) {
            // As the image writes it: text, without control characters.
            let line: String = String::from_utf8_lossy(&line.bytes)
                .chars()
                .filter(|&character| character == '\t' || !character.is_control())
                .collect();
            let record = record(line.as_bytes());
            if let Some(Ok(Record::Start(_) | Record::End(_) | Record::Panic(_))) = record {
                continue;
            }
            log.extend_from_slice(line.as_bytes());
            log.push(b'\n');
            count += 1;
        }
        let crc32 = crc32fast::hash(&log);
        log.extend_from_slice(
            format!("{PREFIX}{{\"record\":\"end\",\"verdict\":\"pass\",\"lines\":{count},\"crc32\":\"{crc32:#x}\"}}\n")
                .as_bytes(),
        );
        Self {
            complete: log.len() - 1,
            chosen: crc32fast::hash(bytes) as usize,
            log,
        }
    }
}

fn cut(sealed: &Sealed, whole: &Log) {
    let at = sealed.chosen % sealed.log.len();
    match read(&sealed.log[..at]) {
        Ok(log) => assert!(at >= sealed.complete && log == *whole, "cut at {at}"),
        Err(error) => assert!(
            at < sealed.complete && matches!(error.fault, Fault::NoStart | Fault::NoEnd),
            "cut at {at}: {error}"
        ),
    }
}

fn changed(sealed: &Sealed, whole: &Log) {
    let mut log = sealed.log.clone();
    let at = sealed.chosen % sealed.complete;
    log[at] ^= (sealed.chosen >> 24).max(1) as u8;
    if let Ok(log) = read(&log) {
        assert!(log == *whole, "the byte at {at} was changed unnoticed");
    }
}

fn on_the_wire(log: &[u8], whole: &Log) {
    let mut wire = b"\x1b]0;title\x07SeaBIOS\r\n".to_vec();
    for line in log.split_inclusive(|&byte| byte == b'\n') {
        wire.extend_from_slice(b"\x1b[0m\0");
        wire.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        wire.extend_from_slice(b"\r\r\n");
    }
    wire.extend_from_slice(b"System halted\n@pagemar");
    match read(&wire) {
        Ok(log) => assert!(log == *whole, "the wire changed what the log says"),
        Err(error) => panic!("as the wire brings it: {error}"),
    }
}
