//! What is written is what is read, and text is never read as anything else.

use core::fmt::Write;
use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::any::{borrowed, records, text};
use super::{jsons, start, sum, write};
use crate::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 128 }))]

    #[test]
    fn every_record_reads_back_as_it_was_written(records in records()) {
        let log = write(|log| {
            log.record(&start()).unwrap();
            for record in &records {
                log.record(&borrowed(record)).unwrap();
            }
            log.end(Verdict::Pass).unwrap();
        });
        let read: Vec<Record<String>> = jsons(&log).iter().map(|json| serde_json::from_str(json).unwrap()).collect();
        prop_assert_eq!(&read[1..read.len() - 1], &records[..]);
        let (lines, crc32) = sum(&log);
        let end = Record::End(End { verdict: Verdict::Pass, lines, crc32: Hex(crc32.into()) });
        prop_assert_eq!(read.last(), Some(&end));
    }

    #[test]
    fn text_is_never_taken_for_anything_else(pieces in proptest::collection::vec(text(), 0..8), forged in "(@pagemark |Benchmark|unit: |Unit )?.{0,20}") {
        let log = write(|log| {
            log.record(&start()).unwrap();
            for piece in &pieces {
                write!(log, "{piece}\n{forged}\n").unwrap();
            }
            log.end(Verdict::Pass).unwrap();
        });
        prop_assert_eq!(jsons(&log).len(), 2);
        for line in log.split('\n').filter(|line| !line.starts_with(PREFIX) && !line.is_empty()) {
            prop_assert!(line.starts_with("# "), "{}", line);
            prop_assert!(!line.contains(|c: char| c.is_control() && c != '\t'), "{:?}", line);
        }
        let end = serde_json::from_str::<Record<String>>(jsons(&log)[1]).unwrap();
        let mut sum = LineSum::new();
        let body = log.strip_prefix('\n').unwrap();
        for line in body[..body.rfind(PREFIX).unwrap()].split_terminator('\n') {
            sum.bytes(line.as_bytes());
            sum.end_line();
        }
        prop_assert_eq!(end, Record::End(End { verdict: Verdict::Pass, lines: sum.lines(), crc32: Hex(sum.crc32().into()) }));
    }

    #[test]
    fn a_formatted_text_is_the_plain_one(pieces in proptest::collection::vec(text(), 3)) {
        let whole = format!("{}{}{}", pieces[0], pieces[1], pieces[2]);
        let formatted = write(|log| log.record(&Record::Notice(Notice { text: format_args!("{}{}{}", pieces[0], pieces[1], pieces[2]).into() })).unwrap());
        let plain = write(|log| log.record(&Record::Notice(Notice { text: whole.as_str().into() })).unwrap());
        prop_assert_eq!(formatted, plain);
    }
}
