#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| recorder::deletions::fuzz_deletion_line(data));
