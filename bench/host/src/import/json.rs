//! What the formats that are JSON have in common.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::ImportError;

/// The mark that some editors and shells put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether the first character is one that JSON's objects and arrays begin with.
pub fn looks_like_it(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    bytes
        .trim_ascii_start()
        .first()
        .is_some_and(|first| matches!(first, b'{' | b'['))
}

/// The JSON of a file, if it is any.
pub fn value(bytes: &[u8]) -> Option<Value> {
    typed("JSON", bytes).ok()
}

/// What is wrong with a file that begins as JSON does and is none: one that was cut, say.
pub fn why_none(bytes: &[u8]) -> Option<serde_json::Error> {
    let broken = |error| match error {
        ImportError::Json { error, .. } => Some(error),
        _ => None,
    };
    let read = looks_like_it(bytes).then(|| typed::<Value>("JSON", bytes))?;
    read.err().and_then(broken)
}

/// The JSON of a file, as a type of the format. A number that is none is null.
pub fn typed<T: DeserializeOwned>(format: &'static str, bytes: &[u8]) -> Result<T, ImportError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    serde_json::from_slice(&without_nan(bytes)).map_err(|error| ImportError::Json { format, error })
}

/// `null` for each `NaN` and `Infinity` outside of strings: several tools print what their language prints for them.
fn without_nan(bytes: &[u8]) -> Cow<'_, [u8]> {
    const NONE: [&[u8]; 4] = [b"NaN", b"-NaN", b"Infinity", b"-Infinity"];
    // What is no UTF-8 is no JSON either, with these words or without.
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(bytes);
    }
    let (mut json, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    let mut inside = false;
    while let [byte, behind @ ..] = rest {
        let word = NONE.iter().find(|word| !inside && rest.starts_with(word));
        if let Some(word) = word {
            json.extend_from_slice(b"null");
            rest = &rest[word.len()..];
            continue;
        }
        json.push(*byte);
        rest = behind;
        match (byte, behind) {
            (b'"', _) => inside = !inside,
            (b'\\', [escaped, behind @ ..]) if inside => {
                json.push(*escaped);
                rest = behind;
            }
            _ => {}
        }
    }
    Cow::Owned(json)
}

/// A number, or a text that is one; none of null and of a text that says that there is none.
pub struct Number(pub Option<f64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;

        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(Some(number as f64)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(Some(number as f64)))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                Ok(Number(Some(number)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                let number = text.trim().parse::<f64>();
                let number = number.map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
                Ok(Number(Some(number).filter(|number| number.is_finite())))
            }

            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(None))
            }
        }

        deserializer.deserialize_any(NumberVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_null_but_not_in_a_text() {
        let json =
            br#"{"a": NaN, "b": [-Infinity, -1], "NaN \" NaN": "Infinity\\", "c": Infinity}"#;
        let written = value(json).unwrap().to_string();
        assert_eq!(
            written,
            r#"{"NaN \" NaN":"Infinity\\","a":null,"b":[null,-1],"c":null}"#
        );
    }
}
