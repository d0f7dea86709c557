//! Every field of configuration space that can change: where it is, who changes it, in which slot of the state RAM it
//! lives, and what a reset does to it. The template, the sweep of a reset and the tests take it from here.
//!
//! Function Level Reset keeps sticky fields and a list of others (PCIe 6.6.2); VF disable takes the VFs away and leaves the
//! PF as it is (PCIe 9.3.3.3.1). The card's `reset` is a fundamental reset: it resets all of them, sticky ones too.

use azote_regs::bar;
use azote_regs::function::Kind;
use azote_regs::pcie::{aer, capability as cap, express, header, msix, power, sriov};
use azote_regs::virtio;

/// Slots below this are swept by FLR; the rest are sticky and left alone (PCIe 6.6.2, 7.4).
pub const FIRST_STICKY: usize = 20;

/// Slots of the state RAM.
pub mod slot {
    pub const COMMAND: u64 = 0;
    pub const DEVICE: u64 = 1;
    pub const CACHE_LINE: u64 = 2;
    pub const BAR0: u64 = 3;
    pub const BAR1: u64 = 4;
    pub const BAR2: u64 = 5;
    pub const BAR3: u64 = 6;
    pub const INTERRUPT_LINE: u64 = 7;
    pub const PMCSR: u64 = 8;
    pub const MSIX: u64 = 9;
    pub const LINK: u64 = 10;
    pub const DEVICE_2: u64 = 11;
    pub const SRIOV_CONTROL: u64 = 12;
    pub const NUM_VFS: u64 = 13;
    pub const PAGE_SIZE: u64 = 14;
    pub const VF_BAR0: u64 = 15;
    pub const VF_BAR1: u64 = 16;
    /// Where a window looks.
    pub const WINDOW_BAR: u64 = 17;
    pub const WINDOW_OFFSET: u64 = 18;
    pub const WINDOW_LENGTH: u64 = 19;
    pub const UNCORRECTABLE: u64 = 20;
    pub const MASK: u64 = 21;
    pub const SEVERITY: u64 = 22;
    pub const CORRECTABLE: u64 = 23;
    pub const CORRECTABLE_MASK: u64 = 24;
    pub const AER_CONTROL: u64 = 25;
    pub const HEADER_LOG: u64 = 26;
    pub const LINK_2: u64 = 30;
}

/// Which functions have a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum In {
    /// Every PF.
    Pf,
    /// PF 0 alone.
    FirstPf,
    /// The trust PF alone.
    TrustPf,
    /// PFs and VFs.
    All,
}

impl In {
    /// Whether a PF or VF of `kind` has it.
    #[must_use]
    pub fn has(self, kind: Kind, vf: bool) -> bool {
        match self {
            In::Pf => !vf,
            In::FirstPf => !vf && kind.code() == 0,
            In::TrustPf => !vf && kind == Kind::Trust,
            In::All => true,
        }
    }
}

/// Who changes a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The host, by writing.
    Rw,
    /// The card sets it, the host clears it by writing 1.
    Rw1c,
    /// The card alone.
    Ro,
}

/// What Function Level Reset does to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flr {
    /// Back to what it is after reset.
    Resets,
    /// It stays.
    Keeps,
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Register and field.
    pub name: &'static str,
    /// Who has it.
    pub in_: In,
    /// Its DW, and its bits in there.
    pub offset: u64,
    /// See `offset`.
    pub mask: u64,
    /// Who changes it.
    pub access: Access,
    /// Where it lives.
    pub slot: u64,
    /// What FLR does to it. VF disable resets what a VF has, and touches nothing else.
    pub flr: Flr,
}

const fn row(name: &'static str, in_: In, offset: u64, mask: u64, access: Access, slot: u64, flr: Flr) -> Row {
    // 16-bit registers in the upper half of a DW: the mask moves with them.
    Row { name, in_, offset: offset & !3, mask: mask << (8 * (offset & 3)), access, slot, flr }
}

const EXPRESS: u64 = cap::pf::EXPRESS;
const AER: u64 = cap::pf::AER;
const SRIOV: u64 = cap::pf::SRIOV;
const BAR2: u64 = header::BAR0 + 4 * bar::BAR2;

/// All of them.
#[rustfmt::skip] // a table is read by its columns
pub const FIELDS: [Row; ROWS] = {
    use Access::{Ro, Rw, Rw1c};
    use Flr::{Keeps, Resets};
    use In::{All, FirstPf, Pf, TrustPf};
    let status = header::STATUS_MASTER_DATA_PARITY.mask() | header::STATUS_RECEIVED_TARGET_ABORT.mask()
        | header::STATUS_RECEIVED_MASTER_ABORT.mask() | header::STATUS_SIGNALED_SYSTEM_ERROR.mask()
        | header::STATUS_DETECTED_PARITY.mask();
    let command = header::COMMAND_MSE.mask() | header::COMMAND_PARITY.mask() | header::COMMAND_SERR.mask()
        | header::COMMAND_INTX_DISABLE.mask();
    let reporting = express::DEVICE_CONTROL_CORRECTABLE.mask() | express::DEVICE_CONTROL_NONFATAL.mask()
        | express::DEVICE_CONTROL_FATAL.mask() | express::DEVICE_CONTROL_UR.mask();
    let requests = express::DEVICE_CONTROL_RELAXED.mask() | express::DEVICE_CONTROL_EXT_TAG.mask()
        | express::DEVICE_CONTROL_NO_SNOOP.mask() | express::DEVICE_CONTROL_MRRS.mask();
    let found = express::DEVICE_STATUS_CORRECTABLE.mask() | express::DEVICE_STATUS_NONFATAL.mask()
        | express::DEVICE_STATUS_FATAL.mask() | express::DEVICE_STATUS_UR.mask();
    let link = express::LINK_CONTROL_RCB.mask() | express::LINK_CONTROL_COMMON_CLOCK.mask()
        | express::LINK_CONTROL_EXTENDED_SYNCH.mask();
    let vectors = msix::CONTROL_FUNCTION_MASK.mask() | msix::CONTROL_ENABLE.mask();
    let errors = aer::UNCORRECTABLE_IMPLEMENTED;
    let small = 0xffff_ffff & !(bar::BAR0_SIZE - 1);
    let large = 0xffff_ffff & !(bar::BAR2_SIZE - 1);
    let whole = 0xffff_ffff;
    [
        row("Command: Bus Master Enable", All, header::COMMAND, header::COMMAND_BME.mask(), Rw, slot::COMMAND, Resets),
        // A VF's memory space, parity response and SERR# are its PF's (PCIe 9.3.4.1.3).
        row("Command: the others", Pf, header::COMMAND, command, Rw, slot::COMMAND, Resets),
        row("Status", All, header::STATUS, status, Rw1c, slot::COMMAND, Resets),
        row("Cache Line Size", Pf, header::CACHE_LINE_SIZE, 0xff, Rw, slot::CACHE_LINE, Resets),
        row("Interrupt Line", Pf, header::INTERRUPT_LINE, 0xff, Rw, slot::INTERRUPT_LINE, Resets),
        row("BAR0", Pf, header::BAR0, small, Rw, slot::BAR0, Resets),
        row("BAR1", Pf, header::BAR0 + 4, whole, Rw, slot::BAR1, Resets),
        row("BAR2", TrustPf, BAR2, large, Rw, slot::BAR2, Resets),
        row("BAR3", TrustPf, BAR2 + 4, whole, Rw, slot::BAR3, Resets),
        row("PMCSR: Power State", Pf, cap::pf::POWER + power::PMCSR, power::PMCSR_STATE.mask(), Rw, slot::PMCSR, Resets),
        row("MSI-X: Enable, Function Mask", All, cap::pf::MSIX + msix::CONTROL, vectors, Rw, slot::MSIX, Resets),
        row("Device Control: error reporting", Pf, EXPRESS + express::DEVICE_CONTROL, reporting, Rw, slot::DEVICE, Resets),
        row("Device Control: Max_Payload_Size", Pf, EXPRESS + express::DEVICE_CONTROL, express::DEVICE_CONTROL_MPS.mask(), Rw, slot::DEVICE, Keeps),
        row("Device Control: of requests", Pf, EXPRESS + express::DEVICE_CONTROL, requests, Rw, slot::DEVICE, Resets),
        // Of a VF's Device Control only FLR does anything, and reads 0; the rest is its PF's (PCIe 9.3.5.4).
        row("Device Status: errors", All, EXPRESS + express::DEVICE_STATUS, found, Rw1c, slot::DEVICE, Resets),
        row("Link Control: RCB, Common Clock, Extended Synch", Pf, EXPRESS + express::LINK_CONTROL, link, Rw, slot::LINK, Keeps),
        row("Device Control 2: Completion Timeout Disable", Pf, EXPRESS + express::DEVICE_CONTROL_2, express::DEVICE_CONTROL_2_CTO_DISABLE.mask(), Rw, slot::DEVICE_2, Resets),
        row("Link Control 2: Target Link Speed", Pf, EXPRESS + express::LINK_CONTROL_2, express::LINK_CONTROL_2_TARGET.mask(), Rw, slot::LINK_2, Keeps),
        row("SR-IOV Control: VF Enable, VF MSE", Pf, SRIOV + sriov::CONTROL, sriov::CONTROL_VF_ENABLE.mask() | sriov::CONTROL_VF_MSE.mask(), Rw, slot::SRIOV_CONTROL, Resets),
        // It tells of the hierarchy and not of the function (PCIe 9.3.3.3.5).
        row("SR-IOV Control: ARI Capable Hierarchy", FirstPf, SRIOV + sriov::CONTROL, sriov::CONTROL_ARI.mask(), Rw, slot::SRIOV_CONTROL, Keeps),
        row("NumVFs", Pf, SRIOV + sriov::NUM_VFS, 0xffff, Rw, slot::NUM_VFS, Resets),
        row("System Page Size", Pf, SRIOV + sriov::SYSTEM_PAGE_SIZE, sriov::SUPPORTED_PAGE_SIZES_VALUE, Rw, slot::PAGE_SIZE, Resets),
        row("VF BAR0", Pf, SRIOV + sriov::VF_BAR0, small, Rw, slot::VF_BAR0, Resets),
        row("VF BAR1", Pf, SRIOV + sriov::VF_BAR0 + 4, whole, Rw, slot::VF_BAR1, Resets),
        row("AER: Uncorrectable Error Status", Pf, AER + aer::UNCORRECTABLE_STATUS, errors, Rw1c, slot::UNCORRECTABLE, Keeps),
        row("AER: Uncorrectable Error Mask", Pf, AER + aer::UNCORRECTABLE_MASK, errors, Rw, slot::MASK, Keeps),
        row("AER: Uncorrectable Error Severity", Pf, AER + aer::UNCORRECTABLE_SEVERITY, errors, Rw, slot::SEVERITY, Keeps),
        row("AER: Correctable Error Status", Pf, AER + aer::CORRECTABLE_STATUS, aer::CORRECTABLE_IMPLEMENTED, Rw1c, slot::CORRECTABLE, Keeps),
        row("AER: Correctable Error Mask", Pf, AER + aer::CORRECTABLE_MASK, aer::CORRECTABLE_IMPLEMENTED, Rw, slot::CORRECTABLE_MASK, Keeps),
        row("AER: First Error Pointer", Pf, AER + aer::CONTROL, aer::CONTROL_FIRST_ERROR.mask(), Ro, slot::AER_CONTROL, Keeps),
        row("AER: Header Log, DW 0", Pf, AER + aer::HEADER_LOG, whole, Ro, slot::HEADER_LOG, Keeps),
        row("AER: Header Log, DW 1", Pf, AER + aer::HEADER_LOG + 4, whole, Ro, slot::HEADER_LOG + 1, Keeps),
        row("AER: Header Log, DW 2", Pf, AER + aer::HEADER_LOG + 8, whole, Ro, slot::HEADER_LOG + 2, Keeps),
        row("AER: Header Log, DW 3", Pf, AER + aer::HEADER_LOG + 12, whole, Ro, slot::HEADER_LOG + 3, Keeps),
    ]
};
const ROWS: usize = 34;

/// Those of a function that has a window, whose capability lies at `at`.
#[must_use]
pub const fn window(at: u64) -> [Row; 3] {
    use Access::Rw;
    use Flr::Resets;
    use In::All;
    [
        row("Window: bar", All, at + virtio::pci::BAR, virtio::pci::BAR_INDEX.mask(), Rw, slot::WINDOW_BAR, Resets),
        row("Window: offset", All, at + virtio::pci::OFFSET, 0xffff_ffff, Rw, slot::WINDOW_OFFSET, Resets),
        row("Window: length", All, at + virtio::pci::LENGTH, 0xffff_ffff, Rw, slot::WINDOW_LENGTH, Resets),
    ]
}

/// By slot: the bits that the sweep of an FLR leaves as they are.
pub const KEPT: [u64; FIRST_STICKY] = {
    let mut kept = [0; FIRST_STICKY];
    let mut i = 0;
    while i < ROWS {
        let field = FIELDS[i];
        if (field.slot as usize) < FIRST_STICKY {
            if matches!(field.flr, Flr::Keeps) {
                kept[field.slot as usize] |= field.mask;
            }
        } else {
            assert!(matches!(field.flr, Flr::Keeps), "a field lives with the sticky ones and is not kept");
        }
        i += 1;
    }
    kept
};
