#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sim::film::fuzz_film(data));
