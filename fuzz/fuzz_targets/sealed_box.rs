#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| recorder::sealbox::fuzz_sealed_box(data));
