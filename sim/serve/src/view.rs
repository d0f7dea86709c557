//! Configuration space as a client sees it. The card's VF has no identity and no BARs of its own (PCIe 5.0 §9.3.4); a client
//! gets a whole device, as from vfio-pci.

use azote_regs::pcie::{CONFIG_SIZE, EXTENDED, acs, capability, express, header, msix, power};
use azote_seam::{Capabilities, Function, Width, sriov::Sriov};

use crate::Result;
use crate::device::Device;

/// What a write asks for beside the bytes that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The function may send requests, or no more: Bus Master Enable, and power state D0.
    Active(bool),
    /// Function level reset.
    Reset,
}

/// The bytes of configuration space, and which of them a client may write.
#[derive(Clone)]
pub struct View {
    bytes: Vec<u8>,
    writable: Vec<u8>,
    /// Where capabilities are.
    express: Option<usize>,
    msix: Option<usize>,
    power: Option<usize>,
}

impl View {
    /// Looks at the function, once for all its clients: a thousand reads, and nothing that is shown changes by itself.
    pub fn of(device: &Device) -> Result<View> {
        let function = device.function();
        let mut bytes = Vec::with_capacity(CONFIG_SIZE as usize);
        for offset in (0..CONFIG_SIZE).step_by(4) {
            bytes.extend(function.config_read(offset, Width::Dword)?.to_le_bytes());
        }
        let capabilities = Capabilities::read(function)?;
        let mut view = View {
            bytes,
            writable: vec![0; CONFIG_SIZE as usize],
            express: capabilities.find(express::ID).map(|at| at as usize),
            msix: capabilities.find(msix::ID).map(|at| at as usize),
            power: capabilities.find(power::ID).map(|at| at as usize),
        };
        view.identity(device)?;
        view.bars(device);
        view.registers();
        view.link();
        view.power();
        view.extended(capabilities.find_extended(acs::ID));
        Ok(view)
    }

    /// Vendor and device: a VF's own registers read ones; its PF and the SR-IOV capability know.
    fn identity(&mut self, device: &Device) -> Result<()> {
        let (card, number) = (device.card(), device.number());
        let Some((pf, Some(_))) = card.topology().owner(number) else { return Ok(()) };
        let (vendor, pf_number) = (pf.id.0, pf.number);
        if let Some(pf) = card.function(pf_number) {
            let device_id = Sriov::find(&*pf)?.device_id(&*pf)?;
            self.put16(header::VENDOR_ID, vendor);
            self.put16(header::DEVICE_ID, device_id);
        }
        Ok(())
    }

    /// BARs of the right size and type, at no address yet.
    fn bars(&mut self, device: &Device) {
        let base = header::BAR0 as usize;
        self.bytes[base..base + 24].fill(0);
        for index in 0..header::BARS as usize {
            let Some(bar) = device.card().topology().bar(device.number(), index) else { continue };
            let at = base + 4 * index;
            let mask = !(bar.size - 1);
            if bar.wide && index + 1 < header::BARS as usize {
                self.bytes[at] = header::BAR_FLAGS as u8;
                self.writable[at..at + 8].copy_from_slice(&mask.to_le_bytes());
            } else {
                self.writable[at..at + 4].copy_from_slice(&(mask as u32).to_le_bytes());
            }
        }
        let rom = header::EXPANSION_ROM as usize;
        self.bytes[rom..rom + 4].fill(0);
    }

    /// What a driver writes and expects to find again.
    fn registers(&mut self) {
        let command = header::COMMAND as usize;
        let bits = header::COMMAND_MSE.mask()
            | header::COMMAND_BME.mask()
            | header::COMMAND_PARITY.mask()
            | header::COMMAND_SERR.mask()
            | header::COMMAND_INTX_DISABLE.mask();
        self.put16(header::COMMAND, 0);
        self.writable[command..command + 2].copy_from_slice(&(bits as u16).to_le_bytes());
        self.writable[header::CACHE_LINE_SIZE as usize] = 0xff;
        self.writable[header::INTERRUPT_LINE as usize] = 0xff;
        self.bytes[header::INTERRUPT_PIN as usize] = 0;
        // A single function, wherever it sits on the card.
        self.bytes[header::HEADER_TYPE as usize] &= !(header::HEADER_MULTI_FUNCTION.mask() as u8);
        if let Some(at) = self.msix {
            let control = at + msix::CONTROL as usize;
            let bits = (msix::CONTROL_ENABLE.mask() | msix::CONTROL_FUNCTION_MASK.mask()) as u16;
            self.writable[control..control + 2].copy_from_slice(&bits.to_le_bytes());
            self.bytes[control + 1] &= !(bits >> 8) as u8;
        }
        if let Some(at) = self.express {
            // Size of payloads and reads are the host's business; a client's writes are kept and mean nothing.
            let control = at + express::DEVICE_CONTROL as usize;
            let flr = express::DEVICE_CONTROL_FLR.mask() as u16;
            self.writable[control..control + 2].copy_from_slice(&(!flr).to_le_bytes());
        }
    }

    /// The link is the card's: a VF's own registers of it read 0 (PCIe 5.0 §9.3.5.6 and following), a whole device has one.
    fn link(&mut self) {
        let Some(at) = self.express.map(|at| at as u64) else { return };
        for (register, value) in
            [(express::LINK_CAPS, express::LINK_CAPS_VALUE), (express::LINK_CAPS_2, express::LINK_CAPS_2_VALUE)]
        {
            let from = (at + register) as usize;
            self.bytes[from..from + 4].copy_from_slice(&(value as u32).to_le_bytes());
        }
        self.put16(at + express::LINK_STATUS, express::LINK_STATUS_VALUE as u16);
        self.put16(at + express::LINK_CONTROL_2, express::LINK_CONTROL_2_RESET as u16);
    }

    /// A VF follows the power state of its PF and has no capability for it; a whole device has one. It goes in front of the
    /// list, where the PF has it.
    fn power(&mut self) {
        let at = capability::pf::POWER as usize;
        if self.power.is_none() {
            let first = u64::from(self.bytes[header::CAPABILITIES as usize]);
            self.bytes[header::CAPABILITIES as usize] = at as u8;
            self.put16(at as u64, capability::header(power::ID, first) as u16);
            self.put16(at as u64 + power::PMC, power::PMC_VALUE as u16);
            self.power = Some(at);
        }
        if let Some(at) = self.power.map(|at| at as u64 + power::PMCSR) {
            self.put16(at, power::PMCSR_RESET as u16);
            self.writable[at as usize] = power::PMCSR_STATE.mask() as u8;
        }
    }

    /// Of the extended capabilities only ACS: with it every function has an IOMMU group of its own. What is of the card and
    /// not of a function (SR-IOV, ARI) is not shown.
    fn extended(&mut self, acs_at: Option<u64>) {
        let mut kept = [0; 8];
        let size = acs::SIZE as usize;
        if let Some(at) = acs_at.map(|at| at as usize) {
            kept[..size].copy_from_slice(&self.bytes[at..at + size]);
            // The last of its chain: bits 31:20 of its header are the next.
            kept[2] &= 0x0f;
            kept[3] = 0;
        }
        self.bytes[EXTENDED as usize..].fill(0);
        self.bytes[EXTENDED as usize..EXTENDED as usize + 8].copy_from_slice(&kept);
    }

    fn put16(&mut self, at: u64, value: u16) {
        self.bytes[at as usize..at as usize + 2].copy_from_slice(&value.to_le_bytes());
    }

    /// Reads; what lies beyond the end reads as ones.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        for (at, byte) in (offset..).zip(out) {
            *byte = usize::try_from(at).ok().and_then(|at| self.bytes.get(at)).copied().unwrap_or(0xff);
        }
    }

    /// Writes what is writable, and says what else it means.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Effect {
        let (before, state) = (self.active(), self.state());
        for (at, new) in (offset..).zip(data) {
            if let Some(at) = usize::try_from(at).ok().filter(|at| *at < self.bytes.len()) {
                let mask = self.writable[at];
                self.bytes[at] = (self.bytes[at] & !mask) | (new & mask);
            }
        }
        // A state that there is not leaves the one that there was (PM 1.2 §3.2.4).
        if ![power::D0, power::D3HOT].contains(&self.state()) {
            self.set_state(state);
        }
        if self.asks_for_reset(offset, data) {
            self.set_state(power::D0);
            return Effect::Reset;
        }
        match self.active() {
            now if now == before => Effect::None,
            now => Effect::Active(now),
        }
    }

    fn state(&self) -> u64 {
        self.power.map_or(power::D0, |at| power::PMCSR_STATE.of(self.bytes[at + power::PMCSR as usize].into()))
    }

    fn set_state(&mut self, state: u64) {
        if let Some(at) = self.power.map(|at| at + power::PMCSR as usize) {
            self.bytes[at] = power::PMCSR_STATE.set(self.bytes[at].into(), state) as u8;
        }
    }

    /// Initiate Function Level Reset (PCIe 5.0 §7.5.3.4): bit 15 of Device Control, which always reads 0.
    fn asks_for_reset(&self, offset: u64, data: &[u8]) -> bool {
        let Some(at) = self.express.map(|at| (at + express::DEVICE_CONTROL as usize + 1) as u64) else { return false };
        let byte = at.checked_sub(offset).and_then(|i| data.get(usize::try_from(i).ok()?));
        byte.is_some_and(|byte| byte & (express::DEVICE_CONTROL_FLR.mask() >> 8) as u8 != 0)
    }

    /// Does the client let the function send requests? It is a bus master, and not in D3hot (PCIe 5.0 §5.3.1.4.1).
    pub fn active(&self) -> bool {
        u64::from(self.bytes[header::COMMAND as usize]) & header::COMMAND_BME.mask() != 0 && self.state() == power::D0
    }

    /// How many vectors the function has.
    pub fn vectors(&self) -> u32 {
        let size = |at: usize| {
            let control = u16::from_le_bytes([self.bytes[at + 2], self.bytes[at + 3]]);
            msix::CONTROL_TABLE_SIZE.of(control.into()) as u32 + 1
        };
        self.msix.map_or(0, size)
    }
}
