#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fines::fuzz_manifest(data));
