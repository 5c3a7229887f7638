#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vms_app::statistics::plan::fuzz_plan(data));
