//! The published schema of records (`docs/log-format.schema.json`), held against logs.
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// A file of the documentation.
pub fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

/// The schema of each kind of record.
pub fn schema() -> Map<String, Value> {
    let text = fs::read_to_string(docs("log-format.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap();
    let named = kinds.iter().map(|kind| {
        let name = kind["properties"]["record"]["const"].as_str().unwrap();
        (name.to_owned(), kind.clone())
    });
    named.collect()
}

/// What of `value` is not as `schema` says: of the keywords that this schema has.
pub fn fault(schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(any) = schema.get("anyOf") {
        let fits = any
            .as_array()
            .unwrap()
            .iter()
            .any(|schema| fault(schema, value, at).is_none());
        return (!fits).then(|| format!("{at}: {value}"));
    }
    if let Some(words) = schema.get("enum") {
        let fits = words.as_array().unwrap().contains(value);
        return (!fits).then(|| format!("{at}: {value}"));
    }
    let fits = match schema.get("type").and_then(Value::as_str) {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !fits {
        return Some(format!("{at}: {value}"));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        return values.iter().find_map(|value| fault(items, value, at));
    }
    let (Some(properties), Some(object)) = (schema.get("properties"), value.as_object()) else {
        return None;
    };
    let required = schema["required"].as_array().unwrap();
    let missing = required
        .iter()
        .find(|key| !object.contains_key(key.as_str().unwrap()));
    if let Some(key) = missing {
        return Some(format!("{at} lacks {key}"));
    }
    object
        .iter()
        .find_map(|(key, value)| match properties.get(key) {
            None => Some(format!("{at}.{key} is not in the schema")),
            Some(schema) => fault(schema, value, &format!("{at}.{key}")),
        })
}

/// How many records of a log were looked at, and what of them is not as the schema says.
pub fn faults(log: &str) -> (usize, Vec<String>) {
    let schema = schema();
    let jsons = log
        .lines()
        .filter_map(|line| line.strip_prefix("@pagemark "));
    // A panic breaks off the record before it.
    let records: Vec<Value> = jsons
        .filter_map(|json| serde_json::from_str(json).ok())
        .collect();
    let faults = records.iter().filter_map(|record| {
        let kind = record["record"].as_str().unwrap_or("none");
        match schema.get(kind) {
            Some(schema) => fault(schema, record, kind),
            None => Some(format!("{kind} is no record")),
        }
    });
    let faults = faults.collect();
    (records.len(), faults)
}
