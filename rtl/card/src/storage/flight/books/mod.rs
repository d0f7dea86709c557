//! The books: of every tag whose it is, where its data goes and how far it is; of every command how many of its pieces are
//! still under way and what became of the others.
//!
//! One thing at a time, each in a few clocks: a piece is opened, the medium answers, data is called for, data has left, and at
//! the end of the last piece the command goes to the poster. When nothing of that is to be done, the tags are looked at one
//! after the other: what has waited for longer than its function's time-out, whose function is being closed, and what an Abort
//! names is cancelled at the medium, which then owes an answer in bounded time; a long command that was cut goes on.
//!
//! Promise: each command ends once, after the last of its pieces, with the first error that any of them had; a tag is used
//! again only when its answer was there and its data has left, so that a late answer goes nowhere; nothing here waits for the medium.

mod code;
mod looks;
mod time;
mod words;

use azote_hdl::prelude::*;
use azote_regs::media;

use self::code::code_of;
use self::looks::Looks;
use self::time::Time;
use self::words::{At, Line, Rest, State, Why};
use super::tags::{is_aside, slot_of};
use crate::parts::{BlockTable, Table};
use crate::storage::ports::MediaOut;
use crate::storage::words::{Piece, Place, Tag};

/// Who opens pieces: the front (a command whose pieces come later), the reads, the writer.
pub const FRONT: usize = 0;
pub const READS: usize = 1;
pub const WRITER: usize = 2;

/// Rows that may be called for before they have left: as many as the mover keeps, less one piece.
const AHEAD: u64 = 256;

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    const ANSWER: u64 = 2;
    const LEFT: u64 = 3;
    const END: u64 = 4;
    const CLOSE: u64 = 5;
    const CALL: u64 = 6;
    const OPEN: u64 = 7;
    const LOOK: u64 = 8;
}

#[derive(LogicBlock, Default)]
pub struct Books {
    pub clock: Clk,
    pub reset: Rst,
    /// Time passes.
    pub awake: I<1>,
    /// The command that the front has in hand: `aside` if its tag is one of those set aside, `own` if it is no command of the
    /// host's, `turn` which of its function's bindings it was judged by.
    pub slot: I<6>,
    pub qid: I<3>,
    pub cid: I<16>,
    pub pieces: I<6>,
    pub kind: I<2>,
    pub blocks: I<9>,
    pub lba: I<48>,
    pub turn: I<1>,
    pub own: I<1>,
    pub aside: I<1>,
    /// A piece is opened, by each of them held until `opened`, which comes with its tag.
    pub open: [I<1>; 3],
    pub opened: [O<1>; 3],
    pub tag: O<{ Tag::WIDTH }>,
    /// The piece of a read: the first of its command, else `read_cmd` is the tag of that; a `Place`.
    pub read_first: I<1>,
    pub read_cmd: I<{ Tag::WIDTH }>,
    pub read_place: I<{ Place::WIDTH }>,
    /// The writer's: the first has the tag of its command; a code says that it ends here; what a long one asks for.
    pub write_first: I<1>,
    pub write_cmd: I<{ Tag::WIDTH }>,
    pub write_op: I<4>,
    pub write_code: I<11>,
    pub write_fua: I<1>,
    pub write_volume: I<8>,
    pub write_lba: I<48>,
    pub write_left: I<20>,
    /// It may be asked for once more if the medium was told that it is spoilt; one clock: it is to be, it has ended instead.
    pub write_redo: I<1>,
    pub write_again: O<1>,
    pub write_gone: O<1>,
    /// Answers of the medium.
    pub answer_valid: I<1>,
    pub answer_ready: O<1>,
    pub answer_tag: I<{ Tag::WIDTH }>,
    pub answer_result: I<3>,
    /// Requests for pieces that stand, and that the medium has not taken: reads, the writer.
    pub asks: [I<1>; 2],
    pub asks_tag: [I<{ Tag::WIDTH }>; 2],
    /// Requests of the books' own: what is cancelled, what goes on.
    pub media: MediaOut,
    /// The data of a tag is called for.
    pub get_valid: O<1>,
    pub get_ready: I<1>,
    pub get_tag: O<{ Tag::WIDTH }>,
    /// Whose data comes next: tags that are ready, and who is next of them; one clock: that one is taken.
    pub ready_push: O<1>,
    pub ready_slot: O<6>,
    pub ready_index: O<6>,
    pub ready_hole: O<1>,
    pub next_valid: I<1>,
    pub next_slot: I<6>,
    pub next_index: I<6>,
    pub next_hole: I<1>,
    pub next_take: O<1>,
    pub next_idle: I<1>,
    /// A piece of a page that is ready beside them.
    pub page_valid: I<1>,
    pub page_ready: O<1>,
    pub page_piece: I<{ Piece::WIDTH }>,
    /// What comes next, for the mover.
    pub piece_valid: O<1>,
    pub piece_ready: I<1>,
    pub piece_data: O<{ Piece::WIDTH }>,
    /// One clock: a row of data has left.
    pub drained: I<1>,
    /// The data of a tag has left.
    pub left_valid: I<1>,
    pub left_ready: O<1>,
    pub left_tag: I<{ Tag::WIDTH }>,
    pub left_code: I<11>,
    /// Tags: the next of `tag_slot`, taken; one that comes back.
    pub tag_slot: O<6>,
    pub tag_aside: O<1>,
    pub tag_next: I<{ Tag::WIDTH }>,
    pub tag_take: O<1>,
    pub tag_free: O<1>,
    pub tag_freed: O<{ Tag::WIDTH }>,
    pub tag_free_ready: I<1>,
    /// One clock: the commands of `shut_slot` are to end; they are over.
    pub shut: I<1>,
    pub unshut: I<1>,
    pub shut_slot: I<6>,
    /// Abort a command: held until `abort_done`; whether something of it was cancelled.
    pub aborts: I<1>,
    pub abort_slot: I<6>,
    pub abort_qid: I<3>,
    pub abort_cid: I<16>,
    pub abort_done: O<1>,
    pub aborted: O<1>,
    /// The time-out of `look_slot` in milliseconds, 0 for none, and whether it is within its limits; in the same clock.
    pub look_slot: O<6>,
    pub limit: I<16>,
    pub allowed: I<1>,
    /// One clock: a long command of `look_slot` moves so many blocks more.
    pub pays: O<1>,
    pub pays_blocks: O<12>,
    /// Commands that are over.
    pub done_valid: O<1>,
    pub done_ready: I<1>,
    pub done_slot: O<6>,
    pub done_qid: O<3>,
    pub done_cid: O<16>,
    pub done_code: O<11>,
    /// One clock: `done_*` is over; the host will hear of it; what it was and how long it took, in microseconds.
    pub closed: O<1>,
    pub closed_told: O<1>,
    pub closed_own: O<1>,
    pub closed_kind: O<2>,
    pub closed_blocks: O<9>,
    pub closed_lba: O<48>,
    pub closed_time: O<24>,
    pub closed_turn: O<1>,
    /// The error log has no place for another.
    pub log_full: I<1>,
    pub busy: O<1>,
    /// The highest row of the memories: those set aside are at the end of what there is.
    rows: Param,
    st: Reg<4>,
    who: Reg<2>,
    /// The tag in hand, its command, what became of it.
    r_tag: Reg<{ Tag::WIDTH }>,
    cmd: Reg<6>,
    code: Reg<11>,
    result: Reg<3>,
    hole: Reg<1>,
    g_valid: Reg<1>,
    g_tag: Reg<{ Tag::WIDTH }>,
    page_last: Reg<1>,
    ahead: Reg<10>,
    /// A request of the books' own stands.
    c_busy: Reg<1>,
    c_op: Reg<4>,
    c_tag: Reg<{ Tag::WIDTH }>,
    c_what: Reg<{ Rest::WIDTH }>,
    /// Tags in use.
    live: Reg<13>,
    time: Time,
    looks: Looks,
    states: BlockTable<{ Tag::WIDTH }, { State::WIDTH }, 1>,
    /// Of each tag a `Place`, or a `Rest`.
    places: Ram<{ Tag::WIDTH }, { Place::WIDTH }>,
    lines: Ram<{ Tag::WIDTH }, { Line::WIDTH }>,
    shuts: Table<6, 1, 1>,
}

impl Books {
    /// The books of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        // With room for those set aside behind the functions' own: the slots that they have are the last of any power of two.
        let slots = (vfs + 1 + media::TAGS_ASIDE as usize).next_power_of_two();
        let tags = slots * media::TAGS_PER_SLOT as usize;
        Books {
            looks: Looks::new(vfs),
            rows: Param::new(tags - 1),
            states: BlockTable::new(tags, Tag::INDEX.width as usize),
            places: Ram::new(tags),
            lines: Ram::new(tags),
            shuts: Table::new(slots, 0),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Books {
    fn update(&mut self) {
        clocked!(self.states, self.shuts, self.time, self.looks);
        memories!(self.places, self.lines);
        // --- the words in hand
        let s = self.states.rdata[0];
        let at = s.get(State::AT);
        let why = s.get(State::WHY);
        let op = s.get(State::OP);
        let s_cmd = s.get(State::CMD);
        let stamp = s.get(State::STAMP);
        let line = self.lines.rdata;
        let left = line.get(Line::LEFT);
        let turn = line.get(Line::TURN);
        let own = line.get(Line::OWN);
        let l_code = line.get(Line::CODE);
        let l_qid = line.get(Line::QID);
        let l_cid = line.get(Line::CID);
        let l_kind = line.get(Line::KIND);
        let l_blocks = line.get(Line::BLOCKS);
        let l_lba = line.get(Line::LBA);
        let l_begun = line.get(Line::BEGUN);
        let place = self.places.rdata;
        let p_dws = place.get(Place::DWS);
        let p_lba = place.get(Rest::LBA);
        let p_left = place.get(Rest::LEFT);
        let high = self.r_tag.q.get(Tag::HIGH);
        let aside = is_aside(self.r_tag.q);
        let slot = slot_of(self.r_tag.q);
        let index = self.r_tag.q.get(Tag::INDEX);
        self.shuts.raddr[0] = slot;
        self.shuts.we = self.shut | self.unshut;
        self.shuts.waddr = self.shut_slot;
        self.shuts.wdata = self.shut;
        self.shuts.first = 0;
        self.shuts.wipe = 0;
        self.shuts.wipe_slot = 0;
        let closes = self.shuts.rdata[0];

        // --- what is to be done
        let idle = self.st.q == St::IDLE;
        let may_call = self.piece_ready & (!self.g_valid.q) & (self.ahead.q <= AHEAD);
        let page_turn = self.page_valid & may_call & !(self.next_valid & self.page_last.q);
        let next_turn = self.next_valid & may_call & !page_turn;
        let opens = self.open[0] | self.open[1] | self.open[2];
        let next_tag = cat(self.next_slot, self.next_index);
        let looks_first = self.looks.first;
        let answers = self.answer_valid & !looks_first;
        let leaves = self.left_valid & !(looks_first | self.answer_valid);
        let calls = next_turn & !(looks_first | self.answer_valid | self.left_valid);
        let pages = page_turn & !(looks_first | self.answer_valid | self.left_valid);
        let addressed = if answers {
            self.answer_tag
        } else if leaves {
            self.left_tag
        } else if calls {
            next_tag
        } else {
            self.looks.tag
        };
        self.answer_ready = idle & answers;
        self.left_ready = idle & leaves;
        self.next_take = idle & calls;
        self.page_ready = idle & pages;
        self.tag = self.r_tag.q;
        for i in 0..3 {
            self.opened[i] = 0;
        }

        // --- the words that are asked for and written
        let mut s_raddr = addressed;
        let mut l_raddr = addressed;
        let mut s_we = sized(0, 1);
        let mut s_at = self.r_tag.q;
        let mut s_new = s;
        let mut p_we = sized(0, 1);
        let mut p_at = self.r_tag.q;
        let mut p_new = place;
        let mut l_we = sized(0, 1);
        let mut l_at = cat(high, self.cmd.q);
        let mut l_new = line;
        let mut ups = sized(0, 1);
        let mut downs = sized(0, 1);

        // --- tags
        let o_write = if self.st.q == St::OPEN { self.who.q == WRITER } else { self.open[WRITER] };
        self.tag_slot = if o_write { self.write_cmd.get(Tag::HIGH) } else { self.slot };
        self.tag_aside = self.aside & !o_write;
        self.tag_take = 0;
        self.tag_free = 0;
        self.tag_freed = self.r_tag.q;

        // --- what leaves
        self.ready_push = 0;
        self.ready_slot = slot;
        self.ready_index = index;
        self.ready_hole = self.result.q == media::HOLE;
        let mut emits = sized(0, 1);
        let mut zeroes = self.hole.q;
        self.piece_valid = 0;
        self.piece_data = Piece { page: 0, zeroes, skip: 0, tag: self.r_tag.q, place };
        let mut rows = sized(0, 10);
        self.done_valid = 0;
        self.done_slot = slot;
        self.done_qid = l_qid;
        self.done_cid = l_cid;
        self.done_code = self.code.q;
        self.closed = 0;
        self.closed_told = !closes;
        self.closed_own = own;
        self.closed_kind = l_kind;
        self.closed_blocks = l_blocks;
        self.closed_lba = l_lba;
        self.closed_time = self.time.us - l_begun;
        self.closed_turn = turn;
        self.look_slot = slot;
        self.pays = 0;
        let rest = if p_left > media::LONG_BLOCKS { sized(media::LONG_BLOCKS, 20) } else { p_left };
        self.pays_blocks = rest.trunc(12);
        self.write_again = 0;
        self.write_gone = 0;

        let long = (op == media::ZEROES) | (op == media::VERIFY);
        let late = (self.limit != 0) & ((self.time.ms - stamp) >= self.limit);
        let its_name = (l_qid == self.abort_qid) & (l_cid == self.abort_cid) & !own;
        let named = self.looks.pieces & (s_cmd == self.looks.cmd) & (its_name | !aside);
        let doomed = closes | late | named;
        // What is cancelled before the medium has heard of it is not: it is looked at again.
        let mut asking = sized(0, 1);
        for i in 0..2 {
            if self.asks[i] & (self.asks_tag[i] == self.r_tag.q) {
                asking = 1;
            }
        }
        let reason = if why != Why::NOT {
            why
        } else if closes {
            sized(Why::SHUT, 2)
        } else if named {
            Why::ABORT
        } else {
            Why::LATE
        };

        let mut look_again = sized(0, 1);
        let mut hit = sized(0, 1);
        match self.st.q {
            St::BOOT => {
                if self.states.ready {
                    self.st.d = St::IDLE;
                }
            }
            St::IDLE => {
                self.r_tag.d = addressed;
                self.result.d = self.answer_result;
                self.hole.d = self.next_hole;
                self.code.d = self.left_code;
                self.who.d = if self.open[WRITER] {
                    sized(WRITER, 2)
                } else if self.open[READS] {
                    READS
                } else {
                    FRONT
                };
                if looks_first {
                    self.st.d = St::LOOK;
                } else if answers {
                    self.st.d = St::ANSWER;
                } else if leaves {
                    self.st.d = St::LEFT;
                } else if pages {
                    self.page_last.d = 1;
                    self.piece_valid = 1;
                    self.piece_data = self.page_piece;
                    if !self.page_piece.get(Piece::ZEROES) {
                        let page_dws = self.page_piece.get(Piece::PLACE).get(Place::DWS);
                        let dws = page_dws.zext(12) + self.page_piece.get(Piece::SKIP).zext(12);
                        rows = (dws + 3).bits(11, 2);
                    }
                } else if calls {
                    self.page_last.d = 0;
                    self.st.d = St::CALL;
                } else if opens {
                    self.st.d = St::OPEN;
                } else if self.looks.some {
                    self.st.d = St::LOOK;
                }
            }
            St::ANSWER => {
                check!(at == At::MEDIUM, "the medium answers for a tag that it was not asked with");
                let good = (self.result.q == media::DONE) | (self.result.q == media::HOLE);
                self.code.d = code_of(op, self.result.q, why);
                self.cmd.d = s_cmd;
                l_raddr = cat(high, s_cmd);
                self.st.d = St::END;
                if good & (why == Why::NOT) & (op == media::READ) {
                    s_we = 1;
                    s_new = State { at: At::CARD, ..s };
                    self.st.d = St::IDLE;
                    // Nobody else has anything: it need not stand in line.
                    zeroes = self.result.q == media::HOLE;
                    emits = self.next_idle & may_call & !self.page_valid;
                    self.ready_push = !emits;
                } else if good & long & (p_left > media::LONG_BLOCKS) {
                    let next = p_lba + konst(media::LONG_BLOCKS);
                    p_we = 1;
                    p_new = place.set(Rest::LEFT, p_left - konst(media::LONG_BLOCKS)).set(Rest::LBA, next);
                    s_we = 1;
                    s_new = State { at: At::AGAIN, ..s };
                    self.st.d = St::IDLE;
                } else if self.result.q == media::SPOILT {
                    let again = self.write_redo & (why == Why::NOT);
                    self.write_again = again;
                    self.write_gone = !again;
                    if again {
                        self.st.d = St::IDLE;
                    }
                }
            }
            St::LEFT => {
                self.cmd.d = s_cmd;
                l_raddr = cat(high, s_cmd);
                self.st.d = St::END;
            }
            St::END => {
                l_raddr = cat(high, self.cmd.q);
                let first = index == self.cmd.q;
                let code = if l_code == 0 { self.code.q } else { l_code };
                self.tag_free = !first;
                if first | self.tag_free_ready {
                    // The last one's line is asked for again in this clock, and nobody needs what would be new in it.
                    l_we = left != 1;
                    l_new = Line { code, left: left - 1, ..line };
                    s_we = 1;
                    let held = State { cmd: self.cmd.q, at: At::HELD, ..0 };
                    s_new = if first { held } else { 0 };
                    downs = !first;
                    self.code.d = code;
                    self.st.d = if left == 1 { St::CLOSE } else { St::IDLE };
                }
            }
            St::CLOSE => {
                l_raddr = cat(high, self.cmd.q);
                let heard = (own | self.done_ready) & !((self.code.q != 0) & self.log_full);
                self.tag_free = heard;
                self.tag_freed = cat(high, self.cmd.q);
                self.done_valid = self.tag_free_ready & (!own) & !((self.code.q != 0) & self.log_full);
                if heard & self.tag_free_ready {
                    self.closed = 1;
                    s_we = 1;
                    s_at = cat(high, self.cmd.q);
                    s_new = 0;
                    downs = 1;
                    self.st.d = St::IDLE;
                }
            }
            St::CALL => {
                check!(at == At::CARD, "data is called for that is not ready");
                emits = 1;
                self.st.d = St::IDLE;
            }
            St::OPEN => {
                let writes = self.who.q == WRITER;
                let read = self.who.q == READS;
                let begins = self.who.q == FRONT;
                let first = if writes { self.write_first } else { begins | self.read_first };
                let takes = !(writes & first);
                let tag = if takes { self.tag_next } else { self.write_cmd };
                let mine = tag.get(Tag::INDEX);
                let theirs = if writes { self.write_cmd.get(Tag::INDEX) } else { self.read_cmd.get(Tag::INDEX) };
                let command = if first { mine } else { theirs };
                let what = if writes { self.write_op } else { sized(media::READ, 4) };
                self.tag = tag;
                self.tag_take = takes;
                ups = takes;
                for i in 0..3 {
                    self.opened[i] = self.who.q == i;
                }
                s_we = 1;
                s_at = tag;
                let where_ = if begins { sized(At::OPEN, 3) } else { At::MEDIUM };
                s_new = State { stamp: self.time.ms, cmd: command, op: what, why: Why::NOT, at: where_ };
                p_we = !begins;
                p_at = tag;
                let asks =
                    Rest { fua: self.write_fua, volume: self.write_volume, left: self.write_left, lba: self.write_lba };
                p_new = if read { self.read_place } else { asks.zext(Place::WIDTH) };
                l_we = first & !writes;
                l_at = tag;
                l_new = Line {
                    begun: self.time.us,
                    lba: self.lba,
                    blocks: self.blocks,
                    kind: self.kind,
                    cid: self.cid,
                    qid: self.qid,
                    code: 0,
                    own: self.own,
                    turn: self.turn,
                    left: self.pieces,
                };
                self.r_tag.d = tag;
                self.cmd.d = command;
                self.code.d = self.write_code;
                l_raddr = Tag { high: tag.get(Tag::HIGH), index: command };
                self.st.d = if writes & (self.write_code != 0) { St::END } else { St::IDLE };
            }
            St::LOOK => {
                self.st.d = St::IDLE;
                if at == At::MEDIUM {
                    if doomed & (why == Why::NOT) {
                        look_again = self.c_busy.q | asking;
                        if !look_again {
                            self.c_busy.d = 1;
                            self.c_op.d = media::CANCEL;
                            s_we = 1;
                            s_new = State { why: reason, ..s };
                            hit = named;
                        }
                    }
                } else if at == At::AGAIN {
                    // What was cancelled too late for one part is not for the next. It waits for its limits here, and no
                    // medium is late.
                    if closes | named | (why != Why::NOT) {
                        self.code.d = code_of(op, sized(media::ABORTED, 3), reason);
                        self.cmd.d = s_cmd;
                        l_raddr = cat(high, s_cmd);
                        hit = named;
                        self.st.d = St::END;
                    } else if self.allowed & !self.c_busy.q {
                        self.c_busy.d = 1;
                        self.c_op.d = op;
                        self.pays = 1;
                        s_we = 1;
                        s_new = State { stamp: self.time.ms, at: At::MEDIUM, ..s };
                    }
                }
                if !self.c_busy.q {
                    self.c_tag.d = self.r_tag.q;
                    self.c_what.d = place.trunc(Rest::WIDTH);
                }
            }
            _ => self.st.d = St::IDLE,
        }

        // --- data that is called for
        if emits {
            self.piece_valid = 1;
            self.piece_data = Piece { page: 0, zeroes, skip: 0, tag: self.r_tag.q, place };
            if !zeroes {
                rows = (p_dws.zext(12) + 3).bits(11, 2);
                self.g_valid.d = 1;
                self.g_tag.d = self.r_tag.q;
            }
        }
        if self.g_valid.q & self.get_ready {
            self.g_valid.d = 0;
        }
        self.get_valid = self.g_valid.q;
        self.get_tag = self.g_tag.q;
        self.ahead.d = self.ahead.q + rows - self.drained.zext(10);
        check!((!self.piece_valid) | self.piece_ready, "data is called for that nobody has room for");

        // --- requests of its own
        if self.c_busy.q & self.media.ready {
            self.c_busy.d = 0;
        }
        self.media.valid = self.c_busy.q;
        self.media.op = self.c_op.q;
        self.media.tag = self.c_tag.q;
        self.media.lba = self.c_what.q.get(Rest::LBA);
        let c_left = self.c_what.q.get(Rest::LEFT);
        self.media.blocks = (if c_left > media::LONG_BLOCKS { sized(media::LONG_BLOCKS, 20) } else { c_left }).zext(48);
        self.media.volume = self.c_what.q.get(Rest::VOLUME);
        self.media.fua = self.c_what.q.get(Rest::FUA);

        // --- which is looked at next; the line is that of a command only under its first tag
        self.looks.awake = self.awake;
        self.time.awake = self.awake;
        self.looks.live = self.live.q != 0;
        self.looks.looks = self.st.q == St::LOOK;
        self.looks.again = look_again;
        self.looks.names = (at != At::FREE) & (s_cmd == index) & its_name;
        self.looks.index = index;
        self.looks.hit = hit;
        self.looks.aborts = self.aborts;
        self.looks.abort_slot = self.abort_slot;
        self.looks.abort_qid = self.abort_qid;
        self.abort_done = self.looks.abort_done;
        self.aborted = self.looks.aborted;

        self.live.d = self.live.q + ups.zext(13) - downs.zext(13);
        self.states.raddr[0] = s_raddr & konst(self.rows.get());
        self.states.we = s_we;
        self.states.waddr = s_at & konst(self.rows.get());
        self.states.wdata = s_new;
        self.states.first = 0;
        self.states.wipe = 0;
        self.states.wipe_slot = 0;
        self.places.raddr = s_raddr & konst(self.rows.get());
        self.places.we = p_we;
        self.places.waddr = p_at & konst(self.rows.get());
        self.places.wdata = p_new;
        self.lines.raddr = l_raddr & konst(self.rows.get());
        self.lines.we = l_we;
        self.lines.waddr = l_at & konst(self.rows.get());
        self.lines.wdata = l_new;
        self.busy = (!idle)
            | (self.live.q != 0)
            | opens
            | self.answer_valid
            | self.left_valid
            | self.g_valid.q
            | self.c_busy.q
            | self.looks.seeks;
    }
}
