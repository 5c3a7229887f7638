#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sim::counter::fuzz_counter(data));
