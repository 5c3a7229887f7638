#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vms_app::camera_import::fuzz_camera_csv(data));
