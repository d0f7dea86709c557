//! Events that carry a device's vectors to the guest without passing through this process: the device signals an event,
//! KVM turns it into the message that the guest has written into the table.
//!
//! A masked vector keeps its event at the device but loses it at KVM: what comes meanwhile stays in the event's count,
//! which is the pending bit, and is delivered when the event is attached again.

use std::{io, os::fd::AsRawFd};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::pci::{
    Device, Gsi, Host,
    msix::{Entry, Table},
};

/// Vectors that a device is given at once when MSI-X is enabled. Larger tables grow when the guest unmasks more:
/// hosts have few interrupts to give away.
const AT_ONCE: usize = 64;

struct Vector {
    event: EventFd,
    gsi: Gsi,
    attached: bool,
    /// The message that KVM has for it; none if it has refused the last one.
    routed: Option<(u64, u32)>,
}

/// The vectors of a function.
pub struct Vectors {
    vectors: Vec<Vector>,
    /// How many of them the device knows; 0 while MSI-X is off.
    at_device: usize,
}

impl Vectors {
    /// All of a table: events and message numbers are taken before the guest runs, so that none is missing when it does.
    pub fn new(count: u16, host: &Host) -> io::Result<Self> {
        let vector = |_| {
            let event = EventFd::new(EFD_NONBLOCK)?;
            Ok(Vector { event, gsi: host.allocate_gsi()?, attached: false, routed: None })
        };
        Ok(Self { vectors: (0..count).map(vector).collect::<io::Result<_>>()?, at_device: 0 })
    }

    /// Makes everything be as the table and the capability say.
    pub fn apply(
        &mut self,
        device: &dyn Device,
        host: &Host,
        table: &Table,
        enabled: bool,
        masked: bool,
    ) -> io::Result<()> {
        if !enabled {
            return self.disable(device, host);
        }
        let used = table.entries().iter().rposition(|e| !e.masked).map_or(0, |i| i + 1);
        let wanted = used.max(self.vectors.len().min(AT_ONCE));
        self.tell_device(device, wanted)?;
        self.tell_kvm(host, table, masked)
    }

    /// Takes them from KVM and from the device.
    pub fn disable(&mut self, device: &dyn Device, host: &Host) -> io::Result<()> {
        for v in &mut self.vectors {
            if std::mem::take(&mut v.attached) {
                host.detach(&v.event, v.gsi);
            }
            // What came for a driver that has gone is nothing to the next.
            let _ = v.event.read();
        }
        match std::mem::take(&mut self.at_device) {
            0 => Ok(()),
            _ => device.clear_vectors(),
        }
    }

    /// The pending bits of 64 vectors.
    pub fn pending(&self, word: usize) -> u64 {
        let chunk = self.vectors.iter().skip(word.saturating_mul(64)).take(64);
        chunk.enumerate().map(|(i, v)| u64::from(!v.attached && readable(&v.event)) << i).sum()
    }

    /// Adds vectors at the device. A host without dynamic MSI-X refuses that: then all are set again.
    fn tell_device(&mut self, device: &dyn Device, wanted: usize) -> io::Result<()> {
        if wanted <= self.at_device {
            return Ok(());
        }
        let events = |from: usize| self.vectors[from..wanted].iter().map(|v| &v.event).collect::<Vec<_>>();
        let known = self.at_device;
        if known == 0 || device.set_vectors(known as u16, &events(known)).is_err() {
            if known != 0 {
                device.clear_vectors()?;
                self.at_device = 0;
            }
            device.set_vectors(0, &events(0))?;
        }
        self.at_device = wanted;
        Ok(())
    }

    fn tell_kvm(&mut self, host: &Host, table: &Table, masked: bool) -> io::Result<()> {
        let message = |entry: &Entry| (entry.address, entry.data);
        let new: Vec<_> = (0..self.vectors.len())
            .zip(table.entries())
            .filter(|(i, e)| deliverable(e, masked) && self.vectors[*i].routed != Some(message(e)))
            .map(|(i, e)| (i, message(e)))
            .collect();
        let mut refused = Ok(());
        // All at once, as that is one call; if KVM refuses one of them, each by itself.
        if !new.is_empty() && self.route(host, &new).is_err() {
            for one in &new {
                if let Err(e) = self.route(host, std::slice::from_ref(one)) {
                    self.vectors[one.0].routed = None;
                    refused = Err(e);
                }
            }
        }
        for (v, entry) in self.vectors.iter_mut().zip(table.entries()) {
            // One whose message was refused is not delivered by an older one.
            match (deliverable(entry, masked) && v.routed == Some(message(entry)), v.attached) {
                (true, false) => {
                    host.attach(&v.event, v.gsi)?;
                    v.attached = true;
                }
                (false, true) => {
                    host.detach(&v.event, v.gsi);
                    v.attached = false;
                }
                _ => {}
            }
        }
        refused
    }

    fn route(&mut self, host: &Host, messages: &[(usize, (u64, u32))]) -> io::Result<()> {
        let routes: Vec<_> =
            messages.iter().map(|(i, (address, data))| (self.vectors[*i].gsi, *address, *data)).collect();
        host.route(&routes)?;
        for (i, message) in messages {
            self.vectors[*i].routed = Some(*message);
        }
        Ok(())
    }
}

fn deliverable(entry: &Entry, masked: bool) -> bool {
    !entry.masked && !masked
}

fn readable(event: &EventFd) -> bool {
    let mut poll = libc::pollfd { fd: event.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid `pollfd`, and no waiting.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 && poll.revents & libc::POLLIN != 0 }
}
