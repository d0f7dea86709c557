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
const AT_ONCE: u16 = 64;

struct Vector {
    event: EventFd,
    gsi: Gsi,
    attached: bool,
    /// The message that KVM has for it.
    routed: Option<(u64, u32)>,
}

/// The vectors of a function.
pub struct Vectors {
    vectors: Vec<Vector>,
    /// How many of them the device knows; 0 while MSI-X is off.
    at_device: usize,
    count: u16,
}

impl Vectors {
    /// None yet: events and message numbers are taken when MSI-X is first enabled.
    #[must_use]
    pub fn new(count: u16) -> Self {
        Self { vectors: Vec::new(), at_device: 0, count }
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
        let wanted = used.max(usize::from(self.count.min(AT_ONCE)));
        self.grow(host, wanted)?;
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

    fn grow(&mut self, host: &Host, wanted: usize) -> io::Result<()> {
        while self.vectors.len() < wanted {
            let (event, gsi) = (EventFd::new(EFD_NONBLOCK)?, host.allocate_gsi()?);
            self.vectors.push(Vector { event, gsi, attached: false, routed: None });
        }
        Ok(())
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
        let mut routes = Vec::new();
        for (v, entry) in self.vectors.iter_mut().zip(table.entries()) {
            let message = (entry.address, entry.data);
            if deliverable(entry, masked) && v.routed != Some(message) {
                routes.push((v.gsi, entry.address, entry.data));
                v.routed = Some(message);
            }
        }
        if !routes.is_empty() {
            host.route(&routes)?;
        }
        for (v, entry) in self.vectors.iter_mut().zip(table.entries()) {
            match (deliverable(entry, masked), v.attached) {
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
