//! The net engine: the virtqueue engine, and what makes frames of buffers and fills buffers with frames.
//!
//! ```text
//!   bus ─► Registers ──┐ kick                            ┌─► Transmit ─► frames of functions
//!                      ├─► Fetch (odd queues)  ── chains ┘      │ used
//!                      └─► Fetch (even queues) ─► Buffers       ▼
//!   frames for functions ─► Receive ◄─────────────┘   used ─► Post ─► used rings, interrupts
//! ```
//!
//! Between them, and the wire, lies the path of a frame: offloads, switch, checks.

use azote_hdl::prelude::*;
use azote_regs::virtio::{self, bit, net, pci};
use azote_regs::{bar, function};

use super::buffers::Buffers;
use super::chains::Chains;
use super::path::Path;
use super::port::{PortAsk, PortsIn};
use super::receive::Receive;
use super::stream::{EthernetIn, EthernetOut};
use super::transmit::Transmit;
use crate::config::template::Added;
use crate::engine::Engine;
use crate::parts::{Arbiter, Marks, slots_of};
use crate::transaction::BusSlave;
use crate::virtio::fetch::Serves;
use crate::virtio::{Device, Fetch, Flights, Post, Reads, Registers};

/// What a net function adds to its configuration space: where its structures are (virtio §4.1.4).
#[must_use]
pub fn added() -> Added {
    let locates = |s: pci::Structure| {
        let dws = [pci::header(0, s.size, s.cfg_type), bar::BAR0, s.at, s.length, pci::NOTIFY_STRIDE];
        dws.iter().take(s.size as usize / 4).map(|dw| *dw as u32).collect()
    };
    let constant = pci::structures(net::config::LENGTH).map(locates).into();
    Added { constant, window: true }
}

/// What our device offers.
const FEATURES: u64 = bit(virtio::feature::VERSION_1)
    | bit(virtio::feature::ACCESS_PLATFORM)
    | bit(virtio::feature::ORDER_PLATFORM)
    | bit(virtio::feature::INDIRECT_DESC)
    | bit(virtio::feature::EVENT_IDX)
    | bit(virtio::feature::RING_RESET)
    | bit(net::feature::MAC)
    | bit(net::feature::MTU)
    | bit(net::feature::STATUS)
    | bit(net::feature::SPEED_DUPLEX)
    | bit(net::feature::MRG_RXBUF)
    | bit(net::feature::CSUM)
    | bit(net::feature::GUEST_CSUM)
    | bit(net::feature::HOST_TSO4)
    | bit(net::feature::HOST_TSO6)
    | bit(net::feature::HOST_ECN);
/// And of the PF besides.
const PF_FEATURES: u64 = bit(virtio::feature::SR_IOV);
/// `speed`: what 128 bits carry at the clock that the core is made for, in Mb/s.
const SPEED: u64 = azote_regs::clock::HZ * 128 / 1_000_000;

/// The clients of reads: the fetchers', the questions' of the poster, the groups' of the transmitter, and whoever
/// walks chains.
const ODD: usize = 0;
const EVEN: usize = 4;
const QUESTIONS: usize = 6;
const WALKER: usize = 15;

/// Ports of the blocks, by who is at them.
const FETCH_ODD: usize = 0;
const FETCH_EVEN: usize = 1;
const TRANSMIT: usize = 2;
const RECEIVE: usize = 3;
const POST: usize = 3;
const CHAINS: usize = 4;

#[derive(LogicBlock, Default)]
pub struct Net {
    pub clock: Clk,
    pub reset: Rst,
    pub socket: Engine,
    /// The Ethernet port.
    pub rx: EthernetIn,
    pub tx: EthernetOut,
    /// From management: ports that change, the counters, and what the functions' configuration tells.
    pub ports: PortsIn,
    pub counters: BusSlave,
    pub port: PortAsk,
    registers: Registers,
    odd: Fetch,
    even: Fetch,
    post: Post,
    flights: Flights,
    reads: Reads,
    buffers: Buffers,
    transmit: Transmit,
    receive: Receive,
    path: Path,
    chains: Chains,
    walked: Reg<1>,
    changes: Marks,
    bells: Arbiter<2, 1>,
}

impl Net {
    /// For the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let kind = function::NET;
        let device = Device { kind, queues: 2, features: FEATURES, pf_features: PF_FEATURES };
        Net {
            registers: Registers::new(vfs, &device),
            odd: Fetch::new(vfs, Serves { odd: true, walks: true, jobs: 4, client: ODD, kind }),
            even: Fetch::new(vfs, Serves { odd: false, walks: false, jobs: 2, client: EVEN, kind }),
            post: Post::new(vfs, kind, QUESTIONS),
            flights: Flights::new(vfs),
            buffers: Buffers::new(vfs),
            transmit: Transmit::new(kind),
            receive: Receive::new(kind),
            path: Path::new(vfs),
            chains: Chains::new(kind, WALKER),
            changes: Marks::new(slots_of(vfs)),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Net {
    fn update(&mut self) {
        clocked!(self.registers, self.odd, self.even, self.post, self.flights, self.reads, self.buffers);
        clocked!(self.transmit, self.receive, self.changes, self.bells, self.path, self.chains);

        let client = self.socket.land.client;
        // Registers.
        link!(self.socket.bus, self.registers.bus);
        link!(self.socket.reset, self.registers.forget);
        join!(self.odd.ring, self.registers.rings[0]);
        // Chains are walked seldom: whoever does has the fetcher's port for it.
        let walks_now = self.chains.asks & self.receive.walk;
        self.registers.rings[1].slot = if walks_now { self.chains.ring.slot } else { self.even.ring.slot };
        self.registers.rings[1].queue = if walks_now { self.chains.ring.queue } else { self.even.ring.queue };
        self.registers.rings[1].word = if walks_now { self.chains.ring.word } else { self.even.ring.word };
        self.walked.d = walks_now;
        self.even.ring.data = self.registers.rings[1].data;
        self.even.ring.taken = self.walked.q | walks_now | self.registers.rings[1].taken;
        self.even.ring.terms = self.registers.rings[1].terms;
        self.chains.ring.data = self.registers.rings[1].data;
        self.chains.ring.taken = self.registers.rings[1].taken;
        self.chains.ring.terms = 0;
        self.chains.valid = self.receive.walk;
        self.chains.slot = self.receive.slot;
        self.chains.pair = self.receive.pair;
        self.chains.own = self.receive.own;
        self.chains.own_at = self.receive.own_at;
        self.chains.entries = self.receive.entries;
        self.chains.link = self.receive.link;
        self.receive.walked = self.chains.done;
        self.receive.w_address = self.chains.address;
        self.receive.w_bytes = self.chains.bytes;
        self.receive.w_more = self.chains.more;
        self.receive.w_next = self.chains.next;
        self.receive.w_bad = self.chains.bad;
        join!(self.chains.rd, self.reads.ask[CHAINS]);
        self.chains.pending = self.socket.land.pending.bit(15);
        self.chains.failed = self.socket.land.failed.bit(15);
        self.chains.lanes = self.socket.land.lanes & client.all().rep(4);
        self.chains.data = self.socket.land.data;
        join!(self.post.ring, self.registers.rings[2]);
        join!(self.registers.kick[1], self.odd.kick[0]);
        join!(self.registers.kick[0], self.even.kick[0]);
        join!(self.receive.kick, self.even.kick[1]);
        self.odd.kick[1].valid = 0;
        self.odd.kick[1].slot = 0;
        self.odd.kick[1].pair = 0;
        self.registers.ask[0] = self.transmit.ask;
        self.transmit.terms = self.registers.terms[0];
        self.registers.ask[1] = self.receive.ask;
        self.receive.terms = self.registers.terms[1];
        self.registers.ask[2] = self.receive.in_ask;
        self.receive.in_terms = self.registers.terms[2];
        join!(self.odd.broken, self.registers.broken[FETCH_ODD]);
        join!(self.even.broken, self.registers.broken[FETCH_EVEN]);
        join!(self.post.broken, self.registers.broken[2]);
        join!(self.receive.broken, self.registers.broken[RECEIVE]);
        join!(self.transmit.broken, self.registers.broken[4]);
        self.flights.ask = self.registers.quiet_ask;
        self.registers.quiet = self.flights.quiet & self.flights.ready & self.buffers.ready;
        self.registers.told = self.post.told;
        self.registers.told_slot = self.post.told_slot;

        // What the functions' configuration tells (virtio §5.1.4).
        self.port.slot = self.registers.device_slot;
        self.changes.mark = self.port.changed;
        self.changes.slot = self.port.changed_slot;
        self.changes.drop = 0;
        self.changes.take = self.registers.changed_ready;
        self.registers.changed = self.changes.valid;
        self.registers.changed_slot = self.changes.first;
        let status = cat(sized(0, 15), self.port.link);
        self.registers.device = match self.registers.device_at {
            0 => self.port.mac.bits(31, 0),
            1 => cat(status, self.port.mac.bits(47, 32)),
            2 => cat(self.port.mtu, sized(1, 16)),
            3 => sized(SPEED, 32),
            4 => sized(1, 32),
            _ => 0,
        };

        // What is forgotten: all of it at once, each in clocks of its own.
        self.registers.wipe.done =
            self.odd.wipe.done & self.even.wipe.done & self.post.wipe.done & self.buffers.wipe.done;
        self.odd.wipe.slot_valid = self.registers.wipe.slot_valid;
        self.odd.wipe.queue_valid = self.registers.wipe.queue_valid;
        self.odd.wipe.slot = self.registers.wipe.slot;
        self.odd.wipe.queue = self.registers.wipe.queue;
        self.even.wipe.slot_valid = self.registers.wipe.slot_valid;
        self.even.wipe.queue_valid = self.registers.wipe.queue_valid;
        self.even.wipe.slot = self.registers.wipe.slot;
        self.even.wipe.queue = self.registers.wipe.queue;
        self.post.wipe.slot_valid = self.registers.wipe.slot_valid;
        self.post.wipe.queue_valid = self.registers.wipe.queue_valid;
        self.post.wipe.slot = self.registers.wipe.slot;
        self.post.wipe.queue = self.registers.wipe.queue;
        self.buffers.wipe.slot_valid = self.registers.wipe.slot_valid;
        self.buffers.wipe.queue_valid = self.registers.wipe.queue_valid;
        self.buffers.wipe.slot = self.registers.wipe.slot;
        self.buffers.wipe.queue = self.registers.wipe.queue;

        // What is under way.
        join!(self.odd.begins, self.flights.begins[0]);
        join!(self.odd.chain, self.flights.begins[1]);
        join!(self.even.begins, self.flights.begins[2]);
        join!(self.post.begins, self.flights.begins[3]);
        join!(self.receive.comes, self.flights.begins[4]);
        join!(self.receive.begins, self.flights.begins[5]);
        join!(self.odd.ends, self.flights.ends[0]);
        join!(self.even.ends, self.flights.ends[1]);
        join!(self.post.ends, self.flights.ends[2]);
        join!(self.receive.ends, self.flights.ends[3]);
        join!(self.post.rung, self.flights.ends[4]);

        // Host memory.
        join!(self.odd.rd, self.reads.ask[FETCH_ODD]);
        join!(self.even.rd, self.reads.ask[FETCH_EVEN]);
        join!(self.transmit.rd, self.reads.ask[TRANSMIT]);
        join!(self.post.rd, self.reads.ask[POST]);
        link!(self.socket.rd, self.reads.out);
        let to_odd = client.bits(3, 2) == 0;
        let to_even = client.bits(3, 1) == konst(EVEN / 2);
        let to_post = client.bits(3, 1) == konst(QUESTIONS / 2);
        self.odd.lanes = self.socket.land.lanes & to_odd.rep(4);
        self.even.lanes = self.socket.land.lanes & to_even.rep(4);
        self.transmit.lanes = self.socket.land.lanes & (client.bit(3) & !client.all()).rep(4);
        self.odd.row = self.socket.land.row;
        self.odd.next = self.socket.land.next;
        self.odd.off = self.socket.land.off;
        self.odd.data = self.socket.land.data;
        self.even.row = self.socket.land.row;
        self.even.next = self.socket.land.next;
        self.even.off = self.socket.land.off;
        self.even.data = self.socket.land.data;
        self.transmit.row = self.socket.land.row;
        self.transmit.next = self.socket.land.next;
        self.transmit.off = self.socket.land.off;
        self.transmit.data = self.socket.land.data;
        self.post.landed = self.socket.land.lanes.bit(0) & to_post;
        self.post.landed_at = self.socket.land.row.trunc(1);
        self.post.landed_data = self.socket.land.data.bits(31, 0);
        self.odd.pending = self.socket.land.pending.bits(3, 0);
        self.odd.failed = self.socket.land.failed.bits(3, 0);
        self.even.pending = self.socket.land.pending.bits(5, 4).zext(4);
        self.even.failed = self.socket.land.failed.bits(5, 4).zext(4);
        self.post.pending = self.socket.land.pending.bits(7, 6);
        self.post.failed = self.socket.land.failed.bits(7, 6);
        self.transmit.pending = self.socket.land.pending.bits(14, 8);
        self.transmit.failed = self.socket.land.failed.bits(14, 8);
        self.socket.land.forget =
            cat(self.chains.forget, self.transmit.forget, self.post.forget, self.even.forget.trunc(2), self.odd.forget);
        link!(self.socket.entry, self.post.tx);
        link!(self.socket.data, self.receive.tx);
        self.receive.mps = self.socket.mps;

        // Buffers and frames.
        join!(self.odd.out, self.transmit.buffers);
        self.odd.room = 8;
        join!(self.even.out, self.buffers.input);
        self.buffers.ask_slot = self.even.ask_slot;
        self.buffers.ask_pair = self.even.ask_pair;
        self.even.room = self.buffers.room;
        self.buffers.reserve = self.even.reserve;
        self.buffers.reserves = self.even.reserves;
        self.buffers.looked = self.even.looked;
        self.buffers.looked_slot = self.even.looked_slot;
        self.buffers.looked_pair = self.even.looked_pair;
        self.buffers.dry = self.even.dry;
        self.buffers.slot = self.receive.slot;
        self.buffers.pair = self.receive.pair;
        self.buffers.nth = self.receive.nth;
        self.receive.many = self.buffers.many;
        self.receive.few = self.buffers.few;
        self.receive.no_more = self.buffers.no_more;
        self.receive.buffer = self.buffers.buffer;
        self.buffers.take = self.receive.take;
        self.buffers.takes = self.receive.takes;
        self.buffers.looks = self.receive.looks;
        join!(self.transmit.out, self.path.sends);
        join!(self.transmit.wants, self.path.wants);
        join!(self.path.gets, self.receive.input);
        join!(self.path.told, self.receive.told_of);
        self.path.keys.key_we = 0;
        self.path.keys.key_slot = 0;
        self.path.keys.key_word = 0;
        self.path.keys.key_data = 0;
        self.path.keys.types_we = 0;
        self.path.keys.types_slot = 0;
        self.path.keys.types = 0;
        join!(self.path.room, self.receive.room);
        link!(self.rx, self.path.rx);
        link!(self.tx, self.path.tx);
        link!(self.ports, self.path.ports);
        link!(self.counters, self.path.counters);

        // What is told.
        join!(self.odd.used, self.post.used[FETCH_ODD]);
        join!(self.even.used, self.post.used[FETCH_EVEN]);
        join!(self.transmit.used, self.post.used[TRANSMIT]);
        join!(self.receive.used, self.post.used[RECEIVE]);
        self.bells.wants = cat(self.post.irq.valid, self.registers.irq.valid);
        let posts = self.bells.grant.bit(0);
        self.bells.take = self.bells.any;
        self.bells.last = self.socket.irq.ready;
        self.socket.irq.valid = self.bells.any;
        self.socket.irq.owner = if posts { self.post.irq.owner } else { self.registers.irq.owner };
        self.socket.irq.vector = if posts { self.post.irq.vector } else { self.registers.irq.vector };
        self.post.irq.ready = self.socket.irq.ready & self.bells.any & posts;
        self.registers.irq.ready = self.socket.irq.ready & self.bells.any & !posts;

        self.socket.busy = self.registers.busy
            | self.odd.busy
            | self.even.busy
            | self.post.busy
            | self.flights.busy
            | self.transmit.busy
            | self.receive.busy
            | self.path.busy
            | self.ports.valid
            | self.counters.valid
            | self.rx.valid
            | self.changes.valid
            | self.port.changed
            | (!self.buffers.ready);
        self.socket.counts = 0;
    }
}
