//! From how many pages on the whole TLB should be dropped, beside each working set, and what follows for a ceiling.

use pagemark_record::{Advice, AdviceKind, Clock, Crossover, Translations};

use crate::log::Log;
use crate::style::{counted, thousands};

/// The crossovers of a log in words; none of a log without.
pub(crate) fn summary(log: &Log) -> Option<String> {
    let last = log.crossovers.last()?;
    let mut text = match last.working_set {
        None => touched_again(last),
        Some(_) => {
            let intro = "pages from which on flushing everything is cheaper than page by page, beside the translations that are used afterwards: ".to_owned();
            let groups = [Translations::Kernel, Translations::User];
            let groups = groups.into_iter().filter_map(|group| beside(log, group));
            intro + &groups.collect::<Vec<_>>().join("; ")
        }
    };
    text += &format!(
        " (Linux: above {} pages; this run: above {})",
        last.linux, last.ceiling
    );
    text += match log.clock() {
        Some(Clock::Icount) => "; instructions alone are counted, which says nothing of a TLB",
        Some(Clock::Emulated) => "; an emulator's time says nothing of a TLB",
        Some(Clock::Tsc) | None => "",
    };
    Some(text)
}

/// The advice of a log in words; none where it has none.
pub(crate) fn advised(log: &Log) -> Option<String> {
    let advice: Vec<String> = log.advice.iter().map(advice).collect();
    (!advice.is_empty()).then(|| advice.join("; "))
}

/// Of a log of version 2.
fn touched_again(found: &Crossover) -> String {
    match found.pages {
        Some(pages) => format!(
            "from {} on flushing the whole TLB is cheaper than page by page, refill included",
            counted(pages as usize, "page")
        ),
        None => format!(
            "flushing page by page, refill included, is the cheaper way up to {} pages",
            found.largest
        ),
    }
}

fn beside(log: &Log, group: Translations) -> Option<String> {
    let of_group = log
        .crossovers
        .iter()
        .filter(|found| found.translations == Some(group));
    let parts: Vec<String> = of_group
        .map(|found| {
            let beside = thousands(found.working_set.unwrap_or_default());
            format!("{beside}: {}", pages(found))
        })
        .collect();
    (!parts.is_empty()).then(|| format!("{} {}", name(group), parts.join(", ")))
}

/// The number of pages with its bounds: `132 (119 to 146)`, `above 512`, `above 512 (259 or more)`.
pub(crate) fn pages(found: &Crossover) -> String {
    let above = || format!("above {}", thousands(found.largest));
    let middle = found.pages.map_or_else(above, thousands);
    match (found.low, found.high) {
        (Some(low), Some(high)) if low == high => middle,
        (Some(low), Some(high)) => format!("{middle} ({} to {})", thousands(low), thousands(high)),
        (Some(low), None) => format!("{middle} ({} or more)", thousands(low)),
        (None, _) => middle,
    }
}

const fn name(group: Translations) -> &'static str {
    match group {
        Translations::Kernel => "kernel",
        Translations::User => "user",
    }
}

fn advice(found: &Advice) -> String {
    let Advice {
        translations,
        advice,
        pages,
        linux,
    } = *found;
    let to = pages.map_or_else(String::new, thousands);
    let what = match advice {
        AdviceKind::Raise => {
            format!("a ceiling of {linux} is too low beside every working set; raise it to {to}")
        }
        AdviceKind::Lower => {
            format!("a ceiling of {linux} is too high beside every working set; lower it to {to}")
        }
        AdviceKind::Keep => {
            format!("a ceiling of {linux} lies within the bounds beside every working set")
        }
        AdviceKind::Depends => format!(
            "a ceiling of {linux} is too high beside small working sets and too low beside large ones: no one number is right"
        ),
        AdviceKind::Undecided => {
            format!("the intervals are too wide to judge a ceiling of {linux}")
        }
        AdviceKind::Unknown => "this clock cannot tell".to_owned(),
    };
    format!("{}: {what}", name(translations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::read;
    use crate::log::sample::good;

    const FOUND: Crossover = Crossover {
        translations: Some(Translations::Kernel),
        working_set: Some(512),
        pages: Some(132),
        low: Some(119),
        high: Some(146),
        linux: 33,
        ceiling: 33,
        largest: 512,
    };

    #[test]
    fn numbers_have_their_bounds() {
        assert_eq!(pages(&FOUND), "132 (119 to 146)");
        let beyond = Crossover {
            pages: None,
            high: None,
            ..FOUND
        };
        assert_eq!(pages(&beyond), "above 512 (119 or more)");
        let far = Crossover {
            low: None,
            ..beyond
        };
        assert_eq!(pages(&far), "above 512");
    }

    #[test]
    fn a_log_says_it_for_each_working_set_and_one_of_version_2_as_it_did() {
        let mut log = read(&good(Clock::Tsc)).unwrap();
        assert_eq!(summary(&log), None);
        log.crossovers = vec![
            Crossover {
                working_set: Some(64),
                pages: Some(20),
                low: Some(20),
                high: Some(20),
                ..FOUND
            },
            FOUND,
        ];
        log.advice = vec![Advice {
            translations: Translations::Kernel,
            advice: AdviceKind::Depends,
            pages: None,
            linux: 33,
        }];
        let text = summary(&log).unwrap();
        assert!(
            text.contains("kernel 64: 20, 512: 132 (119 to 146) (Linux: above 33 pages"),
            "{text}"
        );
        assert!(
            advised(&log)
                .unwrap()
                .starts_with("kernel: a ceiling of 33 is too high beside")
        );
        log.crossovers = vec![Crossover {
            translations: None,
            working_set: None,
            low: None,
            high: None,
            ..FOUND
        }];
        assert!(summary(&log).unwrap().starts_with("from 132 pages on"));
    }
}
