//! The ACPI tables: what a hardware-reduced machine needs, and nothing that an operating system would probe.
//!
//! Hardware-reduced means: no SCI, no PM timer, no 8254, and no 8259 that anybody should use: the MADT does not have it, KVM's is there, and
//! nothing is connected to it. The power button comes by a Generic Event Device,
//! sleep and reset by registers of their own that the FADT names.

mod dsdt;

pub use dsdt::SLEEP_TYPE_S5;

use acpi_tables::{
    Aml,
    fadt::{FADTBuilder, Flags, PmProfile},
    gas::{AccessSize, AddressSpace, GAS},
    madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic},
    mcfg::MCFG,
    rsdp::Rsdp,
    xsdt::XSDT,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use crate::layout;

/// What the tables tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Virtual processors.
    pub cpus: u8,
    /// The last bus of segment 0.
    pub last_bus: u8,
    /// There is a serial port.
    pub serial: bool,
    /// Where the window of 64-bit BARs begins.
    pub mmio_64: u64,
}

const OEM: [u8; 6] = *b"AZOTE ";
const OEM_TABLE: [u8; 8] = *b"AZOTEHYP";
const REVISION: u32 = 1;

/// FADT, IA-PC boot architecture: do not look for a VGA, there is none.
const NO_VGA: u16 = 1 << 2;
/// FADT, IA-PC boot architecture: leave ASPM alone.
const NO_ASPM: u16 = 1 << 4;
/// FADT, IA-PC boot architecture: no CMOS clock. That LEGACY_DEVICES and 8042 are not set says the rest.
const NO_CMOS_RTC: u16 = 1 << 5;

/// Tables in the order in which they lie in memory.
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Appends a table on a 16-byte boundary and says where it will be.
    fn put(&mut self, table: &dyn Aml) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let at = layout::ACPI + self.bytes.len() as u64;
        table.to_aml_bytes(&mut self.bytes);
        at
    }
}

/// All tables, to be put at [`layout::ACPI`], where the RSDP comes first.
#[must_use]
pub fn tables(machine: &Machine) -> Vec<u8> {
    let mut out = Writer { bytes: vec![0; Rsdp::len()] };
    let dsdt = out.put(&dsdt::table(machine));
    let fadt = out.put(&fadt(dsdt).finalize());
    let madt = out.put(&madt(machine.cpus));
    let mut mcfg = MCFG::new(OEM, OEM_TABLE, REVISION);
    mcfg.add_ecam(layout::ECAM, 0, 0, machine.last_bus);
    let mcfg = out.put(&mcfg);
    let mut xsdt = XSDT::new(OEM, OEM_TABLE, REVISION);
    for table in [fadt, madt, mcfg] {
        xsdt.add_entry(table);
    }
    let xsdt = out.put(&xsdt);
    let mut rsdp = Vec::new();
    Rsdp::new(OEM, xsdt).to_aml_bytes(&mut rsdp);
    out.bytes.splice(..rsdp.len(), rsdp);
    out.bytes
}

/// Writes the tables; returns where the RSDP is.
pub fn write(memory: &GuestMemoryMmap, machine: &Machine) -> Result<u64, GuestMemoryError> {
    memory.write_slice(&tables(machine), GuestAddress(layout::ACPI))?;
    Ok(layout::ACPI)
}

fn port(address: u16) -> GAS {
    GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, address.into())
}

fn fadt(dsdt: u64) -> FADTBuilder {
    let mut fadt = FADTBuilder::new(OEM, OEM_TABLE, REVISION)
        .dsdt_64(dsdt)
        .preferred_pm_profile(PmProfile::EnterpriseServer)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup)
        .flag(Flags::Headless);
    fadt.iapc_boot_arch = (NO_VGA | NO_ASPM | NO_CMOS_RTC).into();
    fadt.reset_reg = port(layout::RESET);
    fadt.reset_value = layout::RESET_VALUE;
    fadt.sleep_control_reg = port(layout::SLEEP_CONTROL);
    fadt.sleep_status_reg = port(layout::SLEEP_STATUS);
    fadt.hypervisor_vendor_identity = u64::from_le_bytes(*b"Azote\0\0\0").into();
    fadt
}

fn madt(cpus: u8) -> MADT {
    let mut madt = MADT::new(OEM, OEM_TABLE, REVISION, LocalInterruptController::Address(layout::LAPIC as u32));
    for id in 0..cpus {
        madt.add_structure(ProcessorLocalApic::new(id, id, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(0, layout::IOAPIC as u32, 0));
    madt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cpus: u8) -> Machine {
        Machine { cpus, last_bus: 1, serial: true, mmio_64: layout::mmio_64(512 << 20) }
    }

    fn word(bytes: &[u8], at: usize) -> usize {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }

    #[test]
    fn every_table_is_found_from_the_rsdp_and_sums_to_zero() {
        let bytes = tables(&machine(2));
        assert_eq!(&bytes[..8], b"RSD PTR ");
        let sum = |b: &[u8]| b.iter().fold(0u8, |s, x| s.wrapping_add(*x));
        assert_eq!((sum(&bytes[..20]), sum(&bytes[..36])), (0, 0));
        let table = |at: u64| {
            let at = (at - layout::ACPI) as usize;
            &bytes[at..at + word(&bytes, at + 4)]
        };
        let xsdt = table(u64::from_le_bytes(bytes[24..32].try_into().unwrap()));
        assert_eq!((&xsdt[..4], sum(xsdt)), (&b"XSDT"[..], 0));
        let mut names = Vec::new();
        for entry in xsdt[36..].chunks(8) {
            let t = table(u64::from_le_bytes(entry.try_into().unwrap()));
            assert_eq!(sum(t), 0);
            names.push(t[..4].to_vec());
            if &t[..4] == b"FACP" {
                let dsdt = table(u64::from_le_bytes(t[140..148].try_into().unwrap()));
                assert_eq!((&dsdt[..4], sum(dsdt)), (&b"DSDT"[..], 0));
            }
        }
        assert_eq!(names, [b"FACP", b"APIC", b"MCFG"]);
    }

    #[test]
    fn the_largest_machine_fits_its_room() {
        assert!(tables(&machine(254)).len() as u64 <= layout::ACPI_SIZE);
    }
}
