#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| edgedeck_fuzz::cloud_signature(bytes));
