//! A card with two engines: the copier serves the functions of the first kind, storage its own.

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_rtl::config::template::Added;
use azote_rtl::core::Core;
use azote_rtl::dma::read::ENGINES;
use azote_rtl::engine::Nobody;
use azote_rtl::manage::Bindings;
use azote_rtl::net::stream::{EthernetIn, EthernetOut};
use azote_rtl::storage::Storage;
use azote_rtl::storage::edge::{MediaDone, MediaGet, MediaRead, MediaRequest, MediaWrite};
use azote_rtl::transaction::{LinkIn, LinkOut};

use crate::copier::Copier;

#[derive(LogicBlock, Default)]
pub struct Card {
    pub clock: Clk,
    pub reset: Rst,
    pub engine_clock: [Clk; ENGINES],
    pub awake: O<ENGINES>,
    pub rx: LinkIn,
    pub tx: LinkOut,
    pub mreq: MediaRequest,
    pub mwr: MediaWrite,
    pub mdone: MediaDone,
    pub mget: MediaGet,
    pub mrd: MediaRead,
    pub erx: EthernetIn,
    pub etx: EthernetOut,
    pub busy: O<1>,
    core: Core,
    copier: Copier,
    storage: Storage,
    trust: Nobody,
    bindings: Bindings,
}

impl Card {
    /// The copier has a quarter of the tags, and its functions a window to their registers.
    pub fn new(vfs: usize) -> Self {
        Card {
            core: Core::with(vfs, [8, 24, 0], &[window(), Added::default(), Added::default()]),
            copier: Copier::new(),
            storage: Storage::new(vfs),
            bindings: Bindings::new(vfs),
            ..Self::default()
        }
    }
}

/// What the copier adds to configuration space.
pub fn window() -> Added {
    Added { window: true, ..Added::default() }
}

const NET: usize = function::NET as usize;
const STORAGE: usize = function::STORAGE as usize;
const TRUST: usize = function::TRUST as usize;

#[kernel]
impl Logic for Card {
    fn update(&mut self) {
        clocked!(self.core, self.copier, self.storage, self.trust, self.bindings);
        self.copier.clock = self.engine_clock[NET];
        self.storage.clock = self.engine_clock[STORAGE];
        self.trust.clock = self.engine_clock[TRUST];
        self.awake = self.core.awake;
        link!(self.rx, self.core.rx);
        link!(self.tx, self.core.tx);
        join!(self.core.engine[NET], self.copier.socket);
        join!(self.core.engine[STORAGE], self.storage.socket);
        join!(self.core.engine[TRUST], self.trust.socket);
        join!(self.core.manage, self.bindings.bus);
        join!(self.storage.tenants, self.bindings.tenants);
        link!(self.mreq, self.storage.mreq);
        link!(self.mwr, self.storage.mwr);
        link!(self.mdone, self.storage.mdone);
        link!(self.mget, self.storage.mget);
        link!(self.mrd, self.storage.mrd);
        self.erx.ready = 1;
        self.etx.valid = 0;
        self.etx.sop = 0;
        self.etx.eop = 0;
        self.etx.bytes = 0;
        self.etx.data = 0;
        self.busy = self.core.busy | self.copier.socket.busy | self.storage.socket.busy | self.bindings.busy;
    }
}
