//! What `pagemark run` makes of an emulator's every behaviour. A shell script stands in for QEMU.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use pagemark_record::{
    Clock, Error, LogWriter, Machine, Panic, Probe, Record, SCHEMA, Start, Text, Verdict,
};
use tempfile::TempDir;

/// An emulator that does what its script says, and a place for its log.
struct StandIn {
    folder: TempDir,
}

impl StandIn {
    /// `$LOG` in the script is a file that holds `log`.
    fn new(log: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("written"), log).unwrap();
        let script = format!("LOG=$STAND_IN/written\n{script}\n");
        fs::write(folder.path().join("script"), script).unwrap();
        Self { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command_auto();
        command.args(["--accel", "tcg"]).args(arguments);
        command
    }

    fn command_auto(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pagemark"));
        let qemu = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand-in.sh");
        command
            .args(["run", "--image", "/an image", "--qemu", qemu, "--log"])
            .arg(self.log());
        command.env("STAND_IN", self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("kept.log")
    }

    fn arguments(&self) -> String {
        fs::read_to_string(self.folder.path().join("arguments")).unwrap()
    }
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn log(writing: impl FnOnce(&mut LogWriter<String>)) -> String {
    let mut log = LogWriter::new(String::new());
    let start = Start {
        schema: SCHEMA,
        revision: "v1".into(),
        suite: "quick".into(),
        command_line: "suite=quick".into(),
        text_offset: 0,
    };
    log.record(&Record::Start(start)).unwrap();
    writing(&mut log);
    std::mem::take(log.out())
}

fn ended(verdict: Verdict) -> String {
    log(|log| log.end(verdict).unwrap())
}

fn panicked() -> String {
    log(|log| {
        let panic = Panic {
            message: "out of frames".into(),
            file: "a.rs".into(),
            line: 1,
            addresses: Default::default(),
        };
        log.record(&Record::Panic(panic)).unwrap();
    })
}

#[test]
fn the_image_s_verdict_is_the_exit_status() {
    let error = log(|log| {
        log.record(&Record::Error(Error {
            message: "no such key: colour".into(),
        }))
        .unwrap();
        log.end(Verdict::Error).unwrap();
    });
    let cases = [
        (ended(Verdict::Pass), 33, 0),
        (ended(Verdict::Fail), 35, 1),
        (error, 37, 2),
        (panicked(), 39, 3),
    ];
    for (log, qemu, expected) in cases {
        let stand_in = StandIn::new(&log, &format!("cat $LOG; exit {qemu}"));
        let output = stand_in.run(&[]);
        assert_eq!(status(&output), expected, "{}", stderr(&output));
        assert_eq!(fs::read_to_string(stand_in.log()).unwrap(), log);
        assert!(stderr(&output).contains(&format!("log: {}", stand_in.log().display())));
    }
}

#[test]
fn a_log_and_a_status_that_disagree_are_believed_neither() {
    let cases = [
        (ended(Verdict::Pass), "exit 0"),
        (ended(Verdict::Pass), "exit 35"),
        (ended(Verdict::Pass), "kill -9 $$"),
        (ended(Verdict::Fail), "exit 33"),
        (panicked(), "exit 33"),
        (panicked(), "exit 37"),
    ];
    for (log, end) in cases {
        let output = StandIn::new(&log, &format!("cat $LOG; {end}")).run(&[]);
        assert_eq!(status(&output), 4, "{end}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("the log says"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn no_whole_log_is_a_failure_whatever_the_status() {
    let log = ended(Verdict::Pass);
    for script in [
        "echo; exit 33",
        "head -c -20 $LOG; exit 33",
        "head -n 2 $LOG; exit 39",
        "cat $LOG $LOG; exit 33",
    ] {
        let output = StandIn::new(&log, script).run(&[]);
        assert_eq!(status(&output), 4, "{script}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("pagemark: line "),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn an_image_that_never_speaks_is_a_failure() {
    let output = StandIn::new("", "exit 33").run(&[]);
    assert_eq!(status(&output), 4);
    assert!(
        stderr(&output).contains("the suite never spoke"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_qemu_says_is_passed_on() {
    let output = StandIn::new("", "echo 'qemu: no such machine' >&2; exit 1").run(&[]);
    assert_eq!(status(&output), 4);
    assert!(stderr(&output).contains("qemu: no such machine"));
}

#[test]
fn the_watchdog_ends_a_hang_and_shows_the_last_lines() {
    let begun = Instant::now();
    let output = StandIn::new("", "echo one; echo two; exec sleep 100").run(&["--timeout", "1"]);
    assert_eq!(status(&output), 124);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(
        stderr(&output).contains("     2  two\n"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_image_that_ends_its_log_and_stays_is_not_waited_for() {
    let begun = Instant::now();
    let output = StandIn::new(&ended(Verdict::Pass), "cat $LOG; exec sleep 100").run(&[]);
    assert_eq!(status(&output), 124);
    assert!(begun.elapsed() < Duration::from_secs(50));
}

/// Sends pagemark this signal while QEMU runs; returns pagemark's status, and QEMU's folder in /proc.
fn signalled(signal: &str) -> (ExitStatus, PathBuf) {
    let stand_in = StandIn::new("", "echo $$; exec sleep 100");
    let mut pagemark = stand_in.command(&[]).spawn().unwrap();
    let qemu = loop {
        match fs::read_to_string(stand_in.log())
            .unwrap_or_default()
            .trim()
            .parse::<u32>()
        {
            Ok(id) => break id,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let kill = Command::new("kill")
        .args([signal, &pagemark.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let status = pagemark.wait().unwrap();
    (status, PathBuf::from(format!("/proc/{qemu}")))
}

#[test]
fn an_interrupt_ends_qemu_too() {
    let (status, qemu) = signalled("-INT");
    assert_eq!(status.code(), Some(130));
    assert!(!qemu.exists(), "QEMU outlived pagemark");
}

/// No code of pagemark runs after SIGKILL: the kernel ends QEMU.
#[test]
#[cfg(target_os = "linux")]
fn qemu_does_not_outlive_a_killed_tool() {
    let (status, qemu) = signalled("-KILL");
    assert_eq!(status.signal(), Some(9));
    let deadline = Instant::now() + Duration::from_secs(20);
    // It is gone, or waits to be reaped.
    let runs = || fs::read_to_string(qemu.join("stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while runs() {
        assert!(Instant::now() < deadline, "QEMU outlived pagemark");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_emulator_or_an_iso_that_cannot_be_had_is_an_error_with_its_name() {
    let output = Command::new(env!("CARGO_BIN_EXE_pagemark"))
        .args([
            "run",
            "--image",
            "/an image",
            "--accel",
            "tcg",
            "--qemu",
            "/no/qemu",
            "--log",
            "/dev/null",
        ])
        .output()
        .unwrap();
    assert_eq!(status(&output), 2);
    assert!(stderr(&output).contains("/no/qemu"));
    let output = StandIn::new("", "").run(&["--iso"]);
    assert_eq!(status(&output), 2);
    assert!(stderr(&output).contains("/an image"));
}

#[test]
fn options_reach_qemu() {
    let stand_in = StandIn::new(&ended(Verdict::Pass), "cat $LOG; exit 33");
    let options = [
        "--smp",
        "4",
        "--mem",
        "64M",
        "--cpu",
        "qemu64",
        "--only",
        "tlb/*",
        "--append",
        "layout=classic",
    ];
    assert_eq!(status(&stand_in.run(&options)), 0);
    let arguments = stand_in.arguments();
    for part in [
        "-smp 4",
        "-m 64M",
        "-cpu qemu64",
        "-accel tcg ",
        "-kernel /an image",
        "isa-debug-exit,iobase=0xf4,iosize=0x4",
    ] {
        assert!(arguments.contains(part), "{part} in {arguments}");
    }
    assert!(
        arguments.trim_end().ends_with(
            "-append suite=quick only=tlb/* smp=4 layout=classic machine=q35 cpu=qemu64"
        ),
        "{arguments}"
    );
}

#[test]
fn the_image_uses_the_cpus_that_the_machine_has_unless_a_word_says_otherwise() {
    for (options, words) in [
        (&["--smp", "3"][..], "suite=quick smp=3 machine=q35"),
        (&["--smp", "1"], "suite=quick machine=q35"),
        (
            &["--smp", "3", "--append", "smp=2"],
            "suite=quick smp=2 machine=q35",
        ),
    ] {
        let stand_in = StandIn::new(&ended(Verdict::Pass), "cat $LOG; exit 33");
        assert_eq!(status(&stand_in.run(options)), 0);
        let arguments = stand_in.arguments();
        assert!(arguments.contains(words), "{words} in {arguments}");
    }
}

/// QEMU stays, silent, when KVM gives the guest up.
#[test]
fn a_run_that_kvm_gives_up_ends_at_once_with_what_to_use_instead() {
    let begun = Instant::now();
    let script = "head -n 2 $LOG; printf 'KVM internal error. Suberror: 1\\nemulation failure\\nRAX=0\\n' >&2; exec sleep 100";
    let output = StandIn::new(&ended(Verdict::Pass), script).run(&[]);
    assert_eq!(status(&output), 2, "{}", stderr(&output));
    assert!(begun.elapsed() < Duration::from_secs(50));
    let reported = stderr(&output);
    let sentence = "pagemark: this host's KVM interprets the guest's instructions";
    let line = reported.lines().find(|line| line.starts_with(sentence));
    assert!(
        line.is_some_and(|line| line.contains("--accel auto") && line.contains("--icount")),
        "{reported}"
    );
    assert!(reported.contains("RAX=0"), "{reported}");
}

#[test]
fn a_kvm_that_is_not_there_is_reported_with_what_to_use_instead() {
    let script = "echo 'Could not access KVM kernel module: No such file or directory' >&2; exit 1";
    let output = StandIn::new("", script).run(&[]);
    assert_eq!(status(&output), 2);
    let reported = stderr(&output);
    assert!(
        reported.contains("QEMU cannot use KVM on this host: take --accel auto"),
        "{reported}"
    );
    assert!(reported.contains("Could not access"), "{reported}");
}

/// Before there are records, the image ends a run with a sentence and QEMU's status of an error.
#[test]
fn what_the_image_s_first_instructions_say_comes_first() {
    let sentence = "pagemark: error: this CPU has no SSE2 (LFENCE, MFENCE)";
    let script = format!("echo 'Booting'; printf '{sentence}\\r\\n'; exit 37");
    let output = StandIn::new("", &script).run(&[]);
    assert_eq!(status(&output), 2, "{}", stderr(&output));
    let reported = stderr(&output);
    let first = reported.lines().find(|line| line.starts_with("pagemark: "));
    assert_eq!(
        first,
        Some("pagemark: this CPU has no SSE2 (LFENCE, MFENCE)"),
        "{reported}"
    );
    // Another status is another end.
    let script = format!("echo '{sentence}'; exit 33");
    assert_eq!(status(&StandIn::new("", &script).run(&[])), 4);
}

fn machine<'a>() -> Machine<Text<'a>> {
    Machine {
        cpu: "a CPU".into(),
        family: 6,
        model: 1,
        stepping: 1,
        hypervisor: None,
        clock: Clock::Tsc,
        tsc_hz: None,
        tsc_source: "none".into(),
        invariant_tsc: true,
        ticks_per_1000_nops: 250,
        ram_bytes: 1 << 30,
        cpus: 1,
        layout: "wide".into(),
        loader: "pvh".into(),
        features: "".into(),
        identity: None,
        date: None,
    }
}

/// The accelerator that `auto` takes when the probe under KVM does what `probe` says.
fn taken(ticks: u64, probe: &str) -> (String, String) {
    let probed = log(|log| {
        log.record(&Record::Machine(machine())).unwrap();
        log.record(&Record::Probe(Probe {
            ticks_per_1000_nops: ticks,
            ticks_per_1000_additions: None,
            ticks_per_cpuid: None,
        }))
        .unwrap();
        log.end(Verdict::Pass).unwrap();
    });
    let script = format!(
        "case \"$(tail -n 1 $STAND_IN/arguments)\" in *suite=probe*) {probe};; *) cat $LOG; exit 33;; esac"
    );
    let stand_in = StandIn::new(&probed, &script);
    let output = stand_in.command_auto().output().unwrap();
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let arguments = stand_in.arguments();
    (
        arguments.lines().last().unwrap().to_owned(),
        stderr(&output),
    )
}

/// Where there is no KVM at all, the reason is another and the choice the same.
fn kvm_opens() -> bool {
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok()
}

#[test]
fn kvm_is_taken_where_the_hardware_executes_the_guest() {
    let (arguments, _) = taken(10_000, "cat $LOG; exit 33");
    let accelerator = if kvm_opens() { "-accel kvm" } else { "-icount" };
    assert!(arguments.contains(accelerator), "{arguments}");
}

#[test]
fn kvm_that_interprets_or_fails_is_passed_over_with_the_reason() {
    for (ticks, probe, reason) in [
        (
            1_830_000,
            "cat $LOG; exit 33",
            "1,000 NOPs take 1,830,000 ticks",
        ),
        (10, "cat $LOG; exit 1", "did not come to its end"),
        (10, "exec sleep 100", "gave no answer within 5 s"),
    ] {
        let (arguments, stderr) = taken(ticks, probe);
        assert!(arguments.contains("-icount"), "{arguments}");
        let line = "accelerator: TCG with icount, which counts instructions, as ";
        let reported: Vec<_> = stderr
            .lines()
            .filter(|reported| reported.starts_with(line))
            .collect();
        assert_eq!(reported.len(), 1, "{stderr}");
        let reason = if kvm_opens() {
            reason
        } else {
            "/dev/kvm cannot be opened"
        };
        assert!(reported[0].contains(reason), "{stderr}");
    }
}
