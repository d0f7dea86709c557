//! A client from its first message to its last.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use azote_regs::pcie::CONFIG_SIZE;
use azote_seam::Function;
use azote_sim::Access;
use azote_vfio_user::wire::payload::{
    DeviceInfo, DmaMap, DmaUnmap, IrqInfo, MAP_READ, MAP_WRITE, RegionAccess, RegionInfo, SetIrqs, UNMAP_ALL, split,
};
use azote_vfio_user::wire::{
    Command, Connection, Header, MAX_FDS, MAX_MAPS, Message, NO_REPLY, parse_version, version_text,
};
use azote_vfio_user::{Error, Result};
use rustix::io::Errno;
use vfio_bindings::bindings::vfio;
use zerocopy::{FromBytes, IntoBytes};

use crate::device::{Device, owns_vectors};
use crate::irqs::{self, Irqs};
use crate::messages::{Arrived, Outbox};
use crate::rules::{self, Argsz};
use crate::server::Tally;
use crate::view::{Effect, View};

/// The largest access to a region: configuration space whole.
const MAX_ACCESS: usize = CONFIG_SIZE as usize;

/// How long a client may take for its first message. Whoever says nothing keeps the function from others.
const GREETING_TIME: Duration = Duration::from_secs(10);

/// A request's answer: parts of a payload, or an errno.
type Answer = Result<Vec<u8>, Errno>;

/// What a session knows of its client.
pub struct Session<'a> {
    device: &'a Device,
    tally: &'a Tally,
    outbox: Arc<Outbox>,
    irqs: Arc<Irqs>,
    view: View,
    agreed: bool,
}

impl<'a> Session<'a> {
    /// Begins a session on a function that nobody else has.
    pub fn new(device: &'a Device, view: View, connection: Connection, tally: &'a Tally) -> crate::Result<Session<'a>> {
        let irqs = Arc::new(Irqs::default());
        irqs.clear(view.vectors());
        let system = |source| crate::Error::System { what: "starting a session's thread", source };
        let late = tally.late.clone();
        let outbox = Outbox::start(connection, irqs.clone(), device.refusal(), late).map_err(system)?;
        let sink = outbox.clone();
        let sink: azote_sim::Sink = Box::new(move |vector| sink.interrupt(vector));
        device.card().root().interrupts().set_sink(device.number(), Some(sink));
        device.ring();
        Ok(Session { device, tally, outbox, irqs, view, agreed: false })
    }

    /// What ends the session from outside.
    pub fn outbox(&self) -> Arc<Outbox> {
        self.outbox.clone()
    }

    /// Serves until the client goes. The error says how it went: [`Error::Closed`] is the ordinary end.
    pub fn run(&mut self) -> Error {
        let greeting = Instant::now() + GREETING_TIME;
        loop {
            let deadline = (!self.agreed).then_some(greeting);
            let done = self.outbox.connection().receive(deadline).and_then(|message| self.take(message));
            if let Err(error) = done {
                return error;
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<()> {
        if message.header.is_reply() {
            if let Arrived::Data(token, data) = self.outbox.arrived(&message)? {
                self.device.card().root().remote_data(token, data);
            }
            // Whoever waited for this, the card goes on.
            self.device.ring();
            return Ok(());
        }
        self.tally.requests.fetch_add(1, Ordering::Relaxed);
        let header = message.header;
        let Some(command) = Command::new(header.command) else {
            tracing::debug!("{}: command {} is not known", self.device.function().name(), header.command);
            return self.answer(&header, Err(Errno::NOSYS));
        };
        if !self.agreed && command != Command::Version {
            return Err(Error::Protocol(format!("{} before VERSION", command.name())));
        }
        let answer = match rules::header(&header) {
            Ok(()) => self.handle(command, message)?,
            Err(errno) => Err(errno),
        };
        if let Err(errno) = &answer {
            tracing::debug!("{}: {} refused: {errno}", self.device.function().name(), command.name());
        }
        self.answer(&header, answer)
    }

    fn answer(&self, header: &Header, answer: Answer) -> Result<()> {
        if header.flags & NO_REPLY != 0 {
            return Ok(());
        }
        match answer {
            Ok(payload) => self.outbox.reply(header, Ok(&[&payload])),
            Err(errno) => self.outbox.reply(header, Err(errno)),
        }
    }

    /// One command. The outer error ends the session: the client does not speak the protocol.
    fn handle(&mut self, command: Command, message: Message) -> Result<Answer> {
        let payload = &message.payload[..];
        Ok(match command {
            Command::Version => {
                parse_version(payload).map_err(malformed)?;
                // Once; what was agreed on is not agreed on again.
                if std::mem::replace(&mut self.agreed, true) {
                    return Ok(Err(Errno::INVAL));
                }
                self.tally.clients.fetch_add(1, Ordering::Relaxed);
                Ok(version_text())
            }
            Command::DeviceGetInfo => {
                if let Err(errno) = fixed::<DeviceInfo>(command, payload)?.check() {
                    return Ok(Err(errno));
                }
                let flags = vfio::VFIO_DEVICE_FLAGS_PCI | vfio::VFIO_DEVICE_FLAGS_RESET;
                let (regions, irqs) = (vfio::VFIO_PCI_NUM_REGIONS, vfio::VFIO_PCI_NUM_IRQS);
                Ok(bytes(DeviceInfo { argsz: size_of::<DeviceInfo>() as u32, flags, regions, irqs }))
            }
            Command::GetRegionInfo => self.region_info(fixed(command, payload)?),
            Command::GetIrqInfo => self.irq_info(fixed(command, payload)?),
            Command::SetIrqs => {
                let (set, data) = split::<SetIrqs>(command, payload).map_err(malformed)?;
                self.set_irqs(set, data, message.fds)
            }
            Command::RegionRead => self.region_read(fixed(command, payload)?),
            Command::RegionWrite => {
                let (access, data) = split::<RegionAccess>(command, payload).map_err(malformed)?;
                self.region_write(access, data)
            }
            Command::DmaMap => self.dma_map(fixed(command, payload)?, message.fds),
            Command::DmaUnmap => self.dma_unmap(fixed(command, payload)?),
            Command::DeviceReset => self.reset().map(|()| Vec::new()),
            // Direct accesses to regions are nothing that a simulated card could offer; several writes at once were not.
            Command::GetRegionIoFds | Command::RegionWriteMulti | Command::DmaRead | Command::DmaWrite => {
                Err(Errno::OPNOTSUPP)
            }
        })
    }

    fn region_size(&self, index: u32) -> u64 {
        match index {
            vfio::VFIO_PCI_CONFIG_REGION_INDEX => CONFIG_SIZE,
            index if index <= vfio::VFIO_PCI_BAR5_REGION_INDEX => self.device.bar_size(index as usize),
            _ => 0,
        }
    }

    fn region_info(&self, ask: RegionInfo) -> Answer {
        let ask = ask.check()?;
        if ask.index >= vfio::VFIO_PCI_NUM_REGIONS {
            return Err(Errno::INVAL);
        }
        let size = self.region_size(ask.index);
        let flags = if size > 0 { vfio::VFIO_REGION_INFO_FLAG_READ | vfio::VFIO_REGION_INFO_FLAG_WRITE } else { 0 };
        let argsz = size_of::<RegionInfo>() as u32;
        Ok(bytes(RegionInfo { argsz, flags, index: ask.index, size, ..RegionInfo::default() }))
    }

    fn irq_info(&self, ask: IrqInfo) -> Answer {
        let ask = ask.check()?;
        if ask.index >= vfio::VFIO_PCI_NUM_IRQS {
            return Err(Errno::INVAL);
        }
        let is_msix = ask.index == vfio::VFIO_PCI_MSIX_IRQ_INDEX;
        let (flags, count) = match is_msix {
            true => (vfio::VFIO_IRQ_INFO_EVENTFD | vfio::VFIO_IRQ_INFO_MASKABLE, self.view.vectors()),
            false => (0, 0),
        };
        Ok(bytes(IrqInfo { argsz: size_of::<IrqInfo>() as u32, flags, index: ask.index, count }))
    }

    /// As `VFIO_DEVICE_SET_IRQS`, for MSI-X.
    fn set_irqs(&mut self, set: SetIrqs, data: &[u8], fds: Vec<OwnedFd>) -> Answer {
        let count = self.view.vectors();
        // Of the other kinds there are none, as the kernel has it: not even to be disabled.
        let there = if set.index == vfio::VFIO_PCI_MSIX_IRQ_INDEX { count } else { 0 };
        rules::set_irqs(&set.check()?, there, data.len())?;
        let data_kind = set.flags & vfio::VFIO_IRQ_SET_DATA_TYPE_MASK;
        let action = set.flags & vfio::VFIO_IRQ_SET_ACTION_TYPE_MASK;
        let triggers = action == vfio::VFIO_IRQ_SET_ACTION_TRIGGER && data_kind != vfio::VFIO_IRQ_SET_DATA_EVENTFD;
        if triggers && set.count > 0 && !self.irqs.any() {
            return Err(Errno::INVAL);
        }
        let chosen = |i: u32| data.get(i as usize).is_some_and(|b| *b != 0);
        match (action, data_kind) {
            (vfio::VFIO_IRQ_SET_ACTION_TRIGGER, vfio::VFIO_IRQ_SET_DATA_NONE) if set.count == 0 => {
                self.irqs.clear(count);
                self.device.function().disable_msix().map_err(|_| Errno::IO)?;
            }
            (vfio::VFIO_IRQ_SET_ACTION_TRIGGER, vfio::VFIO_IRQ_SET_DATA_NONE) => {
                (set.start..set.start + set.count).for_each(|v| self.outbox.interrupt(v as u16));
            }
            (vfio::VFIO_IRQ_SET_ACTION_TRIGGER, vfio::VFIO_IRQ_SET_DATA_BOOL) => {
                (0..set.count).filter(|i| chosen(*i)).for_each(|i| self.outbox.interrupt((set.start + i) as u16));
            }
            (vfio::VFIO_IRQ_SET_ACTION_TRIGGER, vfio::VFIO_IRQ_SET_DATA_EVENTFD) => self.connect(set, fds)?,
            (vfio::VFIO_IRQ_SET_ACTION_MASK | vfio::VFIO_IRQ_SET_ACTION_UNMASK, kind) => {
                let masked = action == vfio::VFIO_IRQ_SET_ACTION_MASK;
                match kind {
                    vfio::VFIO_IRQ_SET_DATA_NONE => self.irqs.mask(set.start, set.count, masked),
                    vfio::VFIO_IRQ_SET_DATA_BOOL => {
                        (0..set.count).filter(|i| chosen(*i)).for_each(|i| self.irqs.mask(set.start + i, 1, masked));
                    }
                    _ => return Err(Errno::INVAL),
                }
            }
            _ => return Err(Errno::INVAL),
        }
        Ok(Vec::new())
    }

    /// Vectors get their eventfds; one without any is connected to nothing. The card's own table is filled with the first.
    fn connect(&mut self, set: SetIrqs, fds: Vec<OwnedFd>) -> Result<(), Errno> {
        if fds.len() > MAX_FDS || fds.len() > set.count as usize {
            return Err(Errno::INVAL);
        }
        fds.iter().try_for_each(irqs::check)?;
        let enabled = self.irqs.any();
        let none = (fds.len()..set.count as usize).map(|_| None);
        self.irqs.set(set.start, fds.into_iter().map(Some).chain(none));
        if enabled { Ok(()) } else { self.fill_table() }
    }

    /// That an access lies in a region that there is.
    fn check(&self, access: RegionAccess) -> Result<usize, Errno> {
        let size = self.region_size(access.region);
        let count = access.count as usize;
        let inside = access.offset.checked_add(access.count.into()).is_some_and(|end| end <= size);
        if inside && count <= MAX_ACCESS { Ok(count) } else { Err(Errno::INVAL) }
    }

    fn region_read(&self, access: RegionAccess) -> Answer {
        let mut answer = bytes(access);
        let head = answer.len();
        answer.resize(head + self.check(access)?, 0);
        let out = &mut answer[head..];
        if access.region == vfio::VFIO_PCI_CONFIG_REGION_INDEX {
            self.view.read(access.offset, out);
        } else if access.region == 0 && owns_vectors(access.offset) {
            // Addresses of this side's; the client has a table of its own.
        } else {
            in_pieces(access.offset, out.len(), |at, range| {
                self.device.bar_read(access.region as usize, at, &mut out[range]);
            });
        }
        Ok(answer)
    }

    fn region_write(&mut self, access: RegionAccess, data: &[u8]) -> Answer {
        let count = self.check(access)?;
        // Neither less data than was announced nor more.
        if data.len() != count {
            return Err(Errno::INVAL);
        }
        if access.region == vfio::VFIO_PCI_CONFIG_REGION_INDEX {
            match self.view.write(access.offset, data) {
                Effect::None => {}
                Effect::Active(on) => self.device.set_bus_master(on).map_err(|_| Errno::IO)?,
                Effect::Reset => self.reset()?,
            }
        } else {
            in_pieces(access.offset, count, |at, range| {
                self.device.bar_write(access.region as usize, at, &data[range]);
            });
        }
        Ok(bytes(access))
    }

    fn dma_map(&self, map: DmaMap, files: Vec<OwnedFd>) -> Answer {
        rules::dma_map(&map.check()?, files.len())?;
        let number = self.device.number();
        let mut root = self.device.card().root();
        let memory = root.memory();
        if memory.count(number) >= MAX_MAPS {
            return Err(Errno::NOSPC);
        }
        let access = Access { read: map.flags & MAP_READ != 0, write: map.flags & MAP_WRITE != 0 };
        let mapped = match files.first() {
            Some(file) => memory.map_file(Some(number), file.as_fd(), map.offset, (map.address, map.size), access),
            None => memory.map_remote(number, map.address, map.size, self.outbox.clone()),
        };
        match mapped {
            Ok(()) => Ok(Vec::new()),
            Err(error) => {
                tracing::debug!("{}: {error}", self.device.function().name());
                Err(Errno::INVAL)
            }
        }
    }

    fn dma_unmap(&self, unmap: DmaUnmap) -> Answer {
        rules::dma_unmap(&unmap.check()?)?;
        let number = self.device.number();
        let mut root = self.device.card().root();
        let (first, last) = if unmap.flags & UNMAP_ALL != 0 {
            root.memory().unmap_all(number);
            (0, u64::MAX)
        } else {
            root.memory().unmap_range(number, unmap.address, unmap.size).map_err(|_| Errno::INVAL)?;
            (unmap.address, unmap.address + (unmap.size - 1))
        };
        // Nor does it reach what is sent from here on.
        for token in self.outbox.forget(first, last) {
            root.remote_data(token, None);
        }
        drop(root);
        self.device.ring();
        Ok(bytes(unmap))
    }

    /// Function level reset. As the kernel's, it leaves memory, eventfds, and what configuration space shows, as they are.
    fn reset(&self) -> Result<(), Errno> {
        self.device.reset().map_err(|_| Errno::IO)?;
        if self.irqs.any() {
            self.fill_table()?;
        }
        if self.view.active() {
            self.device.set_bus_master(true).map_err(|_| Errno::IO)?;
        }
        Ok(())
    }

    /// Fills the card's own MSI-X table and enables it: all vectors come here, whoever of the client's wants them.
    fn fill_table(&self) -> Result<(), Errno> {
        self.device.function().enable_msix(self.view.vectors() as u16).map_err(|_| Errno::IO)?;
        self.device.ring();
        Ok(())
    }
}

impl Drop for Session<'_> {
    /// The client is gone: nothing of it stays in the function, and nothing of the function's reaches it any more.
    fn drop(&mut self) {
        self.outbox.close();
        let number = self.device.number();
        {
            let mut root = self.device.card().root();
            root.memory().unmap_all(number);
            root.remote_gone(number);
            root.interrupts().set_sink(number, None);
        }
        self.tally.interrupts.fetch_add(self.outbox.interrupts(), Ordering::Relaxed);
        self.tally.message_bytes.fetch_add(self.outbox.bytes(), Ordering::Relaxed);
        if let Err(error) = self.device.reset() {
            tracing::error!("{}: cannot be reset after its client: {error}", self.device.function().name());
        }
    }
}

/// Accesses of at most eight bytes, naturally aligned, as a bus makes them.
fn in_pieces(offset: u64, count: usize, mut access: impl FnMut(u64, std::ops::Range<usize>)) {
    let mut done = 0;
    while done < count {
        let at = offset + done as u64;
        let mut width = 8;
        while !at.is_multiple_of(width as u64) || done + width > count {
            width /= 2;
        }
        access(at, done..done + width);
        done += width;
    }
}

fn fixed<T: FromBytes>(command: Command, payload: &[u8]) -> Result<T> {
    split(command, payload).map(|(value, _)| value).map_err(malformed)
}

fn bytes<T: IntoBytes + zerocopy::Immutable>(value: T) -> Vec<u8> {
    value.as_bytes().to_vec()
}

fn malformed(error: azote_vfio_user::wire::Malformed) -> Error {
    Error::Protocol(error.to_string())
}
