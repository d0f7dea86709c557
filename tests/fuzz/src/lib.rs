//! What fuzzers play with: a function of bytes for everything that parses what a guest, a client, a device or a file controls.
//!
//! `fuzz/` has a program around each for libFuzzer, and the seeds; the tests here run the seeds, and some thousand changed ones,
//! without it. Each function panics where a rule is broken, and only there.
#![allow(clippy::unwrap_used, clippy::expect_used)] // what cannot be set up ends the fuzzer, which is what it should do

mod acpi_loader;
mod api;
mod boot;
mod capabilities;
mod frames;
mod msix;
mod nbd;
mod nbd_client;
mod net;
mod nvme;
mod tlp;
mod vfio_user_wire;
mod volume;

/// A target: bytes in, a panic if a rule is broken.
pub type Target = fn(&[u8]);

/// Every target by the name of its program and of the folder of its seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("acpi_loader", acpi_loader::run),
    ("api", api::run),
    ("boot", boot::run),
    ("capabilities", capabilities::run),
    ("config_space", config_space),
    ("frames", frames::run),
    ("msix", msix::run),
    ("nbd", nbd::run),
    ("nbd_client", nbd_client::run),
    ("net", net::run),
    ("nvme", nvme::run),
    ("tlp", tlp::run),
    ("vfio_user_wire", vfio_user_wire::run),
    ("volume", volume::run),
];

/// Runs a target by its name.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => target(data),
        None => panic!("no target {name}"),
    }
}

/// A device and a guest of arbitrary bytes on the hypervisor's PCI layer: configuration space, BARs, MSI-X.
///
/// The first bytes change a plausible device (configuration space, BAR sizes, mappable areas, vectors, failing calls); the
/// others are a guest's accesses. The machine around them checks that nothing is mapped where BARs may not be, attached
/// twice, or left over after a reset.
fn config_space(data: &[u8]) {
    azote_hypervisor::testing::play(data);
}
