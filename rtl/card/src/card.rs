//! The card: every block, wired.

use azote_hdl::prelude::*;
use azote_regs::function;

use crate::config::{Decode, Errors, Message, Space};
use crate::dma::{Lanes, Read};
use crate::interrupt::Msix;
use crate::manage::Bindings;
use crate::storage::Storage;
use crate::transaction::transmit::{CLASSES, CLIENTS};
use crate::transaction::{Completer, Door, Posted, Receive, Shared, Transmit};

/// Completion time-out in ticks of 1024 clocks: 0.8 ms at 80 MHz, in the default range of PCIe 7.5.3.16.
const COMPLETION_TICKS: usize = 64;

#[derive(LogicBlock, Default)]
pub struct Card {
    pub clock: Clk,
    pub reset: Rst,
    pub rx_valid: I<1>,
    pub rx_ready: O<1>,
    pub rx_sop: I<1>,
    pub rx_eop: I<1>,
    pub rx_keep: I<4>,
    pub rx_data: I<128>,
    pub tx_valid: O<1>,
    pub tx_ready: I<1>,
    pub tx_sop: O<1>,
    pub tx_eop: O<1>,
    pub tx_keep: O<4>,
    pub tx_data: O<128>,
    pub mreq_valid: O<1>,
    pub mreq_ready: I<1>,
    pub mreq_tag: O<12>,
    pub mreq_op: O<4>,
    pub mreq_fua: O<1>,
    pub mreq_volume: O<8>,
    pub mreq_lba: O<64>,
    pub mreq_blocks: O<48>,
    pub mwr_valid: O<1>,
    pub mwr_ready: I<1>,
    pub mwr_data: O<128>,
    pub mwr_last: O<1>,
    pub mwr_spoilt: O<1>,
    pub mdone_valid: I<1>,
    pub mdone_ready: O<1>,
    pub mdone_tag: I<12>,
    pub mdone_result: I<3>,
    pub mget_valid: O<1>,
    pub mget_ready: I<1>,
    pub mget_tag: O<12>,
    pub mrd_valid: I<1>,
    pub mrd_ready: O<1>,
    pub mrd_data: I<128>,
    pub mrd_last: I<1>,
    pub mrd_error: I<1>,
    /// The block that a beat belongs to is a hole: its data is zeroes.
    pub mrd_hole: I<1>,
    /// Something is going on inside: stop the clock only when this is 0.
    pub busy: O<1>,
    receive: Receive,
    posted: Posted,
    completer: Completer,
    shared: Shared,
    transmit: Transmit,
    door: Door,
    space: Space,
    decode: Decode,
    message: Message,
    errors: Errors,
    msix: Msix,
    bindings: Bindings,
    read: Read,
    control: Lanes<5>,
    data: Lanes<11>,
    storage: Storage,
}

impl Card {
    /// A card with `vfs` VFs of each kind.
    pub fn new(vfs: usize) -> Self {
        assert!((1..=function::MAX_VFS as usize).contains(&vfs), "{vfs} VFs a kind");
        Card {
            space: Space::new(vfs),
            errors: Errors::new(vfs),
            msix: Msix::new(vfs),
            bindings: Bindings::new(vfs),
            read: Read::new(COMPLETION_TICKS),
            storage: Storage::new(vfs),
            ..Self::default()
        }
    }
}

const KINDS: usize = function::KINDS as usize;

#[kernel]
impl Logic for Card {
    fn update(&mut self) {
        clocked!(self.receive, self.completer, self.transmit, self.space, self.decode, self.message, self.msix);
        clocked!(self.bindings, self.read, self.storage, self.door, self.errors, self.posted, self.shared);
        memories!(self.control, self.data);

        // The link.
        self.receive.rx_valid = self.rx_valid;
        self.receive.rx_sop = self.rx_sop;
        self.receive.rx_eop = self.rx_eop;
        self.receive.rx_keep = self.rx_keep;
        self.receive.rx_data = self.rx_data;
        self.rx_ready = self.receive.rx_ready;
        self.tx_valid = self.transmit.tx_valid;
        self.tx_sop = self.transmit.tx_sop;
        self.tx_eop = self.transmit.tx_eop;
        self.tx_keep = self.transmit.tx_keep;
        self.tx_data = self.transmit.tx_data;
        self.transmit.tx_ready = self.tx_ready;
        join!(self.completer.tx, self.transmit.client[0]);
        join!(self.read.tx, self.transmit.client[1]);
        join!(self.storage.tx_data, self.transmit.client[2]);
        join!(self.storage.tx_entry, self.transmit.client[3]);
        join!(self.msix.tx, self.transmit.client[4]);
        join!(self.message.tx, self.transmit.client[5]);
        // The link has no credits yet: `tx_ready` is for all.
        for class in 0..CLASSES {
            self.transmit.credit[class] = 1;
        }
        self.transmit.bus_number = self.completer.bus_number;
        self.space.ask = self.transmit.ask;
        self.transmit.may = self.space.may;
        self.transmit.changed = self.space.changed;
        self.storage.gate_changed = self.space.changed;

        // What must hold at the door.
        self.door.bus_number = self.completer.bus_number;
        for i in 0..CLIENTS {
            watch!(self.door, i, self.transmit.client[i], ready, killed);
        }
        watch!(self.door, 0, self.completer.tx, valid, sop, eop, owner, data);
        watch!(self.door, 1, self.read.tx, valid, sop, eop, owner, data);
        watch!(self.door, 2, self.storage.tx_data, valid, sop, eop, owner, data);
        watch!(self.door, 3, self.storage.tx_entry, valid, sop, eop, owner, data);
        watch!(self.door, 4, self.msix.tx, valid, sop, eop, owner, data);
        watch!(self.door, 5, self.message.tx, valid, sop, eop, owner, data);
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
        self.door.tx_valid = self.transmit.tx_valid;
        self.door.tx_ready = self.tx_ready;
        self.door.tx_sop = self.transmit.tx_sop;
        self.door.tx_eop = self.transmit.tx_eop;
        self.door.tx_data = self.transmit.tx_data;

        // Requests.
        self.receive.mps = self.space.mps;
        self.posted.req_valid = self.receive.posted_valid;
        self.posted.req_data = self.receive.posted_data;
        self.receive.posted_ready = self.posted.req_ready;
        self.completer.req_valid = self.receive.req_valid;
        self.completer.req_data = self.receive.req_data;
        self.completer.req_after = self.receive.req_after;
        self.receive.req_ready = self.completer.req_ready;
        self.completer.done = self.posted.done;
        self.space.valid = self.completer.cfg_valid;
        self.space.write = self.completer.cfg_write;
        self.space.number = self.completer.cfg_number;
        self.space.dw = self.completer.cfg_dw;
        self.space.be = self.completer.cfg_be;
        self.space.wdata = self.completer.cfg_wdata;
        self.completer.cfg_ack = self.space.ack;
        self.completer.cfg_rdata = self.space.rdata;
        self.completer.cfg_none = self.space.none;
        self.completer.cfg_retry = self.space.retry;
        self.decode.address = if self.posted.asks { self.posted.address } else { self.completer.address };
        self.completer.taken = self.posted.asks;
        self.completer.hold = self.msix.sends & (self.msix.sends_owner == self.completer.tx.owner);
        for k in 0..KINDS {
            self.decode.bar0[k] = self.space.bar0[k];
            self.decode.vf_bar0[k] = self.space.vf_bar0[k];
            self.decode.memory[k] = self.space.memory[k];
            self.decode.vf_memory[k] = self.space.vf_memory[k];
            self.decode.num_vfs[k] = self.space.num_vfs[k];
            self.decode.vf_scale[k] = self.space.vf_scale[k];
        }
        self.decode.manage_bar = self.space.manage_bar;
        self.completer.hit = self.decode.hit;
        self.completer.hit_owner = self.decode.owner;
        self.completer.hit_offset = self.decode.offset;
        self.completer.hit_manage = self.decode.manage;
        self.posted.hit = self.decode.hit;
        self.posted.hit_owner = self.decode.owner;
        self.posted.hit_offset = self.decode.offset;
        self.posted.hit_manage = self.decode.manage;

        // The register bus: management, the MSI-X pages of all, the storage pages; other pages read as zero.
        join!(self.posted.bus, self.shared.writes);
        join!(self.completer.bus, self.shared.reads);
        self.shared.writes_manage = self.posted.bus_manage;
        self.shared.reads_manage = self.completer.bus_manage;
        let access = self.shared.bus.valid;
        let owner = self.shared.bus.owner;
        let offset = self.shared.bus.offset;
        let to_manage = access & self.shared.manage;
        let to_msix = access & (!self.shared.manage) & offset.bit(13);
        let engine = access & (!self.shared.manage) & !offset.bit(13);
        let to_storage = engine & (owner.bits(1, 0) == function::STORAGE);
        let to_nobody = engine & (owner.bits(1, 0) != function::STORAGE);
        self.bindings.bus.valid = to_manage;
        self.bindings.bus.write = self.shared.bus.write;
        self.bindings.bus.owner = owner;
        self.bindings.bus.offset = offset;
        self.bindings.bus.be = self.shared.bus.be;
        self.bindings.bus.wdata = self.shared.bus.wdata;
        self.msix.bus.valid = to_msix;
        self.msix.bus.write = self.shared.bus.write;
        self.msix.bus.owner = owner;
        self.msix.bus.offset = offset;
        self.msix.bus.be = self.shared.bus.be;
        self.msix.bus.wdata = self.shared.bus.wdata;
        self.storage.bus.valid = to_storage;
        self.storage.bus.write = self.shared.bus.write;
        self.storage.bus.owner = owner;
        self.storage.bus.offset = offset;
        self.storage.bus.be = self.shared.bus.be;
        self.storage.bus.wdata = self.shared.bus.wdata;
        self.shared.bus.ack = self.bindings.bus.ack | self.msix.bus.ack | self.storage.bus.ack | to_nobody;
        self.shared.bus.rdata = if to_manage {
            self.bindings.bus.rdata
        } else if to_msix {
            self.msix.bus.rdata
        } else if to_storage {
            self.storage.bus.rdata
        } else {
            0
        };

        // Errors.
        join!(self.receive.error, self.errors.receive);
        join!(self.completer.error, self.errors.completer);
        join!(self.posted.error, self.errors.posted);
        join!(self.read.error, self.errors.read);
        join!(self.errors.out, self.space.error);
        self.space.message_room = self.message.room;
        self.message.send = self.space.message;
        self.message.owner = self.space.message_owner;
        self.message.code = self.space.message_code;

        // Interrupts and resets.
        self.msix.valid = self.storage.irq_valid;
        self.msix.owner = self.storage.irq_owner;
        self.msix.irq_vector = self.storage.irq_vector;
        self.storage.irq_ready = self.msix.ready;
        self.space.msix_ask = self.msix.ask;
        self.msix.enable = self.space.msix_enable;
        self.msix.mask = self.space.msix_mask;
        self.msix.kick = self.space.kick;
        self.msix.kick_owner = self.space.kick_owner;
        self.msix.kick_all = self.space.kick_all;
        let forgotten_is_storage = self.space.reset_owner.bits(1, 0) == function::STORAGE;
        self.msix.reset_valid = self.space.reset_valid;
        self.msix.reset_owner = self.space.reset_owner;
        self.storage.reset_valid = self.space.reset_valid & forgotten_is_storage;
        self.storage.reset_slot = self.space.reset_owner.bits(7, 2);
        self.space.reset_done = self.msix.reset_done & (self.storage.reset_done | !forgotten_is_storage);

        // Host memory.
        self.read.valid = self.storage.rd_valid;
        self.read.owner = self.storage.rd_owner;
        self.read.address = self.storage.rd_address;
        self.read.dws = self.storage.rd_dws;
        self.read.client = self.storage.rd_client;
        self.read.dest = self.storage.rd_dest;
        self.read.forget = self.storage.rd_forget;
        self.storage.rd_ready = self.read.ready;
        self.storage.rd_pending = self.read.pending;
        self.storage.rd_failed = self.read.failed;
        self.storage.landed = self.read.landed;
        self.storage.landed_at = self.read.landed_at;
        self.storage.landed_dws = self.read.landed_dws;
        self.storage.nulled = self.read.nulled;
        self.storage.nulled_chunk = self.read.nulled_chunk;
        self.space.tag_turn = self.read.look_turn;
        self.space.tag_used = self.read.look_used;
        self.space.tag_owner = self.read.look_owner;
        self.space.tag_ask = self.read.look_owner;
        self.read.forgotten = self.space.tag_forgotten;
        self.read.mrrs = self.space.mrrs[function::STORAGE as usize];
        self.read.patient = self.space.patient[function::STORAGE as usize];
        self.read.bus_number = self.completer.bus_number;
        self.read.cpl_valid = self.receive.cpl_valid;
        self.read.cpl_sop = self.receive.cpl_sop;
        self.read.cpl_eop = self.receive.cpl_eop;
        self.read.cpl_bad = self.receive.cpl_bad;
        self.read.cpl_data = self.receive.cpl_data;
        self.control.we = self.read.we_control;
        self.data.we = self.read.we_data;
        for i in 0..4 {
            self.control.row[i] = self.read.row[i].trunc(5);
            self.data.row[i] = self.read.row[i];
        }
        self.control.data = self.read.data;
        self.data.data = self.read.data;
        self.control.raddr = self.storage.control_row;
        self.data.raddr = self.storage.data_row;
        self.storage.control_data = self.control.rdata;
        self.storage.data_data = self.data.rdata;

        // Storage and its media.
        self.storage.mps = self.space.mps;
        self.bindings.slot = self.storage.slot;
        self.bindings.page_slot = self.storage.page_slot;
        self.storage.binding = self.bindings.binding;
        self.storage.page_binding = self.bindings.page_binding;
        self.storage.changed = self.bindings.changed;
        self.storage.changed_slot = self.bindings.changed_slot;
        self.bindings.format = self.storage.format;
        self.bindings.format_slot = self.storage.slot;
        self.bindings.format_big = self.storage.format_big;
        self.storage.enabled_vfs = self.space.enabled_vfs[function::STORAGE as usize];
        self.bindings.rate_slot = self.storage.rate_slot;
        self.storage.rates = self.bindings.rates;
        self.bindings.format_turn = self.storage.format_turn;
        self.bindings.uses = self.storage.uses;
        self.bindings.unuses = self.storage.unuses;
        self.bindings.use_turn = self.storage.use_turn;
        self.bindings.over = self.storage.over;
        self.bindings.over_slot = self.storage.over_slot;
        self.bindings.over_turn = self.storage.over_turn;
        self.bindings.patience_slot = self.storage.patience_slot;
        self.storage.patience = self.bindings.patience_of;
        self.mreq_valid = self.storage.mreq_valid;
        self.storage.mreq_ready = self.mreq_ready;
        self.mreq_tag = self.storage.mreq_tag;
        self.mreq_op = self.storage.mreq_op;
        self.mreq_fua = self.storage.mreq_fua;
        self.mreq_volume = self.storage.mreq_volume;
        self.mreq_lba = self.storage.mreq_lba;
        self.mreq_blocks = self.storage.mreq_blocks;
        self.mwr_valid = self.storage.mwr_valid;
        self.storage.mwr_ready = self.mwr_ready;
        self.mwr_data = self.storage.mwr_data;
        self.mwr_last = self.storage.mwr_last;
        self.mwr_spoilt = self.storage.mwr_spoilt;
        self.storage.mdone_valid = self.mdone_valid;
        self.mdone_ready = self.storage.mdone_ready;
        self.storage.mdone_tag = self.mdone_tag;
        self.storage.mdone_result = self.mdone_result;
        self.mget_valid = self.storage.mget_valid;
        self.storage.mget_ready = self.mget_ready;
        self.mget_tag = self.storage.mget_tag;
        self.storage.mrd_valid = self.mrd_valid;
        self.mrd_ready = self.storage.mrd_ready;
        self.storage.mrd_data = self.mrd_data;
        self.storage.mrd_last = self.mrd_last;
        self.storage.mrd_error = self.mrd_error;
        self.storage.mrd_hole = self.mrd_hole;

        self.busy = self.receive.busy
            | self.posted.busy
            | self.completer.busy
            | self.transmit.busy
            | self.space.busy
            | self.msix.busy
            | self.read.busy
            | self.storage.busy
            | self.errors.busy
            | self.message.busy
            | self.bindings.busy;
    }
}
