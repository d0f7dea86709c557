//! Card management as a whole: its bus, and the tables.

use azote_hdl::prelude::*;

use super::{Bindings, Bus, Ports};
use crate::net::port::{PortTold, PortsOut};
use crate::storage::edge::BindingsOut;
use crate::transaction::{BusMaster, BusSlave};

#[derive(LogicBlock, Default)]
pub struct Manage {
    pub clock: Clk,
    pub reset: Rst,
    /// BAR2 of the trust PF.
    pub bus: BusSlave,
    /// What storage is told of its functions, and net of its ports; the net engine's counters.
    pub tenants: BindingsOut,
    pub commit: PortsOut,
    pub told: PortTold,
    pub counters: BusMaster,
    pub busy: O<1>,
    tables: Bus,
    bindings: Bindings,
    ports: Ports,
}

impl Manage {
    /// For the PFs and `vfs` VFs of each kind.
    pub fn new(vfs: usize) -> Self {
        Manage { bindings: Bindings::new(vfs), ports: Ports::new(vfs), ..Self::default() }
    }
}

#[kernel]
impl Logic for Manage {
    fn update(&mut self) {
        clocked!(self.bindings, self.ports);
        link!(self.bus, self.tables.bus);
        join!(self.tables.bindings, self.bindings.bus);
        join!(self.tables.ports, self.ports.bus);
        link!(self.counters, self.tables.counters);
        link!(self.tenants, self.bindings.tenants);
        link!(self.commit, self.ports.commit);
        link!(self.told, self.ports.told);
        self.busy = self.bindings.busy | self.ports.busy;
    }
}
