//! The headers of a frame that is received, word by word: what its hash is of, and what its checksum is.
//!
//! The hash is Toeplitz's (virtio §5.1.6.4.3.1), sixteen bits a clock, with the key of its receiver.

use azote_hdl::prelude::*;
use azote_regs::virtio::net::hash;

use crate::net::offload::words::wire_word;
use crate::parts::slots_of;

struct St;
impl St {
    const IDLE: u64 = 0;
    /// The type behind a VLAN tag comes, and is looked at.
    const INNER: u64 = 1;
    const INNER_IS: u64 = 2;
    /// The first word of the IP header comes, then each is looked at.
    const FIRST: u64 = 3;
    const SCAN: u64 = 4;
}

const TAG: u64 = 0x8100;
const IPV4: u64 = 0x0800;
const IPV6: u64 = 0x86dd;
const TCP: u64 = 6;
const UDP: u64 = 17;
/// Words before the IP header, without and with a VLAN tag.
const L3: u64 = 7;
const L3_TAGGED: u64 = 9;
/// Beats that are kept: all headers that are known lie in them.
const BEATS: u64 = 8;

#[derive(LogicBlock, Default)]
pub struct Fields {
    pub clock: Clk,
    pub reset: Rst,
    /// A beat passes.
    pub passes: I<1>,
    pub sop: I<1>,
    pub eop: I<1>,
    pub data: I<128>,
    pub slot: I<6>,
    /// All is known of it that there is to know.
    pub over: O<1>,
    /// It has a transport's header that is known, where that begins in words, whose it is, and the sum of all words before it but
    /// the addresses, each inverted.
    pub known: O<1>,
    pub l4: O<6>,
    pub udp: O<1>,
    pub unsummed: O<1>,
    pub less: O<24>,
    pub hash: O<32>,
    pub report: O<3>,
    /// A word of a slot's key, and its types of hash.
    pub key_we: I<1>,
    pub key_slot: I<6>,
    pub key_word: I<5>,
    pub key_data: I<16>,
    pub types_we: I<1>,
    pub types_slot: I<6>,
    pub types: I<6>,
    st: Reg<3>,
    /// Beats that have come; no more will.
    come: Reg<4>,
    ended: Reg<1>,
    w: Reg<6>,
    v: Reg<16>,
    i: Reg<6>,
    l3: Reg<4>,
    l4_at: Reg<6>,
    v6: Reg<1>,
    fragment: Reg<1>,
    is_tcp: Reg<1>,
    is_udp: Reg<1>,
    no_sum: Reg<1>,
    found: Reg<1>,
    has: Reg<1>,
    sum: Reg<24>,
    of: Reg<6>,
    /// The key's words in hand, and which comes next.
    warm: Reg<2>,
    k: Reg<5>,
    k0: Reg<16>,
    k1: Reg<16>,
    value: Reg<32>,
    told: Reg<32>,
    report_of: Reg<3>,
    mem: LutRam<4, 128>,
    keys: Ram<11, 16>,
    kinds: LutRam<6, 6>,
}

impl Fields {
    /// For the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        Fields { mem: LutRam::new(16), keys: Ram::new(slots * 32), kinds: LutRam::new(slots), ..Self::default() }
    }
}

/// A hash with sixteen more bits, by the key's bits from there on.
#[pure]
fn toeplitz(value: V, word: V, key: V) -> V {
    let a = quarter(word.bits(15, 12), key.bits(47, 12)) ^ quarter(word.bits(11, 8), key.bits(43, 8));
    let b = quarter(word.bits(7, 4), key.bits(39, 4)) ^ quarter(word.bits(3, 0), key.bits(35, 0));
    value ^ a ^ b
}

/// Four bits' share, of 36 bits of the key.
#[pure]
fn quarter(bits: V, key: V) -> V {
    let a = (key.bits(35, 4) & bits.bit(3).rep(32)) ^ (key.bits(34, 3) & bits.bit(2).rep(32));
    let b = (key.bits(33, 2) & bits.bit(1).rep(32)) ^ (key.bits(32, 1) & bits.bit(0).rep(32));
    a ^ b
}

#[kernel]
impl Logic for Fields {
    fn update(&mut self) {
        memories!(self.mem, self.keys, self.kinds);
        let begins = self.passes & self.sop;
        let come = if begins { sized(0, 4) } else { self.come.q };
        self.mem.we = self.passes & (come < BEATS);
        self.mem.waddr = come;
        self.mem.wdata = self.data;
        self.mem.raddr = cat(sized(0, 1), self.w.q.bits(5, 3));
        if self.passes {
            self.come.d = if come < BEATS { come + 1 } else { come };
            self.ended.d = self.eop;
        }
        let beat = self.mem.rdata;
        let mut word = sized(0, 16);
        for n in 0..8 {
            if self.w.q.bits(2, 0) == n {
                word = wire_word(beat, { n });
            }
        }
        let there = self.w.q.bits(5, 3).zext(4) < self.come.q;
        // It ends, or its headers are longer than all that are known.
        let never = (!there) & (self.ended.q | (self.come.q == BEATS));

        let v = self.v.q;
        let i = self.i.q;
        let scans = self.st.q == St::SCAN;
        let in_ip = (i < self.l4_at.q) | (i == 0);
        let j = i - self.l4_at.q;
        let of_address = in_ip & if self.v6.q { i >= 4 } else { (i >= 6) & (i < 10) };
        let of_port = (!in_ip) & (j < 2);
        let looks = scans & self.has.q;
        let feeds = looks & (of_address | of_port);
        check!((!feeds) | (self.warm.q == 3), "a word is hashed before the key is there");
        // The first two words of the key are read while the headers come.
        let warms = self.warm.q != 3;
        let key_at = if feeds { self.k.q + 1 } else { self.k.q };
        self.keys.we = self.key_we;
        self.keys.waddr = cat(self.key_slot, self.key_word);
        self.keys.wdata = self.key_data;
        self.keys.raddr = cat(self.of.q, key_at);
        let key = self.keys.rdata;
        if warms & (self.st.q != St::IDLE) {
            self.warm.d = self.warm.q + 1;
            if self.warm.q != 2 {
                self.k.d = self.k.q + 1;
            }
            self.keys.raddr = cat(self.of.q, self.k.q);
        }
        if self.warm.q == 1 {
            self.k0.d = key;
        }
        if self.warm.q == 2 {
            self.k1.d = key;
        }
        let hashed = toeplitz(self.value.q, v, cat(self.k0.q, self.k1.q, key));
        if feeds {
            self.k.d = self.k.q + 1;
            self.k0.d = self.k1.q;
            self.k1.d = key;
            self.value.d = hashed;
        }
        self.kinds.we = self.types_we;
        self.kinds.waddr = self.types_slot;
        self.kinds.wdata = self.types;
        self.kinds.raddr = self.of.q;
        let kinds = if self.v6.q { self.kinds.rdata.bits(5, 3) } else { self.kinds.rdata.bits(2, 0) };

        let kind = if self.st.q == St::IDLE { wire_word(self.data, { 6 }) } else { v };
        let is_ip = (kind == IPV4) | (kind == IPV6);
        match self.st.q {
            St::IDLE => {
                if begins {
                    self.of.d = self.slot;
                    self.warm.d = 0;
                    self.k.d = 0;
                    self.value.d = 0;
                    self.told.d = 0;
                    self.report_of.d = hash::REPORT_NONE;
                    self.found.d = 0;
                    self.has.d = 0;
                    self.fragment.d = 0;
                    self.is_tcp.d = 0;
                    self.is_udp.d = 0;
                    self.no_sum.d = 0;
                    self.sum.d = 0;
                    self.v6.d = kind == IPV6;
                    self.l3.d = L3;
                    self.w.d = L3;
                    if kind == TAG {
                        self.l3.d = L3_TAGGED;
                        self.w.d = L3_TAGGED - 1;
                        self.st.d = St::INNER;
                    } else if is_ip {
                        self.st.d = St::FIRST;
                    }
                }
            }
            St::INNER => {
                if there {
                    self.v.d = word;
                    self.w.d = L3_TAGGED;
                    self.st.d = St::INNER_IS;
                } else if never {
                    self.st.d = St::IDLE;
                }
            }
            St::INNER_IS => {
                self.v6.d = kind == IPV6;
                self.st.d = if is_ip { St::FIRST } else { St::IDLE };
            }
            St::FIRST => {
                self.i.d = 0;
                self.l4_at.d = 0;
                if there {
                    self.v.d = word;
                    self.has.d = 1;
                    self.w.d = self.w.q + 1;
                    self.st.d = St::SCAN;
                } else if never {
                    self.st.d = St::IDLE;
                }
            }
            St::SCAN => {
                self.has.d = there;
                if there {
                    self.v.d = word;
                    self.w.d = self.w.q + 1;
                }
                if self.has.q {
                    self.i.d = i + 1;
                    if in_ip & !of_address {
                        self.sum.d = self.sum.q + (!v).zext(24);
                    }
                    if i == 0 {
                        self.l4_at.d = if self.v6.q { sized(20, 6) } else { cat(v.bits(11, 8), sized(0, 1)).zext(6) };
                        let version = if self.v6.q { sized(6, 4) } else { 4 };
                        if (v.bits(15, 12) != version) | ((!self.v6.q) & (v.bits(11, 8) < 5)) {
                            self.st.d = St::IDLE;
                        }
                    }
                    if (i == 3) & self.v6.q {
                        self.is_tcp.d = v.bits(15, 8) == TCP;
                        self.is_udp.d = v.bits(15, 8) == UDP;
                    }
                    if (i == 3) & !self.v6.q {
                        self.fragment.d = v.bits(13, 0).any();
                    }
                    if (i == 4) & !self.v6.q {
                        self.is_tcp.d = (v.bits(7, 0) == TCP) & !self.fragment.q;
                        self.is_udp.d = (v.bits(7, 0) == UDP) & !self.fragment.q;
                    }
                    let transport = self.is_tcp.q | self.is_udp.q;
                    if i == if self.v6.q { sized(19, 6) } else { 9 } {
                        if kinds.bit(0) {
                            self.told.d = hashed;
                            self.report_of.d = if self.v6.q { sized(4, 3) } else { 1 };
                        }
                        if !transport {
                            self.st.d = St::IDLE;
                        }
                    }
                    if (!in_ip) & (j == 1) {
                        if if self.is_tcp.q { kinds.bit(1) } else { kinds.bit(2) } {
                            self.told.d = hashed;
                            let first = if self.v6.q { sized(5, 3) } else { 2 };
                            self.report_of.d = first + self.is_udp.q.zext(3);
                        }
                        if self.is_tcp.q {
                            self.found.d = 1;
                            self.st.d = St::IDLE;
                        }
                    }
                    if (!in_ip) & (j == 3) {
                        self.no_sum.d = v == 0;
                        self.found.d = 1;
                        self.st.d = St::IDLE;
                    }
                } else if never {
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }
        self.over = self.st.q == St::IDLE;
        self.known = self.found.q;
        self.l4 = self.l3.q.zext(6) + self.l4_at.q;
        self.udp = self.is_udp.q;
        self.unsummed = self.no_sum.q;
        self.less = self.sum.q;
        self.hash = self.told.q;
        self.report = self.report_of.q;
    }
}
