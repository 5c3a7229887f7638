#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| policy::capability::fuzz_capability(data));
