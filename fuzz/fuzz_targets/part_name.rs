#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vms_api::routes::playback::fuzz_part_name(data));
