#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| audit::folder::fuzz_tile_name(data));
