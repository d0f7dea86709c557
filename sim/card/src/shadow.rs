//! What the host has told each function it may do: a shadow of the configuration writes that went to the card.
//!
//! The isolation rules are about permission, and permission comes from the host. So the checker keeps its own account of
//! it, from the writes on the wire, and never asks the card.

use azote_regs::function::{FunctionId, KINDS, Kind, Role};
use azote_regs::pcie::{capability, express, header, power, sriov};
use azote_regs::{Field, bar};
use azote_tlp::rules::Limits;

/// The state of all functions as one moment of the write stream has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shadow {
    command: Vec<u16>,
    pf: [PfState; KINDS as usize],
    bars: [Bars; KINDS as usize],
}

/// BARs of a PF and of its VFs, as they were written: who asks by address must be answered by whom it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Bars {
    pf: [u32; header::BARS as usize],
    vf: [u32; header::BARS as usize],
    /// A larger System Page Size than 4 KiB was set: VFs' BARs may lie further apart.
    large_pages: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PfState {
    device_control: u16,
    sriov_control: u16,
    num_vfs: u16,
    power: u16,
}

const PF_RESET: PfState = PfState {
    device_control: express::DEVICE_CONTROL_RESET as u16,
    sriov_control: 0,
    num_vfs: 0,
    power: power::D0 as u16,
};

impl Default for Shadow {
    fn default() -> Self {
        Shadow { command: vec![0; 256], pf: [PF_RESET; KINDS as usize], bars: Default::default() }
    }
}

/// One configuration write of up to four bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    pub function: u8,
    pub register: u16,
    pub first_be: u8,
    pub data: [u8; 4],
}

impl Write {
    /// The 16-bit register at `offset` after this write, if it touches any of it.
    fn merged(&self, offset: u64, old: u16) -> Option<u16> {
        let dw = u64::from(self.register);
        if offset & !3 != dw {
            return None;
        }
        let shift = (offset & 3) as usize;
        let mut bytes = old.to_le_bytes();
        let mut touched = false;
        for (i, byte) in bytes.iter_mut().enumerate() {
            if self.first_be >> (shift + i) & 1 == 1 {
                *byte = self.data[shift + i];
                touched = true;
            }
        }
        touched.then(|| u16::from_le_bytes(bytes))
    }
}

fn is_set(field: Field, value: u16) -> bool {
    field.is_set(value.into())
}

impl Shadow {
    /// Applies a write that the card completed with success.
    pub fn apply(&mut self, write: &Write) {
        let Some(id) = FunctionId::from_number(write.function) else { return };
        if !self.exists(write.function) {
            return;
        }
        let function = usize::from(write.function);
        if let Some(value) = write.merged(header::COMMAND, self.command[function]) {
            self.command[function] = value;
        }
        let kind = id.kind as usize;
        let express = match id.role {
            Role::Pf => capability::pf::EXPRESS,
            Role::Vf(_) => capability::vf::EXPRESS,
        };
        let old = if id.role == Role::Pf { self.pf[kind].device_control } else { 0 };
        if let Some(value) = write.merged(express + express::DEVICE_CONTROL, old) {
            if id.role == Role::Pf {
                self.pf[kind].device_control = value;
            }
            if is_set(express::DEVICE_CONTROL_FLR, value) {
                return self.reset(id);
            }
        }
        if id.role == Role::Pf {
            self.apply_pf(id.kind, write);
            self.apply_bars(id.kind, write);
        }
    }

    fn apply_pf(&mut self, kind: Kind, write: &Write) {
        let state = &mut self.pf[kind as usize];
        if let Some(value) = write.merged(capability::pf::POWER + power::PMCSR, state.power) {
            state.power = power::PMCSR_STATE.of(value.into()) as u16;
        }
        let enabled = is_set(sriov::CONTROL_VF_ENABLE, state.sriov_control);
        if let Some(value) = write.merged(capability::pf::SRIOV + sriov::NUM_VFS, state.num_vfs)
            && !enabled
        {
            state.num_vfs = value;
        }
        if let Some(value) = write.merged(capability::pf::SRIOV + sriov::CONTROL, state.sriov_control) {
            state.sriov_control = value;
            // VFs begin, and end, in their reset state (§9.3.3.3.1).
            if enabled != is_set(sriov::CONTROL_VF_ENABLE, value) {
                self.clear_vfs(kind);
            }
        }
    }

    fn apply_bars(&mut self, kind: Kind, write: &Write) {
        let bars = &mut self.bars[kind as usize];
        let register = u64::from(write.register);
        let at = |base: u64| register.checked_sub(base).map(|past| (past / 4) as usize).filter(|i| *i < bars.pf.len());
        let merge = |old: u32| {
            let mut bytes = old.to_le_bytes();
            (0..4).filter(|i| write.first_be >> i & 1 == 1).for_each(|i| bytes[i] = write.data[i]);
            u32::from_le_bytes(bytes)
        };
        if let Some(i) = at(header::BAR0) {
            bars.pf[i] = merge(bars.pf[i]);
        } else if let Some(i) = at(capability::pf::SRIOV + sriov::VF_BAR0) {
            bars.vf[i] = merge(bars.vf[i]);
        } else if register == capability::pf::SRIOV + sriov::SYSTEM_PAGE_SIZE {
            bars.large_pages =
                u64::from(merge(sriov::SYSTEM_PAGE_SIZE_RESET as u32)) > 4 * sriov::SYSTEM_PAGE_SIZE_RESET;
        }
    }

    /// Whose BAR0 an address is in, going by what was written to BARs alone; `None` if nobody's, or if it can not be said.
    pub fn owner(&self, address: u64) -> Option<u8> {
        let base = |bars: &[u32]| (u64::from(bars[1]) << 32 | u64::from(bars[0])) & !(bar::BAR0_SIZE - 1);
        let inside = |start: u64, count: u64| {
            address.checked_sub(start).map(|past| past / bar::BAR0_SIZE).filter(|i| *i < count)
        };
        let mut found = None;
        for kind in Kind::ALL {
            let (bars, state) = (&self.bars[kind as usize], &self.pf[kind as usize]);
            let pf = FunctionId::pf(kind);
            let mut candidates = Vec::new();
            let decodes = is_set(header::COMMAND_MSE, self.command[usize::from(pf.number())]);
            if decodes && inside(base(&bars.pf), 1).is_some() {
                candidates.push(pf.number());
            }
            let vfs = is_set(sriov::CONTROL_VF_MSE, state.sriov_control) && !bars.large_pages;
            if let Some(i) = inside(base(&bars.vf), state.num_vfs.into()).filter(|_| vfs) {
                candidates.extend(FunctionId::vf(kind, i as u8).map(FunctionId::number).filter(|f| self.exists(*f)));
            }
            for candidate in candidates {
                // Overlapping BARs are the host's mistake; then nobody is wrong.
                if found.replace(candidate).is_some() {
                    return None;
                }
            }
        }
        found
    }

    fn clear_vfs(&mut self, kind: Kind) {
        for number in 0..=255u8 {
            if FunctionId::from_number(number).is_some_and(|f| f.kind == kind && f.role != Role::Pf) {
                self.command[usize::from(number)] = 0;
            }
        }
    }

    /// FLR (§6.6.2), which keeps Max_Payload_Size; of a PF it ends its VFs too.
    fn reset(&mut self, id: FunctionId) {
        self.command[usize::from(id.number())] = 0;
        if id.role == Role::Pf {
            let state = &mut self.pf[id.kind as usize];
            let max_payload = express::DEVICE_CONTROL_MPS.of(state.device_control.into());
            *state = PF_RESET;
            state.device_control = express::DEVICE_CONTROL_MPS.set(PF_RESET.device_control.into(), max_payload) as u16;
            self.bars[id.kind as usize] = Bars::default();
            self.clear_vfs(id.kind);
        }
    }

    /// Is there such a function now?
    pub fn exists(&self, function: u8) -> bool {
        match FunctionId::from_number(function) {
            None => false,
            Some(FunctionId { role: Role::Pf, .. }) => true,
            Some(FunctionId { kind, role: Role::Vf(i) }) => {
                let state = &self.pf[kind as usize];
                is_set(sriov::CONTROL_VF_ENABLE, state.sriov_control) && u16::from(i) < state.num_vfs
            }
        }
    }

    /// May it send memory requests now?
    pub fn may_request(&self, function: u8) -> bool {
        let awake = match FunctionId::from_number(function) {
            Some(FunctionId { kind, role: Role::Pf }) => self.pf[kind as usize].power != power::D3HOT as u16,
            _ => true,
        };
        self.exists(function) && awake && is_set(header::COMMAND_BME, self.command[usize::from(function)])
    }

    /// Device Control of the PF whose settings a function obeys: a VF has none of its own for these (§9.3.5.4).
    fn control(&self, function: u8) -> u64 {
        FunctionId::from_number(function)
            .map_or(express::DEVICE_CONTROL_RESET, |f| self.pf[f.kind as usize].device_control.into())
    }

    /// The limits on what it may send, and on completions to it. Of an ARI device function 0 has the payload's (§7.5.3.4).
    pub fn limits(&self, function: u8) -> Limits {
        let bytes = |field: Field, control| express::payload_bytes(field.of(control).min(5)) as u32;
        Limits {
            max_payload: bytes(express::DEVICE_CONTROL_MPS, self.control(0)),
            max_read: bytes(express::DEVICE_CONTROL_MRRS, self.control(function)),
        }
    }

    /// May it use tags of eight bits?
    pub fn extended_tags(&self, function: u8) -> bool {
        express::DEVICE_CONTROL_EXT_TAG.is_set(self.control(function))
    }

    /// May it ask for relaxed ordering?
    pub fn relaxed(&self, function: u8) -> bool {
        express::DEVICE_CONTROL_RELAXED.is_set(self.control(function))
    }

    /// May it ask for no snooping?
    pub fn no_snoop(&self, function: u8) -> bool {
        express::DEVICE_CONTROL_NO_SNOOP.is_set(self.control(function))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write16(function: u8, offset: u64, value: u16) -> Write {
        let shift = (offset & 3) as usize;
        let mut data = [0xee; 4];
        data[shift..shift + 2].copy_from_slice(&value.to_le_bytes());
        Write { function, register: (offset & !3) as u16, first_be: 3 << shift, data }
    }

    #[test]
    fn vfs_exist_between_enable_and_disable_and_start_without_permission() {
        let mut s = Shadow::default();
        let vf0 = FunctionId::vf(Kind::Storage, 0).unwrap().number();
        let vf2 = FunctionId::vf(Kind::Storage, 2).unwrap().number();
        let pf = FunctionId::pf(Kind::Storage).number();
        assert!(s.exists(pf) && !s.exists(vf0));
        s.apply(&write16(pf, capability::pf::SRIOV + sriov::NUM_VFS, 2));
        s.apply(&write16(pf, capability::pf::SRIOV + sriov::CONTROL, 0x9));
        assert!(s.exists(vf0) && !s.exists(vf2));
        s.apply(&write16(pf, capability::pf::SRIOV + sriov::NUM_VFS, 4));
        assert!(!s.exists(vf2), "NumVFs does not change under VF Enable");
        assert!(!s.may_request(vf0));
        s.apply(&write16(vf0, header::COMMAND, 6));
        assert!(s.may_request(vf0) && !s.may_request(pf));
        s.apply(&write16(vf0, capability::vf::EXPRESS + express::DEVICE_CONTROL, 0x8000));
        assert!(s.exists(vf0) && !s.may_request(vf0), "FLR takes permission away");
        s.apply(&write16(vf0, header::COMMAND, 6));
        s.apply(&write16(pf, capability::pf::EXPRESS + express::DEVICE_CONTROL, 0x8000));
        assert!(!s.exists(vf0), "FLR of the PF ends its VFs");
        let control = capability::pf::EXPRESS + express::DEVICE_CONTROL;
        let flr = express::DEVICE_CONTROL_FLR.mask() as u16;
        let set = |mps| express::DEVICE_CONTROL_MPS.put(mps) as u16;
        s.apply(&write16(0, control, set(express::MPS_256)));
        s.apply(&write16(0, control, set(express::MPS_256) | flr));
        assert_eq!(s.limits(vf0).max_payload, 256, "FLR keeps it, and function 0's is everybody's");
    }

    #[test]
    fn only_enabled_bytes_count() {
        let mut s = Shadow::default();
        s.apply(&Write { first_be: 0b0010, ..write16(0, header::COMMAND, 0xffff) });
        assert!(!s.may_request(0));
        s.apply(&Write { first_be: 0b0001, ..write16(0, header::COMMAND, 0xffff) });
        assert!(s.may_request(0));
    }

    #[test]
    fn limits_are_the_pfs() {
        let mut s = Shadow::default();
        assert_eq!(s.limits(17), Limits { max_payload: 128, max_read: 512 });
        let pf = FunctionId::pf(Kind::Storage).number();
        let value = express::DEVICE_CONTROL_MPS.put(1) | express::DEVICE_CONTROL_MRRS.put(3);
        s.apply(&write16(pf, capability::pf::EXPRESS + express::DEVICE_CONTROL, value as u16));
        assert_eq!(s.limits(17), Limits { max_payload: 128, max_read: 1024 }, "the payload is function 0's");
        assert_eq!(s.limits(16), Limits { max_payload: 128, max_read: 512 });
        s.apply(&write16(0, capability::pf::EXPRESS + express::DEVICE_CONTROL, value as u16));
        assert_eq!(s.limits(17), Limits { max_payload: 256, max_read: 1024 });
    }
}
