//! The states of the machine behind configuration space, and the DWs of which it knows what they do.

use azote_regs::pcie::{capability as cap, express, header, power, sriov};

pub struct St;
impl St {
    pub const IDLE: u64 = 0;
    // An access: its template, its state, what it becomes, what comes of that.
    pub const ROM: u64 = 1;
    pub const STATE: u64 = 2;
    pub const EXECUTE: u64 = 3;
    pub const EFFECT: u64 = 4;
    pub const ACK: u64 = 5;
    // Functions are reset, one after the other.
    pub const SWEEP_NEXT: u64 = 6;
    pub const SWEEP_READ: u64 = 7;
    pub const SWEEP: u64 = 8;
    /// An error is recorded.
    pub const ERROR: u64 = 9;
    /// A function that was reset begins anew.
    pub const CLEAR: u64 = 10;
    pub const CHECK: u64 = 11;
    // Where a window looks.
    pub const WINDOW_BAR: u64 = 12;
    pub const WINDOW_OFFSET: u64 = 13;
    pub const WINDOW_LENGTH: u64 = 14;
}

/// DW number of a register.
const fn dw(offset: u64) -> u64 {
    offset / 4
}
pub const DW_COMMAND: u64 = dw(header::COMMAND);
pub const DW_BAR0: u64 = dw(header::BAR0);
pub const DW_BAR1: u64 = DW_BAR0 + 1;
pub const DW_BAR2: u64 = DW_BAR0 + 2;
pub const DW_BAR3: u64 = DW_BAR0 + 3;
pub const DW_PMCSR: u64 = dw(cap::pf::POWER + power::PMCSR);
pub const DW_MSIX: u64 = dw(cap::pf::MSIX);
pub const DW_DEVICE: u64 = dw(cap::pf::EXPRESS + express::DEVICE_CONTROL);
pub const DW_DEVICE_2: u64 = dw(cap::pf::EXPRESS + express::DEVICE_CONTROL_2);
pub const DW_SRIOV: u64 = dw(cap::pf::SRIOV + sriov::CONTROL);
pub const DW_NUM_VFS: u64 = dw(cap::pf::SRIOV + sriov::NUM_VFS);
pub const DW_PAGE: u64 = dw(cap::pf::SRIOV + sriov::SYSTEM_PAGE_SIZE);
pub const DW_VF_BAR: u64 = dw(cap::pf::SRIOV + sriov::VF_BAR0);
pub const DW_VF_BAR1: u64 = DW_VF_BAR + 1;
