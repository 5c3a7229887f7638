#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| traffic_rules::trajectory::rule_set::fuzz_tables(data));
