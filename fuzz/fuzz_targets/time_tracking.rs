#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| anpr::role::fuzz_host_word(data));
