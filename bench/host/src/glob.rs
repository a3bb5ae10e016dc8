//! Patterns of case names: `*` for any text, `?` for any character, several separated by commas.

use wildmatch::WildMatch;

/// Patterns, of which one has to match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Globs(Vec<WildMatch>);

impl Globs {
    /// The patterns in `text`, separated by commas.
    pub fn new(text: &str) -> Self {
        let patterns = text
            .split(',')
            .map(str::trim)
            .filter(|pattern| !pattern.is_empty());
        Self(patterns.map(WildMatch::new).collect())
    }

    /// Whether one of them matches all of `text`, or there are none.
    pub fn admit(&self, text: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(text))
    }
}

impl std::str::FromStr for Globs {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

/// Whether `pattern` matches all of `text`.
pub fn matches(pattern: &str, text: &str) -> bool {
    WildMatch::new(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let globs = Globs::new("tlb/inv*, pt/map/pages=?");
        for (name, admitted) in [
            ("tlb/invlpg", true),
            ("pt/map/pages=1", true),
            ("pt/map/pages=512", false),
            ("xtlb/invlpg", false),
        ] {
            assert_eq!(globs.admit(name), admitted, "{name}");
        }
        assert!(Globs::new("").admit("anything"));
        assert!(matches("*/a*c/*z", "x/abc/yz") && !matches("a*", "ba"));
    }
}
