#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway_mivb::translate::fuzz_catalogue(data));
