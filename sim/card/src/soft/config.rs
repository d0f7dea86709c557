//! The model's configuration spaces: bytes, and which of their bits can be written.

use azote_regs::Field;
use azote_regs::function::{FunctionId, KINDS, Kind, Role};
use azote_regs::pcie::{acs, ari, capability, dsn, express, header, msix, power, sriov};
use azote_regs::virtio::{net::config::LENGTH, pci as virtio};
use azote_regs::{bar, ids};

/// One function's space.
#[derive(Clone)]
struct Space {
    words: Vec<u32>,
    writable: Vec<u32>,
}

impl Space {
    fn new() -> Self {
        Space { words: vec![0; 1024], writable: vec![0; 1024] }
    }

    /// Sets up to four bytes at any offset, and which of their bits can be written.
    fn put(&mut self, offset: u64, value: u64, writable: u64) {
        let shift = 8 * (offset & 3);
        self.words[(offset >> 2) as usize] |= (value << shift) as u32;
        self.writable[(offset >> 2) as usize] |= (writable << shift) as u32;
    }

    fn get(&self, offset: u64) -> u64 {
        u64::from(self.words[(offset >> 2) as usize]) >> (8 * (offset & 3))
    }

    fn put_bar(&mut self, register: u64, size: u64) {
        let mask = !(size - 1);
        self.put(register, header::BAR_FLAGS, mask & 0xffff_ffff);
        self.put(register + 4, 0, mask >> 32);
    }
}

/// The spaces of all functions.
pub(super) struct Config {
    reset: Vec<Option<Space>>,
    now: Vec<Option<Space>>,
    /// Functions that were reset, and whose engine has not heard of it.
    resets: Vec<u8>,
}

impl Config {
    /// Spaces of a card with `vfs` VFs of each kind, and virtio's capabilities on net functions if they speak it.
    pub fn new(vfs: u8, virtio: bool) -> Self {
        let mut reset: Vec<Option<Space>> = (0..256).map(|_| None).collect();
        for kind in Kind::ALL {
            reset[usize::from(FunctionId::pf(kind).number())] = Some(pf(kind, vfs));
            for vf in (0..vfs).filter_map(|i| FunctionId::vf(kind, i)) {
                reset[usize::from(vf.number())] = Some(vf_space(kind));
            }
        }
        if virtio {
            let numbers = (0..=255u8).filter(|n| FunctionId::from_number(*n).is_some_and(|id| id.kind == Kind::Net));
            numbers.for_each(|n| reset[usize::from(n)].iter_mut().for_each(virtio_capabilities));
        }
        Config { now: reset.clone(), reset, resets: Vec::new() }
    }

    pub fn reset(&mut self) {
        self.now = self.reset.clone();
    }

    fn space(&self, function: u8) -> Option<&Space> {
        self.now[usize::from(function)].as_ref()
    }

    fn is_set(&self, function: u8, offset: u64, field: Field) -> bool {
        self.space(function).is_some_and(|s| field.is_set(s.get(offset)))
    }

    /// Does the function exist now?
    pub fn exists(&self, function: u8) -> bool {
        match FunctionId::from_number(function) {
            None => false,
            Some(FunctionId { role: Role::Pf, .. }) => true,
            Some(FunctionId { kind, role: Role::Vf(i) }) => {
                let pf = FunctionId::pf(kind).number();
                let at = capability::pf::SRIOV;
                let count = self.space(pf).map_or(0, |s| s.get(at + sriov::NUM_VFS) & 0xffff);
                self.is_set(pf, at + sriov::CONTROL, sriov::CONTROL_VF_ENABLE)
                    && u64::from(i) < count
                    && self.space(function).is_some()
            }
        }
    }

    pub fn may_request(&self, function: u8) -> bool {
        self.exists(function) && self.is_set(function, header::COMMAND, header::COMMAND_BME)
    }

    pub fn msix_enabled(&self, function: u8) -> bool {
        self.is_set(function, capability::pf::MSIX + msix::CONTROL, msix::CONTROL_ENABLE)
    }

    /// Max_Payload_Size and Max_Read_Request_Size of a function.
    pub fn sizes(&self, function: u8) -> (u64, u64) {
        let Some(id) = FunctionId::from_number(function) else { return (128, 128) };
        let pf = self.space(FunctionId::pf(id.kind).number());
        let control = pf.map_or(0, |s| s.get(capability::pf::EXPRESS + express::DEVICE_CONTROL));
        let bytes = |field: Field| express::payload_bytes(field.of(control));
        (bytes(express::DEVICE_CONTROL_MPS), bytes(express::DEVICE_CONTROL_MRRS))
    }

    pub fn read(&self, function: u8, register: u16) -> Option<u32> {
        if !self.exists(function) {
            return None;
        }
        self.space(function).map(|s| s.words[usize::from(register) / 4])
    }

    /// Writes; returns true if the function does not exist, and resets it if asked to.
    pub fn write(&mut self, function: u8, register: u16, first_be: u8, data: [u8; 4]) -> bool {
        if !self.exists(function) {
            return false;
        }
        let at = usize::from(register) / 4;
        if let Some(space) = &mut self.now[usize::from(function)] {
            let bytes = (0..4).filter(|i| first_be >> i & 1 == 1).fold(0, |m, i| m | 0xffu32 << (8 * i));
            let mask = space.writable[at] & bytes;
            space.words[at] = space.words[at] & !mask | u32::from_le_bytes(data) & mask;
        }
        let control = capability::pf::EXPRESS + express::DEVICE_CONTROL;
        if self.is_set(function, control, express::DEVICE_CONTROL_FLR) {
            self.flr(function);
        }
        true
    }

    /// Has the function been reset since it was last asked?
    pub fn take_reset(&mut self, function: u8) -> bool {
        let before = self.resets.len();
        self.resets.retain(|f| *f != function);
        self.resets.len() < before
    }

    /// Where in BAR0, and how many bytes, virtio's window is directed at, if that register is its data and it may be used.
    pub fn window(&self, function: u8, register: u16) -> Option<(u64, usize)> {
        let space = self.space(function).filter(|_| self.exists(function))?;
        let at = WINDOW;
        let word = |offset: u64| space.get(at + offset) & 0xffff_ffff;
        let (offset, len) = (word(virtio::OFFSET), word(virtio::LENGTH));
        let wanted = u64::from(register) == at + virtio::DATA && virtio::BAR_INDEX.of(word(virtio::BAR)) == bar::BAR0;
        let fits = matches!(len, 1 | 2 | 4) && offset.is_multiple_of(len) && offset + len <= bar::BAR0_SIZE;
        (wanted && fits && space.get(at) & 0xff == virtio::ID).then_some((offset, len as usize))
    }

    /// What virtio's window shows.
    pub fn set_window(&mut self, function: u8, data: [u8; 4]) {
        if let Some(space) = &mut self.now[usize::from(function)] {
            space.words[(WINDOW + virtio::DATA) as usize / 4] = u32::from_le_bytes(data);
        }
    }

    fn flr(&mut self, function: u8) {
        self.resets.push(function);
        self.now[usize::from(function)] = self.reset[usize::from(function)].clone();
        if let Some(FunctionId { kind, role: Role::Pf }) = FunctionId::from_number(function) {
            for vf in (0..=255u8).filter_map(FunctionId::from_number).filter(|f| f.kind == kind && f.role != Role::Pf) {
                self.now[usize::from(vf.number())] = self.reset[usize::from(vf.number())].clone();
                self.resets.push(vf.number());
            }
        }
    }

    /// Which function and which offset of which BAR an address is.
    pub fn decode(&self, address: u64) -> Option<(u8, u64, u64)> {
        let base = |space: &Space, register: u64| {
            (space.get(register) & 0xffff_fff0) | (space.get(register + 4) & 0xffff_ffff) << 32
        };
        for kind in 0..KINDS as u8 {
            let Some(pf) = self.space(kind) else { continue };
            if header::COMMAND_MSE.is_set(pf.get(header::COMMAND)) {
                for (index, size) in [(bar::BAR0, bar::BAR0_SIZE), (bar::BAR2, bar::BAR2_SIZE)] {
                    let register = header::BAR0 + 4 * index;
                    let start = base(pf, register);
                    if pf.writable[(register / 4) as usize] != 0 && (start..start + size).contains(&address) {
                        return Some((kind, index, address - start));
                    }
                }
            }
            let at = capability::pf::SRIOV;
            if sriov::CONTROL_VF_MSE.is_set(pf.get(at + sriov::CONTROL)) {
                let Some(offset) = address.checked_sub(base(pf, at + sriov::VF_BAR0)) else { continue };
                let vf = Kind::from_code(kind.into()).zip(u8::try_from(offset / bar::BAR0_SIZE).ok());
                if let Some(vf) = vf.and_then(|(kind, i)| FunctionId::vf(kind, i)).map(FunctionId::number)
                    && self.exists(vf)
                {
                    return Some((vf, bar::BAR0, offset % bar::BAR0_SIZE));
                }
            }
        }
        None
    }
}

/// Where the window lies: behind the capabilities that all functions have, and those that tell of virtio's structures.
const WINDOW: u64 = capability::ADDED + 4 * virtio::CAP_SIZE + 4;

/// Tells where a virtio device's structures are.
fn virtio_capabilities(space: &mut Space) {
    space.put(capability::pf::EXPRESS, capability::header(0, capability::ADDED), 0);
    let mut at = capability::ADDED;
    for structure in virtio::structures(LENGTH) {
        space.put(at, virtio::header(at + structure.size, structure.size, structure.cfg_type), 0);
        space.put(at + virtio::OFFSET, structure.at, 0);
        space.put(at + virtio::LENGTH, structure.length, 0);
        if structure.cfg_type == virtio::NOTIFY_CFG {
            space.put(at + virtio::NOTIFY_MULTIPLIER, virtio::NOTIFY_STRIDE, 0);
        }
        at += structure.size;
    }
    space.put(at, virtio::header(0, virtio::PCI_CFG_SIZE, virtio::PCI_CFG), 0);
    space.put(at + virtio::BAR, 0, virtio::BAR_INDEX.mask());
    for register in [virtio::OFFSET, virtio::LENGTH, virtio::DATA] {
        space.put(at + register, 0, 0xffff_ffff);
    }
}

fn common(space: &mut Space, kind: Kind) {
    space.put(header::COMMAND, 0, header::COMMAND_BME.mask());
    space.put(header::STATUS, header::STATUS_CAPABILITIES.mask(), 0);
    space.put(header::SUBSYSTEM_VENDOR_ID, ids::SUBSYSTEM_VENDOR, 0);
    space.put(header::SUBSYSTEM_ID, ids::subsystem(kind), 0);
    space.put(header::HEADER_TYPE, header::HEADER_MULTI_FUNCTION.mask(), 0);
    space.put(capability::pf::MSIX, capability::msix_header(kind), 0);
    let control = msix::CONTROL_ENABLE.mask() | msix::CONTROL_FUNCTION_MASK.mask();
    space.put(capability::pf::MSIX + msix::CONTROL, 0, control);
    space.put(capability::pf::MSIX + msix::TABLE, msix::TABLE_VALUE, 0);
    space.put(capability::pf::MSIX + msix::PBA, msix::PBA_VALUE, 0);
    let at = capability::pf::EXPRESS;
    space.put(at, capability::EXPRESS_HEADER, 0);
    space.put(at + express::DEVICE_CAPS, express::DEVICE_CAPS_VALUE, 0);
    space.put(at + express::DEVICE_CONTROL, 0, express::DEVICE_CONTROL_FLR.mask());
}

fn pf(kind: Kind, vfs: u8) -> Space {
    let mut space = Space::new();
    common(&mut space, kind);
    space.put(header::VENDOR_ID, ids::VENDOR, 0);
    space.put(header::DEVICE_ID, ids::device(kind), 0);
    space.put(header::REVISION_ID, ids::REVISION | ids::class(kind) << 8, 0);
    space.put(header::COMMAND, 0, header::COMMAND_MSE.mask());
    space.put(header::CAPABILITIES, capability::pf::FIRST, 0);
    space.put(capability::pf::POWER, capability::PF_POWER_HEADER, 0);
    space.put(capability::pf::POWER + power::PMCSR, power::PMCSR_RESET, power::PMCSR_STATE.mask());
    space.put_bar(header::BAR0, bar::BAR0_SIZE);
    if kind == Kind::Trust {
        space.put_bar(header::BAR0 + 4 * bar::BAR2, bar::BAR2_SIZE);
    }
    let at = capability::pf::EXPRESS + express::DEVICE_CONTROL;
    space.put(at, express::DEVICE_CONTROL_RESET, 0x7fff);
    space.put(capability::pf::AER, capability::PF_AER_HEADER, 0);
    space.put(capability::pf::ARI, capability::PF_ARI_HEADER, 0);
    let next = if kind == Kind::Trust { 0 } else { kind.code() + 1 };
    space.put(capability::pf::ARI + ari::CAPABILITY, ari::NEXT_FUNCTION.put(next), 0);
    let at = capability::pf::SRIOV;
    space.put(at, capability::PF_SRIOV_HEADER, 0);
    let control = sriov::CONTROL_VF_ENABLE.mask() | sriov::CONTROL_VF_MSE.mask() | sriov::CONTROL_ARI.mask();
    space.put(at + sriov::CONTROL, 0, control);
    space.put(at + sriov::INITIAL_VFS, vfs.into(), 0);
    space.put(at + sriov::TOTAL_VFS, vfs.into(), 0);
    space.put(at + sriov::NUM_VFS, 0, 0xffff);
    space.put(at + sriov::FIRST_VF_OFFSET, azote_regs::function::FIRST_VF_OFFSET, 0);
    space.put(at + sriov::VF_STRIDE, azote_regs::function::VF_STRIDE, 0);
    space.put(at + sriov::VF_DEVICE_ID, ids::device(kind), 0);
    space.put(at + sriov::SUPPORTED_PAGE_SIZES, sriov::SUPPORTED_PAGE_SIZES_VALUE, 0);
    space.put(at + sriov::SYSTEM_PAGE_SIZE, sriov::SYSTEM_PAGE_SIZE_RESET, 0);
    space.put_bar(at + sriov::VF_BAR0, bar::BAR0_SIZE);
    space.put(capability::pf::ACS, capability::PF_ACS_HEADER, 0);
    space.put(capability::pf::DSN, capability::PF_DSN_HEADER, 0);
    space.put(capability::pf::DSN + dsn::SERIAL_LO, ids::SERIAL & 0xffff_ffff, 0);
    space.put(capability::pf::DSN + dsn::SERIAL_HI, ids::SERIAL >> 32, 0);
    space
}

fn vf_space(kind: Kind) -> Space {
    let mut space = Space::new();
    common(&mut space, kind);
    space.put(header::VENDOR_ID, ids::VF_ID | ids::VF_ID << 16, 0);
    space.put(header::REVISION_ID, ids::REVISION | ids::class(kind) << 8, 0);
    space.put(header::CAPABILITIES, capability::vf::FIRST, 0);
    space.put(capability::vf::ARI, capability::VF_ARI_HEADER, 0);
    space.put(capability::vf::ACS, capability::VF_ACS_HEADER, 0);
    space.put(capability::vf::ACS + acs::CAPABILITY, acs::CAPABILITY_VALUE, 0);
    space
}
