#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vms_app::identity::webauthn::fuzz_key_answer(data));
