#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| policy::table::fuzz_matrix(data));
