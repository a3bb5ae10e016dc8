//! The published schema holds of the logs that there are, and the page names every record.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

fn schema() -> Map<String, Value> {
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
fn fault(schema: &Value, value: &Value, at: &str) -> Option<String> {
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

#[test]
fn the_schema_holds_of_every_record_of_the_seeds() {
    let schema = schema();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/log");
    let mut records = 0;
    for name in ["whole", "panic"] {
        let log = String::from_utf8(fs::read(folder.join(name)).unwrap()).unwrap();
        for json in log
            .lines()
            .filter_map(|line| line.strip_prefix("@pagemark "))
        {
            // A panic breaks off the record before it.
            let Ok(value) = serde_json::from_str::<Value>(json) else {
                continue;
            };
            let kind = value["record"].as_str().unwrap();
            assert_eq!(fault(&schema[kind], &value, kind), None);
            records += 1;
        }
    }
    assert!(records > 20, "{records}");
    let wrong: Value =
        serde_json::json!({ "record": "end", "verdict": "good", "lines": 1, "crc32": "0x1" });
    assert!(fault(&schema["end"], &wrong, "end").is_some());
}

#[test]
fn the_page_names_every_record() {
    let page = fs::read_to_string(docs("log-format.md")).unwrap();
    for kind in schema().keys() {
        assert!(page.contains(&format!("`{kind}`")), "{kind}");
    }
}
