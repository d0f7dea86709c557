//! The directory: who has which address in which tenant and VLAN, and who belongs together.
//!
//! A frame's receiver must be found in a few clocks however many ports there are, and a broadcast's receivers too. So whatever a change
//! of a port means is worked out when it is made, in clocks in which nobody looks anything up: a hash table of all addresses, made
//! anew in the half that is not in use, and for each slot the marks of its peers. A port that changes is dead meanwhile, so that it is never
//! found by what it was, and lives again when no frame is left that was judged by that.

use azote_hdl::prelude::*;

use super::words::{Entry, GROUP, LookIn, hash, tenant, vlan_of_wire};
use crate::net::port::{Port, PortsIn};
use crate::parts::{is_marked, mark_of, slots_of};

struct St;
impl St {
    const BOOT: u64 = 0;
    const IDLE: u64 = 1;
    /// The new port is written.
    const STORE: u64 = 2;
    /// The half of the table that is not in use is emptied.
    const EMPTY: u64 = 3;
    /// A port is asked for, and comes.
    const PORT: u64 = 4;
    const TAKE: u64 = 5;
    /// Another port is asked for and compared with it.
    const OTHER: u64 = 6;
    const COMPARE: u64 = 7;
    /// Its peers are written.
    const PEERS: u64 = 8;
    const PEERS_ON_WIRE: u64 = 9;
    /// A place in the table is asked for, and comes.
    const PLACE: u64 = 10;
    const INSERT: u64 = 11;
    /// The new half counts.
    const SWAP: u64 = 12;
    const FLUSH: u64 = 13;
    /// The next key.
    const KEY: u64 = 14;
}

/// What is entered of each port: its address in its tenant and on the wire, and the same for the group if it is the first of it.
struct Key;
impl Key {
    const OWN: u64 = 0;
    const OWN_ON_WIRE: u64 = 1;
    const GROUP: u64 = 2;
    const GROUP_ON_WIRE: u64 = 3;
}

#[derive(LogicBlock, Default)]
pub struct Directory {
    pub clock: Clk,
    pub reset: Rst,
    pub ports: PortsIn,
    pub look: LookIn,
    /// One clock: a port is dead from now on. What was judged before is over.
    pub flush: O<1>,
    pub flushed: I<1>,
    pub busy: O<1>,
    vfs: Param,
    slots: Param,
    /// Bits of the address in half of the table.
    bits: Param,
    st: Reg<4>,
    at: Reg<9>,
    i: Reg<6>,
    j: Reg<6>,
    mac: Reg<48>,
    vni: Reg<24>,
    vlan: Reg<12>,
    uplink: Reg<1>,
    peers: Reg<64>,
    wire_peers: Reg<64>,
    /// It is the first of its group.
    first: Reg<1>,
    wire_first: Reg<1>,
    key: Reg<2>,
    half: Reg<1>,
    live: Reg<64>,
    promiscuous: Reg<64>,
    rows: Ram<6, { Port::WIDTH }>,
    table: Ram<10, { Entry::WIDTH }>,
    groups: Ram<7, 64>,
}

impl Directory {
    /// A directory of the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        let slots = slots_of(vfs);
        // Four entries a port at most, so that half is empty.
        let half = (slots * 8).min(512);
        Directory {
            vfs: Param::new(vfs),
            slots: Param::new(slots),
            bits: Param::new(half.ilog2() as usize),
            rows: Ram::new(slots),
            table: Ram::new(half * 2),
            groups: Ram::new(slots * 2),
            ..Self::default()
        }
    }
}

#[kernel]
impl Logic for Directory {
    fn update(&mut self) {
        memories!(self.rows, self.table, self.groups);
        let slots: usize = self.slots.get();
        let bits: usize = self.bits.get();
        // Nobody else addresses a memory in this clock.
        let free = !self.look.uses;
        let row = self.rows.rdata;
        let slot = self.ports.slot;
        // Whether a port counts in what is made.
        let of = if self.st.q == St::TAKE { self.i.q } else { self.j.q };
        let counts = if of == slot { self.ports.live } else { is_marked(self.live.q, of, { slots }) };
        let last = self.i.q == konst(self.vfs.get());
        let last_other = self.j.q == konst(self.vfs.get());

        let mut row_we = sized(0, 1);
        let mut table_we = sized(0, 1);
        let mut entry = Entry { valid: 0, slot: 0 };
        let mut group_we = sized(0, 1);
        let mut on_wire = sized(0, 1);
        let mut row_at = self.i.q;
        self.flush = 0;
        self.ports.done = 0;
        let domain = if self.key.q.bit(0) { vlan_of_wire(self.vlan.q) } else { tenant(self.vni.q) };
        let start = hash(domain, if self.key.q.bit(1) { konst(GROUP) } else { self.mac.q });
        let wanted = match self.key.q {
            Key::OWN => sized(1, 1),
            Key::OWN_ON_WIRE => self.uplink.q,
            Key::GROUP => self.first.q,
            Key::GROUP_ON_WIRE => self.wire_first.q & self.uplink.q,
            _ => sized(0, 1),
        };
        let next_at = self.at.q + 1;
        let end = next_at.trunc(bits) == 0;
        let mine = self.j.q == self.i.q;
        let before = self.j.q < self.i.q;
        let mark = mark_of(self.j.q, { slots }).trunc(slots).zext(64);
        let changed = mark_of(slot, { slots }).trunc(slots).zext(64);

        match self.st.q {
            St::BOOT => {
                // Both halves, one after the other.
                table_we = 1;
                self.at.d = next_at;
                if end {
                    self.half.d = 1;
                    if self.half.q {
                        self.st.d = St::IDLE;
                    }
                }
            }
            St::IDLE => {
                self.at.d = 0;
                self.i.d = 0;
                if self.ports.valid {
                    self.flush = 1;
                    self.live.d = self.live.q & !changed;
                    self.promiscuous.d = self.promiscuous.q & !changed;
                    self.st.d = St::STORE;
                }
            }
            St::STORE => {
                row_we = free;
                if free {
                    self.st.d = St::EMPTY;
                }
            }
            St::EMPTY => {
                table_we = 1;
                self.at.d = next_at;
                if end {
                    self.st.d = St::PORT;
                }
            }
            St::PORT => {
                if free {
                    self.st.d = St::TAKE;
                }
            }
            St::TAKE => {
                self.mac.d = row.get(Port::MAC);
                self.vni.d = row.get(Port::VNI);
                self.vlan.d = row.get(Port::VLAN);
                self.uplink.d = row.get(Port::UPLINK);
                self.peers.d = 0;
                self.wire_peers.d = 0;
                self.first.d = 1;
                self.wire_first.d = 1;
                self.j.d = 0;
                self.key.d = 0;
                if counts {
                    self.st.d = St::OTHER;
                } else {
                    self.i.d = self.i.q + 1;
                    self.st.d = if last { St::SWAP } else { St::PORT };
                }
            }
            St::OTHER => {
                row_at = self.j.q;
                if free {
                    self.st.d = St::COMPARE;
                }
            }
            St::COMPARE => {
                let together = counts & (row.get(Port::VNI) == self.vni.q);
                let on_line = counts & row.get(Port::UPLINK) & self.uplink.q & (row.get(Port::VLAN) == self.vlan.q);
                if together {
                    self.peers.d = self.peers.q | mark;
                    self.first.d = self.first.q & !before;
                }
                if on_line {
                    self.wire_peers.d = self.wire_peers.q | mark;
                    self.wire_first.d = self.wire_first.q & !before;
                }
                check!(together | !mine, "a port that counts is not its own tenant's");
                self.j.d = self.j.q + 1;
                self.st.d = if last_other { St::PEERS } else { St::OTHER };
            }
            St::PEERS => {
                group_we = free;
                if free {
                    self.st.d = St::PEERS_ON_WIRE;
                }
            }
            St::PEERS_ON_WIRE => {
                on_wire = 1;
                group_we = free;
                if free {
                    self.st.d = St::KEY;
                }
            }
            St::KEY => {
                self.at.d = start;
                if wanted {
                    self.st.d = St::PLACE;
                } else {
                    self.key.d = self.key.q + 1;
                }
                if (!wanted) & (self.key.q == Key::GROUP_ON_WIRE) {
                    self.i.d = self.i.q + 1;
                    self.st.d = if last { St::SWAP } else { St::PORT };
                }
            }
            St::PLACE => {
                if free {
                    self.st.d = St::INSERT;
                }
            }
            St::INSERT => {
                if self.table.rdata.get(Entry::VALID) {
                    self.at.d = next_at;
                    self.st.d = St::PLACE;
                } else {
                    table_we = 1;
                    entry = Entry { valid: 1, slot: self.i.q };
                    self.key.d = self.key.q + 1;
                    self.st.d = St::KEY;
                    if self.key.q == Key::GROUP_ON_WIRE {
                        self.i.d = self.i.q + 1;
                        self.st.d = if last { St::SWAP } else { St::PORT };
                    }
                }
            }
            St::SWAP => {
                // Whoever looks does it in one half from beginning to end.
                if self.look.rests {
                    self.half.d = !self.half.q;
                    self.st.d = St::FLUSH;
                }
            }
            St::FLUSH => {
                if self.flushed {
                    self.ports.done = 1;
                    if self.ports.live {
                        self.live.d = self.live.q | changed;
                        if self.ports.port.get(Port::PROMISCUOUS) {
                            self.promiscuous.d = self.promiscuous.q | changed;
                        }
                    }
                    self.st.d = St::IDLE;
                }
            }
            _ => self.st.d = St::IDLE,
        }

        let boots = self.st.q == St::BOOT;
        self.rows.we = row_we;
        self.rows.waddr = slot;
        self.rows.wdata = self.ports.port;
        self.rows.raddr = if self.look.uses { self.look.slot } else { row_at };
        let made = if boots { self.half.q } else { !self.half.q };
        self.table.we = table_we;
        self.table.waddr = cat(made, self.at.q.trunc(bits)).zext(10);
        self.table.wdata = entry;
        self.table.raddr = (if self.look.uses {
            cat(self.half.q, self.look.hash.trunc(bits))
        } else {
            cat(made, self.at.q.trunc(bits))
        })
        .zext(10);
        self.groups.we = group_we;
        self.groups.waddr = cat(on_wire, self.i.q.trunc(slots.trailing_zeros() as usize)).zext(7);
        self.groups.wdata = (if on_wire { self.wire_peers.q } else { self.peers.q }).trunc(slots).zext(64);
        self.groups.raddr = cat(self.look.of_vlan, self.look.slot.trunc(slots.trailing_zeros() as usize)).zext(7);
        self.look.port = row;
        self.look.entry = self.table.rdata;
        self.look.peers = self.groups.rdata.trunc(slots).zext(64);
        self.look.live = self.live.q;
        self.look.promiscuous = self.promiscuous.q;
        self.busy = self.st.q != St::IDLE;
    }
}
