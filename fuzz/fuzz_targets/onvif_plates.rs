#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| reads_in::fuzz_onvif(data));
