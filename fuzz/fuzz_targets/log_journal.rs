#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vms_store::log::journal::fuzz_journal(data));
