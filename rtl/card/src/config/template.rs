//! What configuration space looks like: a template for each kind of PF and of VF, in plain Rust.
//!
//! The state RAM keeps every register as its difference to the reset value, so that a reset is a RAM full of zeroes. A
//! template says for each DW the reset value, which bits the host can write, which it clears by writing 1, and in which
//! slot of the state RAM the DW lives (read-only DWs live in none). What can change comes from [`super::fields`].

use azote_regs::function::{self, Kind};
use azote_regs::pcie::{self, acs, aer, ari, capability as cap, dsn, express, header, msix, power, sriov};
use azote_regs::{bar, ids, virtio};

use super::fields::{Access, FIELDS, Row, window};

/// DWs of configuration space that a template describes; beyond, all reads are zero.
pub const DWS: usize = 128;
const KINDS: usize = function::KINDS as usize;
/// One DW.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dw {
    pub reset: u64,
    pub writable: u64,
    pub clear_by_one: u64,
    /// Where it lives; only meaningful if anything can change it.
    pub slot: u64,
    pub stored: bool,
    /// An access to it is one to the function's registers.
    pub window: bool,
}

/// What an engine adds to configuration space: capabilities of its functions, PFs and VFs alike.
#[derive(Clone, Debug, Default)]
pub struct Added {
    /// Capabilities that nobody writes: the DWs of each, its first without the pointer to the next.
    pub constant: Vec<Vec<u32>>,
    /// A window to the registers of the function: virtio's PCI configuration access capability, the last in the list.
    pub window: bool,
}

impl Added {
    /// Where each of the constant ones lies, and the window: one behind the other.
    fn places(&self) -> (Vec<u64>, Option<u64>) {
        let mut end = cap::ADDED;
        let mut place = |size: u64| {
            let at = end;
            end += size;
            assert!(end <= pcie::EXTENDED, "an engine adds capabilities of {} bytes", end - cap::ADDED);
            at
        };
        let constant = self.constant.iter().map(|dws| place(4 * dws.len() as u64)).collect();
        (constant, self.window.then(|| place(virtio::pci::PCI_CFG_SIZE)))
    }

    /// Where the window's capability lies, if there is one.
    #[must_use]
    pub fn window(&self) -> Option<u64> {
        self.places().1
    }
}

impl Dw {
    /// As the ROM has it: `{window, stored, slot[4:0], clear_by_one[31:0], writable[31:0], reset[31:0]}`.
    pub fn pack(&self) -> u128 {
        let high = u128::from(self.slot) | u128::from(self.stored) << 5 | u128::from(self.window) << 6;
        high << 96 | u128::from(self.clear_by_one) << 64 | u128::from(self.writable) << 32 | u128::from(self.reset)
    }
}

struct Space([Dw; DWS]);

impl Space {
    fn ro(&mut self, offset: u64, value: u64) {
        self.0[offset as usize / 4].reset |= value << (8 * (offset % 4));
    }
    /// All fields that a function of `kind` has and that can change.
    fn fields(&mut self, fields: &[Row], kind: Kind, vf: bool) {
        for field in fields.iter().filter(|f| f.in_.has(kind, vf)) {
            let d = &mut self.0[field.offset as usize / 4];
            assert!(!d.stored || d.slot == field.slot, "{}: a DW lives in one slot", field.name);
            d.slot = field.slot;
            d.stored = true;
            match field.access {
                Access::Rw => d.writable |= field.mask,
                Access::Rw1c => d.clear_by_one |= field.mask,
                Access::Ro => {}
            }
        }
    }
}

/// The template of a function of `kind`, to which its engine adds something; `vfs` is the number of VFs that its PF has.
pub fn template(kind: Kind, vf: bool, vfs: u64, added: &Added) -> [Dw; DWS] {
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
    s.fields(&FIELDS, kind, vf);
    add(&mut s, kind, vf, added);
    s.0
}

/// What the engine adds, linked behind the last one that all have.
fn add(s: &mut Space, kind: Kind, vf: bool, added: &Added) {
    let (places, window_at) = added.places();
    let mut last = cap::pf::EXPRESS;
    for (at, dws) in places.into_iter().zip(&added.constant) {
        s.ro(last, cap::NEXT.put(at));
        (0..).zip(dws).for_each(|(i, dw)| s.ro(at + 4 * i, (*dw).into()));
        last = at;
    }
    if let Some(at) = window_at {
        s.ro(last, cap::NEXT.put(at));
        s.ro(at, virtio::pci::header(0, virtio::pci::PCI_CFG_SIZE, virtio::pci::PCI_CFG));
        s.fields(&window(at), kind, vf);
        s.0[(at + virtio::pci::DATA) as usize / 4].window = true;
    }
}

fn common(s: &mut Space, kind: Kind, vf: bool) {
    let (vendor, device) = if vf { (ids::VF_ID, ids::VF_ID) } else { (ids::VENDOR, ids::device(kind)) };
    s.ro(header::VENDOR_ID, vendor);
    s.ro(header::DEVICE_ID, device);
    s.ro(header::STATUS, header::STATUS_CAPABILITIES.mask());
    s.ro(header::REVISION_ID, ids::REVISION);
    s.ro(header::CLASS_CODE, ids::class(kind));
    s.ro(header::SUBSYSTEM_VENDOR_ID, ids::SUBSYSTEM_VENDOR);
    s.ro(header::SUBSYSTEM_ID, ids::subsystem(kind));
    s.ro(header::CAPABILITIES, if vf { cap::vf::FIRST } else { cap::pf::FIRST });
    s.ro(cap::pf::MSIX, cap::msix_header(kind));
    s.ro(cap::pf::MSIX + msix::TABLE, msix::TABLE_VALUE);
    s.ro(cap::pf::MSIX + msix::PBA, msix::PBA_VALUE);

    let e = cap::pf::EXPRESS;
    s.ro(e, cap::EXPRESS_HEADER);
    s.ro(e + express::DEVICE_CAPS, express::DEVICE_CAPS_VALUE);
    if !vf {
        s.ro(e + express::DEVICE_CONTROL, express::DEVICE_CONTROL_RESET);
    }
    s.ro(e + express::LINK_CAPS, express::LINK_CAPS_VALUE);
    s.ro(e + express::DEVICE_CAPS_2, express::DEVICE_CAPS_2_VALUE);
    s.ro(e + express::LINK_CAPS_2, express::LINK_CAPS_2_VALUE);
    if !vf {
        s.ro(e + express::LINK_STATUS, express::LINK_STATUS_VALUE);
        s.ro(e + express::LINK_CONTROL_2, express::LINK_CONTROL_2_RESET);
    }
}

/// The low bits of a 64-bit BAR; the rest can be written.
fn wide_bar(s: &mut Space, offset: u64) {
    s.ro(offset, header::BAR_FLAGS);
}

fn physical(s: &mut Space, kind: Kind) {
    s.ro(header::HEADER_TYPE, header::HEADER_MULTI_FUNCTION.mask());
    wide_bar(s, header::BAR0);
    if kind == Kind::Trust {
        wide_bar(s, header::BAR0 + 4 * bar::BAR2);
    }
    s.ro(cap::pf::POWER, cap::PF_POWER_HEADER);
    s.ro(cap::pf::POWER + power::PMCSR, power::PMCSR_RESET);
}

fn extended(s: &mut Space, kind: Kind, vfs: u64) {
    let a = cap::pf::AER;
    s.ro(a, cap::PF_AER_HEADER);
    s.ro(a + aer::UNCORRECTABLE_SEVERITY, aer::UNCORRECTABLE_SEVERITY_RESET);
    s.ro(a + aer::CORRECTABLE_MASK, aer::CORRECTABLE_MASK_RESET);

    s.ro(cap::pf::ARI, cap::PF_ARI_HEADER);
    // Next Function links the PFs; the last one ends the list (PCIe 7.8.7.2).
    let next = (kind.code() + 1) % function::KINDS;
    s.ro(cap::pf::ARI + ari::CAPABILITY, ari::NEXT_FUNCTION.put(next));

    let v = cap::pf::SRIOV;
    s.ro(v, cap::PF_SRIOV_HEADER);
    // As the bit that it is about, in the lowest-numbered PF only (PCIe 9.3.3.2.2).
    s.ro(v + sriov::CAPABILITIES, sriov::CAPABILITIES_ARI_PRESERVED.put((kind.code() == 0).into()));
    s.ro(v + sriov::INITIAL_VFS, vfs);
    s.ro(v + sriov::TOTAL_VFS, vfs);
    s.ro(v + sriov::DEPENDENCY, kind.code());
    s.ro(v + sriov::FIRST_VF_OFFSET, function::FIRST_VF_OFFSET);
    s.ro(v + sriov::VF_STRIDE, function::VF_STRIDE);
    s.ro(v + sriov::VF_DEVICE_ID, ids::device(kind));
    s.ro(v + sriov::SUPPORTED_PAGE_SIZES, sriov::SUPPORTED_PAGE_SIZES_VALUE);
    s.ro(v + sriov::SYSTEM_PAGE_SIZE, sriov::SYSTEM_PAGE_SIZE_RESET);
    wide_bar(s, v + sriov::VF_BAR0);

    s.ro(cap::pf::ACS, cap::PF_ACS_HEADER);
    s.ro(cap::pf::ACS + acs::CAPABILITY, acs::CAPABILITY_VALUE);
    s.ro(cap::pf::DSN, cap::PF_DSN_HEADER);
    s.ro(cap::pf::DSN + dsn::SERIAL_LO, ids::SERIAL & 0xffff_ffff);
    s.ro(cap::pf::DSN + dsn::SERIAL_HI, ids::SERIAL >> 32);
}

/// The ROM: address `{vf, kind[1:0], dw[6:0]}`.
pub fn rom(vfs: u64, added: &[Added; KINDS]) -> Vec<u128> {
    let mut words = vec![0; 8 * DWS];
    for kind in Kind::ALL {
        for vf in [false, true] {
            let base = (usize::from(vf) << 2 | kind.code() as usize) * DWS;
            for (i, d) in template(kind, vf, vfs, &added[kind.code() as usize]).iter().enumerate() {
                words[base + i] = d.pack();
            }
        }
    }
    words
}
