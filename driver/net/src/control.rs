//! The control queue (virtio §5.1.6.5): a command at a time, waited for.

use std::time::Duration;

use azote_dma::Buffer;
use azote_regs::virtio::net::{control, feature};
use azote_seam::{Function, poll_until};
use azote_virtio::{Part, Queue};

use crate::{Error, Net, Result};

/// Bytes of the longest command: a table of 128 addresses and another.
const ROOM: u64 = 2048;

/// How interrupts are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coalesce {
    /// Packets after which one comes at the latest.
    pub packets: u32,
    /// Microseconds after which it does.
    pub microseconds: u32,
}

/// The queue and the command in it.
pub(crate) struct Control {
    queue: Queue,
    buffer: Buffer,
    /// A command was given up: the device may still write its answer.
    silent: bool,
}

impl Control {
    pub fn new(queue: Queue, dma: &azote_dma::Dma) -> Result<Self> {
        Ok(Control { queue, buffer: dma.alloc(ROOM, 64)?, silent: false })
    }

    /// A command: class, number and data; `answer` is what the device is to write in front of how it ended.
    fn command(
        &mut self,
        function: &dyn Function,
        patience: Duration,
        name: &'static str,
        request: &[u8],
        answer: &mut [u8],
    ) -> Result<()> {
        let silent = Error::Silent { command: name, after: patience };
        if self.silent {
            return Err(silent);
        }
        let (len, room) = (request.len() as u64, answer.len() as u64);
        let end = len.next_multiple_of(64);
        if end + room + 1 > ROOM {
            return Err(Error::Packet { len: request.len(), what: "too long for a command" });
        }
        self.buffer.write(0, request)?;
        self.buffer.write(end, &vec![0xff; answer.len() + 1])?;
        let parts = [
            Part { slice: self.buffer.slice(0, len)?, written: false },
            Part { slice: self.buffer.slice(end, room + 1)?, written: true },
        ];
        self.queue.add(&parts, 0)?;
        self.queue.ring()?;
        let done = poll_until::<_, Error>(function, "the answer to a command", patience, || Ok(self.queue.take()?));
        match done {
            Ok(_) => {}
            Err(Error::Virtio(azote_virtio::Error::Seam(e))) if matches!(*e, azote_seam::Error::Timeout { .. }) => {
                self.silent = true;
                return Err(silent);
            }
            Err(error) => return Err(error),
        }
        let mut ack = [0];
        self.buffer.read(end, answer)?;
        self.buffer.read(end + room, &mut ack)?;
        if u64::from(ack[0]) == control::OK { Ok(()) } else { Err(Error::Refused { command: name }) }
    }
}

impl Net {
    fn command(&mut self, name: &'static str, head: (u64, u64), data: &[u8], answer: &mut [u8]) -> Result<()> {
        let function = self.transport.function().clone();
        let Some(queue) = &mut self.control else { return Err(Error::Lacks { what: name, feature: "CTRL_VQ" }) };
        let request = [&[head.0 as u8, head.1 as u8][..], data].concat();
        self.stats.commands += 1;
        queue.command(&*function, self.patience, name, &request, answer)
    }

    fn needs(&self, what: &'static str, bit: u32, feature: &'static str) -> Result<()> {
        if self.transport.has(bit) { Ok(()) } else { Err(Error::Lacks { what, feature }) }
    }

    /// Receives every frame, or only those that are addressed to it.
    pub fn set_promiscuous(&mut self, on: bool) -> Result<()> {
        self.needs("promiscuous mode", feature::CTRL_RX, "CTRL_RX")?;
        self.command("promiscuous mode", (control::RX, control::RX_PROMISC), &[on.into()], &mut [])
    }

    /// Receives every multicast, or only those of the table.
    pub fn set_all_multicast(&mut self, on: bool) -> Result<()> {
        self.needs("all multicasts", feature::CTRL_RX, "CTRL_RX")?;
        self.command("all multicasts", (control::RX, control::RX_ALLMULTI), &[on.into()], &mut [])
    }

    /// Also receives what is addressed to one of these.
    pub fn set_mac_table(&mut self, unicasts: &[[u8; 6]], multicasts: &[[u8; 6]]) -> Result<()> {
        self.needs("the table of addresses", feature::CTRL_RX, "CTRL_RX")?;
        let table = |addresses: &[[u8; 6]]| [&(addresses.len() as u32).to_le_bytes()[..], &addresses.concat()].concat();
        let data = [table(unicasts), table(multicasts)].concat();
        self.command("the table of addresses", (control::MAC, control::MAC_TABLE_SET), &data, &mut [])
    }

    /// Gives the device another address.
    pub fn set_mac(&mut self, mac: [u8; 6]) -> Result<()> {
        self.needs("another address", feature::CTRL_MAC_ADDR, "CTRL_MAC_ADDR")?;
        self.command("another address", (control::MAC, control::MAC_ADDR_SET), &mac, &mut [])?;
        self.mac = mac;
        Ok(())
    }

    /// Receives frames of this VLAN.
    pub fn add_vlan(&mut self, vlan: u16) -> Result<()> {
        self.needs("a VLAN", feature::CTRL_VLAN, "CTRL_VLAN")?;
        self.command("a VLAN", (control::VLAN, control::VLAN_ADD), &vlan.to_le_bytes(), &mut [])
    }

    /// Receives them no more.
    pub fn delete_vlan(&mut self, vlan: u16) -> Result<()> {
        self.needs("a VLAN", feature::CTRL_VLAN, "CTRL_VLAN")?;
        self.command("a VLAN", (control::VLAN, control::VLAN_DEL), &vlan.to_le_bytes(), &mut [])
    }

    /// Has announced itself, as the link's state asked for.
    pub fn announced(&mut self) -> Result<()> {
        self.needs("an announcement", feature::GUEST_ANNOUNCE, "GUEST_ANNOUNCE")?;
        self.command("an announcement", (control::ANNOUNCE, control::ANNOUNCE_ACK), &[], &mut [])
    }

    /// Receives in so many pairs of those that are set up.
    pub fn set_pairs(&mut self, pairs: u16) -> Result<()> {
        self.needs("pairs of queues", feature::MQ, "MQ")?;
        self.command("pairs of queues", (control::MQ, control::MQ_VQ_PAIRS_SET), &pairs.to_le_bytes(), &mut [])
    }

    /// How interrupts of receive queues, or of transmit queues, are put together.
    pub fn set_coalescing(&mut self, transmit: bool, to: Coalesce) -> Result<()> {
        self.needs("coalescing", feature::NOTF_COAL, "NOTF_COAL")?;
        let command = if transmit { control::NOTF_COAL_TX_SET } else { control::NOTF_COAL_RX_SET };
        self.command("coalescing", (control::NOTF_COAL, command), &coalesce(to), &mut [])
    }

    /// The same of one queue, by its number.
    pub fn set_queue_coalescing(&mut self, queue: u16, to: Coalesce) -> Result<()> {
        self.needs("a queue's coalescing", feature::VQ_NOTF_COAL, "VQ_NOTF_COAL")?;
        let data = [&queue.to_le_bytes()[..], &[0; 2], &coalesce(to)].concat();
        self.command("a queue's coalescing", (control::NOTF_COAL, control::NOTF_COAL_VQ_SET), &data, &mut [])
    }

    /// What one queue has.
    pub fn queue_coalescing(&mut self, queue: u16) -> Result<Coalesce> {
        self.needs("a queue's coalescing", feature::VQ_NOTF_COAL, "VQ_NOTF_COAL")?;
        let data = [&queue.to_le_bytes()[..], &[0; 2]].concat();
        let mut answer = [0; 8];
        self.command("a queue's coalescing", (control::NOTF_COAL, control::NOTF_COAL_VQ_GET), &data, &mut answer)?;
        let [packets, microseconds] =
            [0, 4].map(|at| u32::from_le_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]));
        Ok(Coalesce { packets, microseconds })
    }
}

fn coalesce(to: Coalesce) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&to.packets.to_le_bytes());
    bytes[4..].copy_from_slice(&to.microseconds.to_le_bytes());
    bytes
}
