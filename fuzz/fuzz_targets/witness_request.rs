#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| witness::fuzz_request(data));
