//! The card: the core, and an engine in each of its sockets.

use azote_hdl::prelude::*;
use azote_regs::function;

use crate::config::template::Added;
use crate::core::Core;
use crate::dma::read::{ENGINES, TAGS};
use crate::engine::Nobody;
use crate::manage::Manage;
use crate::net::Net;
use crate::net::engine as net;
use crate::net::stream::{EthernetIn, EthernetOut};
use crate::storage::Storage;
use crate::storage::edge::{MediaDone, MediaGet, MediaRead, MediaRequest, MediaWrite};
use crate::transaction::{LinkIn, LinkOut};

#[derive(LogicBlock, Default)]
pub struct Card {
    pub clock: Clk,
    pub reset: Rst,
    /// The engines' clocks, by kind of function: `clock`, but for edges at which the engine was not `awake`.
    pub engine_clock: [Clk; ENGINES],
    pub awake: O<ENGINES>,
    /// The link (`docs/tlp-port.md`).
    pub rx: LinkIn,
    pub tx: LinkOut,
    /// The media (`docs/media-port.md`).
    pub mreq: MediaRequest,
    pub mwr: MediaWrite,
    pub mdone: MediaDone,
    pub mget: MediaGet,
    pub mrd: MediaRead,
    /// The Ethernet port (`docs/ethernet-port.md`).
    pub erx: EthernetIn,
    pub etx: EthernetOut,
    /// Something is going on inside: stop the clock only when this is 0.
    pub busy: O<1>,
    core: Core,
    net: Net,
    storage: Storage,
    trust: Nobody,
    manage: Manage,
}

/// The core of the card: net and storage have half of the tags of reads each.
pub fn core(vfs: usize) -> Core {
    Core::with(vfs, [TAGS / 2, TAGS / 2, 0], &[net::added(), Added::default(), Added::default()])
}

impl Card {
    /// A card with `vfs` VFs of each kind.
    pub fn new(vfs: usize) -> Self {
        Card {
            core: core(vfs),
            net: Net::new(vfs),
            storage: Storage::new(vfs),
            manage: Manage::new(vfs),
            ..Self::default()
        }
    }
}

const NET: usize = function::NET as usize;
const STORAGE: usize = function::STORAGE as usize;
const TRUST: usize = function::TRUST as usize;

#[kernel]
impl Logic for Card {
    fn update(&mut self) {
        clocked!(self.core, self.net, self.storage, self.trust, self.manage);
        self.net.clock = self.engine_clock[NET];
        self.storage.clock = self.engine_clock[STORAGE];
        self.trust.clock = self.engine_clock[TRUST];
        self.awake = self.core.awake;
        link!(self.rx, self.core.rx);
        link!(self.tx, self.core.tx);
        join!(self.core.engine[NET], self.net.socket);
        join!(self.core.engine[STORAGE], self.storage.socket);
        join!(self.core.engine[TRUST], self.trust.socket);
        join!(self.core.manage, self.manage.bus);
        join!(self.storage.tenants, self.manage.tenants);
        join!(self.manage.commit, self.net.ports);
        join!(self.manage.told, self.net.port);
        join!(self.manage.counters, self.net.counters);
        link!(self.mreq, self.storage.mreq);
        link!(self.mwr, self.storage.mwr);
        link!(self.mdone, self.storage.mdone);
        link!(self.mget, self.storage.mget);
        link!(self.mrd, self.storage.mrd);
        link!(self.erx, self.net.rx);
        link!(self.etx, self.net.tx);
        self.busy = self.core.busy | self.net.socket.busy | self.storage.socket.busy | self.manage.busy;
    }
}
