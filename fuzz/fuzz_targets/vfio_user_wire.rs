//! `vfio_user_wire` of `azote-fuzz-targets`, where it is said what it does.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| azote_fuzz_targets::run("vfio_user_wire", data));
