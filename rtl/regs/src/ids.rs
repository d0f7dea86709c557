//! PCI identity of each kind of function (PCIe 7.5.1.1, PCI Code and ID Assignment).
//!
//! 1af4:10f0–10ff is the range that its owner leaves free for experiments. Until a kind has its engine, its functions show
//! class ff0000 and an id from that range, so that no stock driver binds something that cannot answer it.

use crate::function::Kind;

/// Vendor ID of every PF.
pub const VENDOR: u64 = 0x1af4;
/// Vendor ID and Device ID as a VF's own configuration space shows them (PCIe 9.3.4.1.1): read the PF's instead.
pub const VF_ID: u64 = 0xffff;
/// Device ID of the net functions: a virtio 1.x network device, 1040 and its virtio number (virtio 4.1.2).
pub const DEVICE_NET: u64 = 0x1041;
/// Device ID of the storage functions.
pub const DEVICE_STORAGE: u64 = 0x10f1;
/// Device ID of the trust functions.
pub const DEVICE_TRUST: u64 = 0x10f2;

/// Class code of a function without an engine: unassigned class.
pub const CLASS_NONE: u64 = 0xff_00_00;
/// Class code of an Ethernet controller.
pub const CLASS_ETHERNET: u64 = 0x02_00_00;
/// Class code of an NVMe I/O controller: mass storage, non-volatile memory, NVM Express.
pub const CLASS_NVME: u64 = 0x01_08_02;

/// Revision ID of every function.
pub const REVISION: u64 = 0x01;
/// Subsystem Vendor ID of every function, VFs too (PCIe 9.3.4.1.13).
pub const SUBSYSTEM_VENDOR: u64 = VENDOR;
/// The first of the Subsystem IDs, that of kind 0.
pub const SUBSYSTEM_BASE: u64 = 0x10f0;
/// Device Serial Number: an EUI-64 whose first octet has the "locally administered" bit set, since we own no OUI.
pub const SERIAL: u64 = 0x02_41_5a_ff_fe_4f_54_01;

/// Device ID of a kind: the PF's own and the VF Device ID in its SR-IOV capability.
#[must_use]
pub const fn device(kind: Kind) -> u64 {
    match kind {
        Kind::Net => DEVICE_NET,
        Kind::Storage => DEVICE_STORAGE,
        Kind::Trust => DEVICE_TRUST,
    }
}

/// Class code of a kind, PF and VF alike.
#[must_use]
pub const fn class(kind: Kind) -> u64 {
    match kind {
        Kind::Storage => CLASS_NVME,
        Kind::Net => CLASS_ETHERNET,
        Kind::Trust => CLASS_NONE,
    }
}

/// Subsystem ID of a kind, PF and VF alike: by it a function is known to be ours, also one that shows the ids of a standard.
#[must_use]
pub const fn subsystem(kind: Kind) -> u64 {
    SUBSYSTEM_BASE + kind.code()
}

/// The kind that has this Subsystem Vendor ID and Subsystem ID; `None` for a device that is not ours.
#[must_use]
pub const fn kind_of(vendor: u64, subsystem: u64) -> Option<Kind> {
    match subsystem.checked_sub(SUBSYSTEM_BASE) {
        Some(code) if vendor == SUBSYSTEM_VENDOR => Kind::from_code(code),
        _ => None,
    }
}

const _: () = assert!(SUBSYSTEM_BASE >= 0x10f0 && DEVICE_TRUST <= 0x10ff);
