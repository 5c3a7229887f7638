#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| audit::rules::fuzz_details(data));
