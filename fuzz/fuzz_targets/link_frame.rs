#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| link::codec::fuzz_frame(data));
