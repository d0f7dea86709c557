//! A client made by hand.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use azote_regs::{bar, nvme};
use azote_vfio_user::Error;
use azote_vfio_user::wire::payload::{DmaMap, RegionAccess};
use azote_vfio_user::wire::{Command, Connection, ERROR, Header, Message, REPLY, version_text};
use vfio_bindings::bindings::vfio;
use zerocopy::IntoBytes;

use super::{Rig, wait_until};

/// A client made by hand.
pub struct Raw {
    pub connection: Connection,
    pub next: u16,
    /// What the device asked while an answer of its was waited for.
    asked: VecDeque<Message>,
}

/// A socket that is the function's client now.
pub fn stream(rig: &Rig) -> UnixStream {
    loop {
        wait_until("the function's turn", || !rig.server.counters()[0].connected);
        let stream = UnixStream::connect(rig.path(0)).unwrap();
        // Its predecessor may just be on its way out; then this one was turned away.
        let soon = Instant::now() + Duration::from_millis(500);
        while Instant::now() < soon {
            if rig.server.counters()[0].connected {
                return stream;
            }
            std::thread::yield_now();
        }
    }
}

impl Raw {
    pub fn new(rig: &Rig) -> Raw {
        Raw { connection: Connection::new(stream(rig)).unwrap(), next: 0, asked: VecDeque::new() }
    }

    /// One that has said who it is.
    pub fn agreed(rig: &Rig) -> Raw {
        let mut raw = Raw::new(rig);
        assert_eq!(raw.ask(Command::Version as u16, &version_text(), &[]).unwrap().header.flags, REPLY);
        raw
    }

    pub fn send(&mut self, command: u16, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<u16, Error> {
        self.next = self.next.wrapping_add(1);
        let header = Header { id: self.next, command, ..Header::default() };
        self.connection.send(header, &[payload], fds).map(|()| self.next)
    }

    /// What the device asks next.
    pub fn asked(&mut self) -> Result<Message, Error> {
        if let Some(asked) = self.asked.pop_front() {
            return Ok(asked);
        }
        self.connection.receive(Some(Instant::now() + Duration::from_secs(20)))
    }

    pub fn ask(&mut self, command: u16, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Message, Error> {
        let id = self.send(command, payload, fds)?;
        let reply = loop {
            let message = self.connection.receive(Some(Instant::now() + Duration::from_secs(20)))?;
            if message.header.is_reply() {
                break message;
            }
            self.asked.push_back(message);
        };
        assert_eq!((reply.header.id, reply.header.flags & REPLY), (id, REPLY), "in step");
        Ok(reply)
    }

    pub fn errno(&mut self, command: Command, payload: &[u8], fds: &[BorrowedFd<'_>]) -> u32 {
        let reply = self.ask(command as u16, payload, fds).unwrap();
        assert_eq!(reply.header.flags & ERROR != 0, reply.header.error != 0);
        reply.header.error
    }

    pub fn works(&mut self) {
        let read = RegionAccess { offset: 0, region: vfio::VFIO_PCI_CONFIG_REGION_INDEX, count: 4 };
        let reply = self.ask(Command::RegionRead as u16, read.as_bytes(), &[]).unwrap();
        assert_eq!(reply.payload[16..], [0xf4, 0x1a, 0xf1, 0x10]);
    }

    /// A mebibyte of memory from 0 on, by message.
    pub fn map_all(&mut self) {
        let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: 0, size: 1 << 20 };
        assert_eq!(self.errno(Command::DmaMap, map.as_bytes(), &[]), 0);
    }

    /// Enables the controller with its queues at `queues`, and rings for a command.
    pub fn start_controller(&mut self, queues: u64) {
        let mut write = |region: u32, offset: u64, data: &[u8]| {
            let access = RegionAccess { offset, region, count: data.len() as u32 };
            assert_eq!(self.errno(Command::RegionWrite, &[access.as_bytes(), data].concat(), &[]), 0);
        };
        write(vfio::VFIO_PCI_CONFIG_REGION_INDEX, 4, &[6, 0]);
        write(0, nvme::controller::AQA, &0x000f_000fu32.to_le_bytes());
        write(0, nvme::controller::ASQ, &queues.to_le_bytes());
        write(0, nvme::controller::ACQ, &(queues + 0x1000).to_le_bytes());
        write(0, nvme::controller::CC, &0x0046_0001u32.to_le_bytes());
        write(0, bar::DOORBELLS, &1u32.to_le_bytes());
    }
}
