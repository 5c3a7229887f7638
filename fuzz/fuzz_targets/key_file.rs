#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| keys::fuzz_key_file(data));
