//! Who answers a port or an address.

use std::sync::{Arc, Weak};

use crate::{
    acpi,
    cpu::{self, Stop, VcpuState},
    exits::{Exits, Region},
    layout,
    machine::kvm::Vm,
    pci::Machine as _,
    serial::Serial,
};

/// ACPI sleep control: the sleep type's place, and the bit that does it (ACPI 4.8.3.7).
const SLEEP_TYPE_SHIFT: u8 = 2;
const SLEEP_ENABLE: u8 = 1 << 5;
/// The keyboard controller's command that pulses the processor's reset line, as `reboot=k` sends it.
const PULSE_RESET: u8 = 0xfe;
/// The reset control register's bit that resets the processor (`reboot=p`).
const RESET_CPU: u8 = 1 << 2;
const SERIAL_END: u16 = layout::SERIAL + layout::SERIAL_SIZE - 1;

/// The machine's address decoders.
pub struct Bus {
    vm: Arc<Vm>,
    serial: Option<Arc<Serial>>,
    state: Weak<VcpuState>,
    power: Arc<Region>,
    nobody_ports: Arc<Region>,
    nobody: Arc<Region>,
}

impl Bus {
    /// Decoders for a machine.
    pub fn new(vm: Arc<Vm>, serial: Option<Arc<Serial>>, state: &Arc<VcpuState>, exits: &Exits) -> Self {
        Self {
            vm,
            serial,
            state: Arc::downgrade(state),
            power: exits.region("power"),
            nobody_ports: exits.region("ports of nobody"),
            nobody: exits.region("addresses of nobody"),
        }
    }

    fn stop(&self, why: Stop) {
        if let Some(state) = self.state.upgrade() {
            state.stop(why);
        }
    }
}

impl cpu::Bus for Bus {
    fn port_read(&self, port: u16, data: &mut [u8]) {
        match (port, &self.serial) {
            (layout::SERIAL..=SERIAL_END, Some(serial)) => serial.read(port - layout::SERIAL, data),
            // Of the keyboard controller there is the reset line only; it is always ready to be told.
            (
                layout::SLEEP_CONTROL | layout::SLEEP_STATUS | layout::RESET | layout::KEYBOARD | layout::RESET_CONTROL,
                _,
            ) => {
                self.power.read();
                data.fill(0);
            }
            _ => {
                self.nobody_ports.read();
                data.fill(0xff);
            }
        }
    }

    fn port_write(&self, port: u16, data: &[u8]) {
        let first = data.first().copied().unwrap_or(0);
        match (port, &self.serial) {
            (layout::SERIAL..=SERIAL_END, Some(serial)) => serial.write(port - layout::SERIAL, data),
            (layout::SLEEP_CONTROL, _) => {
                self.power.write();
                if first == SLEEP_ENABLE | acpi::SLEEP_TYPE_S5 << SLEEP_TYPE_SHIFT {
                    self.stop(Stop::PowerOff);
                }
            }
            (layout::RESET, _) => {
                self.power.write();
                if first == layout::RESET_VALUE {
                    self.stop(Stop::Reset);
                }
            }
            (layout::KEYBOARD, _) => {
                self.power.write();
                if first == PULSE_RESET {
                    self.stop(Stop::Reset);
                }
            }
            (layout::RESET_CONTROL, _) => {
                self.power.write();
                if first & RESET_CPU != 0 {
                    self.stop(Stop::Reset);
                }
            }
            _ => self.nobody_ports.write(),
        }
    }

    fn mmio_read(&self, address: u64, data: &mut [u8]) {
        if !self.vm.addresses().read(address, data) {
            self.nobody.read();
        }
    }

    fn mmio_write(&self, address: u64, data: &[u8]) {
        if !self.vm.addresses().write(address, data) {
            self.nobody.write();
        }
    }
}
