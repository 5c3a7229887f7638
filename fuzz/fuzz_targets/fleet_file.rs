#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| registry::stub::fuzz_fleet_file(data));
