//! Takes TLPs from the link, checks their form, and sends each on its way: completions straight to the DMA engine, which
//! always has room for them; posted and non-posted requests each into a memory of their own, from which only whole and
//! well-formed packets come out.
//!
//! Promise: a malformed TLP (PCIe 2.3, 6.2.3.4), one with more payload than Max_Payload_Size among them (PCIe 2.2.2), leaves
//! here as one error record and nothing else (while one record waits, it stands for those that follow); `rx_ready` never
//! falls for a completion; posted requests pass non-posted ones that are stuck (PCIe 2.4.1); a request is visible behind
//! only after its last beat was good.
//!
//! A non-posted request is one word: its header, and in place of the fourth DW, if the header has but three, the DW that it
//! writes. So there is room for more of them than a requester with 8-bit tags can have under way, and it is only for the
//! posted ones that a link must ever wait. With it goes the number of posted requests that came before, all of which must
//! have taken effect before it may (PCIe 2.4.1: a read does not pass a write).
//!
//! Messages end here: none of those that a root complex sends asks anything of this card.

use azote_hdl::prelude::*;
use azote_regs::pcie::{express, tlp};

use super::header::{dw, last_keep};
use super::stream::{AnswerOut, ErrorOut, Found, LinkIn, ORDER, PostedOut, RequestOut};
use crate::parts::BlockFifo;

/// The largest payload that a TLP may bring with the largest Max_Payload_Size that we support, in DWs.
pub const MAX_DWS: u64 = express::payload_bytes(express::MPS_256) / 4;
/// Beats of the memory of posted requests: three of the largest packets.
const BEATS: usize = 64;
/// Address bits of the memory of non-posted requests.
const WORDS: usize = 9;

#[derive(LogicBlock, Default)]
pub struct Receive {
    pub clock: Clk,
    pub reset: Rst,
    pub rx: LinkIn,
    /// Max_Payload_Size of PF 0, which counts for all (PCIe 7.5.3.4).
    pub mps: I<3>,
    /// Memory writes.
    pub posted: PostedOut,
    /// How many posted requests are done.
    pub done: I<ORDER>,
    pub req: RequestOut,
    pub cpl: AnswerOut,
    pub error: ErrorOut,
    /// A packet is inside or on its way in.
    pub busy: O<1>,
    /// Inside a packet: of which sort.
    to_cpl: Reg<1>,
    to_posted: Reg<1>,
    to_req: Reg<1>,
    midway: Reg<1>,
    bad: Reg<1>,
    left: Reg<11>,
    header: Reg<128>,
    write: Reg<16>,
    commit: Reg<16>,
    read: Reg<16>,
    /// Posted requests that are complete.
    count: Reg<ORDER>,
    c_valid: Reg<1>,
    c_sop: Reg<1>,
    c_eop: Reg<1>,
    c_bad: Reg<1>,
    c_data: Reg<128>,
    e_valid: Reg<1>,
    e_header: Reg<128>,
    // The beat of a posted request that was judged in the clock before, and what was found wrong in it.
    b_valid: Reg<1>,
    b_sop: Reg<1>,
    b_eop: Reg<1>,
    b_good: Reg<1>,
    b_data: Reg<128>,
    f_valid: Reg<1>,
    f_header: Reg<128>,
    // The non-posted request that became complete in the clock before.
    n_valid: Reg<1>,
    n_data: Reg<128>,
    mem: LutRam<6, 128>,
    requests: BlockFifo<WORDS, 136>,
    // How many of the non-posted requests in the memory, from the first on, stand behind no posted request that is not done; how many
    // stand before a mark that was set behind all of them, and how many posted requests had come then.
    freed: Reg<{ WORDS + 1 }>,
    mark: Reg<{ WORDS + 1 }>,
    mark_count: Reg<ORDER>,
}

/// Whether Fmt and Type are a packet that PCIe defines (PCIe table 2-3); anything else is malformed.
#[pure]
fn defined(fmt: V, kind: V) -> V {
    let data = fmt.bit(1);
    let long = fmt.bit(0);
    let memory = kind == tlp::TYPE_MEM;
    let locked = (kind == tlp::TYPE_MEM_LOCKED) & !data;
    let short = (kind == tlp::TYPE_IO) | (kind == tlp::TYPE_CFG0) | (kind == tlp::TYPE_CFG1);
    let completion = (kind == tlp::TYPE_CPL) | (kind == tlp::TYPE_CPL_LOCKED);
    let atomic = ((kind == tlp::TYPE_FETCH_ADD) | (kind == tlp::TYPE_SWAP) | (kind == tlp::TYPE_CAS)) & data;
    let message = (kind.bits(4, 3) == 2) & long;
    !fmt.bit(2) & (memory | locked | ((short | completion) & !long) | atomic | message)
}

/// Form of a request's header beyond its type: length, byte enables, 4 KiB (PCIe 2.2.5, 2.2.7).
#[pure]
fn request_form(h: V) -> V {
    let dw0 = dw(h, { 0 });
    let dw1 = dw(h, { 1 });
    let kind = dw0.get(tlp::TYPE);
    let long = dw0.get(tlp::FMT_BIT_4DW);
    let length = dw0.get(tlp::LENGTH);
    let one = length == 1;
    let first = dw1.get(tlp::FIRST_BE);
    let last = dw1.get(tlp::LAST_BE);
    let memory = kind.bits(4, 1) == 0;
    let enables = if one { last == 0 } else { (first != 0) & (last != 0) };
    let address = if long { dw(h, { 3 }) } else { dw(h, { 2 }) };
    let dws = cat(length == 0, length);
    let end = address.bits(11, 2).zext(12) + dws.zext(12);
    let within = end <= 1024;
    let single = (kind == tlp::TYPE_IO) | (kind == tlp::TYPE_CFG0) | (kind == tlp::TYPE_CFG1);
    let memory_ok = (!memory) | (enables & within);
    let single_ok = (!single) | (one & (last == 0));
    memory_ok & single_ok
}

#[kernel]
impl Logic for Receive {
    fn update(&mut self) {
        clocked!(self.requests);
        memories!(self.mem);
        let h = self.rx.data;
        let dw0 = dw(h, { 0 });
        let kind = dw0.get(tlp::TYPE);
        let has_data = dw0.get(tlp::FMT_BIT_DATA);
        let is_cpl = (kind == tlp::TYPE_CPL) | (kind == tlp::TYPE_CPL_LOCKED);
        let is_posted = (kind == tlp::TYPE_MEM) & has_data;
        let is_message = kind.bits(4, 3) == 2;
        let is_req = !(is_cpl | is_posted | is_message);
        let length = dw0.get(tlp::LENGTH);
        let payload = if has_data { cat(length == 0, length) } else { 0 };
        // Encodings beyond what we support would be a mistake of the host's; they count as the largest that we do.
        let most = if self.mps == express::MPS_128 {
            sized(express::payload_bytes(express::MPS_128) / 4, 11)
        } else {
            MAX_DWS
        };
        let form = defined(dw0.get(tlp::FMT), kind) & (is_cpl | request_form(h)) & (payload <= most);

        // The beat that was judged in the clock before is not written yet, nor is the request of the clock before.
        let level = self.write.q - self.read.q;
        let room = (level < (BEATS as u64)) & !((level == konst(BEATS - 1)) & self.b_valid.q);
        let req_room = self.requests.level < konst((1usize << WORDS) - 1);
        let starts = self.rx.valid & self.rx.sop;
        // A completion always has room; so has a beat of a packet that is being dropped.
        let ready =
            if self.rx.sop { ((!is_posted) | room) & ((!is_req) | req_room) } else { (!self.to_posted.q) | room };
        self.rx.ready = ready;
        let taken = self.rx.valid & ready;

        // What is left of the payload after this beat, and whether this beat is as the header said.
        let full = self.left.q > 4;
        let beat_ok = if full {
            (!self.rx.eop) & (self.rx.keep == 15)
        } else {
            self.rx.eop & (self.rx.keep == last_keep(self.left.q)) & (self.left.q != 0)
        };
        let header_ok = form & (self.rx.eop == !has_data) & (self.rx.keep == 15);
        let good = if self.rx.sop { header_ok } else { beat_ok & !self.bad.q };

        // Written a clock later: a packet begins where the last good one ended, whatever came of another in between.
        let base = if self.b_sop.q { self.commit.q } else { self.write.q };
        self.mem.we = self.b_valid.q & self.b_good.q;
        self.mem.waddr = base.trunc(6);
        self.mem.wdata = self.b_data.q;
        if self.b_valid.q {
            self.write.d = if self.b_good.q { base + 1 } else { self.commit.q };
            if self.b_good.q & self.b_eop.q {
                self.commit.d = base + 1;
                self.count.d = self.count.q + 1;
            }
        }
        self.b_valid.d = 0;
        self.b_sop.d = self.rx.sop;
        self.b_eop.d = self.rx.eop;
        self.b_good.d = good;
        self.b_data.d = self.rx.data;
        self.mem.raddr = self.read.q.trunc(6);
        self.posted.data = self.mem.rdata;
        self.posted.valid = self.read.q != self.commit.q;
        if self.posted.ready & (self.read.q != self.commit.q) {
            self.read.d = self.read.q + 1;
        }

        // A clock later as well, so that posted requests that came before are counted.
        let begun = self.header.q;
        let header_long = dw(begun, { 0 }).get(tlp::FMT_BIT_4DW);
        let written = if header_long { begun } else { cat(self.rx.data.bits(31, 0), begun.bits(95, 0)) };
        self.n_valid.d = 0;
        self.n_data.d = if self.rx.sop { self.rx.data } else { written };
        self.requests.in_valid = self.n_valid.q;
        self.requests.in_data = cat(self.count.q, self.n_data.q);
        check!((!self.n_valid.q) | self.requests.in_ready, "a non-posted request is lost");
        self.req.valid = self.requests.out_valid;
        self.req.data = self.requests.out_data.bits(127, 0);
        self.req.after = self.requests.out_data.bits(135, 128);
        self.requests.out_ready = self.req.ready;

        // Any number of posted requests may pass one that is stuck, and then a number of eight bits says nothing of it any more. What is
        // known once, at a mark's own time, stays known.
        let since = self.done - self.mark_count.q;
        let reached = !since.bit(ORDER - 1);
        let freed = if reached { self.mark.q } else { self.freed.q };
        let marked = if reached { self.requests.level.trunc(WORDS + 1) } else { self.mark.q };
        let leaves = self.requests.out_valid & self.req.ready;
        self.freed.d = if leaves & (freed != 0) { freed - 1 } else { freed };
        self.mark.d = if leaves & (marked != 0) { marked - 1 } else { marked };
        if reached {
            self.mark_count.d = self.count.q;
        }
        self.req.free = self.freed.q != 0;

        self.c_valid.d = 0;
        self.c_sop.d = self.rx.sop;
        self.c_eop.d = self.rx.eop;
        self.c_bad.d = !good;
        self.c_data.d = self.rx.data;
        if self.e_valid.q & self.error.ready {
            self.e_valid.d = 0;
        }
        self.f_valid.d = 0;
        self.f_header.d = if self.rx.sop & !self.midway.q { self.rx.data } else { self.header.q };

        if taken {
            let posted = if self.rx.sop { is_posted } else { self.to_posted.q };
            let req = if self.rx.sop { is_req } else { self.to_req.q };
            // What is wrong with a completion's header is known before any of its data could land.
            let cpl = if self.rx.sop { is_cpl & good } else { self.to_cpl.q };
            // A packet that begins inside another ends that one badly: its tail never came.
            let cut = self.rx.sop & self.midway.q;
            self.c_valid.d = cpl;
            self.b_valid.d = posted;
            self.n_valid.d = req & good & self.rx.eop;
            if self.rx.sop {
                self.header.d = self.rx.data;
                self.left.d = payload;
            } else {
                self.left.d = if full { self.left.q - 4 } else { 0 };
            }
            self.midway.d = !self.rx.eop;
            self.bad.d = !good;
            self.to_cpl.d = cpl & !self.rx.eop;
            self.to_posted.d = posted & good & !self.rx.eop;
            self.to_req.d = req & good & !self.rx.eop;
            // Once a packet, where it first goes wrong.
            let newly = if self.rx.sop { !good } else { (!good) & !self.bad.q };
            self.f_valid.d = newly | cut;
        }
        if self.f_valid.q & !self.e_valid.q {
            self.e_valid.d = 1;
            self.e_header.d = self.f_header.q;
        }

        self.cpl.valid = self.c_valid.q;
        self.cpl.sop = self.c_sop.q;
        self.cpl.eop = self.c_eop.q;
        self.cpl.bad = self.c_bad.q;
        self.cpl.data = self.c_data.q;
        self.error.valid = self.e_valid.q;
        self.error.owner = 0;
        self.error.everyone = 1;
        self.error.event = konst(Found::MALFORMED);
        self.error.header = self.e_header.q;
        self.busy = starts
            | self.midway.q
            | self.b_valid.q
            | self.n_valid.q
            | self.c_valid.q
            | self.f_valid.q
            | self.e_valid.q
            | (self.requests.level != 0)
            | (self.read.q != self.commit.q);
    }
}
