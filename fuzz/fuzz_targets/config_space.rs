//! A device and a guest of arbitrary bytes on the hypervisor's PCI layer: configuration space, BARs, MSI-X.
//!
//! The first bytes change a plausible device (configuration space, BAR sizes, mappable areas, vectors, failing calls); the
//! others are a guest's accesses. The machine around them checks that nothing is mapped where BARs may not be, attached
//! twice, or left over after a reset.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    azote_hypervisor::testing::play(data);
});
