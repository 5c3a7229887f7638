#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fines::passes::fuzz_passes(data));
