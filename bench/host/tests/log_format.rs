//! The published schema holds of the logs that there are, and the page names every record.

mod schema;

use std::fs;
use std::path::Path;

use serde_json::Value;

use schema::{docs, fault, faults, schema};

#[test]
fn the_schema_holds_of_every_record_of_the_seeds() {
    let schema = schema();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/log");
    let mut records = 0;
    for name in ["whole", "panic"] {
        let log = String::from_utf8(fs::read(folder.join(name)).unwrap()).unwrap();
        let (checked, faults) = faults(&log);
        assert_eq!(faults, [""; 0], "{name}");
        records += checked;
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
