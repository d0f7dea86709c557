//! A function of the card as a session uses it: accesses to its BARs, its memory, its reset.

use std::sync::Arc;

use azote_regs::bar;
use azote_regs::pcie::header;
use azote_seam::{Function, set_command};
use azote_sim::{Bell, Card, SimFunction};

use crate::messages::Refuse;
use crate::{Error, Result};

/// A function of the card, and the bell of the thread that clocks it.
pub struct Device {
    card: Card,
    function: Arc<SimFunction>,
    bell: Arc<Bell>,
}

impl Device {
    pub fn new(card: &Card, number: u8, bell: Arc<Bell>) -> Result<Device> {
        let function = card.function(number).ok_or(Error::NoFunction { number })?;
        Ok(Device { card: card.clone(), function, bell })
    }

    pub fn card(&self) -> &Card {
        &self.card
    }

    pub fn function(&self) -> &SimFunction {
        &self.function
    }

    pub fn number(&self) -> u8 {
        self.function.number()
    }

    /// Wakes the card after something that may have set it in motion.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// What tells the card that a read, by its token, gets no answer.
    pub fn refusal(&self) -> Refuse {
        let (card, bell) = (self.card.clone(), self.bell.clone());
        Box::new(move |token| {
            card.root().remote_data(token, None);
            bell.ring();
        })
    }

    /// A BAR's size; 0 if the function has none of this index.
    pub fn bar_size(&self, index: usize) -> u64 {
        self.card.topology().bar(self.number(), index).map_or(0, |bar| bar.size)
    }

    /// Reads a BAR. What fails reads as ones, as on a real machine. The caller has checked the range.
    pub fn bar_read(&self, index: usize, offset: u64, out: &mut [u8]) {
        out.fill(0xff);
        let Some(place) = self.card.topology().bar(self.number(), index) else { return };
        let answer = self.card.root().mem_read(place.address + offset, out.len() as u32, Some(self.number()));
        if let Ok(bytes) = answer
            && bytes.len() == out.len()
        {
            out.copy_from_slice(&bytes);
        }
        self.ring();
    }

    /// Writes a BAR. The caller has checked the range. Vectors are the server's: their table cannot be reached from here.
    pub fn bar_write(&self, index: usize, offset: u64, data: &[u8]) {
        if index == bar::BAR0 as usize && owns_vectors(offset) {
            return;
        }
        if let Some(place) = self.card.topology().bar(self.number(), index) {
            self.card.root().mem_write(place.address + offset, data);
            self.ring();
        }
    }

    /// Bus mastering on or off.
    pub fn set_bus_master(&self, on: bool) -> Result<()> {
        let bit = header::COMMAND_BME.mask();
        let (set, clear) = if on { (bit, 0) } else { (0, bit) };
        set_command(&*self.function, set, clear)?;
        self.ring();
        Ok(())
    }

    /// Function level reset. Bus mastering is off afterwards.
    pub fn reset(&self) -> Result<()> {
        self.function.reset()?;
        self.ring();
        Ok(())
    }
}

/// Is this in the pages of the MSI-X table and its pending bits?
pub fn owns_vectors(offset: u64) -> bool {
    offset >= bar::MSIX_TABLE
}
