#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| media::params::fuzz_params(data));
