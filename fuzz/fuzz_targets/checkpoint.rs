#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| audit::note::fuzz_checkpoint(data));
