//! What differences between two sides a user passes over.

use std::str::FromStr;

/// Differences that may be passed over by name, as reasons begin with them.
pub const PARTS: [&str; 15] = [
    "suite",
    "CPU",
    "family/model/stepping",
    "hypervisor",
    "CPUs",
    "bytes of RAM",
    "layout",
    "loader",
    "features",
    "microcode",
    "tags",
    "TSC in Hz",
    "identity",
    "revision",
    "turns",
];

/// What differences are passed over. A difference of clocks never is: instructions and ticks have no ratio.
#[derive(Clone, Debug, Default)]
pub struct Allow {
    /// All of them, and failed runs.
    pub force: bool,
    /// These.
    pub ignored: Vec<Part>,
}

/// The name of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(&'static str);

impl FromStr for Part {
    type Err = String;

    /// In any case, with or without spaces: `microcode`, `tsc-in-hz`, `TSC in Hz`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bare = |text: &str| -> String {
            let letters = text.chars().filter(char::is_ascii_alphanumeric);
            letters.map(|letter| letter.to_ascii_lowercase()).collect()
        };
        let wanted = bare(text);
        let alias = match wanted.as_str() {
            "ram" => "bytesofram",
            "tsc" => "tscinhz",
            "model" | "stepping" | "family" => "familymodelstepping",
            wanted => wanted,
        };
        if alias == "clock" {
            return Err("clocks are never set against each other".to_owned());
        }
        let part = PARTS.into_iter().find(|part| bare(part) == alias);
        part.map(Self)
            .ok_or_else(|| format!("no such part; there are {}", PARTS.join(", ")))
    }
}

impl From<bool> for Allow {
    /// All differences or none.
    fn from(force: bool) -> Self {
        Self {
            force,
            ignored: Vec::new(),
        }
    }
}

impl Allow {
    /// The reasons that stay.
    pub fn left(&self, mut reasons: Vec<String>) -> Vec<String> {
        let is_of = |reason: &str, part: &str| {
            reason
                .strip_prefix(part)
                .is_some_and(|rest| rest.starts_with(": "))
        };
        reasons.retain(|reason| {
            let reason = reason.strip_prefix("history: ").unwrap_or(reason);
            let ignored = self.ignored.iter().any(|part| is_of(reason, part.0));
            is_of(reason, "clock") || !(self.force || ignored)
        });
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_passed_over_by_name_and_a_clock_never() {
        let reasons = || {
            vec![
                "clock: icount | tsc".to_owned(),
                "microcode: 0x1 | 0x2".to_owned(),
                "CPUs: 1 | 2".to_owned(),
            ]
        };
        let allow = |ignored: &[&str], force| Allow {
            force,
            ignored: ignored.iter().map(|part| part.parse().unwrap()).collect(),
        };
        assert_eq!(
            allow(&["Microcode"], false).left(reasons()),
            [reasons()[0].clone(), reasons()[2].clone()]
        );
        assert_eq!(allow(&["cpus"], false).left(reasons()), reasons()[..2]);
        assert_eq!(allow(&["cpu"], false).left(reasons()), reasons());
        assert_eq!(allow(&[], true).left(reasons()), reasons()[..1]);
        assert!("clock".parse::<Part>().is_err() && "colour".parse::<Part>().is_err());
    }
}
