#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| anpr::model::fuzz_card(data));
