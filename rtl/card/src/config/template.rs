//! What configuration space looks like: a template for each kind of PF and of VF, in plain Rust.
//!
//! The state RAM keeps every register as its difference to the reset value, so that a reset is a RAM full of zeroes. A
//! template says for each DW the reset value, which bits the host can write, which it clears by writing 1, and in which
//! slot of the state RAM the DW lives (read-only DWs live in none).

use azote_regs::function::{self, Kind};
use azote_regs::pcie::{acs, aer, capability as cap, dsn, express, header, msix, power, sriov};
use azote_regs::{bar, ids};

/// DWs of configuration space that a template describes; beyond, all reads are zero.
pub const DWS: usize = 128;
/// Slots below this are cleared by FLR; the rest are sticky (PCIe 6.6.2, 7.4).
pub const FIRST_STICKY: u64 = 18;

/// Slots of the state RAM.
pub mod slot {
    pub const COMMAND: u64 = 0;
    pub const DEVICE: u64 = 1;
    pub const CACHE_LINE: u64 = 2;
    pub const BAR0: u64 = 3;
    pub const BAR2: u64 = 5;
    pub const INTERRUPT_LINE: u64 = 7;
    pub const PMCSR: u64 = 8;
    pub const MSIX: u64 = 9;
    pub const LINK: u64 = 10;
    pub const DEVICE_2: u64 = 11;
    pub const SRIOV_CONTROL: u64 = 12;
    pub const NUM_VFS: u64 = 13;
    pub const PAGE_SIZE: u64 = 14;
    pub const VF_BAR0: u64 = 15;
    pub const UNCORRECTABLE: u64 = 18;
    pub const MASK: u64 = 19;
    pub const SEVERITY: u64 = 20;
    pub const CORRECTABLE: u64 = 21;
    pub const CORRECTABLE_MASK: u64 = 22;
    pub const AER_CONTROL: u64 = 23;
    pub const HEADER_LOG: u64 = 24;
    pub const LINK_2: u64 = 28;
}

/// One DW.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dw {
    pub reset: u64,
    pub writable: u64,
    pub clear_by_one: u64,
    /// Where it lives; only meaningful if anything can change it.
    pub slot: u64,
    pub stored: bool,
}

impl Dw {
    /// As the ROM has it: `{stored, slot[4:0], clear_by_one[31:0], writable[31:0], reset[31:0]}`.
    pub fn pack(&self) -> u128 {
        let high = u128::from(self.slot) | u128::from(self.stored) << 5;
        high << 96 | u128::from(self.clear_by_one) << 64 | u128::from(self.writable) << 32 | u128::from(self.reset)
    }
}

struct Space([Dw; DWS]);

impl Space {
    fn ro(&mut self, offset: u64, value: u64) {
        self.0[offset as usize / 4].reset |= value << (8 * (offset % 4));
    }
    fn rw(&mut self, offset: u64, slot: u64, writable: u64, clear_by_one: u64) {
        let d = &mut self.0[offset as usize / 4];
        d.slot = slot;
        d.stored = true;
        d.writable = writable;
        d.clear_by_one = clear_by_one;
    }
}

/// The template of a function of `kind`; `vfs` is the number of VFs that its PF has.
pub fn template(kind: Kind, vf: bool, vfs: u64) -> [Dw; DWS] {
    let mut s = Space([Dw::default(); DWS]);
    common(&mut s, kind, vf);
    if vf {
        s.ro(cap::vf::ARI, cap::VF_ARI_HEADER);
        s.ro(cap::vf::ACS, cap::VF_ACS_HEADER);
        s.ro(cap::vf::ACS + acs::CAPABILITY, acs::CAPABILITY_VALUE);
    } else {
        physical(&mut s, kind);
        extended(&mut s, kind, vfs);
    }
    s.0
}

fn common(s: &mut Space, kind: Kind, vf: bool) {
    let (vendor, device) = if vf { (ids::VF_ID, ids::VF_ID) } else { (ids::VENDOR, ids::device(kind)) };
    s.ro(header::VENDOR_ID, vendor);
    s.ro(header::DEVICE_ID, device);
    s.ro(header::STATUS, header::STATUS_CAPABILITIES.mask());
    s.ro(header::REVISION_ID, ids::REVISION);
    s.ro(header::CLASS_CODE, ids::class(kind));
    s.ro(header::SUBSYSTEM_VENDOR_ID, ids::SUBSYSTEM_VENDOR);
    s.ro(header::SUBSYSTEM_ID, ids::device(kind));
    s.ro(header::CAPABILITIES, if vf { cap::vf::FIRST } else { cap::pf::FIRST });
    // A VF's memory space is enabled by its PF (PCIe 9.3.4.1.3).
    let bme = header::COMMAND_BME.mask();
    let pf_command = bme
        | header::COMMAND_MSE.mask()
        | header::COMMAND_PARITY.mask()
        | header::COMMAND_SERR.mask()
        | header::COMMAND_INTX_DISABLE.mask();
    s.rw(header::COMMAND, slot::COMMAND, if vf { bme } else { pf_command }, 0);

    let msix_control = (msix::CONTROL_FUNCTION_MASK.mask() | msix::CONTROL_ENABLE.mask()) << 16;
    s.ro(cap::pf::MSIX, cap::MSIX_HEADER);
    s.rw(cap::pf::MSIX, slot::MSIX, msix_control, 0);
    s.ro(cap::pf::MSIX + msix::TABLE, msix::TABLE_VALUE);
    s.ro(cap::pf::MSIX + msix::PBA, msix::PBA_VALUE);

    let e = cap::pf::EXPRESS;
    s.ro(e, cap::EXPRESS_HEADER);
    s.ro(e + express::DEVICE_CAPS, express::DEVICE_CAPS_VALUE);
    let reporting = express::DEVICE_CONTROL_CORRECTABLE.mask()
        | express::DEVICE_CONTROL_NONFATAL.mask()
        | express::DEVICE_CONTROL_FATAL.mask()
        | express::DEVICE_CONTROL_UR.mask();
    let pf_control = reporting
        | express::DEVICE_CONTROL_RELAXED.mask()
        | express::DEVICE_CONTROL_MPS.mask()
        | express::DEVICE_CONTROL_EXT_TAG.mask()
        | express::DEVICE_CONTROL_NO_SNOOP.mask()
        | express::DEVICE_CONTROL_MRRS.mask();
    let found = (express::DEVICE_STATUS_CORRECTABLE.mask()
        | express::DEVICE_STATUS_NONFATAL.mask()
        | express::DEVICE_STATUS_FATAL.mask()
        | express::DEVICE_STATUS_UR.mask())
        << 16;
    if !vf {
        s.ro(e + express::DEVICE_CONTROL, express::DEVICE_CONTROL_RESET);
    }
    // Of a VF's Device Control only FLR does anything; the rest follows the PF (PCIe 9.3.5.4).
    s.rw(e + express::DEVICE_CONTROL, slot::DEVICE, if vf { 0 } else { pf_control }, found);
    s.ro(e + express::LINK_CAPS, express::LINK_CAPS_VALUE);
    s.ro(e + express::DEVICE_CAPS_2, express::DEVICE_CAPS_2_VALUE);
    s.ro(e + express::LINK_CAPS_2, express::LINK_CAPS_2_VALUE);
    if !vf {
        s.ro(e + express::LINK_STATUS, express::LINK_STATUS_VALUE);
        s.rw(e + express::LINK_CONTROL, slot::LINK, LINK_CONTROL_WRITABLE, 0);
        s.rw(e + express::DEVICE_CONTROL_2, slot::DEVICE_2, express::DEVICE_CONTROL_2_CTO_DISABLE.mask(), 0);
        s.ro(e + express::LINK_CONTROL_2, express::LINK_CONTROL_2_RESET);
        s.rw(e + express::LINK_CONTROL_2, slot::LINK_2, express::LINK_CONTROL_2_TARGET.mask(), 0);
    }
}

/// Link Control: read completion boundary, common clock configuration, extended synch (PCIe 7.5.3.7).
const LINK_CONTROL_WRITABLE: u64 = 1 << 3 | 1 << 6 | 1 << 7;

fn wide_bar(s: &mut Space, offset: u64, slot: u64, size: u64) {
    s.ro(offset, header::BAR_FLAGS);
    s.rw(offset, slot, 0xffff_ffff & !(size - 1), 0);
    s.rw(offset + 4, slot + 1, 0xffff_ffff, 0);
}

fn physical(s: &mut Space, kind: Kind) {
    s.ro(header::HEADER_TYPE, header::HEADER_MULTI_FUNCTION.mask());
    s.rw(header::CACHE_LINE_SIZE, slot::CACHE_LINE, 0xff, 0);
    s.rw(header::INTERRUPT_LINE, slot::INTERRUPT_LINE, 0xff, 0);
    wide_bar(s, header::BAR0, slot::BAR0, bar::BAR0_SIZE);
    if kind == Kind::Trust {
        wide_bar(s, header::BAR0 + 4 * bar::BAR2, slot::BAR2, bar::BAR2_SIZE);
    }
    s.ro(cap::pf::POWER, cap::PF_POWER_HEADER);
    s.ro(cap::pf::POWER + power::PMCSR, power::PMCSR_RESET);
    s.rw(cap::pf::POWER + power::PMCSR, slot::PMCSR, power::PMCSR_STATE.mask(), 0);
}

fn extended(s: &mut Space, kind: Kind, vfs: u64) {
    let a = cap::pf::AER;
    s.ro(a, cap::PF_AER_HEADER);
    s.rw(a + aer::UNCORRECTABLE_STATUS, slot::UNCORRECTABLE, 0, aer::UNCORRECTABLE_IMPLEMENTED);
    s.rw(a + aer::UNCORRECTABLE_MASK, slot::MASK, aer::UNCORRECTABLE_IMPLEMENTED, 0);
    s.ro(a + aer::UNCORRECTABLE_SEVERITY, aer::UNCORRECTABLE_SEVERITY_RESET);
    s.rw(a + aer::UNCORRECTABLE_SEVERITY, slot::SEVERITY, aer::UNCORRECTABLE_IMPLEMENTED, 0);
    s.rw(a + aer::CORRECTABLE_STATUS, slot::CORRECTABLE, 0, aer::CORRECTABLE_IMPLEMENTED);
    s.ro(a + aer::CORRECTABLE_MASK, aer::CORRECTABLE_MASK_RESET);
    s.rw(a + aer::CORRECTABLE_MASK, slot::CORRECTABLE_MASK, aer::CORRECTABLE_IMPLEMENTED, 0);
    s.rw(a + aer::CONTROL, slot::AER_CONTROL, 0, 0);
    for i in 0..4 {
        s.rw(a + aer::HEADER_LOG + 4 * i, slot::HEADER_LOG + i, 0, 0);
    }

    s.ro(cap::pf::ARI, cap::PF_ARI_HEADER);
    // Next Function links the PFs; the last one ends the list (PCIe 7.8.7.2).
    let next = (kind.code() + 1) % function::KINDS;
    s.ro(cap::pf::ARI + azote_regs::pcie::ari::CAPABILITY, azote_regs::pcie::ari::NEXT_FUNCTION.put(next));

    let v = cap::pf::SRIOV;
    s.ro(v, cap::PF_SRIOV_HEADER);
    s.ro(v + sriov::CAPABILITIES, sriov::CAPABILITIES_ARI_PRESERVED.mask());
    let ari = if kind.code() == 0 { sriov::CONTROL_ARI.mask() } else { 0 };
    s.rw(
        v + sriov::CONTROL,
        slot::SRIOV_CONTROL,
        sriov::CONTROL_VF_ENABLE.mask() | sriov::CONTROL_VF_MSE.mask() | ari,
        0,
    );
    s.ro(v + sriov::INITIAL_VFS, vfs);
    s.ro(v + sriov::TOTAL_VFS, vfs);
    s.ro(v + sriov::DEPENDENCY, kind.code());
    s.rw(v + sriov::NUM_VFS, slot::NUM_VFS, 0xffff, 0);
    s.ro(v + sriov::FIRST_VF_OFFSET, function::FIRST_VF_OFFSET);
    s.ro(v + sriov::VF_STRIDE, function::VF_STRIDE);
    s.ro(v + sriov::VF_DEVICE_ID, ids::device(kind));
    s.ro(v + sriov::SUPPORTED_PAGE_SIZES, sriov::SUPPORTED_PAGE_SIZES_VALUE);
    s.ro(v + sriov::SYSTEM_PAGE_SIZE, sriov::SYSTEM_PAGE_SIZE_RESET);
    s.rw(v + sriov::SYSTEM_PAGE_SIZE, slot::PAGE_SIZE, sriov::SUPPORTED_PAGE_SIZES_VALUE, 0);
    wide_bar(s, v + sriov::VF_BAR0, slot::VF_BAR0, bar::BAR0_SIZE);

    s.ro(cap::pf::ACS, cap::PF_ACS_HEADER);
    s.ro(cap::pf::ACS + acs::CAPABILITY, acs::CAPABILITY_VALUE);
    s.ro(cap::pf::DSN, cap::PF_DSN_HEADER);
    s.ro(cap::pf::DSN + dsn::SERIAL_LO, ids::SERIAL & 0xffff_ffff);
    s.ro(cap::pf::DSN + dsn::SERIAL_HI, ids::SERIAL >> 32);
}

/// The ROM: address `{vf, kind[1:0], dw[6:0]}`.
pub fn rom(vfs: u64) -> Vec<u128> {
    let mut words = vec![0; 8 * DWS];
    for kind in Kind::ALL {
        for vf in [false, true] {
            let base = (usize::from(vf) << 2 | kind.code() as usize) * DWS;
            for (i, d) in template(kind, vf, vfs).iter().enumerate() {
                words[base + i] = d.pack();
            }
        }
    }
    words
}
