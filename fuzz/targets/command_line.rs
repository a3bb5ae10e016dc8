#![no_main]

#[expect(dead_code, reason = "each target uses a part of it")]
#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::command_line(input));
