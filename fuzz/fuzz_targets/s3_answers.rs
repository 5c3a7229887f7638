#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tiers::fuzz_s3_answers(data));
