//! The storage engine: NVMe controllers for the PF and all VFs, without a processor.
//!
//! A command goes `registers` (doorbell) → `queues` (ring) → `fetch` (entry) → `front` (check) → `walker` (PRPs), then for a read
//! `pages` (data) → `mover` (host memory), for a write `writer` (host memory, media), and at last `poster` (completion,
//! interrupt). `docs/path-of-a-read.md` follows one beat by beat.
//!
//! What is told of all that afterwards is kept beside the way: `counters` (SMART), `errors` (error log), `volume` (latencies,
//! limits), with what `journal` remembers of each command.

pub mod admin;
pub mod data;
pub mod front;
pub mod pages;
pub mod records;
pub mod registers;
pub mod rings;

use azote_hdl::prelude::*;
use azote_regs::media;

use self::data::{mover, writer};
use self::records::{counters, errors, journal, volume, wipe};
use self::rings::{coalesce, fetch, limiter, poster, queues};
use crate::dma::read::{ENTRIES, LISTS};
use crate::parts::{Fifo, Skid};
use crate::transaction::{BusSlave, TxOut};

#[derive(LogicBlock, Default)]
pub struct Storage {
    pub clock: Clk,
    pub reset: Rst,
    pub bus: BusSlave,
    pub bus_number: I<8>,
    pub mps: I<3>,
    /// The binding of `slot` and of `page_slot`, a clock later:
    /// `{large blocks, length 48, base 48, volume 8, read only, valid}`.
    pub slot: O<6>,
    pub binding: I<107>,
    pub page_slot: O<6>,
    pub page_binding: I<107>,
    /// One clock: the namespace of `slot` was formatted, with large blocks or small ones.
    pub format: O<1>,
    pub format_big: O<1>,
    /// VFs that are enabled.
    pub enabled_vfs: I<6>,
    /// One clock: the binding of this slot is another.
    pub changed: I<1>,
    pub changed_slot: I<6>,
    /// The limits of `rate_slot`, a clock later: `{weight 4, blocks 24, commands 24}`.
    pub rate_slot: O<6>,
    pub rates: I<52>,
    /// A read of host memory; see `dma::Read`.
    pub rd_valid: O<1>,
    pub rd_owner: O<8>,
    pub rd_address: O<64>,
    pub rd_dws: O<11>,
    pub rd_client: O<4>,
    pub rd_dest: O<13>,
    pub rd_ready: I<1>,
    pub rd_pending: I<11>,
    pub rd_failed: I<11>,
    pub rd_forget: O<11>,
    pub control_row: O<5>,
    pub control_data: I<128>,
    pub data_row: O<11>,
    pub data_data: I<128>,
    /// Packets: data of reads; completion entries.
    pub tx_data: TxOut,
    pub tx_entry: TxOut,
    /// One clock: who may send is no longer what it was.
    pub gate_changed: I<1>,
    pub irq_valid: O<1>,
    pub irq_owner: O<8>,
    pub irq_vector: O<3>,
    pub irq_ready: I<1>,
    pub reset_valid: I<1>,
    pub reset_slot: I<6>,
    pub reset_done: O<1>,
    pub mreq_valid: O<1>,
    pub mreq_ready: I<1>,
    pub mreq_op: O<3>,
    pub mreq_fua: O<1>,
    pub mreq_volume: O<8>,
    pub mreq_lba: O<64>,
    pub mreq_blocks: O<48>,
    pub mrd_valid: I<1>,
    pub mrd_ready: O<1>,
    pub mrd_data: I<128>,
    pub mrd_last: I<1>,
    pub mrd_error: I<1>,
    pub mwr_valid: O<1>,
    pub mwr_ready: I<1>,
    pub mwr_data: O<128>,
    pub mwr_last: O<1>,
    pub mdone_valid: I<1>,
    pub mdone_ready: O<1>,
    pub mdone_result: I<2>,
    pub busy: O<1>,
    // Who reads host memory, and whose media request stands.
    rd_busy: Reg<1>,
    rd_who: Reg<2>,
    m_busy: Reg<1>,
    m_writer: Reg<1>,
    registers: registers::Registers,
    queues: queues::Queues,
    limiter: limiter::Limiter,
    fetch: fetch::Fetch,
    front: front::Front,
    admin: admin::Admin,
    pages: pages::Pages,
    counters: counters::Counters,
    errors: errors::Errors,
    journal: journal::Journal,
    statistics: volume::Volume,
    wipe: wipe::Wipe,
    coalesce: coalesce::Coalesce,
    mover: mover::Mover,
    writer: writer::Writer,
    poster: poster::Poster,
    read_segments: Fifo<101>,
    /// Segments out of a register: the way from them to the link is long.
    segment: Skid<101>,
    write_segments: Fifo<76>,
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
            statistics: volume::Volume::new(vfs),
            coalesce: coalesce::Coalesce::new(vfs),
            writer: writer::Writer::new(),
            poster: poster::Poster::new(),
            read_segments: Fifo::new(64),
            write_segments: Fifo::new(16),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Storage {
    fn update(&mut self) {
        clocked!(self.limiter);
        clocked!(self.registers, self.queues, self.fetch, self.front, self.admin, self.pages, self.counters);
        clocked!(self.errors, self.journal, self.statistics, self.coalesce, self.wipe);
        clocked!(self.mover, self.writer, self.poster, self.read_segments, self.segment, self.write_segments);

        // Registers and queues.
        link!(self.bus, self.registers.bus);
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
        self.registers.reset_valid = self.reset_valid;
        self.registers.reset_slot = self.reset_slot;
        self.reset_done = self.registers.reset_done;
        self.registers.posting = self.poster.posting;
        self.registers.posting_slot = self.poster.q_slot;
        self.registers.forget_done = self.admin.forget_done & self.coalesce.forget_done;
        self.registers.off = self.admin.v_off;
        self.registers.on = self.admin.v_on;
        self.registers.off_slot = self.admin.v_slot;
        self.admin.v_done = self.registers.off_done;
        self.admin.offline = self.registers.offline;
        self.admin.enabled_vfs = self.enabled_vfs;
        self.admin.began = self.registers.began;
        self.admin.began_slot = self.registers.began_slot;
        self.admin.changed = self.changed;
        self.admin.changed_slot = self.changed_slot;
        self.admin.forget = self.registers.forget;
        self.admin.forget_slot = self.registers.forget_slot;

        // Limits.
        self.rate_slot = self.limiter.rate_slot;
        self.limiter.rates = self.rates;
        self.limiter.fetched = self.queues.fetched;
        self.limiter.fetched_slot = self.queues.f_slot;
        self.limiter.moves = self.front.count;
        self.limiter.moves_slot = self.front.slot;
        self.limiter.moves_blocks = self.front.count_blocks;
        self.limiter.ask = self.queues.ask;
        self.queues.allowed = self.limiter.allowed;
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
        self.admin.start = self.front.a_start;
        self.admin.slot = self.front.slot;
        self.admin.cdw0 = self.front.cdw0;
        self.admin.nsid = self.front.nsid;
        self.admin.prp1 = self.front.prp1;
        self.admin.cdw10 = self.front.cdw10;
        self.admin.cdw11 = self.front.cdw11;
        self.admin.cdw12 = self.front.cdw12;
        self.admin.cdw13 = self.front.cdw13;
        self.admin.bound = self.binding.bit(0);
        self.admin.read_only = self.binding.bit(1);
        self.admin.tiny = self.binding.bits(105, 61) == 0;
        self.format = self.admin.set_format;
        self.format_big = self.admin.big;
        self.front.a_done = self.admin.done;
        self.front.a_next = self.admin.next;
        self.front.a_status = self.admin.status;
        self.front.a_dw0 = self.admin.dw0;
        self.front.a_what = self.admin.what;
        self.front.a_dws = self.admin.dws;
        self.front.a_location = self.admin.location;

        // Entries, and the front.
        self.fetch.work = self.queues.work;
        self.queues.valid[queues::FRONT] = self.fetch.q_valid;
        self.queues.op[queues::FRONT] = queues::Op::FETCH;
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
        self.fetch.linger = self.pages.full;
        self.front.sqe_valid = self.fetch.valid;
        self.front.sqe_failed = self.fetch.failed;
        self.front.sqe_place = self.fetch.place;
        self.front.sqe_slot = self.fetch.slot;
        self.front.sqe_qid = self.fetch.qid;
        self.slot = self.front.slot;
        self.front.bound = self.binding.bit(0);
        self.front.read_only = self.binding.bit(1);
        self.front.volume = self.binding.bits(9, 2);
        self.front.base = self.binding.bits(57, 10);
        self.front.length = self.binding.bits(105, 58);
        self.front.big = self.binding.bit(106);
        self.front.through = self.admin.through;
        self.front.row_data = self.control_data;
        self.control_row = self.front.row;

        // Host memory reads, a request at a time: entries before lists before data, so that what is short never queues
        // behind what is long. Entries and lists are asked for a few at a time; data cannot starve.
        let who = self.rd_who.q;
        if self.rd_busy.q {
            if self.rd_ready {
                self.rd_busy.d = 0;
            }
        } else {
            self.rd_busy.d = self.fetch.rd_valid | self.front.rd_valid | self.writer.rd_valid;
            self.rd_who.d = if self.fetch.rd_valid {
                0
            } else if self.front.rd_valid {
                sized(1, 2)
            } else {
                2
            };
        }
        self.rd_valid = self.rd_busy.q;
        self.rd_owner = match who {
            0 => self.fetch.rd_owner,
            1 => self.front.rd_owner,
            _ => self.writer.rd_owner,
        };
        self.rd_address = match who {
            0 => self.fetch.rd_address,
            1 => self.front.rd_address,
            _ => self.writer.rd_address,
        };
        self.rd_dws = match who {
            0 => self.fetch.rd_dws,
            1 => self.front.rd_dws,
            _ => self.writer.rd_dws,
        };
        self.rd_client = match who {
            0 => sized(ENTRIES, 4) + self.fetch.rd_place.zext(4),
            1 => LISTS,
            _ => self.writer.rd_client,
        };
        self.rd_dest = match who {
            0 => self.fetch.rd_dest,
            1 => self.front.rd_dest,
            _ => self.writer.rd_dest,
        };
        let read_done = self.rd_ready & self.rd_busy.q;
        self.fetch.rd_ready = read_done & (who == 0);
        self.front.rd_ready = read_done & (who == 1);
        self.writer.rd_ready = read_done & (who == 2);
        self.fetch.rd_pending = self.rd_pending.bits(10, 9);
        self.fetch.rd_failed = self.rd_failed.bits(10, 9);
        self.front.rd_pending = self.rd_pending.bit(8);
        self.front.rd_failed = self.rd_failed.bit(8);
        self.writer.rd_pending = self.rd_pending.bits(7, 0);
        self.writer.rd_failed = self.rd_failed.bits(7, 0);
        self.rd_forget = cat(self.fetch.rd_forget, self.front.rd_forget, self.writer.rd_forget);

        // Reads.
        self.pages.src_valid = self.front.src_valid;
        self.front.src_ready = self.pages.src_ready;
        self.pages.src_page = self.front.src_page;
        self.pages.src_what = self.front.src_what;
        self.pages.src_slot = self.front.slot;
        self.pages.src_from = self.admin.from;
        self.pages.src_beats = self.front.src_beats;
        self.pages.rd_valid = self.mrd_valid;
        self.mrd_ready = self.pages.rd_ready;
        self.pages.rd_data = self.mrd_data;
        self.pages.rd_last = self.mrd_last;
        self.pages.rd_error = self.mrd_error;
        self.page_slot = self.pages.slot;
        self.pages.bound = self.page_binding.bit(0);
        self.pages.read_only = self.page_binding.bit(1);
        self.pages.length = self.page_binding.bits(105, 58);
        self.pages.volume = self.page_binding.bits(9, 2);
        self.pages.base = self.page_binding.bits(57, 10);
        self.pages.big = self.page_binding.bit(106);
        self.counters.slot = self.pages.slot;
        self.pages.reads = self.counters.reads;
        self.pages.writes = self.counters.writes;
        self.pages.units_read = self.counters.units_read;
        self.pages.units_written = self.counters.units_written;
        self.pages.enabled_vfs = self.enabled_vfs;
        self.pages.offline = self.registers.offline;
        self.pages.warm = self.admin.warm;
        self.errors.slot = self.pages.slot;
        self.errors.at = self.pages.error_at;
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

        // What is kept of each command, and what is made of it at its end.
        self.journal.opens = self.front.opens;
        self.journal.opens_writer = self.front.opens_writer;
        self.journal.blocks = self.front.count_blocks;
        self.journal.kind = self.front.kind;
        self.journal.lba = self.front.lba;
        self.journal.closes = self.poster.ended;
        self.journal.writer = self.poster.writer;
        let line = self.journal.line;
        let begun = line.bits(82, 59);
        let wrong = self.poster.ended_code != 0;
        self.errors.refused = self.front.failed;
        self.errors.refused_slot = self.front.slot;
        self.errors.refused_qid = self.front.qid;
        self.errors.refused_cid = self.front.cid;
        self.errors.refused_code = self.front.done_status;
        self.errors.refused_location = self.front.failed_location;
        self.errors.refused_lba = self.front.failed_lba;
        self.errors.refused_nsid = self.front.nsid;
        self.errors.failed = self.poster.ended & self.poster.ended_told & wrong;
        self.errors.failed_slot = self.poster.q_slot;
        self.errors.failed_qid = self.poster.q_qid;
        self.errors.failed_cid = self.poster.ended_cid;
        self.errors.failed_code = self.poster.ended_code;
        self.errors.failed_lba = line.bits(47, 0);
        self.statistics.opens = self.front.opens;
        self.statistics.opens_slot = self.front.slot;
        self.statistics.opens_kind = self.front.kind;
        self.statistics.closes = self.poster.ended;
        self.statistics.closes_slot = self.poster.q_slot;
        self.statistics.closes_kind = line.bits(49, 48);
        self.statistics.closes_blocks = line.bits(58, 50);
        self.statistics.closes_time = self.journal.now - begun;
        self.statistics.closes_good = self.poster.ended_told & !wrong;
        self.statistics.held = self.limiter.held;
        self.statistics.held_slot = self.limiter.held_slot;
        self.statistics.held_time = self.limiter.held_time;
        self.statistics.held_commands = self.limiter.held_commands;
        self.statistics.held_blocks = self.limiter.held_blocks;
        // The next tenant finds nothing of the last one's.
        self.wipe.reset_valid = self.reset_valid;
        self.wipe.reset_done = self.registers.reset_done;
        self.wipe.reset_slot = self.reset_slot;
        self.wipe.changed = self.changed;
        self.wipe.changed_slot = self.changed_slot;
        self.errors.wipe = self.wipe.wipe;
        self.errors.wipe_slot = self.wipe.slot;
        self.counters.wipe = self.wipe.wipe;
        self.counters.wipe_slot = self.wipe.slot;
        self.statistics.changed = self.wipe.wipe;
        self.statistics.changed_slot = self.wipe.slot;

        self.read_segments.in_valid = self.front.seg_read_valid;
        self.front.seg_read_ready = self.read_segments.in_ready;
        let command = cat(self.front.slot, self.front.qid, self.front.cid);
        let segment = cat(self.front.seg_last, self.front.seg_dws, self.front.seg_address);
        self.read_segments.in_data = cat(command, segment);
        self.segment.in_valid = self.read_segments.out_valid;
        self.read_segments.out_ready = self.segment.in_ready;
        self.segment.in_data = self.read_segments.out_data;
        self.mover.seg_valid = self.segment.out_valid;
        self.segment.out_ready = self.mover.seg_ready;
        self.mover.seg_data = self.segment.out_data;
        self.mover.in_valid = self.pages.out_valid;
        self.pages.out_ready = self.mover.in_ready;
        self.mover.in_data = self.pages.out_data;
        self.pages.drained = self.mover.drained;
        self.mover.mps = self.mps;
        self.mover.bus_number = self.bus_number;
        link!(self.tx_data, self.mover.tx);

        // Writes.
        self.writer.cmd_valid = self.front.wr_valid;
        self.front.wr_ready = self.writer.cmd_ready;
        let flag = if self.front.wr_op == writer::Work::RANGES { self.front.wr_big } else { self.front.wr_own };
        self.front.flush = self.registers.flush;
        self.front.flush_slot = self.registers.flush_slot;
        self.registers.flush_taken = self.front.flush_taken;
        self.registers.flushed = self.writer.flushed | self.front.unbound;
        let what = cat(flag, self.front.media_fua, self.front.wr_op);
        self.writer.cmd_data =
            cat(command, what, self.front.media_volume, self.front.media_blocks, self.front.media_lba);
        self.write_segments.in_valid = self.front.seg_write_valid;
        self.front.seg_write_ready = self.write_segments.in_ready;
        self.write_segments.in_data = segment;
        self.writer.seg_valid = self.write_segments.out_valid;
        self.write_segments.out_ready = self.writer.seg_ready;
        self.writer.seg_data = self.write_segments.out_data;
        self.data_row = self.writer.row;
        self.writer.row_data = self.data_data;
        self.mwr_valid = self.writer.wr_valid;
        self.mwr_data = self.writer.wr_data;
        self.mwr_last = self.writer.wr_last;
        self.writer.wr_ready = self.mwr_ready;
        self.writer.media_done = self.mdone_valid;
        self.mdone_ready = self.writer.media_done_ready;
        self.writer.media_result = self.mdone_result;

        // Media requests: a request stands until it is taken.
        let m_writers = self.m_writer.q;
        if self.m_busy.q {
            if self.mreq_ready {
                self.m_busy.d = 0;
            }
        } else if self.front.media_valid | self.writer.media_valid {
            self.m_busy.d = 1;
            self.m_writer.d = self.writer.media_valid & ((!self.front.media_valid) | !m_writers);
        }
        self.mreq_valid = self.m_busy.q;
        self.mreq_op = if m_writers { self.writer.media_op } else { konst(media::READ) };
        self.mreq_volume = if m_writers { self.writer.media_volume } else { self.front.media_volume };
        let lba = if m_writers { self.writer.media_lba } else { self.front.media_lba };
        self.mreq_lba = lba.zext(64);
        self.mreq_fua = if m_writers { self.writer.media_fua } else { self.front.media_fua };
        self.mreq_blocks = if m_writers { self.writer.media_blocks } else { self.front.media_blocks };
        self.front.media_ready = self.m_busy.q & self.mreq_ready & !m_writers;
        self.writer.media_ready = self.m_busy.q & self.mreq_ready & m_writers;

        // Completions: `{release, slot, qid, cid, status, dw0}`.
        let tells = self.admin.tell_valid;
        let late = self.admin.late & !tells;
        let told =
            cat(sized(0, 1), self.admin.tell_slot, sized(0, 3), self.admin.tell_cid, sized(0, 11), self.admin.tell_dw0);
        let kept = cat(sized(0, 10), self.admin.late_cid, sized(0, 43));
        let done = cat(self.front.done_release, command, self.front.done_status, self.front.done_dw0);
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
        self.poster.in_valid[1] = self.mover.done_valid;
        self.poster.in_data[1] = cat(
            sized(0, 1),
            self.mover.done_slot,
            self.mover.done_qid,
            self.mover.done_cid,
            self.mover.done_status,
            sized(0, 32),
        );
        self.mover.done_ready = self.poster.in_ready[1];
        self.poster.in_valid[2] = self.writer.done_valid;
        self.poster.in_data[2] = cat(
            sized(0, 1),
            self.writer.done_slot,
            self.writer.done_qid,
            self.writer.done_cid,
            self.writer.done_status,
            sized(0, 32),
        );
        self.writer.done_ready = self.poster.in_ready[2];
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
        self.poster.again = self.gate_changed | self.registers.unquiet;
        self.poster.q_drained = self.queues.drained;
        self.poster.q_drained_cid = self.queues.drained_cid;
        self.poster.bus_number = self.bus_number;
        link!(self.tx_entry, self.poster.tx);
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
        self.irq_valid = self.coalesce.irq_valid;
        self.irq_owner = cat(self.coalesce.irq_slot, sized(azote_regs::function::STORAGE, 2));
        self.irq_vector = self.coalesce.irq_vector;
        self.coalesce.irq_ready = self.irq_ready;

        self.busy = self.registers.busy
            | self.queues.busy
            | self.limiter.busy
            | self.fetch.busy
            | self.front.busy
            | self.admin.busy
            | self.pages.busy
            | self.statistics.busy
            | self.wipe.busy
            | self.coalesce.busy
            | self.read_segments.out_valid
            | self.mover.busy
            | self.writer.busy
            | self.poster.busy;
    }
}
