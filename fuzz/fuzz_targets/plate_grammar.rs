#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| traffic_rules::grammar::fuzz_grammar(data));
