#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| evidence::verify::fuzz_export(data));
