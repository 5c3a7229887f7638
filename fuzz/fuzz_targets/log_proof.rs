#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| audit::proof::fuzz_proof(data));
