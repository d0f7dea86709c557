//! Configuration requests: memory at the ECAM base becomes bus, device, function and register (PCIe 7.2.2).

use std::sync::{Arc, Mutex, PoisonError};

use azote_regs::pcie::CONFIG_SIZE;

use crate::{exits::Region, pci::Mmio};

/// Something with configuration space.
pub trait Configure: Send + Sync {
    /// Reads 1, 2 or 4 bytes that do not cross a DW; always fills them.
    fn config_read(&self, offset: u16, data: &mut [u8]);
    /// Writes 1, 2 or 4 bytes that do not cross a DW.
    fn config_write(&self, offset: u16, data: &[u8]);
}

/// What is behind a root port: whole buses.
pub trait Buses: Send + Sync {
    /// Reads configuration space by bus and function number.
    fn config_read(&self, bus: u8, function: u8, offset: u16, data: &mut [u8]);
    /// Writes it.
    fn config_write(&self, bus: u8, function: u8, offset: u16, data: &[u8]);
}

/// Devices of a bus.
const DEVICES: usize = 32;

/// Segment 0: bus 0 with a function a device, and what is behind a port.
#[derive(Default)]
pub struct Ecam {
    devices: Mutex<[Option<Arc<dyn Configure>>; DEVICES]>,
    behind: Mutex<Option<Arc<dyn Buses>>>,
    region: Arc<Region>,
}

impl Ecam {
    /// An empty bus; requests are counted there.
    pub fn new(region: Arc<Region>) -> Self {
        Self { region, ..Self::default() }
    }

    /// Puts a device into the next free place, and says which.
    pub fn add(&self, device: Arc<dyn Configure>) -> Option<u8> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let place = devices.iter().position(Option::is_none)?;
        devices[place] = Some(device);
        Some(place as u8)
    }

    /// Puts buses behind a port.
    pub fn put_behind(&self, buses: Arc<dyn Buses>) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = Some(buses);
    }

    fn device(&self, devfn: u8) -> Option<Arc<dyn Configure>> {
        if devfn & 7 != 0 {
            return None;
        }
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)[usize::from(devfn >> 3)].clone()
    }

    fn behind(&self) -> Option<Arc<dyn Buses>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Bus, function number and register of an offset in ECAM; `None` for accesses that cross a DW.
fn decode(offset: u64, len: usize) -> Option<(u8, u8, u16)> {
    let inside = offset & 3;
    if len == 0 || inside + len as u64 > 4 {
        return None;
    }
    Some(((offset >> 20) as u8, (offset >> 12) as u8, (offset & (CONFIG_SIZE - 1)) as u16))
}

impl Mmio for Ecam {
    fn read(&self, offset: u64, data: &mut [u8]) {
        self.region.read();
        data.fill(0xff);
        match decode(offset, data.len()) {
            Some((0, devfn, register)) => {
                if let Some(device) = self.device(devfn) {
                    device.config_read(register, data);
                }
            }
            Some((bus, function, register)) => {
                if let Some(buses) = self.behind() {
                    buses.config_read(bus, function, register, data);
                }
            }
            None => {}
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        self.region.write();
        match decode(offset, data.len()) {
            Some((0, devfn, register)) => {
                if let Some(device) = self.device(devfn) {
                    device.config_write(register, data);
                }
            }
            Some((bus, function, register)) => {
                if let Some(buses) = self.behind() {
                    buses.config_write(bus, function, register, data);
                }
            }
            None => {}
        }
    }
}
