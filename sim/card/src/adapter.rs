//! The drivers' seam over the simulated card: [`azote_seam::Function`] and [`azote_seam::Mmio`].

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use azote_regs::pcie::{express, header, msix};
use azote_seam::{Capabilities, Error, Function, Mmio, Result, Vector, Width, check_range, poll_until};
use azote_tlp::Rid;

use crate::RequestError;
use crate::card::{Card, RESET_TIME};
use crate::enumerate::Bar;
use crate::interrupts::Interrupts;
use crate::mapping::Mapping;

/// A function of the simulated card.
pub struct SimFunction {
    card: Card,
    number: u8,
    name: String,
}

impl SimFunction {
    pub(crate) fn new(card: Card, number: u8) -> Self {
        let rid = Rid::new(card.root().options().bus, number);
        SimFunction { card, number, name: format!("0000:{rid}") }
    }

    /// Its function number, as ARI counts.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// The card that it is a function of.
    pub fn card(&self) -> &Card {
        &self.card
    }

    fn adapter(&self, error: impl std::fmt::Display) -> Error {
        Error::Adapter { function: self.name.clone(), reason: error.to_string() }
    }

    fn go_on(&self) -> Result<()> {
        go_on(&self.card, self.number)
    }

    fn dma(&self, iova: u64, len: u64, error: impl std::fmt::Display) -> Error {
        Error::Dma { function: self.name.clone(), iova, len, reason: error.to_string() }
    }

    fn msix(&self) -> Result<u64> {
        Capabilities::read(self)?
            .find(msix::ID)
            .ok_or_else(|| Error::NoCapability { function: self.name.clone(), capability: "MSI-X" })
    }

    fn set_msix_control(&self, at: u64, set: u64, clear: u64) -> Result<()> {
        let control = u64::from(self.config_read16(at + msix::CONTROL)?);
        self.config_write16(at + msix::CONTROL, ((control | set) & !clear) as u16)
    }

    /// Fills the MSI-X table and enables it: what the kernel does on a real machine.
    fn program_msix(&self, at: u64, count: u16) -> Result<()> {
        let refused = |reason: String| Error::Interrupts { function: self.name.clone(), wanted: count, reason };
        let control = u64::from(self.config_read16(at + msix::CONTROL)?);
        let size = msix::CONTROL_TABLE_SIZE.of(control) + 1;
        if count == 0 || u64::from(count) > size {
            return Err(refused(format!("the function has {size}; ask for 1 to {size}")));
        }
        let table = u64::from(self.config_read32(at + msix::TABLE)?);
        let bar = self.bar(msix::BIR.of(table) as usize)?;
        let start = msix::OFFSET.of(table) << msix::OFFSET.lo;
        self.set_msix_control(at, msix::CONTROL_ENABLE.mask() | msix::CONTROL_FUNCTION_MASK.mask(), 0)?;
        for vector in 0..count {
            let (address, data) = Interrupts::message(self.number, vector);
            let entry = start + u64::from(vector) * msix::ENTRY_SIZE;
            bar.write32(entry + msix::ENTRY_CONTROL, msix::ENTRY_CONTROL_MASK.mask() as u32)?;
            bar.write32(entry + msix::ENTRY_ADDRESS_LO, address as u32)?;
            bar.write32(entry + msix::ENTRY_ADDRESS_HI, (address >> 32) as u32)?;
            bar.write32(entry + msix::ENTRY_DATA, data)?;
            bar.write32(entry + msix::ENTRY_CONTROL, 0)?;
        }
        self.set_msix_control(at, 0, msix::CONTROL_FUNCTION_MASK.mask())
    }

    /// Puts back what a reset of a PF takes and its driver has not set: BARs, link settings, memory decoding. A VF's
    /// BARs are its PF's, and stay.
    fn restore(&self, saved: &[(u64, u32)]) -> Result<()> {
        for &(register, value) in saved {
            self.config_write32(register, value)?;
        }
        Ok(())
    }

    fn saved(&self, express: u64) -> Result<Vec<(u64, u32)>> {
        let mut saved = Vec::new();
        for index in 0..header::BARS {
            let register = header::BAR0 + 4 * index;
            saved.push((register, self.config_read32(register)?));
        }
        // Device Status shares the DW and is cleared by ones; zeros leave it.
        let control = self.config_read16(express + express::DEVICE_CONTROL)?;
        saved.push((express + express::DEVICE_CONTROL, control.into()));
        let command = self.config_read16(header::COMMAND)? & header::COMMAND_MSE.mask() as u16;
        saved.push((header::COMMAND, command.into()));
        Ok(saved)
    }
}

/// That nobody wants the end of it all.
fn go_on(card: &Card, number: u8) -> Result<()> {
    if card.is_interrupted() {
        let function = format!("function {number:#04x} of the simulated card");
        return Err(Error::Adapter { function, reason: "the simulation was interrupted".into() });
    }
    Ok(())
}

/// The bytes of an access within its DW, as byte enables.
fn enables(offset: u64, width: Width) -> u8 {
    (((1u32 << width as u32) - 1) << (offset & 3)) as u8
}

impl Function for SimFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn config_read(&self, offset: u64, width: Width) -> Result<u32> {
        self.go_on()?;
        check_range("configuration space", offset, width as u64, azote_regs::pcie::CONFIG_SIZE)?;
        let be = enables(offset, width);
        let answer = self.card.retried(|root| root.config_read_bytes(self.number, offset as u16, be));
        let dw = match answer {
            Ok(dw) => dw,
            // What is not there, or does not answer, reads as ones on a real machine too.
            Err(RequestError::Status(_) | RequestError::Timeout(_)) => u32::MAX,
            Err(error) => return Err(self.adapter(error)),
        };
        let value = dw >> (8 * (offset & 3));
        Ok(match width {
            Width::Byte => value & 0xff,
            Width::Word => value & 0xffff,
            Width::Dword => value,
        })
    }

    fn config_write(&self, offset: u64, width: Width, value: u32) -> Result<()> {
        self.go_on()?;
        check_range("configuration space", offset, width as u64, azote_regs::pcie::CONFIG_SIZE)?;
        let value = value << (8 * (offset & 3));
        let be = enables(offset, width);
        match self.card.retried(|root| root.config_write_bytes(self.number, offset as u16, be, value)) {
            Ok(()) | Err(RequestError::Status(_) | RequestError::Timeout(_)) => Ok(()),
            Err(error) => Err(self.adapter(error)),
        }
    }

    fn bar(&self, index: usize) -> Result<Arc<dyn Mmio>> {
        match self.card.topology().bar(self.number, index) {
            Some(bar) => Ok(Arc::new(SimBar { card: self.card.clone(), number: self.number, bar })),
            None => Err(Error::NoBar { function: self.name.clone(), bar: index }),
        }
    }

    fn dma_map(&self, memory: BorrowedFd<'_>, offset: u64, iova: u64, len: u64) -> Result<()> {
        let mapping = Mapping::of(memory, offset, len).map_err(|e| self.dma(iova, len, e))?;
        self.card.root().memory().map(self.number, iova, Arc::new(mapping)).map_err(|e| self.dma(iova, len, e))
    }

    fn dma_unmap(&self, iova: u64, len: u64) -> Result<()> {
        self.card.root().memory().unmap(self.number, iova, len).map_err(|e| self.dma(iova, len, e))
    }

    fn enable_msix(&self, count: u16) -> Result<Vec<Arc<dyn Vector>>> {
        let at = self.msix()?;
        self.set_msix_control(at, 0, msix::CONTROL_ENABLE.mask())?;
        self.card.root().interrupts().clear(self.number);
        self.program_msix(at, count)?;
        Ok((0..count)
            .map(|index| Arc::new(SimVector { card: self.card.clone(), number: self.number, index }) as Arc<dyn Vector>)
            .collect())
    }

    fn disable_msix(&self) -> Result<()> {
        let at = self.msix()?;
        self.set_msix_control(at, 0, msix::CONTROL_ENABLE.mask())?;
        self.card.root().interrupts().clear(self.number);
        Ok(())
    }

    fn reset(&self) -> Result<()> {
        let capabilities = Capabilities::read(self)?;
        let express = capabilities
            .find(express::ID)
            .ok_or_else(|| Error::NoCapability { function: self.name.clone(), capability: "PCI Express" })?;
        let is_pf = self.card.topology().pfs.iter().any(|pf| pf.number == self.number);
        let saved = if is_pf { self.saved(express)? } else { Vec::new() };
        // As a kernel does: no new requests first, so that few are in flight when the reset strikes.
        azote_seam::set_command(self, 0, header::COMMAND_BME.mask())?;
        let control = u64::from(self.config_read16(express + express::DEVICE_CONTROL)?);
        let control = express::DEVICE_CONTROL_FLR.set(control, 1);
        self.config_write16(express + express::DEVICE_CONTROL, control as u16)?;
        poll_until(self, "the end of the function level reset", RESET_TIME, || {
            let command = self.config_read32(header::COMMAND)?;
            Ok::<_, Error>((command != u32::MAX).then_some(()))
        })?;
        self.card.root().interrupts().clear(self.number);
        self.restore(&saved)
    }

    fn relax(&self) {
        self.card.turn();
    }

    fn now(&self) -> Duration {
        self.card.root().now()
    }
}

/// A BAR of a function of the simulated card.
struct SimBar {
    card: Card,
    number: u8,
    bar: Bar,
}

/// Names of regions in messages.
const REGIONS: [&str; 6] = ["BAR 0", "BAR 1", "BAR 2", "BAR 3", "BAR 4", "BAR 5"];

impl SimBar {
    fn check(&self, offset: u64, width: u64) -> Result<()> {
        go_on(&self.card, self.number)?;
        let region = REGIONS.get(self.bar.index).copied().unwrap_or("BAR");
        check_range(region, offset, width, self.bar.size)
    }

    fn read<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        self.check(offset, N as u64)?;
        let answer = self.card.root().mem_read(self.bar.address + offset, N as u32, Some(self.number));
        // A read that fails gives ones, as on a real machine; a driver must cope with it there.
        Ok(answer.ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or([0xff; N]))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check(offset, bytes.len() as u64)?;
        self.card.root().mem_write(self.bar.address + offset, bytes);
        Ok(())
    }
}

impl Mmio for SimBar {
    fn size(&self) -> u64 {
        self.bar.size
    }

    fn read8(&self, offset: u64) -> Result<u8> {
        self.read(offset).map(u8::from_le_bytes)
    }

    fn write8(&self, offset: u64, value: u8) -> Result<()> {
        self.write(offset, &value.to_le_bytes())
    }

    fn read16(&self, offset: u64) -> Result<u16> {
        self.read(offset).map(u16::from_le_bytes)
    }

    fn write16(&self, offset: u64, value: u16) -> Result<()> {
        self.write(offset, &value.to_le_bytes())
    }

    fn read32(&self, offset: u64) -> Result<u32> {
        self.read(offset).map(u32::from_le_bytes)
    }

    fn write32(&self, offset: u64, value: u32) -> Result<()> {
        self.write(offset, &value.to_le_bytes())
    }

    fn read64(&self, offset: u64) -> Result<u64> {
        self.read(offset).map(u64::from_le_bytes)
    }

    fn write64(&self, offset: u64, value: u64) -> Result<()> {
        self.write(offset, &value.to_le_bytes())
    }
}

/// An MSI-X vector of a function of the simulated card.
struct SimVector {
    card: Card,
    number: u8,
    index: u16,
}

impl Vector for SimVector {
    fn take(&self) -> Result<u64> {
        go_on(&self.card, self.number)?;
        Ok(self.card.root().interrupts().take(self.number, self.index))
    }

    fn wait(&self, timeout: Duration) -> Result<u64> {
        let deadline = self.card.root().now() + timeout;
        loop {
            let late = self.card.root().now() >= deadline;
            let count = self.take()?;
            if count > 0 || late {
                return Ok(count);
            }
            self.card.turn();
        }
    }
}
