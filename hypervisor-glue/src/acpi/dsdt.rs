//! The DSDT: the PCI root, the serial port, the power button, and how to sleep for ever (`_S5`).

use acpi_tables::{
    Aml,
    aml::{
        AddressSpace, AddressSpaceCacheable, Device, EISAName, IO, Interrupt, Memory32Fixed, Method, Name, Notify,
        Package, Path, ResourceTemplate,
    },
    sdt::Sdt,
};

use super::{Machine, OEM, OEM_TABLE, REVISION};
use crate::layout;

/// A SLP_TYP of our own for S5; the sleep control register knows no other.
pub const SLEEP_TYPE_S5: u8 = 5;
/// Notification of a power button (ACPI 4.8.3.1).
const PRESSED: u8 = 0x80;

/// The whole table.
pub fn table(machine: &Machine) -> Sdt {
    let mut aml = Vec::new();
    pci_root(machine, &mut aml);
    if machine.serial {
        serial(&mut aml);
    }
    power_button(&mut aml);
    let zero = 0u8;
    Name::new(Path::new("_S5_"), &Package::new(vec![&SLEEP_TYPE_S5, &zero, &zero, &zero])).to_aml_bytes(&mut aml);
    let mut sdt = Sdt::new(*b"DSDT", 36, 2, OEM, OEM_TABLE, REVISION);
    sdt.append_slice(&aml);
    sdt
}

fn pci_root(machine: &Machine, aml: &mut Vec<u8>) {
    let not_cacheable = AddressSpaceCacheable::NotCacheable;
    let end_32 = (layout::MMIO_32 + layout::MMIO_32_SIZE - 1) as u32;
    let end_64 = machine.mmio_64 + layout::MMIO_64_SIZE - 1;
    Device::new(
        Path::new("_SB_.PCI0"),
        vec![
            &Name::new(Path::new("_HID"), &EISAName::new("PNP0A08")),
            &Name::new(Path::new("_CID"), &EISAName::new("PNP0A03")),
            &Name::new(Path::new("_SEG"), &0u8),
            &Name::new(Path::new("_BBN"), &0u8),
            &Name::new(Path::new("_UID"), &0u8),
            // Devices see what caches hold.
            &Name::new(Path::new("_CCA"), &1u8),
            &Name::new(
                Path::new("_CRS"),
                &ResourceTemplate::new(vec![
                    &AddressSpace::new_bus_number(0u16, u16::from(machine.last_bus)),
                    &AddressSpace::new_memory(not_cacheable, true, layout::MMIO_32 as u32, end_32, None),
                    &AddressSpace::new_memory(not_cacheable, true, machine.mmio_64, end_64, None),
                ]),
            ),
        ],
    )
    .to_aml_bytes(aml);
    let ecam = (u32::from(machine.last_bus) + 1) * layout::ECAM_BUS_SIZE as u32;
    Device::new(
        Path::new("_SB_.ECAM"),
        vec![
            &Name::new(Path::new("_HID"), &EISAName::new("PNP0C02")),
            &Name::new(Path::new("_UID"), &1u8),
            &Name::new(
                Path::new("_CRS"),
                &ResourceTemplate::new(vec![&Memory32Fixed::new(true, layout::ECAM as u32, ecam)]),
            ),
        ],
    )
    .to_aml_bytes(aml);
}

fn serial(aml: &mut Vec<u8>) {
    Device::new(
        Path::new("_SB_.COM1"),
        vec![
            &Name::new(Path::new("_HID"), &EISAName::new("PNP0501")),
            &Name::new(Path::new("_UID"), &0u8),
            &Name::new(
                Path::new("_CRS"),
                &ResourceTemplate::new(vec![
                    &IO::new(layout::SERIAL, layout::SERIAL, 1, layout::SERIAL_SIZE as u8),
                    &Interrupt::new(true, true, false, false, layout::SERIAL_GSI),
                ]),
            ),
        ],
    )
    .to_aml_bytes(aml);
}

fn power_button(aml: &mut Vec<u8>) {
    let name = Name::new(Path::new("_HID"), &EISAName::new("PNP0C0C"));
    Device::new(Path::new("_SB_.PWRB"), vec![&name, &Name::new(Path::new("_UID"), &0u8)]).to_aml_bytes(aml);
    Device::new(
        Path::new("_SB_.GED_"),
        vec![
            &Name::new(Path::new("_HID"), &"ACPI0013"),
            &Name::new(Path::new("_UID"), &0u8),
            &Name::new(
                Path::new("_CRS"),
                &ResourceTemplate::new(vec![&Interrupt::new(true, true, false, false, layout::POWER_BUTTON_GSI)]),
            ),
            // The device has one event, so there is no status to read.
            &Method::new(Path::new("_EVT"), 1, true, vec![&Notify::new(&Path::new("_SB_.PWRB"), &PRESSED)]),
        ],
    )
    .to_aml_bytes(aml);
}
