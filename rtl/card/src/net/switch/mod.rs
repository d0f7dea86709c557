//! The embedded switch: frames between functions of a tenant, and between them and the wire.
//!
//! Two lanes, one of frames that functions sent and one of those from the wire, each with a buffer in which a frame stays until all of
//! its copies were made. One judge says who gets a frame, by the directory; two senders make the copies, one to the wire and one to the functions.
//!
//! ```text
//!   from ──────────► lane ──┬──────────► tag ─────► wire
//!                     │     └──► deliver ─────────► functions
//!   wire ──► strip ──► lane ────────┘    counters
//!                     └── judge ── directory ◄── ports
//! ```

use azote_hdl::prelude::*;

pub mod counters;
pub mod deliver;
pub mod directory;
pub mod judge;
pub mod lane;
pub mod strip;
pub mod tag;
pub mod words;

use self::counters::Counters;
use self::deliver::Deliver;
use self::directory::Directory;
use self::judge::Judge;
use self::lane::Lane;
use self::strip::Strip;
use self::tag::Tag;
use crate::net::port::PortsIn;
use crate::net::stream::{EthernetIn, EthernetOut, FrameIn, FrameOut, RoomOut, SumIn};
use crate::transaction::BusSlave;

#[derive(LogicBlock, Default)]
pub struct Switch {
    pub clock: Clk,
    pub reset: Rst,
    /// Frames that functions send, and their checksums.
    pub from: FrameIn,
    pub sum: SumIn,
    /// Frames for functions, and whether one has room.
    pub to: FrameOut,
    pub room: RoomOut,
    /// The Ethernet port.
    pub rx: EthernetIn,
    pub tx: EthernetOut,
    /// From management: ports that change, and the counters.
    pub ports: PortsIn,
    pub counters: BusSlave,
    pub busy: O<1>,
    strip: Strip,
    inner: Lane,
    outer: Lane,
    judge: Judge,
    directory: Directory,
    tag: Tag,
    deliver: Deliver,
    counting: Counters,
}

impl Switch {
    /// A switch of the PF, `vfs` VFs and the wire.
    pub fn new(vfs: usize) -> Self {
        Switch {
            inner: Lane::new(vfs, false),
            outer: Lane::new(vfs, true),
            judge: Judge::new(vfs),
            directory: Directory::new(vfs),
            deliver: Deliver::new(vfs),
            counting: Counters::new(vfs),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Switch {
    fn update(&mut self) {
        clocked!(self.strip, self.inner, self.outer, self.judge, self.directory, self.tag, self.deliver, self.counting);
        link!(self.from, self.inner.frame);
        link!(self.sum, self.inner.sum);
        self.inner.vlan = 0;
        link!(self.rx, self.strip.port);
        join!(self.strip.frame, self.outer.frame);
        self.outer.vlan = self.strip.vlan;
        self.outer.sum.valid = 0;
        self.outer.sum.at = 0;
        self.outer.sum.value = 0;
        join!(self.inner.judge, self.judge.ask[0]);
        join!(self.outer.judge, self.judge.ask[1]);
        join!(self.judge.look, self.directory.look);

        // Copies of the inner lane go both ways, one at a time; the outer lane's never to the wire.
        self.tag.copy.for_wire = self.inner.copy.for_wire;
        self.deliver.copy[0].for_wire = self.inner.copy.for_wire;
        self.tag.copy.for_slot = self.inner.copy.for_slot;
        self.deliver.copy[0].for_slot = self.inner.copy.for_slot;
        self.tag.copy.slot = self.inner.copy.slot;
        self.deliver.copy[0].slot = self.inner.copy.slot;
        self.tag.copy.length = self.inner.copy.length;
        self.deliver.copy[0].length = self.inner.copy.length;
        self.tag.copy.tag = self.inner.copy.tag;
        self.deliver.copy[0].tag = self.inner.copy.tag;
        self.tag.copy.domain = self.inner.copy.domain;
        self.deliver.copy[0].domain = self.inner.copy.domain;
        self.tag.copy.valid = self.inner.copy.valid;
        self.deliver.copy[0].valid = self.inner.copy.valid;
        self.tag.copy.sop = self.inner.copy.sop;
        self.deliver.copy[0].sop = self.inner.copy.sop;
        self.tag.copy.eop = self.inner.copy.eop;
        self.deliver.copy[0].eop = self.inner.copy.eop;
        self.tag.copy.bytes = self.inner.copy.bytes;
        self.deliver.copy[0].bytes = self.inner.copy.bytes;
        self.tag.copy.data = self.inner.copy.data;
        self.deliver.copy[0].data = self.inner.copy.data;
        self.inner.copy.go = self.tag.copy.go | self.deliver.copy[0].go;
        self.inner.copy.skip = self.tag.copy.skip | self.deliver.copy[0].skip;
        self.inner.copy.ready = self.tag.copy.ready | self.deliver.copy[0].ready;
        join!(self.outer.copy, self.deliver.copy[1]);
        link!(self.tx, self.tag.port);
        link!(self.to, self.deliver.frame);
        link!(self.room, self.deliver.room);

        // Ports that change.
        link!(self.ports, self.directory.ports);
        self.inner.flush = self.directory.flush;
        self.outer.flush = self.directory.flush;
        self.directory.flushed = self.inner.flushed & self.outer.flushed;
        self.deliver.live = self.directory.look.live;
        self.deliver.sets = self.directory.flush;
        self.deliver.sets_slot = self.ports.slot;
        self.deliver.sets_port = self.ports.port;

        join!(self.inner.event, self.counting.event[0]);
        join!(self.outer.event, self.counting.event[1]);
        join!(self.tag.event, self.counting.event[2]);
        join!(self.deliver.event, self.counting.event[3]);
        link!(self.counters, self.counting.bus);
        self.busy = self.strip.busy
            | self.inner.busy
            | self.outer.busy
            | self.judge.busy
            | self.directory.busy
            | self.tag.busy
            | self.deliver.busy
            | self.counting.busy;
    }
}
