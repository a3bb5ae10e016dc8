//! What the formats that are JSON have in common.

use serde::de::DeserializeOwned;
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

/// The JSON of a file, as a type of the format.
pub fn typed<T: DeserializeOwned>(format: &'static str, bytes: &[u8]) -> Result<T, ImportError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| ImportError::Json { format, error })
}
