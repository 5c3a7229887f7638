#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vms_app::camera_rules::fuzz_stream_url(data));
