#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vms_app::lez::places::fuzz_places(data));
