#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| audit::leaf::fuzz_leaf(data));
