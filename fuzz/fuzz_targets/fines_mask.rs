#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fines::mask::fuzz_mask(data));
