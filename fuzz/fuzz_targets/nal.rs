#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| media::nal::fuzz_nal(data));
