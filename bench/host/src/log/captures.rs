//! Captures as people have them: what logging programs, terminals and wires make of a log says what the clean one says.

use std::io::Read;

use pagemark_record::{Clock, Notice, Record, Verdict};

use super::capture::{Captures, Run};
use super::sample::{good, machine, panicked, start, written};
use super::{Fault, Log, LogError, damage, read};

fn text(clock: Clock) -> String {
    String::from_utf8(good(clock)).unwrap()
}

/// The log without what firmware prints before it.
fn body(clock: Clock) -> String {
    let text = text(clock);
    text[text.find("@pagemark").unwrap()..].to_owned()
}

/// Each line with what `prefix` puts before the one of that number.
fn prefixed(text: &str, prefix: impl Fn(usize) -> String) -> String {
    let lines = text.lines().enumerate();
    lines
        .map(|(number, line)| prefix(number) + line + "\n")
        .collect()
}

/// Lines broken after this number of characters.
fn wrapped(text: &str, width: usize) -> String {
    text.lines()
        .map(|line| {
            let characters: Vec<char> = line.chars().collect();
            let pieces = characters
                .chunks(width)
                .map(|piece| piece.iter().collect::<String>());
            let whole: Vec<String> = pieces.collect();
            whole.join("\n") + "\n"
        })
        .collect()
}

fn runs(capture: &[u8]) -> Vec<Result<Run, LogError>> {
    let mut captures = Captures::new(capture);
    std::iter::from_fn(|| captures.next().unwrap()).collect()
}

/// What is put before the line of a number.
type Prefix = fn(usize) -> String;

/// What loggers put before lines, each with another time.
const PREFIXES: [(&str, Prefix); 13] = [
    ("ts", |n| format!("Nov 30 13:39:{:02} ", n % 60)),
    ("ts -s", |n| format!("00:00:{:02} ", n % 60)),
    ("ts '%.s'", |n| format!("1764509993.{:06} ", n * 4321)),
    ("ts -i, tab", |n| format!("{:02}:{:02}\t", n / 60, n % 60)),
    ("Jenkins", |n| {
        format!("[2026-11-30T13:39:53.{:03}Z] ", n % 1000)
    }),
    ("GitHub", |n| {
        format!("2026-11-30T13:39:53.{:07}Z ", n * 7919)
    }),
    ("GitLab", |n| {
        format!("2026-11-30T13:39:53.{:06}Z 00O ", n * 79)
    }),
    ("journald", |n| {
        format!("Nov 30 13:39:{:02} rack-7 qemu[{}]: ", n % 60, 900 + n % 3)
    }),
    ("dmesg", |n| format!("[{:>5}.{:06}] ", n * 3, n * 17)),
    ("dmesg -T", |n| {
        format!("[Mon Nov 30 13:39:{:02} 2026] ", n % 60)
    }),
    ("picocom", |n| {
        format!("[2026-11-30 13:39:{:02}.{:03}] ", n % 60, n)
    }),
    ("compose", |_| "qemu-1  | ".to_owned()),
    ("grabserial", |n| format!("[{}.{:06} 0.{:06}] ", n, n, n)),
];

#[test]
fn what_stands_before_every_line_is_taken_off() {
    for clock in [Clock::Icount, Clock::Tsc] {
        let want = read(&good(clock)).unwrap();
        for (name, prefix) in PREFIXES {
            let capture = prefixed(&text(clock), prefix);
            assert_eq!(read(capture.as_bytes()).unwrap(), want, "{name}");
            // Trailing spaces are often cut, and lines may end as on a wire.
            let trimmed: String = capture
                .lines()
                .map(|line| line.trim_end().to_owned() + "\r\n")
                .collect();
            assert_eq!(read(trimmed.as_bytes()).unwrap(), want, "{name}, trimmed");
        }
    }
}

#[test]
fn the_clean_log_is_what_is_split_off() {
    let clean = body(Clock::Icount);
    for (name, prefix) in PREFIXES {
        let capture = prefixed(&text(Clock::Icount), prefix);
        let [Ok(run)] = &runs(capture.as_bytes())[..] else {
            panic!("{name}")
        };
        assert_eq!(String::from_utf8_lossy(&run.text), clean, "{name}");
    }
}

#[test]
fn lines_of_gitlab_that_go_on_are_one() {
    let want = read(&good(Clock::Icount)).unwrap();
    let prefix = |n: usize, flag: char| format!("2026-11-30T13:39:53.{:06}Z 00O{flag}", n * 79);
    let capture: String = text(Clock::Icount)
        .lines()
        .enumerate()
        .map(|(n, line)| match line.len() {
            60.. => format!(
                "{}{}\n{}{}\n",
                prefix(n, ' '),
                &line[..50],
                prefix(n, '+'),
                &line[50..]
            ),
            _ => format!("{}{line}\n", prefix(n, ' ')),
        })
        .collect();
    assert_eq!(read(capture.as_bytes()).unwrap(), want);
}

#[test]
fn wrapped_lines_are_put_together() {
    for clock in [Clock::Icount, Clock::Tsc] {
        let want = read(&good(clock)).unwrap();
        for width in [60, 80, 100, 132, 200] {
            let capture = wrapped(&body(clock), width);
            assert_eq!(read(capture.as_bytes()).unwrap(), want, "{width}");
            let behind = wrapped(&format!("Booting 'pagemark' {}", body(clock)), width);
            assert_eq!(
                read(behind.as_bytes()).unwrap(),
                want,
                "{width}, behind GRUB's line"
            );
            // A terminal's own copy has no spaces at the end of a line.
            let trimmed: String = capture
                .lines()
                .map(|line| line.trim_end().to_owned() + "\n")
                .collect();
            assert_eq!(read(trimmed.as_bytes()).unwrap(), want, "{width}, trimmed");
            for (name, prefix) in PREFIXES {
                let wrapped_first = prefixed(&wrapped(&text(clock), width), prefix);
                assert_eq!(
                    read(wrapped_first.as_bytes()).unwrap(),
                    want,
                    "{name} of {width}"
                );
                // The mark itself has to stay in one line.
                let width = width.max(80);
                let wrapped_last = wrapped(&prefixed(&text(clock), prefix), width);
                assert_eq!(
                    read(wrapped_last.as_bytes()).unwrap(),
                    want,
                    "{width} of {name}"
                );
            }
        }
    }
}

#[test]
fn what_editors_wires_and_consoles_add() {
    let want = read(&good(Clock::Icount)).unwrap();
    let text = text(Clock::Icount);
    let body = body(Clock::Icount);
    let utf_16 = |units: &mut dyn Iterator<Item = u16>, little: bool| -> Vec<u8> {
        let bytes = units.map(|unit| {
            if little {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            }
        });
        bytes.flatten().collect()
    };
    let marked = || std::iter::once(0xfeff).chain(body.encode_utf16());
    let mark = "[-- MARK -- Mon Nov 30 13:00:00 2026]\n";
    let between: String = text.lines().map(|line| format!("{line}\n{mark}")).collect();
    let inside = body.replacen("\"samples\":", &format!("\"sam\n{mark}ples\":"), 1);
    let in_text = body.replacen("# that was", &format!("# th\n{mark}at was"), 1);
    let in_a_word = body.replacen("\nBenchmark", &format!("\nBench\n{mark}mark"), 1);
    let glued = body.replacen("# that was", &format!("# th{mark}at was"), 1);
    let kernel = body.replacen(
        "\nBenchmark",
        "\n[  12.3] usb 1-1: new device\nBenchmark",
        2,
    );
    let unfinished = body.replacen("\n@pagemark", "\nusb 1-1: @pagemark", 3);
    let variants: [(&str, Vec<u8>); 15] = [
        ("a BOM", ["\u{feff}", &body].concat().into()),
        ("a BOM behind a line", ["\n\u{feff}", &body].concat().into()),
        ("UTF-16, little", utf_16(&mut marked(), true)),
        ("UTF-16, big", utf_16(&mut marked(), false)),
        (
            "UTF-16 without a BOM",
            utf_16(&mut body.encode_utf16(), true),
        ),
        (
            "XON and XOFF",
            body.replace("record", "re\x13\x11cord").into(),
        ),
        ("XON first", ["\x11", &body].concat().into()),
        (
            "GRUB's line without its end",
            ["  Booting `pagemark'", &body].concat().into(),
        ),
        (
            "an escape without its end",
            ["\x1b]0;title", &body].concat().into(),
        ),
        ("marks between lines", between.into()),
        ("a mark inside a record", inside.into()),
        ("a mark inside a text", in_text.into()),
        ("a mark inside a line's first word", in_a_word.into()),
        ("a mark behind half a line", glued.into()),
        (
            "carriage returns as line feeds",
            body.replace('\n', "\n\n").into(),
        ),
    ];
    for (name, capture) in variants {
        match read(&capture) {
            Ok(log) => assert_eq!(log, want, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    for (name, capture) in [
        ("a kernel's lines", kernel),
        ("unfinished lines", unfinished),
    ] {
        assert_eq!(read(capture.as_bytes()).unwrap(), want, "{name}");
    }
}

/// A journal's other lines have the prefix, too.
#[test]
fn lines_of_other_programs_between_those_of_a_logger() {
    let want = read(&good(Clock::Icount)).unwrap();
    let capture: String = text(Clock::Icount)
        .lines()
        .enumerate()
        .map(|(n, line)| {
            let time = format!("Nov 30 13:39:{:02} rack7", n % 60);
            let other = if n % 5 == 0 {
                format!("{time} kernel[0]: usb 1-1: reset\n")
            } else {
                String::new()
            };
            format!("{other}{time} qemu[1]: {line}\n")
        })
        .collect();
    assert_eq!(read(capture.as_bytes()).unwrap(), want);
}

#[test]
fn a_panic_behind_prefixes_and_in_wrapped_lines() {
    let want = read(&panicked()).unwrap();
    let text = String::from_utf8(panicked()).unwrap();
    for (name, prefix) in PREFIXES {
        assert_eq!(
            read(prefixed(&text, prefix).as_bytes()).unwrap(),
            want,
            "{name}"
        );
    }
    let body = &text[text.find("@pagemark").unwrap()..];
    assert_eq!(read(wrapped(body, 80).as_bytes()).unwrap(), want);
}

#[test]
fn a_file_of_many_boots_is_many_logs() {
    let [one, other] = [Clock::Icount, Clock::Tsc].map(|clock| read(&good(clock)).unwrap());
    let [first, second] = [Clock::Icount, Clock::Tsc].map(text);
    let cut = &first[..first.len() / 2];
    let stamped = prefixed(&second, PREFIXES[0].1);
    let capture = [&first, cut, &stamped, "noise\n", &second].concat();
    let found = runs(capture.as_bytes());
    let logs: Vec<Option<&Log>> = found
        .iter()
        .map(|run| run.as_ref().ok().map(|run| &run.log))
        .collect();
    assert_eq!(logs, [Some(&one), None, Some(&other), Some(&other)]);
    let error = found[1].as_ref().unwrap_err();
    assert!(matches!(error.fault, Fault::Malformed(_)), "{error}");
    let lines: Vec<usize> = found.iter().flatten().map(|run| run.line).collect();
    let start = |from: usize| capture[..from].matches('\n').count() + 1;
    let starts: Vec<usize> = capture
        .match_indices("@pagemark {\"record\":\"start\"")
        .map(|(at, _)| start(at))
        .collect();
    assert_eq!(lines, [starts[0], starts[2], starts[3]]);
}

#[test]
fn damage_is_reported_by_line_and_kind() {
    use damage::Kind;
    let body = body(Clock::Icount);
    let line = |text: &str| body[..body.find(text).unwrap()].matches('\n').count() + 1;
    let damages = |capture: &[u8]| read(capture).unwrap_err().damages;
    let reported = |from: &str, to: &str| -> Vec<(usize, Kind)> {
        let damaged = body.replacen(from, to, 1);
        assert_ne!(damaged, body, "{from}");
        damages(damaged.as_bytes())
            .into_iter()
            .map(|damage| (damage.line, damage.kind))
            .collect()
    };
    let map = line("BenchmarkPage-table");
    let unlike = [(map, Kind::Unlike("page-table/map/pages=512".to_owned()))];
    assert_eq!(reported("1001 21504 insns", "1001 21594 insns"), unlike);
    let lost = body
        .find("@pagemark {\"record\":\"result\",\"case\":\"tlb/invlpg\"")
        .unwrap();
    let rest = &body[lost..];
    let without = [&body[..lost], &rest[rest.find('\n').unwrap() + 1..]].concat();
    let found = damages(without.as_bytes());
    assert!(
        matches!(&found[..], [damage::Damage { kind: Kind::Alone(case), .. }] if case == "Tlb/invlpg"),
        "{found:?}"
    );
    let cut = reported("\"samples\":1001,\"min\":21500", "\"sam");
    assert!(
        matches!(cut[0].1, Kind::CutRecord | Kind::BrokenRecord),
        "{cut:?}"
    );
    let that = line("# that");
    let noise = body.bytes().zip(1..).map(|(byte, place)| {
        if place == body.find("# that").unwrap() + 4 {
            0xff
        } else {
            byte
        }
    });
    let noise = damages(&noise.collect::<Vec<u8>>());
    assert_eq!(
        noise,
        [damage::Damage {
            line: that,
            kind: Kind::NotText
        }]
    );
    let message = read(
        body.replacen("1001 21504 insns", "1001 21594 insns", 1)
            .as_bytes(),
    )
    .unwrap_err()
    .to_string();
    assert!(
        message.contains(&format!(
            "\n  line {map}: the benchmark line and the record of page-table/map/pages=512 differ"
        )),
        "{message}"
    );
}

#[test]
fn what_a_log_says_is_shown_and_not_obeyed() {
    let nasty = "\x1b[2J\x1b[31mpass\u{7}\r\nverdict pass\u{202e}";
    let log = written(|log| {
        log.record(&start("quick")).unwrap();
        let mut machine = machine(Clock::Icount);
        machine.cpu = nasty.into();
        log.record(&Record::Machine(machine)).unwrap();
        log.record(&Record::Notice(Notice { text: nasty.into() }))
            .unwrap();
        run_rest(log);
        log.end(Verdict::Pass).unwrap();
    });
    let shown = crate::show::render(&read(&log).unwrap(), crate::style::Look::Plain, None);
    let obeyed = |character: char| character.is_control() && character != '\n';
    assert!(
        !shown.contains(obeyed) && !shown.contains('\u{202e}'),
        "{shown:?}"
    );
    let hostile = r"\u001b[2j\u001b[31mpass\u0007\r\nverdict pass\u202e";
    assert!(shown.to_lowercase().contains(hostile), "{shown}");
}

fn run_rest(log: &mut pagemark_record::LogWriter<String>) {
    for case in ["tlb/invlpg", "pt/map/pages=1"] {
        log.record(&super::sample::result(case, Clock::Icount, [1; 4]))
            .unwrap();
    }
}

/// A stream of this number of bytes of noise with a log in the middle.
struct Noise {
    left: usize,
    log: Vec<u8>,
    state: u64,
}

impl Read for Noise {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let length = out.len().min(self.left);
        if self.left < 1 << 20 && !self.log.is_empty() && out.len() >= self.log.len() {
            let log = std::mem::take(&mut self.log);
            out[..log.len()].copy_from_slice(&log);
            return Ok(log.len());
        }
        for byte in &mut out[..length] {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (self.state >> 56) as u8;
        }
        self.left -= length;
        Ok(length)
    }
}

#[test]
fn a_log_in_megabytes_of_noise_is_found_in_little_memory() {
    let noise = Noise {
        left: 8 << 20,
        log: ["\n", &text(Clock::Icount)].concat().into(),
        state: 1,
    };
    let mut captures = Captures::new(noise);
    let found = captures.next().unwrap().unwrap().unwrap();
    assert_eq!(found.log, read(&good(Clock::Icount)).unwrap());
    assert!(captures.next().unwrap().is_none());
    assert!(captures.capacity() < 4 << 20, "{}", captures.capacity());
}

#[test]
fn many_boots_take_no_more_memory_than_few() {
    let log = text(Clock::Icount);
    let boots = (8 << 20) / log.len();
    let capture = log.repeat(boots);
    let mut captures = Captures::new(capture.as_bytes());
    let mut found = 0;
    while let Some(run) = captures.next().unwrap() {
        assert!(run.is_ok());
        found += 1;
    }
    assert_eq!(found, boots);
    assert!(captures.capacity() < 4 << 20, "{}", captures.capacity());
}
