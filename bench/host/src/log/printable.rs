//! Text that a terminal shows and never obeys: control characters become the escapes that name them.

use std::borrow::Cow;
use std::path::Path;

/// Records whose texts may have several lines.
const OF_SEVERAL_LINES: [&[u8]; 4] = [
    br#"{"record":"panic""#,
    br#"{"record":"error""#,
    br#"{"record":"check""#,
    br#"{"record":"notice""#,
];

/// Whether a terminal would act on a character, or set text in another order by it.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// `text` with every character that a terminal would obey as `\u{1b}`.
pub fn text(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().flat_map(|character| {
        let escaped = is_obeyed(character).then(|| character.escape_unicode());
        let plain = escaped.is_none().then_some(character);
        escaped.into_iter().flatten().chain(plain)
    });
    Cow::Owned(shown.collect())
}

/// A path as [`text`].
pub fn path(path: &Path) -> String {
    text(&path.to_string_lossy()).into_owned()
}

/// [`text`] of each line: an error's message has several, and names files and what they hold.
pub fn lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(self::text).collect();
    lines.join("\n")
}

/// The JSON of one record, its strings such that each character a terminal would obey is read as the text of its escape:
/// `"\u001b"` as `\u001b`. Line feeds stay in the records that have sentences.
pub fn json(json: &[u8]) -> Cow<'_, [u8]> {
    let plain = memchr::memchr(b'\\', json).is_none() && json.is_ascii();
    if plain {
        return Cow::Borrowed(json);
    }
    let lines = OF_SEVERAL_LINES.iter().any(|kind| json.starts_with(kind));
    let mut shown = Vec::with_capacity(json.len() + 16);
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        let length = match byte {
            b'\\' => {
                if is_obeyed_escape(rest, lines) {
                    shown.push(b'\\');
                }
                2.min(rest.len())
            }
            _ if byte.is_ascii() => {
                1 + memchr::memchr(b'\\', after).unwrap_or(after.len()).min(
                    after
                        .iter()
                        .position(|byte| !byte.is_ascii())
                        .unwrap_or(after.len()),
                )
            }
            _ => {
                let length = character_length(rest);
                let character = std::str::from_utf8(&rest[..length]).ok();
                let character = character.and_then(|text| text.chars().next());
                if let Some(character) = character.filter(|character| is_obeyed(*character)) {
                    shown.extend(format!("\\\\u{:04x}", u32::from(character)).bytes());
                    rest = &rest[length..];
                    continue;
                }
                length
            }
        };
        shown.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
    }
    Cow::Owned(shown)
}

/// Whether `rest`, which begins with a backslash, begins with the escape of a character that a terminal obeys.
fn is_obeyed_escape(rest: &[u8], lines: bool) -> bool {
    match rest.get(1) {
        Some(b'b' | b'f' | b'r') => true,
        Some(b'n' | b't') => !lines,
        Some(b'u') => rest
            .get(2..6)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32)
            .is_some_and(is_obeyed),
        _ => false,
    }
}

/// The bytes of the character that `rest` begins with; 1 where it is none.
fn character_length(rest: &[u8]) -> usize {
    let length = match rest[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    length.min(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_messages_are_shown_line_by_line() {
        assert_eq!(path(Path::new("a\x1b[31m/\nb")), "a\\u{1b}[31m/\\u{a}b");
        assert_eq!(lines("a\x07\nb\u{202e}"), "a\\u{7}\nb\\u{202e}");
    }

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        assert_eq!(text("plain µ"), "plain µ");
        assert_eq!(text("\x1b[2J\u{202e}x"), "\\u{1b}[2J\\u{202e}x");
        let read = |source: &str| -> String {
            let shown = json(source.as_bytes());
            let value: serde_json::Value = serde_json::from_slice(&shown).unwrap();
            value["a"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            read(r#"{"a":"\u001b[31mred\u0007 \\u001b"}"#),
            r"\u001b[31mred\u0007 \u001b"
        );
        assert_eq!(read(r#"{"a":"two\nlines\b"}"#), r"two\nlines\b");
        assert_eq!(
            read("{\"a\":\"\u{9b}31m\u{202e}µ…\"}"),
            r"\u009b31m\u202eµ…"
        );
        assert_eq!(read(r#"{"a":"\u00b5\"\\"}"#), "µ\"\\");
        let panic = br#"{"record":"panic","a":"two\nlines"}"#;
        assert_eq!(&*json(panic), panic);
    }
}
