//! Capability lists: headers, ids, and where each capability lies in *our* functions' configuration space.
//!
//! Two templates, PF and VF. Capabilities that both have lie at the same offset in both, but for the extended list: it
//! must begin at 0x100 (PCIe 7.6.3), where a PF has AER and a VF, which has none, has ARI.

use super::{acs, aer, ari, dsn, express, msix, power, sriov};
use crate::Field;
use crate::function::Kind;

/// Header of a capability: id (PCIe 7.5.3).
pub const ID: Field = Field::bits(7, 0);
/// Header of a capability: offset of the next one, 0 at the end.
pub const NEXT: Field = Field::bits(15, 8);
/// Header of an extended capability: id (PCIe 7.6.3).
pub const EXT_ID: Field = Field::bits(15, 0);
/// Header of an extended capability: version.
pub const EXT_VERSION: Field = Field::bits(19, 16);
/// Header of an extended capability: offset of the next one, 0 at the end.
pub const EXT_NEXT: Field = Field::bits(31, 20);

/// The header of a capability, without the two bytes of its own above it.
#[must_use]
pub const fn header(id: u64, next: u64) -> u64 {
    ID.put(id) | NEXT.put(next)
}

/// The header of an extended capability.
#[must_use]
pub const fn ext_header(id: u64, version: u64, next: u64) -> u64 {
    EXT_ID.put(id) | EXT_VERSION.put(version) | EXT_NEXT.put(next)
}

/// Where a PF has its capabilities.
pub mod pf {
    /// The value of the Capabilities Pointer.
    pub const FIRST: u64 = POWER;
    /// Power management.
    pub const POWER: u64 = 0x40;
    /// MSI-X.
    pub const MSIX: u64 = 0x50;
    /// PCI Express; the last one.
    pub const EXPRESS: u64 = 0x60;
    /// Advanced Error Reporting.
    pub const AER: u64 = 0x100;
    /// Alternative Routing-ID Interpretation.
    pub const ARI: u64 = 0x148;
    /// Single Root I/O Virtualization.
    pub const SRIOV: u64 = 0x150;
    /// Access Control Services.
    pub const ACS: u64 = 0x190;
    /// Device Serial Number; the last extended one.
    pub const DSN: u64 = 0x1a0;
}

/// Where the capabilities begin that an engine adds to those of its functions, of PFs and VFs alike: behind PCI Express.
pub const ADDED: u64 = pf::EXPRESS + express::SIZE.next_multiple_of(16);

/// Where a VF has its capabilities.
pub mod vf {
    /// The value of the Capabilities Pointer.
    pub const FIRST: u64 = MSIX;
    /// MSI-X.
    pub const MSIX: u64 = super::pf::MSIX;
    /// PCI Express; the last one.
    pub const EXPRESS: u64 = super::pf::EXPRESS;
    /// Alternative Routing-ID Interpretation.
    pub const ARI: u64 = 0x100;
    /// Access Control Services; the last extended one.
    pub const ACS: u64 = 0x110;
}

/// First DW of the PF's power management capability.
pub const PF_POWER_HEADER: u64 = header(power::ID, pf::MSIX) | power::PMC_VALUE << 16;
/// First DW of the MSI-X capability, of PF and VF, with its control register's reset value, which is the kind's.
#[must_use]
pub const fn msix_header(kind: Kind) -> u64 {
    header(msix::ID, pf::EXPRESS) | msix::control_reset(kind) << 16
}
/// First DW of the PCI Express capability, of PF and VF.
pub const EXPRESS_HEADER: u64 = header(express::ID, 0) | express::CAPS_VALUE << 16;
/// First DW of the PF's AER capability.
pub const PF_AER_HEADER: u64 = ext_header(aer::ID, aer::VERSION, pf::ARI);
/// First DW of the PF's ARI capability.
pub const PF_ARI_HEADER: u64 = ext_header(ari::ID, ari::VERSION, pf::SRIOV);
/// First DW of the PF's SR-IOV capability.
pub const PF_SRIOV_HEADER: u64 = ext_header(sriov::ID, sriov::VERSION, pf::ACS);
/// First DW of the PF's ACS capability.
pub const PF_ACS_HEADER: u64 = ext_header(acs::ID, acs::VERSION, pf::DSN);
/// First DW of the PF's Device Serial Number capability.
pub const PF_DSN_HEADER: u64 = ext_header(dsn::ID, dsn::VERSION, 0);
/// First DW of the VF's ARI capability.
pub const VF_ARI_HEADER: u64 = ext_header(ari::ID, ari::VERSION, vf::ACS);
/// First DW of the VF's ACS capability.
pub const VF_ACS_HEADER: u64 = ext_header(acs::ID, acs::VERSION, 0);

const _: () = {
    assert!(pf::POWER + power::SIZE <= pf::MSIX);
    assert!(pf::MSIX + msix::SIZE <= pf::EXPRESS);
    assert!(pf::EXPRESS + express::SIZE <= ADDED && ADDED < super::EXTENDED);
    assert!(pf::AER == super::EXTENDED && vf::ARI == super::EXTENDED);
    assert!(pf::AER + aer::SIZE <= pf::ARI);
    assert!(pf::ARI + ari::SIZE <= pf::SRIOV);
    assert!(pf::SRIOV + sriov::SIZE <= pf::ACS);
    assert!(pf::ACS + acs::SIZE <= pf::DSN);
    assert!(pf::DSN + dsn::SIZE <= super::CONFIG_SIZE);
    assert!(vf::ARI + ari::SIZE <= vf::ACS);
    assert!(vf::ACS + acs::SIZE <= super::CONFIG_SIZE);
};
