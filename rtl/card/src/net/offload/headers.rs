//! The headers of a packet that is cut into segments: found out word by word, and changed for each segment.
//!
//! What the driver says of their length is not looked at: the Ethernet type, the IPv4 or IPv6 header and the TCP header say it themselves. An
//! IPv6 header with extensions before TCP is none that this block knows.

use azote_hdl::prelude::*;

use super::words::{fold, folded, wire_word};

struct St;
impl St {
    const IDLE: u64 = 0;
    /// The type comes, and is looked at; the same behind a VLAN tag.
    const KIND: u64 = 1;
    const KIND_IS: u64 = 2;
    const INNER: u64 = 3;
    const INNER_IS: u64 = 4;
    /// The first word of the IP header comes, then each is looked at.
    const FIRST: u64 = 5;
    const SCAN: u64 = 6;
    /// Words of a segment: lengths, identification, checksum, sequence number, flags.
    const LENGTH: u64 = 7;
    const ID: u64 = 8;
    const FOLD: u64 = 9;
    const CHECKSUM: u64 = 10;
    const SEQUENCE_HIGH: u64 = 11;
    const SEQUENCE_LOW: u64 = 12;
    const FLAGS: u64 = 13;
    const LAST: u64 = 14;
}

const TAG: u64 = 0x8100;
const IPV4: u64 = 0x0800;
const IPV6: u64 = 0x86dd;
const TCP: u64 = 6;
/// Words before the IP header, without and with a VLAN tag.
const L3: u64 = 7;
const L3_TAGGED: u64 = 9;
/// TCP's flags in the word that has its offset: only the first segment has CWR, only the last FIN and PSH.
const CWR: u64 = 0x80;
const FIN_PSH: u64 = 0x09;

#[derive(LogicBlock, Default)]
pub struct Headers {
    pub clock: Clk,
    pub reset: Rst,
    /// A beat of the headers.
    pub load: I<1>,
    pub load_at: I<4>,
    pub load_data: I<128>,
    /// One clock: look at them, as IPv6 or IPv4. Then `done`, and whether they are such headers.
    pub parse: I<1>,
    pub parse_v6: I<1>,
    pub good: O<1>,
    /// Bytes of all headers, and the word of TCP's checksum.
    pub bytes: O<9>,
    pub place: O<7>,
    /// One clock: make them a segment's of so many bytes of payload. Then `done`, and what its checksum begins with.
    pub change: I<1>,
    pub payload: I<16>,
    pub first: I<1>,
    pub last: I<1>,
    pub base: O<24>,
    /// One clock: it is done.
    pub done: O<1>,
    /// A beat, in the same clock, while nothing is to be done.
    pub at: I<4>,
    pub data: O<128>,
    st: Reg<4>,
    v6: Reg<1>,
    fine: Reg<1>,
    over: Reg<1>,
    /// The word that is asked for, the last that came or is to be written, and its number in the IP header.
    w: Reg<7>,
    v: Reg<16>,
    writes: Reg<1>,
    i: Reg<7>,
    /// Where the IP header begins; where TCP's does, and the last word, from there.
    l3: Reg<4>,
    l4: Reg<7>,
    end: Reg<7>,
    id: Reg<16>,
    sequence: Reg<32>,
    flags: Reg<16>,
    ip_sum: Reg<24>,
    ip_now: Reg<24>,
    tcp_sum: Reg<24>,
    sum: Reg<24>,
    of: Reg<16>,
    is_first: Reg<1>,
    is_last: Reg<1>,
    mem: LutRam<4, 128>,
}

#[kernel]
impl Logic for Headers {
    fn update(&mut self) {
        memories!(self.mem);
        let rests = self.st.q == St::IDLE;
        let beat = self.mem.rdata;
        let mut word = sized(0, 16);
        let mut mask = sized(0, 128);
        for n in 0..8 {
            if self.w.q.bits(2, 0) == n {
                word = wire_word(beat, { n });
                mask = sized(0xffff, 128) << konst(16 * n);
            }
        }
        let v = self.v.q;
        let swapped = cat(v.bits(7, 0), v.bits(15, 8));
        let many = cat(swapped, swapped, swapped, swapped, swapped, swapped, swapped, swapped);
        self.mem.we = self.load | self.writes.q;
        self.mem.waddr = if self.load { self.load_at } else { self.w.q.bits(6, 3) };
        self.mem.wdata = if self.load { self.load_data } else { (beat & !mask) | (many & mask) };
        self.mem.raddr = if rests { self.at } else { self.w.q.bits(6, 3) };
        self.data = beat;

        let i = self.i.q;
        let l3 = self.l3.q.zext(7);
        let in_ip = (i < self.l4.q) | (i == 0);
        let j = i - self.l4.q;
        let kind_is_right = v == if self.v6.q { sized(IPV6, 16) } else { sized(IPV4, 16) };
        // Bytes from the IP header on, and from TCP's on.
        let ip_bytes = cat(self.end.q + 1, sized(0, 1)).zext(16);
        let tcp_bytes = cat((self.end.q + 1) - self.l4.q, sized(0, 1)).zext(16);
        let ip_length = self.of.q + ip_bytes;
        let payload_length = ip_length - 40;
        let tcp_at = l3 + self.l4.q;
        let tcp_length = self.of.q + tcp_bytes;
        self.over.d = 0;
        self.writes.d = 0;
        // One adder for each sum, and one for the place of a word.
        let mut to_ip = sized(0, 1);
        let mut to_tcp = sized(0, 1);
        let mut term = tcp_length;
        let mut from_w = self.w.q;
        let mut by_w = sized(1, 3);
        let early = if self.is_first.q { sized(0, 16) } else { CWR };
        let late = if self.is_last.q { sized(0, 16) } else { FIN_PSH };
        let flags = self.flags.q & !(early | late);
        match self.st.q {
            St::LENGTH => {
                from_w = l3;
                by_w = if self.v6.q { sized(2, 3) } else { 1 };
            }
            St::ID => {
                from_w = l3;
                by_w = 2;
            }
            St::CHECKSUM => {
                from_w = l3;
                by_w = 5;
            }
            St::SEQUENCE_HIGH => {
                from_w = tcp_at;
                by_w = 2;
                term = self.sequence.q.bits(31, 16);
            }
            St::SEQUENCE_LOW => term = self.sequence.q.bits(15, 0),
            St::FLAGS => {
                by_w = 3;
                term = flags;
            }
            _ => {}
        }
        let next_w = from_w + by_w.zext(7);
        let so_far = if self.st.q == St::LENGTH { self.tcp_sum.q } else { self.sum.q };
        let more = so_far + term.zext(24);
        match self.st.q {
            St::IDLE => {
                self.fine.d = self.fine.q & !self.parse;
                if self.parse {
                    self.v6.d = self.parse_v6;
                    self.w.d = 6;
                    self.st.d = St::KIND;
                } else if self.change {
                    self.of.d = self.payload;
                    self.is_first.d = self.first;
                    self.is_last.d = self.last;
                    self.st.d = St::LENGTH;
                }
            }
            St::KIND => {
                self.v.d = word;
                self.l3.d = L3;
                self.w.d = L3;
                self.st.d = St::KIND_IS;
            }
            St::KIND_IS => {
                if v == TAG {
                    self.l3.d = L3_TAGGED;
                    self.w.d = L3_TAGGED - 1;
                    self.st.d = St::INNER;
                } else {
                    self.st.d = St::FIRST;
                    if !kind_is_right {
                        self.over.d = 1;
                        self.st.d = St::IDLE;
                    }
                }
            }
            St::INNER => {
                self.v.d = word;
                self.w.d = L3_TAGGED;
                self.st.d = St::INNER_IS;
            }
            St::INNER_IS => {
                self.st.d = St::FIRST;
                if !kind_is_right {
                    self.over.d = 1;
                    self.st.d = St::IDLE;
                }
            }
            St::FIRST => {
                self.v.d = word;
                self.w.d = next_w;
                self.i.d = 0;
                self.l4.d = 0;
                self.st.d = St::SCAN;
            }
            St::SCAN => {
                self.v.d = word;
                self.w.d = next_w;
                self.i.d = i + 1;
                let mut wrong = sized(0, 1);
                if i == 0 {
                    self.ip_sum.d = v.zext(24);
                    // The pseudo-header's protocol.
                    self.tcp_sum.d = TCP;
                    let words = v.bits(11, 8);
                    if self.v6.q {
                        self.l4.d = 20;
                        wrong = v.bits(15, 12) != 6;
                    } else {
                        self.l4.d = cat(words, sized(0, 1)).zext(7);
                        wrong = (v.bits(15, 12) != 4) | (words < 5);
                    }
                } else if in_ip {
                    if self.v6.q {
                        if i == 3 {
                            wrong = v.bits(15, 8) != TCP;
                        }
                        if i >= 4 {
                            to_tcp = 1;
                        }
                    } else {
                        if i == 2 {
                            self.id.d = v;
                        }
                        if i == 4 {
                            wrong = v.bits(7, 0) != TCP;
                        }
                        if (i != 1) & (i != 2) & (i != 5) {
                            to_ip = 1;
                        }
                        if (i >= 6) & (i < 10) {
                            to_tcp = 1;
                        }
                    }
                } else {
                    if j == 2 {
                        self.sequence.d = cat(v, self.sequence.q.bits(15, 0));
                    }
                    if j == 3 {
                        self.sequence.d = cat(self.sequence.q.bits(31, 16), v);
                    }
                    if j == 6 {
                        self.flags.d = v;
                        self.end.d = (self.l4.q + cat(v.bits(15, 12), sized(0, 1)).zext(7)) - 1;
                        wrong = v.bits(15, 12) < 5;
                    }
                    if (j != 2) & (j != 3) & (j != 6) & (j != 8) {
                        to_tcp = 1;
                    }
                    if (j > 6) & (i == self.end.q) {
                        self.fine.d = 1;
                        self.over.d = 1;
                        self.st.d = St::IDLE;
                    }
                }
                if wrong {
                    self.over.d = 1;
                    self.st.d = St::IDLE;
                }
            }
            St::LENGTH => {
                self.v.d = if self.v6.q { payload_length } else { ip_length };
                self.w.d = next_w;
                self.writes.d = 1;
                self.sum.d = more;
                self.st.d = St::ID;
                if self.v6.q {
                    self.st.d = St::SEQUENCE_HIGH;
                }
            }
            St::ID => {
                self.v.d = self.id.q;
                self.w.d = next_w;
                self.writes.d = 1;
                self.ip_now.d = self.ip_sum.q + v.zext(24) + self.id.q.zext(24);
                self.id.d = self.id.q + 1;
                self.st.d = St::FOLD;
            }
            St::FOLD => {
                self.ip_now.d = fold(self.ip_now.q).zext(24);
                self.st.d = St::CHECKSUM;
            }
            St::CHECKSUM => {
                self.v.d = !folded(self.ip_now.q.bits(16, 0));
                self.w.d = next_w;
                self.writes.d = 1;
                self.st.d = St::SEQUENCE_HIGH;
            }
            St::SEQUENCE_HIGH => {
                self.v.d = self.sequence.q.bits(31, 16);
                self.w.d = next_w;
                self.writes.d = 1;
                self.sum.d = more;
                self.st.d = St::SEQUENCE_LOW;
            }
            St::SEQUENCE_LOW => {
                self.v.d = self.sequence.q.bits(15, 0);
                self.w.d = next_w;
                self.writes.d = 1;
                self.sum.d = more;
                self.sequence.d = self.sequence.q + self.of.q.zext(32);
                self.st.d = St::FLAGS;
            }
            St::FLAGS => {
                self.v.d = flags;
                self.w.d = next_w;
                self.writes.d = 1;
                self.sum.d = more;
                self.over.d = 1;
                self.st.d = St::LAST;
            }
            St::LAST => self.st.d = St::IDLE,
            _ => self.st.d = St::IDLE,
        }
        if to_ip {
            self.ip_sum.d = self.ip_sum.q + v.zext(24);
        }
        if to_tcp {
            self.tcp_sum.d = self.tcp_sum.q + v.zext(24);
        }
        self.good = self.fine.q;
        self.done = self.over.q;
        self.bytes = cat(l3 + self.end.q + 1, sized(0, 1)).zext(9);
        self.place = tcp_at + 8;
        self.base = self.sum.q;
    }
}
