//! A host on the network: an address, who is asked where others are, and what it answers by itself.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use azote_net::{Batch, Net, Packet};
use etherparse::{
    ArpEthIpv4Packet, ArpOperation, ArpPacket, EtherType, Icmpv4Type, NetSlice, PacketBuilder, SlicedPacket,
    TransportSlice,
};

use crate::Result;
use crate::args::net::Network;

/// Everybody.
const BROADCAST: [u8; 6] = [0xff; 6];
/// Hops of what is sent.
const TTL: u8 = 64;

/// An answer to an echo.
pub(super) struct Echo {
    pub from: Ipv4Addr,
    pub id: u16,
    pub seq: u16,
    pub ttl: u8,
    /// Bytes of ICMP.
    pub len: usize,
    pub data: Vec<u8>,
}

/// The host.
pub(super) struct Station {
    pub net: Net,
    own: Network,
    gateway: Option<Ipv4Addr>,
    known: HashMap<Ipv4Addr, [u8; 6]>,
    batch: Batch,
}

/// How long an answer to ARP is waited for, and how many times it is asked.
const PATIENCE: Duration = Duration::from_millis(500);
const TRIES: u32 = 3;

impl Station {
    pub fn new(net: Net, own: Network, gateway: Option<Ipv4Addr>) -> Self {
        Station { net, own, gateway, known: HashMap::new(), batch: Batch::default() }
    }

    /// Device's time.
    pub fn now(&self) -> Duration {
        self.net.function().now()
    }

    fn send(&mut self, frame: &[u8]) -> Result<()> {
        // A queue that is full of a batch of small frames empties at once.
        while self.net.send(0, &[Packet::from(frame)])? == 0 {
            self.net.flush()?;
        }
        Ok(())
    }

    fn arp(&mut self, operation: ArpOperation, to: [u8; 6], hardware: [u8; 6], address: Ipv4Addr) -> Result<()> {
        let own = self.own.address.octets();
        let arp = ArpEthIpv4Packet {
            operation,
            sender_mac: self.net.mac(),
            sender_ipv4: own,
            target_mac: hardware,
            target_ipv4: address.octets(),
        };
        let builder = PacketBuilder::ethernet2(self.net.mac(), to).arp(ArpPacket::from(arp));
        let mut frame = Vec::with_capacity(builder.size());
        if builder.write(&mut frame).is_ok() {
            // What is shorter is no frame on a wire.
            frame.resize(frame.len().max(60), 0);
            self.send(&frame)?;
        }
        Ok(())
    }

    /// The hardware address for what goes to `destination`, asked for if it is not known; none if nobody answers.
    pub fn resolve(&mut self, destination: Ipv4Addr) -> Result<Option<[u8; 6]>> {
        let hop = if self.own.holds(destination) { destination } else { self.gateway.unwrap_or(destination) };
        for _ in 0..TRIES {
            if let Some(mac) = self.known.get(&hop) {
                return Ok(Some(*mac));
            }
            self.arp(ArpOperation::REQUEST, BROADCAST, [0; 6], hop)?;
            let until = self.now() + PATIENCE;
            while !self.known.contains_key(&hop) && self.now() < until {
                self.hear(until - self.now())?;
            }
        }
        Ok(self.known.get(&hop).copied())
    }

    fn icmp(&mut self, to: [u8; 6], destination: Ipv4Addr, kind: Icmpv4Type, data: &[u8]) -> Result<()> {
        let builder = PacketBuilder::ethernet2(self.net.mac(), to)
            .ipv4(self.own.address.octets(), destination.octets(), TTL)
            .icmpv4(kind);
        let mut frame = Vec::with_capacity(builder.size(data.len()));
        if builder.write(&mut frame, data).is_ok() {
            frame.resize(frame.len().max(60), 0);
            self.send(&frame)?;
        }
        Ok(())
    }

    /// Asks for an echo.
    pub fn ask(&mut self, to: [u8; 6], destination: Ipv4Addr, id: u16, seq: u16, data: &[u8]) -> Result<()> {
        let header = etherparse::IcmpEchoHeader { id, seq };
        self.icmp(to, destination, Icmpv4Type::EchoRequest(header), data)
    }

    /// Waits for frames, so long at most, and answers what is to be answered; the echoes among them.
    pub fn hear(&mut self, most: Duration) -> Result<Vec<Echo>> {
        let mut echoes = Vec::new();
        if self.net.wait(most)? {
            let mut batch = std::mem::take(&mut self.batch);
            self.net.receive(0, &mut batch, 32)?;
            for frame in batch.frames() {
                echoes.extend(self.heard(&frame.bytes)?);
            }
            self.batch = batch;
        }
        Ok(echoes)
    }

    fn heard(&mut self, frame: &[u8]) -> Result<Option<Echo>> {
        let Ok(parsed) = SlicedPacket::from_ethernet(frame) else { return Ok(None) };
        match (parsed.net, parsed.transport) {
            (Some(NetSlice::Arp(arp)), _) if arp.proto_addr_type() == EtherType::IPV4 => {
                let Ok(arp) = ArpEthIpv4Packet::try_from(arp.to_packet()) else { return Ok(None) };
                let sender = Ipv4Addr::from(arp.sender_ipv4);
                if Ipv4Addr::from(arp.target_ipv4) == self.own.address {
                    self.known.insert(sender, arp.sender_mac);
                    if arp.operation == ArpOperation::REQUEST {
                        self.arp(ArpOperation::REPLY, arp.sender_mac, arp.sender_mac, sender)?;
                    }
                }
                Ok(None)
            }
            (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(icmp))) => {
                let header = ip.header();
                let from = header.source_addr();
                if header.destination_addr() != self.own.address {
                    return Ok(None);
                }
                match icmp.icmp_type() {
                    Icmpv4Type::EchoReply(echo) => Ok(Some(Echo {
                        from,
                        id: echo.id,
                        seq: echo.seq,
                        ttl: header.ttl(),
                        len: icmp.slice().len(),
                        data: icmp.payload().to_vec(),
                    })),
                    Icmpv4Type::EchoRequest(echo) => {
                        if let Some(to) = frame.get(6..).and_then(|rest| rest.first_chunk()) {
                            self.icmp(*to, from, Icmpv4Type::EchoReply(echo), icmp.payload())?;
                        }
                        Ok(None)
                    }
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }
}
