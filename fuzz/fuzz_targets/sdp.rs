#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ingest::sdp::fuzz_sdp(data));
