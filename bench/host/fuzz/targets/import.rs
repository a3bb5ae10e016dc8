//! Feeds the readers of other tools' files whatever coverage leads to. In bench/host, once `cargo install cargo-fuzz --locked` has
//! been run:
//!
//! ```sh
//! mkdir -p fuzz/corpus/import
//! cargo +nightly fuzz run import fuzz/corpus/import fuzz/seeds/import -- -max_total_time=600
//! ```
//!
//! What it finds lies in `fuzz/artifacts/import/`. Mend it, and put the file among the seeds: `cargo test -p pagemark-host --test
//! foreign` puts each of those through the same properties, on the pinned compiler.
#![no_main]

#[path = "../import_properties.rs"]
mod import_properties;

libfuzzer_sys::fuzz_target!(|file: &[u8]| import_properties::hold(file));
