//! A root port: the least that lets stock software find what is behind it, forward Alternative Routing-IDs, and so
//! reach 256 functions on one bus (PCIe 7.5.1.3, 6.13).

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use azote_regs::pcie::{bridge, capability, express, header};

use crate::{
    exits::{Exits, Region},
    pci::{Configure, Host, Mmio, ecam::Buses, registers::Registers},
};

/// What is behind the port: one bus.
pub trait Downstream: Send + Sync {
    /// Reads configuration space by bus and function number; fills with ones what nobody answers.
    fn config_read(&self, bus: u8, function: u8, offset: u16, data: &mut [u8]);
    /// Writes it.
    fn config_write(&self, bus: u8, function: u8, offset: u16, data: &[u8]);
    /// Reads memory; fills with ones what nobody answers.
    fn memory_read(&self, address: u64, data: &mut [u8]);
    /// Writes memory.
    fn memory_write(&self, address: u64, data: &[u8]);
}

/// Device id of the port, from the range for experiments; the vendor id is the card's.
const DEVICE_ID: u16 = 0x10ff;
/// Bridge control: these can be set; a reset of the bus resets nothing here (each function has a reset of its own).
const BRIDGE_CONTROL_BITS: u64 =
    bridge::BRIDGE_CONTROL_PARITY.mask() | bridge::BRIDGE_CONTROL_SERR.mask() | bridge::BRIDGE_CONTROL_RESET.mask();
/// Where the port has its PCI Express capability.
const EXPRESS: u64 = 0x40;
/// The writable bits of Memory Base and Limit.
const WINDOW_BITS: u16 = bridge::MEMORY_WINDOW.mask() as u16;
/// Functions that are reached without ARI forwarding: those of device 0.
const WITHOUT_ARI: u8 = 8;

/// The port.
pub struct RootPort {
    state: Mutex<State>,
    downstream: Arc<dyn Downstream>,
    host: Host,
    region: Arc<Region>,
    this: Weak<Self>,
}

struct State {
    registers: Registers,
    /// The window that is decoded now.
    decoded: Option<Range<u64>>,
}

impl RootPort {
    /// A port to `downstream`, with bus number 1 and a window of memory as firmware would set them.
    pub fn new(downstream: Arc<dyn Downstream>, host: Host, window: Range<u64>, exits: &Exits) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            state: Mutex::new(State { registers: registers(&window), decoded: None }),
            downstream,
            host,
            region: exits.region("card memory"),
            this: this.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request to this bus and function goes through.
    fn forwards(&self, bus: u8, function: u8) -> bool {
        let state = self.lock();
        let registers = &state.registers;
        let secondary = registers.get8(bridge::SECONDARY_BUS);
        let ari = bridge::ARI_FORWARDING.is_set(registers.get32(EXPRESS + express::DEVICE_CONTROL_2).into());
        // Nothing behind the card has buses of its own, so it is the secondary bus or none.
        secondary != 0 && bus == secondary && (ari || function < WITHOUT_ARI)
    }

    fn decode(&self, state: &mut State) {
        let registers = &state.registers;
        let edge = |register| u64::from(registers.get16(register) & WINDOW_BITS) << 16;
        let (base, limit) = (edge(bridge::MEMORY_BASE), edge(bridge::MEMORY_LIMIT) + bridge::MEMORY_UNIT);
        let enabled = header::COMMAND_MSE.is_set(registers.get16(header::COMMAND).into());
        let wanted = (enabled && base < limit).then_some(base..limit);
        if wanted == state.decoded {
            return;
        }
        if let Some(old) = state.decoded.take() {
            self.host.addresses().remove(old.start);
        }
        if let Some(window) = wanted {
            let target = Arc::new(Window { port: self.this.clone(), base: window.start });
            if self.host.addresses().insert_bar(window.start, window.end - window.start, target) {
                state.decoded = Some(window);
            }
        }
    }
}

fn registers(window: &Range<u64>) -> Registers {
    let mut r = Registers::new();
    r.set16(header::VENDOR_ID, azote_regs::ids::VENDOR as u16);
    r.set16(header::DEVICE_ID, DEVICE_ID);
    r.set32(header::REVISION_ID, (bridge::CLASS << 8 | 1) as u32);
    r.set8(header::HEADER_TYPE, bridge::LAYOUT as u8);
    let command = header::COMMAND_MSE.mask() | header::COMMAND_BME.mask() | header::COMMAND_INTX_DISABLE.mask();
    r.allow16(header::COMMAND, command as u16);
    r.set16(header::COMMAND, (header::COMMAND_MSE.mask() | header::COMMAND_BME.mask()) as u16);
    r.set16(header::STATUS, header::STATUS_CAPABILITIES.mask() as u16);
    r.set8(header::CAPABILITIES, EXPRESS as u8);
    for (register, value) in [(bridge::PRIMARY_BUS, 0), (bridge::SECONDARY_BUS, 1), (bridge::SUBORDINATE_BUS, 1)] {
        r.set8(register, value);
        r.allow8(register, 0xff);
    }
    r.set16(bridge::MEMORY_BASE, (window.start >> 16) as u16 & WINDOW_BITS);
    r.set16(bridge::MEMORY_LIMIT, ((window.end - 1) >> 16) as u16 & WINDOW_BITS);
    r.allow16(bridge::MEMORY_BASE, WINDOW_BITS);
    r.allow16(bridge::MEMORY_LIMIT, WINDOW_BITS);
    r.allow16(bridge::BRIDGE_CONTROL, BRIDGE_CONTROL_BITS as u16);
    let caps = express::CAPS_VERSION.put(2) | express::CAPS_TYPE.put(bridge::TYPE_ROOT_PORT);
    r.set32(EXPRESS, (capability::header(express::ID, 0) | caps << 16) as u32);
    let device = express::DEVICE_CAPS_MPS.put(express::MPS_256) | express::DEVICE_CAPS_RBER.put(1);
    r.set32(EXPRESS + express::DEVICE_CAPS, device as u32);
    // Error reporting and sizes can be set, and change nothing here.
    r.allow16(EXPRESS + express::DEVICE_CONTROL, 0x70ff);
    r.set32(EXPRESS + express::LINK_CAPS, express::LINK_CAPS_VALUE as u32);
    r.set16(EXPRESS + express::LINK_STATUS, express::LINK_STATUS_VALUE as u16);
    r.set32(EXPRESS + express::DEVICE_CAPS_2, bridge::ARI_FORWARDING.mask() as u32);
    r.allow16(EXPRESS + express::DEVICE_CONTROL_2, bridge::ARI_FORWARDING.mask() as u16);
    r.set32(EXPRESS + express::LINK_CAPS_2, express::LINK_CAPS_2_VALUE as u32);
    r
}

impl Configure for RootPort {
    fn config_read(&self, offset: u16, data: &mut [u8]) {
        self.lock().registers.read(offset, data);
    }

    fn config_write(&self, offset: u16, data: &[u8]) {
        let mut state = self.lock();
        state.registers.write(offset, data);
        self.decode(&mut state);
    }
}

impl RootPort {
    /// Decodes what its registers say; to be called once the port is on its bus.
    pub fn start(&self) {
        let mut state = self.lock();
        self.decode(&mut state);
    }
}

impl Buses for RootPort {
    fn config_read(&self, bus: u8, function: u8, offset: u16, data: &mut [u8]) {
        if self.forwards(bus, function) {
            self.downstream.config_read(bus, function, offset, data);
        } else {
            data.fill(0xff);
        }
    }

    fn config_write(&self, bus: u8, function: u8, offset: u16, data: &[u8]) {
        if self.forwards(bus, function) {
            self.downstream.config_write(bus, function, offset, data);
        }
    }
}

/// The port's window of memory.
struct Window {
    port: Weak<RootPort>,
    base: u64,
}

impl Mmio for Window {
    fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        if let Some(port) = self.port.upgrade() {
            port.region.read();
            port.downstream.memory_read(self.base + offset, data);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        if let Some(port) = self.port.upgrade() {
            port.region.write();
            port.downstream.memory_write(self.base + offset, data);
        }
    }
}
