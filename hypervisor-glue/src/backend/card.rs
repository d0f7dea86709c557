//! The whole simulated card in this process, on the guest's own bus: PFs, SR-IOV and all. What the guest's kernel writes to a
//! doorbell becomes a TLP; what the card sends is the guest's memory and its interrupts.

use std::{os::fd::AsFd, path::Path, sync::Arc, time::Duration};

use azote_manage::{Limits, Manager, Volume};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_sim::{Access, Bell, Card, Hardware, Options, Runner, TlpDevice, soft::SoftCard};
use azote_tlp::Rid;

use crate::{Error, Result, config, memory::Memory, pci::port::Downstream};

/// The card, and the thread that clocks it.
pub struct SimulatedCard {
    card: Card,
    bell: Arc<Bell>,
    _runner: Runner,
}

/// Sends an interrupt message to the guest: address and data.
pub type SendMessage = Box<dyn Fn(u64, u32) + Send>;

/// The memory that all BARs of the card take at most: three PFs, 60 VFs of each kind.
pub const WINDOW: u64 = 16 << 20;

impl SimulatedCard {
    /// Starts a card, binds its volumes, and hands it over as after a reset.
    pub fn new(config: &config::Card, memory: &Memory, send: SendMessage) -> Result<Self> {
        let name = config.library.as_deref().map_or_else(|| "soft card".into(), |p| p.display().to_string());
        let fail = |reason: &dyn std::fmt::Display| Error::device(format!("card {name}"), reason);
        if config.volumes.len() > usize::from(config.vfs) {
            return Err(fail(&format!("{} volumes for {} VFs of a kind", config.volumes.len(), config.vfs)));
        }
        let device: Box<dyn TlpDevice> = match &config.library {
            Some(path) => Box::new(Hardware::load(path, 0).map_err(|e| fail(&e))?),
            None => Box::new(SoftCard::new(config.vfs)),
        };
        let card = Card::over(device, Options::default()).map_err(|e| fail(&e))?;
        bind(&card, config).map_err(|(path, reason)| match path {
            Some(path) => Error::device(path.display().to_string(), reason),
            None => fail(&reason),
        })?;
        card.hand_over().map_err(|e| fail(&e))?;
        {
            let mut root = card.root();
            let Some(file) = memory.file() else { return Err(fail(&"the guest's memory is not shared")) };
            for piece in memory.pieces() {
                root.memory()
                    .map_file(None, file.as_fd(), piece.offset, (piece.guest, piece.len), Access::BOTH)
                    .map_err(|e| fail(&e))?;
            }
            root.interrupts().set_raw_sink(Some(Box::new(move |_: Rid, address, data| send(address, data))));
        }
        let runner = Runner::start(&card).map_err(Error::io("starting the card's thread"))?;
        Ok(Self { card, bell: runner.bell(), _runner: runner })
    }

    /// Makes durable what was written to its volumes; an error is one of the disk behind them.
    pub fn sync(&self) -> std::io::Result<()> {
        self.card.root().media().sync()
    }

    /// What the checker of TLPs has found, for the end.
    pub fn report(&self) -> Option<String> {
        let (count, text) = {
            let root = self.card.root();
            let (count, violations) = root.violations();
            (count, violations.first().map(ToString::to_string).unwrap_or_default())
        };
        (count != 0).then(|| format!("the card broke {count} rules; the first: {text}"))
    }
}

/// Volume *i* is VF *i*'s; limits are whose they name.
fn bind<'a>(card: &Card, config: &'a config::Card) -> Result<(), (Option<&'a Path>, String)> {
    let none = |e: &dyn std::fmt::Display| (None, e.to_string());
    let trust = card.function(FunctionId::pf(Kind::Trust).number());
    let trust = trust.ok_or_else(|| none(&"it has no trust function"))?;
    let manager = Manager::open(&*trust).map_err(|e| none(&e))?;
    // Time-outs count from the binding on.
    for limit in &config.limits {
        let (role, timeout) = (limit.vf.map_or(Role::Pf, Role::Vf), Duration::from_millis(limit.timeout_ms.into()));
        manager.set_timeout(role, timeout).map_err(|e| none(&e))?;
    }
    for (i, volume) in (0u8..).zip(&config.volumes) {
        let at = |e: &dyn std::fmt::Display| (Some(volume.path.as_path()), e.to_string());
        let blocks = card.root().media().attach(i, &volume.path, volume.read_only).map_err(|e| at(&e))?;
        let bound = Volume { id: i, base: 0, blocks, read_only: volume.read_only, large_blocks: false };
        manager.bind(Role::Vf(i), bound).map_err(|e| at(&e))?;
    }
    for &config::Limit { vf, commands, blocks, weight, .. } in &config.limits {
        let limits = Limits { commands, blocks, weight };
        manager.limit(vf.map_or(Role::Pf, Role::Vf), limits).map_err(|e| none(&e))?;
    }
    Ok(())
}

/// Byte enables of an access within its DW.
fn enables(offset: u16, len: usize) -> u8 {
    (((1u32 << len.min(4)) - 1) << (offset & 3)) as u8 & 0xf
}

/// The most bytes of a memory access: what a processor can write at once.
const ACCESS_MAX: usize = 8;

impl Downstream for SimulatedCard {
    fn config_read(&self, bus: u8, function: u8, offset: u16, data: &mut [u8]) {
        let (target, be) = (Rid::new(bus, function), enables(offset, data.len()));
        let answer = self.card.retried(|root| root.config_read_at(target, offset, be));
        self.bell.ring();
        // No answer reads as ones, as on any root complex.
        let dw = answer.unwrap_or(u32::MAX) >> (8 * (offset & 3));
        for (byte, value) in data.iter_mut().zip(dw.to_le_bytes()) {
            *byte = value;
        }
    }

    fn config_write(&self, bus: u8, function: u8, offset: u16, data: &[u8]) {
        let mut bytes = [0; 4];
        for (slot, byte) in bytes.iter_mut().zip(data) {
            *slot = *byte;
        }
        let value = u32::from_le_bytes(bytes) << (8 * (offset & 3));
        let (target, be) = (Rid::new(bus, function), enables(offset, data.len()));
        let done = self.card.retried(|root| root.config_write_at(target, offset, be, value));
        self.bell.ring();
        // A write that nobody answers is lost, as on any root complex.
        drop(done);
    }

    fn memory_read(&self, address: u64, data: &mut [u8]) {
        data.fill(0xff);
        if data.is_empty() || data.len() > ACCESS_MAX || address % 4096 + data.len() as u64 > 4096 {
            return;
        }
        let answer = self.card.root().mem_read(address, data.len() as u32, None);
        self.bell.ring();
        if let Some(bytes) = answer.ok().filter(|bytes| bytes.len() == data.len()) {
            data.copy_from_slice(&bytes);
        }
    }

    fn memory_write(&self, address: u64, data: &[u8]) {
        if data.is_empty() || data.len() > ACCESS_MAX || address % 4096 + data.len() as u64 > 4096 {
            return;
        }
        self.card.root().mem_write(address, data);
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_enables_are_those_of_the_bytes() {
        assert_eq!([enables(0, 4), enables(2, 2), enables(3, 1), enables(1, 1)], [0xf, 0xc, 0x8, 0x2]);
    }
}
