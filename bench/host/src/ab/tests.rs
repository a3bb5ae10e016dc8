//! Campaigns with a machine that only writes files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::plan::plan;
use super::{Boots, Campaign, Ended, MOST_FAILURES, Report, Settings, Side, State};

/// Ends each boot as `ends` has it by number, and passes the others.
#[derive(Default)]
struct Fake {
    ends: BTreeMap<usize, Ended>,
    made: Vec<(Side, String)>,
}

impl Boots for Fake {
    fn boot(&mut self, side: Side, word: &str, log: &Path) -> Result<Ended> {
        std::fs::write(log, format!("{side} {word}"))?;
        self.made.push((side, word.to_owned()));
        Ok(self
            .ends
            .get(&self.made.len())
            .cloned()
            .unwrap_or(Ended::Passed))
    }
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for side in Side::BOTH {
            std::fs::write(folder.path().join(format!("{side}.elf")), side.name()).unwrap();
        }
        Self { folder }
    }

    fn campaign(&self) -> PathBuf {
        self.folder.path().join("campaign")
    }

    fn open(&self, seed: u64, boots: u32) -> Result<Campaign> {
        let settings = Settings {
            seed,
            machine: vec!["TCG".to_owned()],
            command_line: vec!["suite=quick".to_owned()],
        };
        let images = Side::BOTH.map(|side| self.folder.path().join(format!("{side}.elf")));
        Campaign::open(&self.campaign(), &settings, [&images[0], &images[1]], boots)
    }

    fn run(&self, fake: &mut Fake, boots: u32) -> (Result<State>, Vec<Report>) {
        let mut reports = Vec::new();
        let state = self
            .open(7, boots)
            .unwrap()
            .run(fake, &mut |report| reports.push(report.clone()));
        (state, reports)
    }

    /// The logs of a side, by the number of the boot in their names.
    fn logs(&self, side: Side, ending: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.campaign().join(side.name()))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(ending))
            .map(|name| name.split("-boot-").nth(1).unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

fn failed() -> Ended {
    Ended::Failed("no verdict".to_owned())
}

#[test]
fn each_pair_has_both_sides_in_an_order_that_the_seed_draws() {
    let order = |seed| plan(seed, 200);
    for pair in order(1).chunks(2) {
        assert_eq!(pair[0].pair, pair[1].pair);
        assert_ne!(pair[0].side, pair[1].side);
    }
    let base_first = |seed| {
        order(seed)
            .chunks(2)
            .filter(|pair| pair[0].side == Side::Base)
            .count()
    };
    // Four standard deviations around the half.
    assert!((72..=128).contains(&base_first(1)), "{}", base_first(1));
    assert_ne!(order(1), order(2));
    assert_eq!(order(1)[..20], plan(1, 10)[..]);
}

#[test]
fn every_boot_is_numbered_in_time_and_kept_on_its_side() {
    let (place, mut fake) = (Place::new(), Fake::default());
    let (state, reports) = place.run(&mut fake, 3);
    assert_eq!(state.unwrap(), State::Made { failed: 0 });
    let words: Vec<&str> = fake.made.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(
        words,
        ["boot=1", "boot=2", "boot=3", "boot=4", "boot=5", "boot=6"]
    );
    let sides: Vec<Side> = fake.made.iter().map(|(side, _)| *side).collect();
    let planned: Vec<Side> = plan(7, 3).iter().map(|place| place.side).collect();
    assert_eq!(sides, planned);
    let kept = [
        place.logs(Side::Base, ".log"),
        place.logs(Side::New, ".log"),
    ];
    assert_eq!(kept.concat().len(), 6);
    for (boot, (side, word)) in (1..).zip(&fake.made) {
        let name = format!("{boot:04}.log");
        assert!(kept[*side as usize].contains(&name), "{side} {word}");
    }
    assert_eq!(
        reports.iter().map(|report| report.left).collect::<Vec<_>>(),
        [5, 4, 3, 2, 1, 0]
    );
    // A file of each side is the one that its boot wrote.
    let log = std::fs::read_dir(place.campaign().join("base"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert!(
        std::fs::read_to_string(log.path())
            .unwrap()
            .starts_with("base boot=")
    );
}

#[test]
fn a_failed_boot_is_kept_and_made_up_when_the_campaign_runs_again() {
    let (place, mut fake) = (Place::new(), Fake::default());
    fake.ends.insert(2, failed());
    let (state, reports) = place.run(&mut fake, 3);
    assert_eq!(state.unwrap(), State::Made { failed: 1 });
    assert!(
        reports[1]
            .to_string()
            .contains("failed after 0 s: no verdict; 4 left"),
        "{}",
        reports[1]
    );
    let side = fake.made[1].0;
    assert_eq!(
        (place.logs(side, ".log").len(), place.logs(side, ".failed")),
        (2, vec!["0002.failed".to_owned()])
    );
    let mut fake = Fake::default();
    let (state, _) = place.run(&mut fake, 3);
    assert_eq!(state.unwrap(), State::Made { failed: 0 });
    assert_eq!(fake.made, [(side, "boot=7".to_owned())]);
    assert_eq!(place.logs(side, ".log").len(), 3);
}

#[test]
fn a_campaign_that_was_interrupted_goes_on_where_it_stopped() {
    let (place, mut fake) = (Place::new(), Fake::default());
    fake.ends.insert(4, Ended::Interrupted);
    let (state, _) = place.run(&mut fake, 3);
    assert_eq!(state.unwrap(), State::Interrupted { left: 3 });
    assert_eq!(
        place.logs(Side::Base, "").len() + place.logs(Side::New, "").len(),
        3
    );
    // The host lost power while it wrote the next boot down.
    let journal = place.campaign().join("boots.jsonl");
    let lines = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, lines + "{\"boot\":4,\"pai").unwrap();
    let mut rest = Fake::default();
    // One pair more than before.
    let (state, _) = place.run(&mut rest, 4);
    assert_eq!(state.unwrap(), State::Made { failed: 0 });
    let all: Vec<Side> = fake.made[..3]
        .iter()
        .chain(&rest.made)
        .map(|(side, _)| *side)
        .collect();
    let planned: Vec<Side> = plan(7, 4).iter().map(|place| place.side).collect();
    assert_eq!(all, planned);
    assert_eq!(rest.made[0].1, "boot=4");
}

#[test]
fn a_side_that_never_passes_ends_the_campaign() {
    let (place, mut fake) = (Place::new(), Fake::default());
    let planned = plan(7, 10);
    for (boot, at) in (1..).zip(&planned) {
        if at.side == Side::New {
            fake.ends.insert(boot, failed());
        }
    }
    let (state, _) = place.run(&mut fake, 10);
    let message = state.unwrap_err().to_string();
    assert!(
        message.contains("3 boots of new failed one after the other, the last one: no verdict"),
        "{message}"
    );
    let of_new = fake
        .made
        .iter()
        .filter(|(side, _)| *side == Side::New)
        .count();
    assert_eq!(of_new, MOST_FAILURES);
}

#[test]
fn an_error_of_this_host_ends_the_campaign_and_costs_no_boot() {
    struct NoEmulator;
    impl Boots for NoEmulator {
        fn boot(&mut self, _: Side, _: &str, _: &Path) -> Result<Ended> {
            bail!("no emulator")
        }
    }
    let place = Place::new();
    let mut campaign = place.open(7, 2).unwrap();
    assert!(campaign.run(&mut NoEmulator, &mut |_| ()).is_err());
    assert_eq!(place.open(7, 2).unwrap().left().len(), 4);
}

#[test]
fn another_campaign_s_folder_is_refused_by_what_differs() {
    let place = Place::new();
    place.open(7, 2).unwrap();
    let message = |error: anyhow::Error| format!("{error:#}");
    assert!(message(place.open(8, 2).unwrap_err()).contains("seed: 7 | 8"));
    std::fs::write(place.folder.path().join("new.elf"), "rebuilt").unwrap();
    assert!(
        message(place.open(7, 2).unwrap_err())
            .contains("not the image that the campaign began with")
    );
    let other = Place::new();
    std::fs::create_dir(other.campaign()).unwrap();
    std::fs::write(other.campaign().join("thesis.tex"), "").unwrap();
    assert!(message(other.open(7, 2).unwrap_err()).contains("holds no campaign, but thesis.tex"));
}
