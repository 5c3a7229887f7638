#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tiers::name::fuzz_object_name(data));
