//! Devices and guests that say and do anything: nothing breaks, and no rule of the machine is broken.

use azote_hypervisor::testing::{load, play};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_device_and_any_guest_keep_the_rules(bytes in proptest::collection::vec(any::<u8>(), 0..800)) {
        play(&bytes);
    }

    #[test]
    fn any_file_is_a_kernel_or_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0..3) {
        let mut file = vec![0; 0x400];
        match kind {
            0 => file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0"),
            1 => file[0x202..0x206].copy_from_slice(b"HdrS"),
            _ => {}
        }
        for (i, byte) in bytes.iter().enumerate() {
            // Behind the magic numbers, and in the setup header.
            let at = if kind == 1 { 0x206 + i } else { 20 + i };
            if let Some(slot) = file.get_mut(at) {
                *slot = *byte;
            }
        }
        let _ = load(&file);
    }
}

#[test]
fn a_plausible_device_is_given_to_guests() {
    assert!(play(&[]));
}

#[test]
fn enough_of_the_random_devices_are_given_to_guests() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let given = (0..300).filter(|_| play(&(0..400).map(|_| random()).collect::<Vec<_>>())).count();
    assert!(given > 100, "{given} of 300");
}
