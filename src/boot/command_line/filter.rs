//! Which cases run, by name.

use core::fmt;

use arrayvec::ArrayString;

use super::value::{Accepted, Value};
use crate::boot::info::COMMAND_LINE_BYTES;

/// Names of cases: patterns separated by commas, in which `*` stands for any text and `?` for one character.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter(ArrayString<COMMAND_LINE_BYTES>);

impl Filter {
    /// Whether one of the patterns matches the whole of `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0
            .split(',')
            .any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
    }

    /// Whether one of the patterns may match a name that begins with `group` and a `/`: what stands before its first wildcard does
    /// not rule that out.
    #[must_use]
    pub fn may_match_below(&self, group: &str) -> bool {
        self.0.split(',').any(|pattern| {
            let literal = pattern.split(['*', '?']).next().unwrap_or("");
            let whole = literal.len() == pattern.len();
            match literal.strip_prefix(group) {
                Some(rest) => rest.starts_with('/') || (rest.is_empty() && !whole),
                None => !whole && group.starts_with(literal),
            }
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for Filter {
    const ACCEPTED: Accepted = Accepted::Text("patterns of case names separated by commas");

    fn parse(text: &str) -> Option<Self> {
        let empty = text.split(',').any(str::is_empty);
        if empty {
            None
        } else {
            ArrayString::from(text).ok().map(Filter)
        }
    }
}

/// Glob matching that remembers the last `*` only: when a later part fails, that star takes one character more.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    n = from + 1;
                    star = Some((at, n));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_gives_back_what_it_took_too_early() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("*ab", "aab", true),
            ("*aab", "aaaab", true),
            ("a?", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_pattern_that_may_match_below_a_group() {
        let filter = |text| Filter::parse(text).unwrap();
        for (text, expected) in [
            ("tlb/invlpg", true),
            ("tlb/*", true),
            ("tlb*", true),
            ("t*", true),
            ("*", true),
            ("*invlpg", true),
            ("pt/*,tlb/x", true),
            ("tlb", false),
            ("pt/*", false),
            ("tlbs/x", false),
            ("tlb/", true),
        ] {
            assert_eq!(filter(text).may_match_below("tlb"), expected, "{text}");
        }
    }
}
