#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| anpr::grammar::fuzz_formats(data));
