//! The guest's physical address space. The page docs/hypervisor.md draws it.

/// Where the boot GDT lies.
pub const GDT: u64 = 0x500;
/// The PVH start info, its module list and its memory map.
pub const PVH_START_INFO: u64 = 0x6000;
/// The PVH module list: the initramfs.
pub const PVH_MODULES: u64 = 0x6100;
/// The PVH memory map.
pub const PVH_MEMORY_MAP: u64 = 0x6200;
/// The Linux boot protocol's zero page.
pub const ZERO_PAGE: u64 = 0x7000;
/// The page tables with which a bzImage starts: the first 4 GiB, one to one. Six pages.
pub const PAGE_TABLES: u64 = 0x9000;
/// The command line.
pub const CMDLINE: u64 = 0x2_0000;
/// The most bytes of a command line, with its end.
pub const CMDLINE_MAX: usize = 0x1_0000;
/// The end of low memory that the guest may use as it likes.
pub const LOW_RAM_END: u64 = 0xa_0000;
/// The ACPI tables, the RSDP first.
pub const ACPI: u64 = 0xe_0000;
/// The room for ACPI tables.
pub const ACPI_SIZE: u64 = 0x2_0000;
/// Where RAM goes on above the old hole.
pub const HIGH_RAM: u64 = 0x10_0000;

/// RAM below 4 GiB ends here at the latest.
pub const RAM_32_END: u64 = 0xc000_0000;
/// The window of 32-bit BARs.
pub const MMIO_32: u64 = 0xc000_0000;
/// Its size.
pub const MMIO_32_SIZE: u64 = 0x2000_0000;
/// Configuration space of segment 0, 1 MiB a bus (ECAM).
pub const ECAM: u64 = 0xe000_0000;
/// Configuration space of one bus.
pub const ECAM_BUS_SIZE: u64 = 1 << 20;
/// The I/O APIC, in KVM.
pub const IOAPIC: u64 = 0xfec0_0000;
/// The local APICs, in KVM.
pub const LAPIC: u64 = 0xfee0_0000;
/// The identity-mapped page that KVM wants on Intel processors without unrestricted guests.
pub const KVM_IDENTITY_MAP: u64 = 0xfffb_c000;
/// The three pages of a task state segment that KVM wants there, too.
pub const KVM_TSS: u64 = 0xfffb_d000;
/// RAM above 4 GiB.
pub const RAM_64: u64 = 1 << 32;
/// The window of 64-bit BARs begins at the first multiple of this above RAM, ...
pub const MMIO_64_ALIGN: u64 = 1 << 36;
/// ... and is as large.
pub const MMIO_64_SIZE: u64 = 1 << 36;

/// The serial port.
pub const SERIAL: u16 = 0x3f8;
/// Its registers.
pub const SERIAL_SIZE: u16 = 8;
/// Its interrupt.
pub const SERIAL_GSI: u32 = 4;
/// ACPI's sleep control register; the status register follows.
pub const SLEEP_CONTROL: u16 = 0x600;
/// ACPI's sleep status register.
pub const SLEEP_STATUS: u16 = 0x601;
/// ACPI's reset register.
pub const RESET: u16 = 0x602;
/// What is written there to reset.
pub const RESET_VALUE: u8 = 0x5a;
/// The keyboard controller's command and status register: older guests reset the machine by it.
pub const KEYBOARD: u16 = 0x64;
/// The chipset's reset control register, for the same.
pub const RESET_CONTROL: u16 = 0xcf9;
/// The interrupt of the power button.
pub const POWER_BUTTON_GSI: u32 = 5;
/// The pins of KVM's I/O APIC; messages get numbers above.
pub const IOAPIC_PINS: u32 = 24;

/// Where the window of 64-bit BARs begins in a guest with so much RAM.
#[must_use]
pub const fn mmio_64(ram: u64) -> u64 {
    let end = if ram > RAM_32_END { RAM_64 + (ram - RAM_32_END) } else { RAM_64 };
    end.next_multiple_of(MMIO_64_ALIGN)
}

const _: () = {
    assert!(PVH_MODULES + 32 <= PVH_MEMORY_MAP && PVH_MEMORY_MAP + 0x200 <= ZERO_PAGE);
    assert!(ZERO_PAGE + 4096 <= PAGE_TABLES && PAGE_TABLES + 6 * 4096 <= CMDLINE);
    assert!(CMDLINE + CMDLINE_MAX as u64 <= LOW_RAM_END && ACPI + ACPI_SIZE == HIGH_RAM);
    assert!(MMIO_32 + MMIO_32_SIZE <= ECAM && ECAM + 256 * ECAM_BUS_SIZE <= IOAPIC);
};
