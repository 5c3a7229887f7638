#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ingest::depacketize::fuzz_depacketize(data));
