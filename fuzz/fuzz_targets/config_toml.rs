//! The configuration file, before and after its values are checked.
#![no_main]
#[path = "../../crates/belfry/src/config.rs"]
#[allow(dead_code)]
mod config;
libfuzzer_sys::fuzz_target!(|data: &[u8]| config::fuzz_config(data));
