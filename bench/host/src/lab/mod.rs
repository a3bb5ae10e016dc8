//! Boots on the places of a labgrid lab, side by side.
//!
//! Everything that labgrid does is done by labgrid: the Python package in `lab/labgrid` acquires a place, switches it and reads its
//! console; its program `pagemark-lab` holds one place and boots it on request. This side starts one for each place ([`Place`]), keeps
//! the logs, and proves that each is whole.

mod place;

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::ab::{self, Campaign, Ended, Settings, Side};
use crate::image::{self, MenuEntry};

pub use place::Place;

/// Which lab, and which of its places.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The program `pagemark-lab`.
    pub program: PathBuf,
    /// labgrid's environment file.
    pub environment: PathBuf,
    /// A glob of the places' names.
    pub places: String,
    /// The coordinator's address; none for labgrid's own default.
    pub coordinator: Option<String>,
    /// Seconds to wait for a place that is taken.
    pub wait: u32,
    /// Seconds from power on to the start record; none for the environment's.
    pub boot_timeout: Option<u32>,
    /// Seconds from there to the last record; none for what the image says that it will take.
    pub run_timeout: Option<u32>,
}

/// What the places boot.
#[derive(Clone, Debug)]
pub struct Image {
    /// The ELF file.
    pub elf: PathBuf,
    /// The same without what GRUB does not load.
    pub loadable: PathBuf,
}

impl Image {
    /// `elf`, with its loadable form written to `folder`.
    pub fn new(elf: &Path, folder: &Path, name: &str) -> Result<Self> {
        let loadable = folder.join(format!("{name}.boot"));
        std::fs::write(&loadable, image::grub_file(elf, MenuEntry::Screen)?)
            .with_context(|| format!("{} cannot be written", loadable.display()))?;
        Ok(Self {
            elf: std::path::absolute(elf)?,
            loadable: std::path::absolute(&loadable)?,
        })
    }
}

/// A place without its boots, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The place.
    pub place: String,
    /// Which boot; none where it was the place itself.
    pub boot: Option<u64>,
    /// Why, in one line.
    pub why: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, boot, why } = self;
        match boot {
            Some(boot) => write!(f, "{place}: boot {boot} failed: {why}"),
            None => write!(f, "{place}: {why}"),
        }
    }
}

/// What came of all places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// The folders of places that have logs.
    pub folders: Vec<PathBuf>,
    /// What was lost.
    pub lost: Vec<Lost>,
    /// The user ended it.
    pub interrupted: bool,
}

impl Lab {
    /// The names of its places that the glob admits.
    ///
    /// # Errors
    ///
    /// `pagemark-lab` or the coordinator cannot be had, or there is none.
    pub fn names(&self) -> Result<Vec<String>> {
        let output = self
            .command()
            .args(["places", "--match", &self.places])
            .output()
            .with_context(|| {
                format!(
                    "{} cannot be started; docs/lab.md says how to install it",
                    self.program.display()
                )
            })?;
        let message = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the coordinator has no answer: {}",
            message.trim_end()
        );
        let names: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .filter(|name| !name.is_empty())
            .collect();
        ensure!(!names.is_empty(), "no place is named {}", self.places);
        Ok(names)
    }

    /// Boots `image` so often on every place, side by side. The logs of a place lie in a folder of `output` with its name. `report`
    /// gets a line for each thing that happens.
    ///
    /// # Errors
    ///
    /// This host's. What happens on a place is in the result.
    pub fn run(
        &self,
        image: &Image,
        words: &[String],
        boots: u32,
        output: &Path,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<Came> {
        self.side_by_side(report, |name, place, lost| {
            let folder = output.join(name);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
            let has_logs = || crate::log::side::files(std::slice::from_ref(&folder)).is_ok();
            for boot in 1..=u64::from(boots) {
                let words = [words, &[format!("machine={name}"), format!("boot={boot}")]].concat();
                let date = jiff::ZonedDateTime::now()
                    .strftime("%Y-%m-%d-%H%M%S")
                    .to_string();
                let log = folder.join(format!("{date}-boot-{boot:04}.part"));
                let ended = match place.boot(image, &words, &log) {
                    Ok(ended) => ended,
                    Err(error) => {
                        let why = format!("{error:#}");
                        let failed = Lost {
                            place: name.to_owned(),
                            boot: Some(boot),
                            why,
                        };
                        report(&failed.to_string());
                        lost.push(failed);
                        break;
                    }
                };
                let kept = match &ended {
                    Ended::Passed => log.with_extension("log"),
                    Ended::Failed(_) => log.with_extension("failed"),
                    Ended::Interrupted => {
                        let _ = std::fs::remove_file(&log);
                        return Ok(None);
                    }
                };
                std::fs::rename(&log, &kept)
                    .with_context(|| format!("{} cannot be written", kept.display()))?;
                match ended {
                    Ended::Failed(why) => {
                        let failed = Lost {
                            place: name.to_owned(),
                            boot: Some(boot),
                            why,
                        };
                        report(&failed.to_string());
                        lost.push(failed);
                    }
                    _ => report(&format!("{name}: boot {boot} of {boots}: pass")),
                }
            }
            Ok(has_logs().then(|| folder.clone()))
        })
    }

    /// Makes a campaign of boots in turns on every place, side by side, each in a folder of `output` with the place's name.
    ///
    /// # Errors
    ///
    /// This host's. What happens on a place is in the result.
    pub fn in_turns(
        &self,
        images: [&Path; 2],
        words: &[String],
        seed: u64,
        boots: u32,
        output: &Path,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<Came> {
        self.side_by_side(report, |name, place, lost| {
            let folder = output.join(name);
            let settings = Settings {
                seed,
                machine: vec!["labgrid".to_owned(), name.to_owned()],
                command_line: [words, &[format!("machine={name}")]].concat(),
            };
            let mut campaign = Campaign::open(&folder, &settings, images, boots)?;
            let mut kept = Vec::new();
            for side in Side::BOTH {
                kept.push(Image::new(
                    &campaign.image(side),
                    &folder.join("images"),
                    side.name(),
                )?);
            }
            let mut turns = Turns {
                place,
                images: &kept,
                words: &settings.command_line,
            };
            let state = campaign.run(&mut turns, &mut |made| {
                report(&format!("{name}: {made}"));
                if let Ended::Failed(why) = &made.ended {
                    lost.push(Lost {
                        place: name.to_owned(),
                        boot: Some(made.boot),
                        why: why.clone(),
                    });
                }
            });
            match state {
                Ok(ab::State::Made { .. }) => Ok(Some(folder)),
                Ok(ab::State::Interrupted { .. }) => Ok(None),
                Err(error) => {
                    let why = format!("{error:#}");
                    report(&format!("{name}: {why}"));
                    lost.push(Lost {
                        place: name.to_owned(),
                        boot: None,
                        why,
                    });
                    Ok(None)
                }
            }
        })
    }

    /// Holds every place in a thread of its own, and does `work` there. It returns the place's folder, if that has logs.
    fn side_by_side(
        &self,
        report: &(dyn Fn(&str) + Sync),
        work: impl Fn(&str, &mut Place, &mut Vec<Lost>) -> Result<Option<PathBuf>> + Sync,
    ) -> Result<Came> {
        let names = self.names()?;
        report(&format!("places: {}", names.join(", ")));
        let results: Vec<Result<(Option<PathBuf>, Vec<Lost>)>> = thread::scope(|scope| {
            let threads: Vec<_> = names
                .iter()
                .map(|name| {
                    let work = &work;
                    scope.spawn(move || {
                        let mut lost = Vec::new();
                        let mut place = match Place::hold(self, name)? {
                            Ok(place) => place,
                            Err(why) => {
                                let place = name.clone();
                                let failed = Lost {
                                    place,
                                    boot: None,
                                    why: format!("not booted: {why}"),
                                };
                                report(&failed.to_string());
                                return Ok((None, vec![failed]));
                            }
                        };
                        let folder = work(name, &mut place, &mut lost)?;
                        Ok((folder, lost))
                    })
                })
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .map(|result| result.unwrap_or_else(|_| anyhow::bail!("a place's thread panicked")))
                .collect()
        });
        let mut came = Came {
            interrupted: crate::run::INTERRUPTED.load(std::sync::atomic::Ordering::Relaxed),
            ..Came::default()
        };
        for (result, place) in results.into_iter().zip(names) {
            match result {
                Ok((folder, lost)) => {
                    came.folders.extend(folder);
                    came.lost.extend(lost);
                }
                // What this host or one place's pagemark-lab does is not the other places' end.
                Err(error) => came.lost.push(Lost {
                    place,
                    boot: None,
                    why: format!("{error:#}"),
                }),
            }
        }
        Ok(came)
    }
}

/// The boots of a campaign, on a place.
struct Turns<'a> {
    place: &'a mut Place,
    images: &'a [Image],
    words: &'a [String],
}

impl ab::Boots for Turns<'_> {
    fn boot(&mut self, side: Side, word: &str, log: &Path) -> Result<Ended> {
        let words = [self.words, &[word.to_owned()]].concat();
        self.place.boot(&self.images[side as usize], &words, log)
    }
}
