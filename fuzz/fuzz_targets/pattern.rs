#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| traffic_rules::pattern::fuzz_pattern(data));
