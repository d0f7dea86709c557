//! The storage engine: NVMe controllers for the PF and all VFs, without a processor.
//!
//! A command goes `registers` (doorbell) → `queues` (ring) → `fetch` (entry) → `front` (check) → `walker` (PRPs), then for a read
//! `issue` (media), `books` and `ready` (its turn), `mover` (host memory), for a write `writer` (host memory, media), and at last
//! `books` (its end) → `poster` (completion, interrupt). `docs/path-of-a-read.md` follows one beat by beat.
//!
//! What is told of all that afterwards is kept beside the way: `counters` (SMART), `errors` (error log), `volume` (latencies,
//! limits).

pub mod admin;
pub mod data;
pub mod edge;
pub mod flight;
pub mod front;
pub mod pages;
pub mod ports;
pub mod records;
pub mod registers;
pub mod rings;
pub mod terms;
pub mod verdict;
pub mod words;

use azote_hdl::prelude::*;

use self::data::{mover, reads, writer};
use self::edge::{BindingsIn, MediaDone, MediaGet, MediaRead, MediaRequest, MediaWrite};
use self::flight::{books, issue, ready, requests, tags};
use self::records::{counters, errors, volume, wipe};
use self::rings::{coalesce, fetch, limiter, poster, queues};
use self::terms::Op;
use self::words::{Binding, Done, Place, Row, Segment, Write};
use crate::dma::Lanes;
use crate::engine::Engine;
use crate::parts::Fifo;

/// The client bit that tells the buffers apart.
const CONTROL: usize = 3;

#[derive(LogicBlock, Default)]
pub struct Storage {
    pub clock: Clk,
    pub reset: Rst,
    pub socket: Engine,
    pub tenants: BindingsIn,
    pub mreq: MediaRequest,
    pub mwr: MediaWrite,
    pub mdone: MediaDone,
    pub mget: MediaGet,
    pub mrd: MediaRead,
    registers: registers::Registers,
    queues: queues::Queues,
    limiter: limiter::Limiter,
    reads: reads::Reads,
    requests: requests::Requests,
    fetch: fetch::Fetch,
    front: front::Front,
    admin: admin::Admin,
    pages: pages::Pages,
    counters: counters::Counters,
    errors: errors::Errors,
    tags: tags::Tags,
    issue: issue::Issue,
    books: books::Books,
    ready: ready::Ready,
    statistics: volume::Volume,
    wipe: wipe::Wipe,
    coalesce: coalesce::Coalesce,
    mover: mover::Mover,
    writer: writer::Writer,
    poster: poster::Poster,
    write_segments: Fifo<{ Segment::WIDTH }>,
    control: Lanes<5>,
    rows: Lanes<11>,
}

impl Storage {
    /// The engine of a card with `vfs` storage VFs.
    pub fn new(vfs: usize) -> Self {
        Storage {
            registers: registers::Registers::new(vfs),
            queues: queues::Queues::new(vfs),
            limiter: limiter::Limiter::new(vfs),
            admin: admin::Admin::new(vfs),
            pages: pages::Pages::new(vfs),
            counters: counters::Counters::new(vfs),
            errors: errors::Errors::new(vfs),
            wipe: wipe::Wipe::new(vfs),
            statistics: volume::Volume::new(vfs),
            coalesce: coalesce::Coalesce::new(vfs),
            tags: tags::Tags::new(vfs),
            books: books::Books::new(vfs),
            ready: ready::Ready::new(vfs),
            mover: mover::Mover::new(),
            writer: writer::Writer::new(),
            poster: poster::Poster::new(),
            write_segments: Fifo::new(16),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Storage {
    fn update(&mut self) {
        clocked!(self.limiter, self.reads, self.requests);
        memories!(self.control, self.rows);
        clocked!(self.registers, self.queues, self.fetch, self.front, self.admin, self.pages, self.counters);
        clocked!(self.errors, self.statistics, self.coalesce, self.tags, self.issue, self.books, self.ready, self.wipe);
        clocked!(self.mover, self.writer, self.poster, self.write_segments);

        // Time passes for it while it is clocked, and no longer.
        self.limiter.awake = self.socket.awake;
        self.coalesce.awake = self.socket.awake;
        self.books.awake = self.socket.awake;
        self.limiter.stirs = self.tenants.stirs;
        self.socket.counts = self.limiter.counts;

        // Registers and queues.
        link!(self.socket.bus, self.registers.bus);
        self.queues.valid[queues::REGISTERS] = self.registers.q_valid;
        self.queues.op[queues::REGISTERS] = self.registers.q_op;
        self.queues.slot[queues::REGISTERS] = self.registers.q_slot;
        self.queues.qid[queues::REGISTERS] = self.registers.q_qid;
        self.queues.value = self.registers.q_value;
        self.queues.beyond = self.registers.q_beyond;
        self.queues.asq = self.registers.asq;
        self.queues.acq = self.registers.acq;
        self.queues.asqs = self.registers.asqs;
        self.queues.acqs = self.registers.acqs;
        self.registers.q_ack = self.queues.ack[queues::REGISTERS];
        self.registers.q_answer = self.queues.answer;
        self.registers.fatal = self.front.fatal;
        self.registers.fatal_slot = self.front.slot;
        self.front.fatal_ready = self.registers.fatal_ready;
        self.registers.reset_valid = self.socket.reset.valid;
        self.registers.reset_slot = self.socket.reset.slot;
        self.socket.reset.done = self.registers.reset_done;
        self.registers.posting = self.poster.posting;
        self.registers.posting_slot = self.poster.q_slot;
        self.registers.forget_done = self.admin.forget_done & self.coalesce.forget_done;
        self.registers.off = self.admin.v_off;
        self.registers.on = self.admin.v_on;
        self.registers.off_slot = self.admin.v_slot;
        self.admin.v_done = self.registers.off_done;
        self.admin.offline = self.registers.offline;
        self.admin.enabled_vfs = self.socket.enabled_vfs;
        self.admin.began = self.registers.began;
        self.admin.began_slot = self.registers.began_slot;
        self.admin.changed = self.tenants.changed;
        self.admin.changed_slot = self.tenants.changed_slot;
        self.admin.forget = self.registers.forget;
        self.admin.forget_slot = self.registers.forget_slot;

        // Limits.
        self.tenants.rate_slot = self.limiter.rate_slot;
        self.limiter.rates = self.tenants.rates;
        self.limiter.fetched = self.queues.fetched;
        self.limiter.fetched_slot = self.queues.f_slot;
        self.limiter.moves = self.front.pays;
        self.limiter.moves_slot = self.front.slot;
        self.limiter.moves_blocks = self.front.pays_blocks;
        self.limiter.more = self.books.pays;
        self.limiter.more_slot = self.books.look_slot;
        self.limiter.more_blocks = self.books.pays_blocks;
        self.limiter.ask_long = self.books.look_slot;
        self.books.allowed = self.limiter.allowed_long;
        self.limiter.ask_data = self.ready.ask;
        self.ready.weight = self.limiter.weight_data;
        self.limiter.ask = self.queues.ask;
        self.tags.ask = self.queues.ask;
        self.queues.allowed = self.limiter.allowed & self.tags.io_allowed;
        self.queues.admin_allowed = self.tags.admin_allowed;
        self.queues.again = self.tags.revive;
        self.queues.again_slot = self.tags.revive_slot;
        self.tags.revive_take = self.queues.again_take;
        self.queues.weight = self.limiter.weight;
        self.queues.revive = self.limiter.revive;
        self.queues.revive_slot = self.limiter.revive_slot;
        self.limiter.parked = self.queues.parked;

        // Admin.
        self.queues.valid[queues::ADMIN] = self.admin.q_valid;
        self.queues.op[queues::ADMIN] = self.admin.q_op;
        self.queues.slot[queues::ADMIN] = self.admin.q_slot;
        self.queues.qid[queues::ADMIN] = self.admin.q_qid;
        self.queues.cid = self.front.cid;
        self.queues.base = self.admin.q_base;
        self.queues.size = self.admin.q_size;
        self.queues.cqid = self.admin.q_cqid;
        self.queues.iv = self.admin.q_vector;
        self.queues.interrupts = self.admin.q_interrupts;
        self.admin.q_ack = self.queues.ack[queues::ADMIN];
        self.admin.q_answer = self.queues.answer;
        self.admin.q_found = self.queues.found;
        self.admin.eased = self.queues.eased;
        self.admin.wrong = self.queues.wrong;
        self.admin.wrong_slot = self.queues.wrong_slot;
        self.admin.wrong_value = self.queues.wrong_value;
        join!(self.front.command, self.admin.command);
        self.tenants.format_turn = self.front.turn;
        self.books.aborts = self.admin.abort_valid;
        self.books.abort_slot = self.front.slot;
        self.books.abort_qid = self.admin.abort_qid;
        self.books.abort_cid = self.admin.abort_cid;
        self.admin.abort_done = self.books.abort_done;
        self.admin.aborted = self.books.aborted;
        self.tenants.format = self.admin.set_format;
        self.tenants.format_big = self.admin.big;

        // Entries, and the front.
        self.fetch.work = self.queues.work;
        self.queues.valid[queues::FRONT] = self.fetch.q_valid;
        self.queues.op[queues::FRONT] = Op::FETCH;
        self.queues.slot[queues::FRONT] = 0;
        self.queues.qid[queues::FRONT] = 0;
        self.fetch.q_ack = self.queues.ack[queues::FRONT];
        self.fetch.q_found = self.queues.found;
        self.fetch.q_slot = self.queues.f_slot;
        self.fetch.q_qid = self.queues.f_qid;
        self.fetch.q_address = self.queues.address;
        self.fetch.take = self.front.sqe_take;
        self.fetch.look_slot = self.queues.f_slot;
        self.fetch.look_qid = self.queues.f_qid;
        self.queues.unread = self.fetch.unread;
        self.front.sqe_valid = self.fetch.valid;
        self.front.sqe_failed = self.fetch.failed;
        self.front.sqe_place = self.fetch.place;
        self.front.sqe_slot = self.fetch.slot;
        self.front.sqe_qid = self.fetch.qid;
        self.tenants.slot = self.front.slot;
        self.tenants.format_slot = self.front.slot;
        self.front.binding = self.tenants.binding;
        self.tenants.uses = self.front.uses;
        self.tenants.unuses = self.front.unuses;
        self.tenants.use_turn = if self.front.uses { self.tenants.binding.get(Binding::TURN) } else { self.front.turn };
        self.front.through = self.admin.through;
        self.front.row_data = self.control.rdata;
        self.control.raddr = self.front.row;

        // Host memory reads.
        join!(self.fetch.rd, self.reads.entries);
        join!(self.front.rd, self.reads.lists);
        join!(self.writer.rd, self.reads.data);
        link!(self.socket.rd, self.reads.out);
        self.fetch.rd_pending = self.socket.land.pending.bits(12, 9);
        self.fetch.rd_failed = self.socket.land.failed.bits(12, 9);
        self.front.rd_pending = self.socket.land.pending.bit(8);
        self.front.rd_failed = self.socket.land.failed.bit(8);
        self.writer.rd_pending = self.socket.land.pending.bits(7, 0);
        self.writer.rd_failed = self.socket.land.failed.bits(7, 0);
        let controls = self.socket.land.client.bit(CONTROL);
        let lanes = self.socket.land.lanes;
        self.control.we = lanes & controls.rep(4);
        self.control.row = self.socket.land.row.trunc(5);
        self.control.next = self.socket.land.next.trunc(5);
        self.control.off = self.socket.land.off;
        self.control.data = self.socket.land.data;
        self.rows.we = lanes & (!controls).rep(4);
        self.rows.row = self.socket.land.row;
        self.rows.next = self.socket.land.next;
        self.rows.off = self.socket.land.off;
        self.rows.data = self.socket.land.data;
        self.writer.landed = lanes.any() & !controls;
        self.writer.landed_at = self.socket.land.at;
        self.writer.landed_dws = self.socket.land.dws;
        self.writer.nulled = self.socket.land.nulled & !self.socket.land.nulled_client.bit(CONTROL);
        self.writer.nulled_chunk = self.socket.land.nulled_client.trunc(3);
        self.socket.land.forget = cat(sized(0, 3), self.fetch.rd_forget, self.front.rd_forget, self.writer.rd_forget);

        // Tags, and what is under way.
        self.tags.grant = self.queues.granted;
        self.tags.grant_slot = self.queues.f_slot;
        self.tags.grant_admin = self.queues.f_qid == 0;
        self.tags.settle = self.front.settle;
        self.tags.settle_slot = self.front.slot;
        self.tags.settle_admin = self.front.settle_admin;
        self.tags.settle_count = self.front.settle_count;
        self.tags.own = self.front.takes_own;
        self.tags.own_slot = self.front.slot;
        self.tags.refund = self.pages.done_valid & self.poster.in_ready[poster::PAGES];
        self.tags.refund_slot = self.pages.done_slot;
        self.tags.slot = self.books.tag_slot;
        self.tags.take = self.books.tag_take;
        self.tags.aside = self.books.tag_aside;
        self.books.tag_next = self.tags.tag;
        self.tags.free = self.books.tag_free;
        self.tags.free_tag = self.books.tag_freed;
        self.books.tag_free_ready = self.tags.free_ready;
        self.books.slot = self.front.slot;
        self.books.qid = self.front.qid;
        self.books.cid = self.front.cid;
        self.books.pieces = self.front.pieces;
        self.books.kind = self.front.kind;
        self.books.blocks = self.front.count_blocks;
        self.books.lba = self.front.lba;
        self.books.turn = self.front.turn;
        self.books.own = self.front.wr_own;
        self.books.aside = self.front.aside;
        self.books.open[books::FRONT] = self.front.begins;
        self.front.began = self.books.opened[books::FRONT];
        self.books.open[books::READS] = self.issue.open;
        self.issue.opened = self.books.opened[books::READS];
        self.issue.tag = self.books.tag;
        self.books.read_first = self.front.piece_first;
        self.books.read_cmd = self.issue.cmd;
        self.books.read_place = self.front.piece;
        self.books.open[books::WRITER] = self.writer.open;
        self.writer.opened = self.books.opened[books::WRITER];
        self.writer.tag = self.books.tag;
        self.books.write_first = self.writer.open_first;
        self.books.write_cmd = self.writer.open_cmd;
        self.books.write_code = self.writer.open_code;
        self.books.write_op = self.writer.media.op;
        self.books.write_fua = self.writer.media.fua;
        self.books.write_volume = self.writer.media.volume;
        self.books.write_lba = self.writer.media.lba;
        self.books.write_left = self.writer.media_all;
        self.books.write_redo = self.writer.redo;
        self.writer.again = self.books.write_again;
        self.writer.gone = self.books.write_gone;
        self.books.answer_valid = self.mdone.valid;
        self.mdone.ready = self.books.answer_ready;
        self.books.answer_tag = self.mdone.tag;
        self.books.answer_result = self.mdone.result;
        self.books.asks[0] = self.issue.media.valid;
        self.books.asks_tag[0] = self.issue.media.tag;
        self.books.asks[1] = self.writer.media.valid;
        self.books.asks_tag[1] = self.writer.media.tag;
        self.mget.valid = self.books.get_valid;
        self.books.get_ready = self.mget.ready;
        self.mget.tag = self.books.get_tag;
        self.ready.push = self.books.ready_push;
        self.ready.push_slot = self.books.ready_slot;
        self.ready.push_index = self.books.ready_index;
        self.ready.push_hole = self.books.ready_hole;
        self.books.next_valid = self.ready.valid;
        self.books.next_slot = self.ready.slot;
        self.books.next_index = self.ready.index;
        self.books.next_hole = self.ready.hole;
        self.books.next_idle = self.ready.idle;
        self.ready.take = self.books.next_take;
        self.books.shut = self.registers.shut;
        self.books.unshut = self.registers.unshut;
        self.books.shut_slot = self.registers.shut_slot;
        self.tenants.patience_slot = self.books.look_slot;
        self.books.limit = self.tenants.patience;
        self.books.log_full = self.errors.full;
        self.tenants.over = self.books.closed;
        self.tenants.over_slot = self.books.done_slot;
        self.tenants.over_turn = self.books.closed_turn;

        // Pieces of reads, and of pages.
        self.issue.valid = self.front.piece_valid & !self.front.to_page;
        self.issue.dws = self.front.piece.get(Place::DWS);
        self.issue.first = self.front.piece_first;
        self.issue.last = self.front.piece_last;
        self.issue.volume = self.front.media_volume;
        self.issue.lba = self.front.media_lba;
        self.issue.fua = self.front.media_fua;
        self.front.piece_ready = if self.front.to_page { self.pages.in_ready } else { self.issue.ready };
        self.pages.in_valid = self.front.piece_valid & self.front.to_page;
        self.pages.in_place = self.front.piece;
        self.pages.in_last = self.front.piece_last;
        self.pages.in_slot = self.front.slot;
        self.pages.in_qid = self.front.qid;
        self.pages.in_cid = self.front.cid;
        self.pages.in_what = self.admin.what;
        self.pages.in_from = self.admin.from;
        self.pages.in_offset = self.admin.offset;
        self.books.page_valid = self.pages.piece_valid;
        self.books.page_piece = self.pages.piece_data;
        self.pages.piece_ready = self.books.page_ready;
        self.tenants.page_slot = self.pages.slot;
        self.pages.bound = self.tenants.page_binding.get(Binding::VALID);
        self.pages.read_only = self.tenants.page_binding.get(Binding::READ_ONLY);
        self.pages.length = self.tenants.page_binding.get(Binding::LENGTH);
        self.pages.volume = self.tenants.page_binding.get(Binding::VOLUME);
        self.pages.base = self.tenants.page_binding.get(Binding::BASE);
        self.pages.big = self.tenants.page_binding.get(Binding::BIG);
        self.counters.slot = self.pages.slot;
        self.pages.reads = self.counters.reads;
        self.pages.writes = self.counters.writes;
        self.pages.units_read = self.counters.units_read;
        self.pages.units_written = self.counters.units_written;
        self.pages.enabled_vfs = self.socket.enabled_vfs;
        self.pages.offline = self.registers.offline;
        self.pages.warm = self.admin.warm;
        self.errors.slot = self.pages.slot;
        self.errors.at = self.pages.error_at;
        self.pages.unsure = self.counters.unsure | self.errors.unsure;
        self.pages.errors = self.errors.errors;
        self.pages.media_errors = self.errors.media_errors;
        self.pages.error_entry = self.errors.entry;
        self.statistics.ask = self.pages.word_ask;
        self.statistics.slot = self.pages.slot;
        self.statistics.index = self.pages.word_index;
        self.pages.word_ack = self.statistics.ack;
        self.pages.word = self.statistics.word;
        self.counters.data = self.front.count;
        self.counters.data_slot = self.front.slot;
        self.counters.data_write = self.front.count_write;
        self.counters.data_blocks = self.front.count_blocks;

        // What is made of each command at its end.
        let good = self.books.done_code == 0;
        let heard = self.books.closed & self.books.closed_told & !self.books.closed_own;
        self.errors.refused = self.front.failed;
        self.errors.refused_slot = self.front.slot;
        self.errors.refused_qid = self.front.qid;
        self.errors.refused_cid = self.front.cid;
        self.errors.refused_code = self.front.done_status;
        self.errors.refused_location = self.front.failed_location;
        self.errors.refused_lba = self.front.failed_lba;
        self.errors.refused_nsid = self.front.command.nsid;
        self.errors.failed = heard & !good;
        self.errors.failed_slot = self.books.done_slot;
        self.errors.failed_qid = self.books.done_qid;
        self.errors.failed_cid = self.books.done_cid;
        self.errors.failed_code = self.books.done_code;
        self.errors.failed_lba = self.books.closed_lba;
        self.statistics.opens = self.front.opens;
        self.statistics.opens_slot = self.front.slot;
        self.statistics.opens_kind = self.front.kind;
        self.statistics.closes = self.books.closed;
        self.statistics.closes_slot = self.books.done_slot;
        self.statistics.closes_kind = self.books.closed_kind;
        self.statistics.closes_blocks = self.books.closed_blocks;
        self.statistics.closes_time = self.books.closed_time;
        self.statistics.closes_good = heard & good;
        self.statistics.held = self.limiter.held;
        self.statistics.held_slot = self.limiter.held_slot;
        self.statistics.held_time = self.limiter.held_time;
        self.statistics.held_commands = self.limiter.held_commands;
        self.statistics.held_blocks = self.limiter.held_blocks;
        // The next tenant finds nothing of the last one's.
        self.wipe.reset_valid = self.socket.reset.valid;
        self.wipe.reset_done = self.registers.reset_done;
        self.wipe.reset_slot = self.socket.reset.slot;
        self.wipe.changed = self.tenants.changed;
        self.wipe.changed_slot = self.tenants.changed_slot;
        self.errors.wipe = self.wipe.wipe;
        self.errors.wipe_slot = self.wipe.slot;
        self.counters.wipe = self.wipe.wipe;
        self.counters.wipe_slot = self.wipe.slot;
        self.statistics.changed = self.wipe.wipe;
        self.statistics.changed_slot = self.wipe.slot;

        self.mover.piece_valid = self.books.piece_valid;
        self.mover.piece_data = self.books.piece_data;
        self.books.piece_ready = self.mover.piece_ready;
        self.mover.media_valid = self.mrd.valid;
        self.mover.media_data = Row { error: self.mrd.error & self.mrd.last, last: self.mrd.last, data: self.mrd.data };
        self.mrd.ready = self.mover.media_ready;
        self.mover.page_valid = self.pages.out_valid;
        self.mover.page_data = self.pages.out_data;
        self.pages.out_ready = self.mover.page_ready;
        self.books.drained = self.mover.drained;
        self.books.left_valid = self.mover.left_valid & !self.mover.left_page;
        self.books.left_tag = self.mover.left_tag;
        self.books.left_code = self.mover.left_code;
        self.pages.left = self.mover.left_valid & self.mover.left_page;
        self.pages.left_code = self.mover.left_code;
        self.mover.left_ready = if self.mover.left_page { sized(1, 1) } else { self.books.left_ready };
        self.mover.mps = self.socket.mps;
        link!(self.socket.data, self.mover.tx);

        // Writes.
        self.writer.cmd_valid = self.front.wr_valid;
        self.front.wr_ready = self.writer.cmd_ready;
        self.front.flush = self.registers.flush;
        self.front.flush_slot = self.registers.flush_slot;
        self.registers.flush_taken = self.front.flush_taken;
        self.registers.unbound = self.front.unbound;
        self.registers.flushed = self.books.closed & self.books.closed_own;
        self.registers.flushed_slot = self.books.done_slot;
        self.writer.cmd_data = Write {
            tag: self.front.begun_tag,
            big: self.front.wr_big,
            fua: self.front.media_fua,
            op: self.front.wr_op,
            volume: self.front.media_volume,
            blocks: self.front.media_blocks,
            lba: self.front.media_lba,
        };
        self.front.tag = self.books.tag;
        self.write_segments.in_valid = self.front.seg_valid;
        self.front.seg_ready = self.write_segments.in_ready;
        self.write_segments.in_data =
            Segment { last: self.front.seg_last, dws: self.front.seg_dws, address: self.front.seg_address };
        self.writer.seg_valid = self.write_segments.out_valid;
        self.write_segments.out_ready = self.writer.seg_ready;
        self.writer.seg_data = self.write_segments.out_data;
        self.rows.raddr = self.writer.row;
        self.writer.row_data = self.rows.rdata;
        self.mwr.valid = self.writer.wr_valid;
        self.mwr.data = self.writer.wr_data;
        self.mwr.last = self.writer.wr_last;
        self.mwr.spoilt = self.writer.wr_spoilt;
        self.writer.wr_ready = self.mwr.ready;

        // Media requests.
        join!(self.books.media, self.requests.books);
        join!(self.issue.media, self.requests.reads);
        join!(self.writer.media, self.requests.writes);
        self.mreq.valid = self.requests.out.valid;
        self.mreq.tag = self.requests.out.tag;
        self.mreq.op = self.requests.out.op;
        self.mreq.fua = self.requests.out.fua;
        self.mreq.volume = self.requests.out.volume;
        self.mreq.lba = self.requests.out.lba.zext(64);
        self.mreq.blocks = self.requests.out.blocks;
        self.requests.out.ready = self.mreq.ready;

        // Completions.
        let tells = self.admin.tell_valid;
        let late = self.admin.late & !tells;
        let told = Done { slot: self.admin.tell_slot, cid: self.admin.tell_cid, dw0: self.admin.tell_dw0, ..0 };
        let kept = Done { cid: self.admin.late_cid, ..0 };
        let done = Done {
            release: self.front.done_release,
            slot: self.front.slot,
            qid: self.front.qid,
            cid: self.front.cid,
            status: self.front.done_status,
            dw0: self.front.done_dw0,
        };
        self.poster.in_valid[0] = self.front.done_valid | tells | late;
        self.poster.in_data[0] = if tells {
            told
        } else if late {
            kept
        } else {
            done
        };
        self.front.done_ready = self.poster.in_ready[0] & !(tells | late);
        self.admin.tell_ready = self.poster.in_ready[0];
        self.admin.late_done = self.poster.in_ready[0] & late;
        self.poster.in_valid[poster::BOOKS] = self.books.done_valid;
        self.poster.in_data[poster::BOOKS] = Done {
            slot: self.books.done_slot,
            qid: self.books.done_qid,
            cid: self.books.done_cid,
            status: self.books.done_code,
            ..0
        };
        self.books.done_ready = self.poster.in_ready[poster::BOOKS];
        self.poster.in_valid[poster::PAGES] = self.pages.done_valid;
        self.poster.in_data[poster::PAGES] = Done {
            slot: self.pages.done_slot,
            qid: self.pages.done_qid,
            cid: self.pages.done_cid,
            status: self.pages.done_code,
            ..0
        };
        self.pages.done_ready = self.poster.in_ready[poster::PAGES];
        self.queues.valid[queues::POSTER] = self.poster.q_valid;
        self.queues.op[queues::POSTER] = self.poster.q_op;
        self.queues.slot[queues::POSTER] = self.poster.q_slot;
        self.queues.qid[queues::POSTER] = self.poster.q_qid;
        self.poster.q_ack = self.queues.ack[queues::POSTER];
        self.poster.q_found = self.queues.found;
        self.poster.q_address = self.queues.address;
        self.poster.q_phase = self.queues.phase;
        self.poster.q_head = self.queues.head;
        self.poster.q_vector = self.queues.p_vector;
        self.poster.q_interrupt = self.queues.p_interrupt;
        self.poster.again = self.socket.gate_changed | self.registers.unquiet;
        self.poster.q_drained = self.queues.drained;
        self.poster.q_drained_cid = self.queues.drained_cid;
        link!(self.socket.entry, self.poster.tx);
        self.coalesce.valid = self.poster.irq_valid;
        self.coalesce.slot = self.poster.q_slot;
        self.coalesce.irq = self.poster.irq_vector;
        self.coalesce.admin = self.poster.q_qid == 0;
        self.poster.irq_ready = self.coalesce.ready;
        self.coalesce.set_rule = self.admin.set_coalescing;
        self.coalesce.set_vectors = self.admin.set_vectors;
        self.coalesce.set_slot = self.front.slot;
        self.coalesce.set_value = self.admin.coalescing;
        self.coalesce.set_disabled = self.admin.vectors;
        self.coalesce.forget = self.registers.forget;
        self.coalesce.forget_slot = self.registers.forget_slot;
        self.socket.irq.valid = self.coalesce.irq_valid;
        self.socket.irq.owner = cat(self.coalesce.irq_slot, sized(azote_regs::function::STORAGE, 2));
        self.socket.irq.vector = self.coalesce.irq_vector.zext(4);
        self.coalesce.irq_ready = self.socket.irq.ready;

        self.socket.busy = self.mdone.valid
            | self.mrd.valid
            | self.tenants.stirs
            | self.registers.busy
            | self.queues.busy
            | self.limiter.busy
            | self.fetch.busy
            | self.front.busy
            | self.admin.busy
            | self.pages.busy
            | self.statistics.busy
            | self.wipe.busy
            | self.coalesce.busy
            | self.tags.busy
            | self.books.busy
            | self.issue.busy
            | self.mover.busy
            | self.writer.busy
            | self.poster.busy;
    }
}
