//! Feeds the reader of logs whatever coverage leads to. In bench/host, once `cargo install cargo-fuzz --locked` has been run:
//!
//! ```sh
//! mkdir -p fuzz/corpus/log
//! cargo +nightly fuzz run log fuzz/corpus/log fuzz/seeds/log -- -dict=fuzz/log.dict -max_total_time=600
//! ```
//!
//! What it finds lies in `fuzz/artifacts/log/`. Mend it, and put the file among the seeds: `cargo test -p pagemark-host --test
//! log_properties` puts each of those through the same properties, on the pinned compiler.
#![no_main]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|log: &[u8]| properties::hold(log));
