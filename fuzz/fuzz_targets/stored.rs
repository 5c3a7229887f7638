#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| link::message::stored::fuzz_stored(data));
