#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| anpr::spool::fuzz_record(data));
