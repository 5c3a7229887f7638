#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| recorder::format::read::fuzz_segment(data));
