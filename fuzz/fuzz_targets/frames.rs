//! `frames` of `azote-fuzz-targets`, where it is said what it does.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| azote_fuzz_targets::run("frames", data));
