//! A place that a `pagemark-lab` holds: a line of JSON asks for a boot, and a line answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Image, Lab};
use crate::ab::Ended;
use crate::compare::failure;
use crate::log::side::Reading;
use crate::run::INTERRUPTED;

/// How often [`INTERRUPTED`] is looked at.
const LOOK_AROUND: Duration = Duration::from_millis(50);
/// How long a place may take to be switched off and released.
const LEAVE: Duration = Duration::from_secs(30);

/// A place, held until this value is dropped.
pub struct Place {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
    said: Arc<Mutex<String>>,
}

/// What is asked for.
#[derive(Serialize)]
struct Request<'a> {
    image: &'a Path,
    loadable: &'a Path,
    words: &'a [String],
    tool: &'a Path,
    log: &'a Path,
}

/// What is answered.
#[derive(Deserialize)]
struct Answer {
    /// The place, once it is held.
    held: Option<String>,
    /// `pass`, `fail`, `error`, `panic` or `failed`.
    ended: Option<String>,
    /// Why it failed.
    why: Option<String>,
}

impl Lab {
    /// `pagemark-lab`, with what all its commands take.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(coordinator) = &self.coordinator {
            command.args(["--coordinator", coordinator]);
        }
        command
    }
}

impl Place {
    /// Acquires the place `name`; or says in one line why it cannot be had.
    ///
    /// # Errors
    ///
    /// `pagemark-lab` cannot be started.
    pub fn hold(lab: &Lab, name: &str) -> Result<std::result::Result<Self, String>> {
        let mut command = lab.command();
        command.args([
            "hold",
            "--place",
            name,
            "--wait",
            &lab.wait.to_string(),
            "--env",
        ]);
        command.arg(&lab.environment);
        for (option, value) in [
            ("--boot-timeout", lab.boot_timeout),
            ("--run-timeout", lab.run_timeout),
        ] {
            if let Some(value) = value {
                command.args([option, &value.to_string()]);
            }
        }
        // A group of its own keeps a terminal's Ctrl-C for this tool, which then has the place released.
        let child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child =
            child.with_context(|| format!("{} cannot be started", lab.program.display()))?;
        let stdin = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .context("pagemark-lab has no standard output")?;
        let stderr = child
            .stderr
            .take()
            .context("pagemark-lab has no standard error")?;
        let said = Arc::new(Mutex::new(String::new()));
        thread::spawn({
            let said = said.clone();
            move || listen(stderr, &said)
        });
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout)
                .lines()
                .map_while(std::io::Result::ok)
            {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut place = Self {
            child,
            stdin,
            answers,
            said,
        };
        Ok(match place.answer()? {
            Some(Answer { held: Some(_), .. }) => Ok(place),
            Some(Answer { why, .. }) => {
                Err(why.unwrap_or_else(|| "pagemark-lab does not say why".to_owned()))
            }
            None => Err("interrupted".to_owned()),
        })
    }

    /// Boots `image` once; its log goes to `log`.
    ///
    /// # Errors
    ///
    /// `pagemark-lab` is gone.
    pub fn boot(&mut self, image: &Image, words: &[String], log: &Path) -> Result<Ended> {
        let request = Request {
            image: &image.elf,
            loadable: &image.loadable,
            words,
            tool: &std::env::current_exe()?,
            log: &std::path::absolute(log)?,
        };
        let line = serde_json::to_string(&request)? + "\n";
        let stdin = self.stdin.as_mut().context("the place is given back")?;
        stdin
            .write_all(line.as_bytes())
            .context("pagemark-lab has ended")?;
        let Some(answer) = self.answer()? else {
            return Ok(Ended::Interrupted);
        };
        if !log.exists() {
            std::fs::write(log, b"")
                .with_context(|| format!("{} cannot be written", log.display()))?;
        }
        Ok(match (answer.ended.as_deref(), answer.why) {
            (Some("failed") | None, why) => Ended::Failed(why.unwrap_or_default()),
            // The verdict was seen; whether the log is whole is another question.
            (Some(_), _) => match Reading::default().file(log) {
                Err(error) => Ended::Failed(
                    error
                        .to_string()
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                ),
                Ok(logs) => match logs.last().map(|log| failure("boot", log)) {
                    Some(None) => Ended::Passed,
                    Some(Some(why)) => Ended::Failed(why),
                    None => Ended::Failed("there is no log".to_owned()),
                },
            },
        })
    }

    /// The next answer; none where the user had enough.
    fn answer(&mut self) -> Result<Option<Answer>> {
        loop {
            match self.answers.recv_timeout(LOOK_AROUND) {
                Ok(line) => {
                    return serde_json::from_str(&line)
                        .map(Some)
                        .with_context(|| format!("pagemark-lab says {line:?}"));
                }
                Err(RecvTimeoutError::Timeout) if INTERRUPTED.load(Ordering::Relaxed) => {
                    self.terminate();
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    // Its last line may still be on its way.
                    thread::sleep(LOOK_AROUND);
                    let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                    bail!("pagemark-lab ended with {status} and no answer: {said}");
                }
            }
        }
    }

    /// Asks `pagemark-lab` to give the place back at once.
    fn terminate(&self) {
        let number = self.child.id().to_string();
        // It fails only where it is gone already.
        let _ = Command::new("kill").args(["-TERM", &number]).status();
    }
}

/// Keeps the last line that `pagemark-lab` and labgrid write, and passes on what it says itself.
fn listen(stderr: ChildStderr, said: &Mutex<String>) {
    let lines = BufReader::new(stderr).split(b'\n');
    for line in lines.map_while(std::io::Result::ok) {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if line.starts_with("pagemark-lab: ") {
            eprintln!("{line}");
        }
        if !line.is_empty() {
            *said.lock().unwrap_or_else(PoisonError::into_inner) = line;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let deadline = Instant::now() + LEAVE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK_AROUND);
        }
        self.terminate();
        thread::sleep(LOOK_AROUND * 20);
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
