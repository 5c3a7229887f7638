#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| anpr::pace::fuzz_disposable(data));
