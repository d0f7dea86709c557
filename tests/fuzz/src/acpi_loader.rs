//! A file of arbitrary bytes as the guest's kernel, and ACPI tables for an arbitrary machine.
//!
//! After its first byte the input is the file; that byte puts a magic number of an ELF file or a bzImage into its place, so that most
//! inputs get past it.

use azote_hypervisor::{acpi, layout, testing};

pub fn run(data: &[u8]) {
    let Some((kind, file)) = data.split_first() else { return };
    let mut file = file.to_vec();
    let magic: (usize, &[u8]) = match kind & 3 {
        0 => (0, b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0"),
        1 => (0x202, b"HdrS"),
        _ => (0, b""),
    };
    if let Some(place) = file.get_mut(magic.0..magic.0 + magic.1.len()) {
        place.copy_from_slice(magic.1);
    }
    let _ = testing::load(&file);
    let last_bus = kind >> 7;
    let machine = acpi::Machine {
        cpus: (*kind).clamp(1, 254),
        last_bus,
        serial: kind & 4 != 0,
        mmio_64: layout::mmio_64(1 << 30),
    };
    let tables = acpi::tables(&machine);
    assert!(tables.len() as u64 <= layout::ACPI_SIZE && tables.starts_with(b"RSD PTR "));
}
