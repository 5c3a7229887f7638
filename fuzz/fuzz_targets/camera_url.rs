#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ingest::guard::fuzz_camera_url(data));
