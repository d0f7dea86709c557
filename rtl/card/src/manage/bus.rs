//! From the management BAR to the tables in it: the bindings, which also answer for the first page and for all that is nobody's, the
//! ports, and the counters.
//!
//! Promise: an access reaches one table, and its answer is that table's.

use azote_hdl::prelude::*;
use azote_regs::{bar, manage};

use crate::transaction::{BusMaster, BusSlave};

const PORTS: u64 = manage::PORTS / bar::PAGE_SIZE;
const COUNTERS: u64 = manage::COUNTERS / bar::PAGE_SIZE;

#[derive(LogicBlock, Default)]
pub struct Bus {
    pub bus: BusSlave,
    pub bindings: BusMaster,
    pub ports: BusMaster,
    pub counters: BusMaster,
}

#[kernel]
impl Logic for Bus {
    fn update(&mut self) {
        let page = self.bus.offset.bits(15, 12);
        let to_ports = page == PORTS;
        // Two pages.
        let to_counters = page.bits(3, 1) == konst(COUNTERS >> 1);
        self.bindings.valid = self.bus.valid & !(to_ports | to_counters);
        self.ports.valid = self.bus.valid & to_ports;
        self.counters.valid = self.bus.valid & to_counters;
        self.bindings.write = self.bus.write;
        self.ports.write = self.bus.write;
        self.counters.write = self.bus.write;
        self.bindings.owner = self.bus.owner;
        self.ports.owner = self.bus.owner;
        self.counters.owner = self.bus.owner;
        self.bindings.offset = self.bus.offset;
        self.ports.offset = self.bus.offset;
        self.counters.offset = self.bus.offset;
        self.bindings.be = self.bus.be;
        self.ports.be = self.bus.be;
        self.counters.be = self.bus.be;
        self.bindings.wdata = self.bus.wdata;
        self.ports.wdata = self.bus.wdata;
        self.counters.wdata = self.bus.wdata;
        self.bus.ack = if to_ports {
            self.ports.ack
        } else if to_counters {
            self.counters.ack
        } else {
            self.bindings.ack
        };
        self.bus.rdata = if to_ports {
            self.ports.rdata
        } else if to_counters {
            self.counters.rdata
        } else {
            self.bindings.rdata
        };
    }
}
