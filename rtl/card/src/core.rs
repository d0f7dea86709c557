//! The core: everything between the link and the engines, wired. It knows of an engine what its socket says.

use azote_hdl::prelude::*;
use azote_regs::function;

use crate::config::template::Added;
use crate::config::{Decode, Errors, Message, Space};
use crate::dma::Read;
use crate::dma::read::ENGINES;
use crate::engine::Socket;
use crate::interrupt::Msix;
use crate::transaction::transmit::{CLASSES, CLIENTS, COMPLETIONS, DATA, ENTRY, MESSAGES, MSIX, READS};
use crate::transaction::ways::OWN;
use crate::transaction::{BusMaster, Completer, Door, LinkIn, LinkOut, Posted, Receive, Transmit, Ways};

/// Bits of the clocks for which an engine is clocked when there is no more to do: what was begun goes through its pipelines.
const LINGER: usize = 4;
/// Completion time-out in ticks of 1024 clocks: 0.8 ms at 80 MHz, in the default range of PCIe 7.5.3.16.
const COMPLETION_TICKS: usize = 64;

#[derive(LogicBlock, Default)]
pub struct Core {
    pub clock: Clk,
    pub reset: Rst,
    pub rx: LinkIn,
    pub tx: LinkOut,
    /// The engines, by the kind of function that they serve.
    pub engine: [Socket; ENGINES],
    /// Card management: the BAR2 of the trust PF.
    pub manage: BusMaster,
    pub busy: O<1>,
    /// By engine: the edge at the end of this clock means something to it. Its clock may be without the others.
    pub awake: O<ENGINES>,
    plugged: [Param; ENGINES],
    /// For how many clocks more each is clocked after the last that something had to do with it.
    lingers: [Reg<LINGER>; ENGINES],
    receive: Receive,
    posted: Posted,
    completer: Completer,
    ways: Ways,
    transmit: Transmit,
    door: Door,
    space: Space,
    decode: Decode,
    message: Message,
    errors: Errors,
    msix: Msix,
    read: Read,
}

impl Core {
    /// A core with `vfs` VFs of each kind, and the share of the tags of reads that each engine has. Where it is 0 there is no
    /// engine, and nothing is built for one.
    pub fn new(vfs: usize, share: [usize; ENGINES]) -> Self {
        Self::with(vfs, share, &Default::default())
    }

    /// The same, with what engines add to the configuration space of their functions.
    pub fn with(vfs: usize, share: [usize; ENGINES], added: &[Added; ENGINES]) -> Self {
        assert!((1..=function::MAX_VFS as usize).contains(&vfs), "{vfs} VFs a kind");
        let plugged = share.map(|tags| tags > 0);
        Core {
            transmit: Transmit::new(plugged),
            door: Door::new(plugged),
            plugged: plugged.map(|there| Param::new(there.into())),
            completer: Completer::new(added.iter().any(|a| a.window)),
            space: Space::new(vfs, added),
            errors: Errors::new(vfs),
            msix: Msix::new(vfs, plugged),
            read: Read::new(COMPLETION_TICKS, share),
            ..Self::default()
        }
    }
}

/// The function that an engine names, as one of the kind that it serves.
#[pure]
fn of_kind(owner: V, kind: usize) -> V {
    cat(owner.bits(7, 2), sized(kind, 2))
}

#[kernel]
impl Logic for Core {
    fn update(&mut self) {
        clocked!(self.receive, self.completer, self.transmit, self.space, self.decode, self.message, self.msix);
        clocked!(self.read, self.door, self.errors, self.posted, self.ways);

        // The link.
        link!(self.rx, self.receive.rx);
        link!(self.tx, self.transmit.tx);
        join!(self.completer.tx, self.transmit.client[COMPLETIONS]);
        join!(self.read.tx, self.transmit.client[READS]);
        for e in 0..ENGINES {
            link!(self.engine[e].data, self.transmit.client[DATA + 2 * e]);
            link!(self.engine[e].entry, self.transmit.client[ENTRY + 2 * e]);
            // An engine says which of its functions; their kind is the socket's to say, here and below.
            self.transmit.client[DATA + 2 * e].owner = of_kind(self.engine[e].data.owner, { e });
            self.transmit.client[ENTRY + 2 * e].owner = of_kind(self.engine[e].entry.owner, { e });
        }
        join!(self.msix.tx, self.transmit.client[MSIX]);
        join!(self.message.tx, self.transmit.client[MESSAGES]);
        // The link has no credits yet: `tx_ready` is for all.
        for class in 0..CLASSES {
            self.transmit.credit[class] = 1;
        }
        self.transmit.bus_number = self.completer.bus_number;
        self.space.ask = self.transmit.ask;
        self.transmit.may = self.space.may;
        self.transmit.changed = self.space.changed;

        // What must hold at the door.
        self.door.bus_number = self.completer.bus_number;
        for i in 0..CLIENTS {
            watch!(self.door, i, self.transmit.client[i], ready, killed);
        }
        watch!(self.door, COMPLETIONS, self.completer.tx, valid, sop, eop, keep, owner, data);
        watch!(self.door, READS, self.read.tx, valid, sop, eop, keep, owner, data);
        for e in 0..ENGINES {
            watch!(self.door, DATA + 2 * e, self.engine[e].data, valid, sop, eop, keep, owner, data);
            watch!(self.door, ENTRY + 2 * e, self.engine[e].entry, valid, sop, eop, keep, owner, data);
            self.door.owner[DATA + 2 * e] = of_kind(self.engine[e].data.owner, { e });
            self.door.owner[ENTRY + 2 * e] = of_kind(self.engine[e].entry.owner, { e });
        }
        watch!(self.door, MSIX, self.msix.tx, valid, sop, eop, keep, owner, data);
        watch!(self.door, MESSAGES, self.message.tx, valid, sop, eop, keep, owner, data);
        self.door.midway = self.transmit.open;
        self.door.turn = self.transmit.has_turn;
        self.door.knows = self.transmit.knows;
        self.door.knows_may = self.transmit.knows_may;
        for i in 0..CLIENTS {
            self.door.knows_owner[i] = self.transmit.knows_owner[i];
        }
        self.door.swallows = self.transmit.swallows;
        self.door.watched = self.transmit.ask;
        self.door.may = self.space.may;
        self.door.tx_valid = self.transmit.tx.valid;
        self.door.tx_ready = self.tx.ready;
        self.door.tx_sop = self.transmit.tx.sop;
        self.door.tx_eop = self.transmit.tx.eop;
        self.door.tx_data = self.transmit.tx.data;

        // Requests.
        self.receive.mps = self.space.mps;
        join!(self.receive.posted, self.posted.req);
        join!(self.receive.req, self.completer.req);
        join!(self.completer.cfg, self.space.cfg);
        self.completer.done = self.posted.done;
        self.receive.done = self.posted.done;
        self.decode.address = if self.posted.asks { self.posted.address } else { self.completer.address };
        self.completer.taken = self.posted.asks;
        self.completer.hold = self.msix.sends & (self.msix.sends_owner == self.completer.tx.owner);
        for k in 0..ENGINES {
            join!(self.space.apertures[k], self.decode.apertures[k]);
        }
        self.decode.manage_bar = self.space.manage_bar;
        // One answer for both, who know when they asked.
        join!(self.decode.hit, self.completer.hit);
        join!(self.decode.hit, self.posted.hit);

        // Registers: each engine's first two pages; management, and the MSI-X pages of all functions. Of a kind that has no engine
        // they are nobody's.
        join!(self.posted.bus, self.ways.writes);
        self.ways.writes_manage = self.posted.bus_manage;
        join!(self.completer.asks, self.ways.asks);
        for e in 0..ENGINES {
            link!(self.engine[e].bus, self.ways.bus[e]);
        }
        let owns = self.ways.bus[OWN].valid;
        let manages = self.ways.manage;
        self.manage.valid = owns & manages;
        self.msix.bus.valid = owns & !manages;
        self.manage.write = self.ways.bus[OWN].write;
        self.msix.bus.write = self.ways.bus[OWN].write;
        self.manage.owner = self.ways.bus[OWN].owner;
        self.msix.bus.owner = self.ways.bus[OWN].owner;
        self.manage.offset = self.ways.bus[OWN].offset;
        self.msix.bus.offset = self.ways.bus[OWN].offset;
        self.manage.be = self.ways.bus[OWN].be;
        self.msix.bus.be = self.ways.bus[OWN].be;
        self.manage.wdata = self.ways.bus[OWN].wdata;
        self.msix.bus.wdata = self.ways.bus[OWN].wdata;
        self.ways.bus[OWN].ack = if manages { self.manage.ack } else { self.msix.bus.ack };
        self.ways.bus[OWN].rdata = if manages { self.manage.rdata } else { self.msix.bus.rdata };

        // Errors.
        join!(self.receive.error, self.errors.receive);
        join!(self.completer.error, self.errors.completer);
        join!(self.posted.error, self.errors.posted);
        join!(self.read.error, self.errors.read);
        join!(self.errors.out, self.space.error);
        join!(self.space.message, self.message.send);

        // Interrupts and resets.
        join!(self.space.control, self.msix.control);
        self.msix.reset_valid = self.space.reset_valid;
        self.msix.reset_owner = self.space.reset_owner;
        let mut forgotten = self.msix.reset_done;
        for e in 0..ENGINES {
            let mine = self.space.reset_owner.bits(1, 0) == e;
            self.engine[e].reset.valid = self.space.reset_valid & mine;
            self.engine[e].reset.slot = self.space.reset_owner.bits(7, 2);
            forgotten = forgotten & (self.engine[e].reset.done | !mine);
        }
        self.space.reset_done = forgotten;

        // What engines hear and have.
        for e in 0..ENGINES {
            link!(self.engine[e].rd, self.read.rd[e]);
            link!(self.engine[e].land, self.read.land[e]);
            link!(self.engine[e].irq, self.msix.irq[e]);
            self.read.rd[e].owner = of_kind(self.engine[e].rd.owner, { e });
            self.msix.irq[e].owner = of_kind(self.engine[e].irq.owner, { e });
            self.engine[e].gate_changed = self.space.changed;
            self.engine[e].mps = self.space.mps;
            self.engine[e].enabled_vfs = self.space.enabled_vfs[e];
            self.read.mrrs[e] = self.space.mrrs[e];
            self.read.patient[e] = self.space.patient[e];
        }

        // Host memory.
        join!(self.read.looked, self.space.look);
        join!(self.receive.cpl, self.read.cpl);
        self.read.bus_number = self.completer.bus_number;

        // Who is clocked. All that the core does to an engine is seen here: whoever is asked nothing, has nothing to do and no read
        // under way sees no change until then.
        let mut awake = sized(0, ENGINES);
        for e in 0..ENGINES {
            let mut goes_on = sized(0, 1);
            if const { self.plugged[e].get() != 0 } {
                let mine = self.ways.bus[e].valid;
                let lands = self.read.land[e].pending.any() | self.read.land[e].lanes.any() | self.read.land[e].nulled;
                let stirs = self.engine[e].busy | self.engine[e].counts | mine | self.space.busy | lands;
                if stirs {
                    self.lingers[e].d = konst((1usize << LINGER) - 1);
                } else if self.lingers[e].q != 0 {
                    self.lingers[e].d = self.lingers[e].q - 1;
                }
                // In the first clock it does not count time yet: what it hears comes of a register.
                goes_on = self.lingers[e].q != 0;
                if stirs | goes_on {
                    awake = awake | konst(1 << e);
                }
            }
            self.engine[e].awake = goes_on;
        }
        self.awake = awake;

        self.busy = self.receive.busy
            | self.posted.busy
            | self.completer.busy
            | self.ways.busy
            | self.transmit.busy
            | self.space.busy
            | self.msix.busy
            | self.read.busy
            | self.errors.busy
            | self.message.busy;
    }
}
