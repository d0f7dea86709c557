//! The path of a frame between the queues and the wire: offloads, switch, checks.

use azote_hdl::prelude::*;

use super::check::Check;
use super::offload::Offload;
use super::port::PortsIn;
use super::stream::{CheckedOut, EthernetIn, EthernetOut, FrameIn, FrameOut, HashKeys, RoomOut, TransmitIn};
use super::switch::Switch;
use crate::transaction::BusSlave;

#[derive(LogicBlock, Default)]
pub struct Path {
    pub clock: Clk,
    pub reset: Rst,
    /// What functions send, and what they want done with it.
    pub sends: FrameIn,
    pub wants: TransmitIn,
    /// What functions get, what is found out of it, and who has room.
    pub gets: FrameOut,
    pub told: CheckedOut,
    pub room: RoomOut,
    pub keys: HashKeys,
    /// The Ethernet port.
    pub rx: EthernetIn,
    pub tx: EthernetOut,
    /// From management.
    pub ports: PortsIn,
    pub counters: BusSlave,
    pub busy: O<1>,
    offload: Offload,
    switch: Switch,
    check: Check,
}

impl Path {
    /// For the PF and `vfs` VFs.
    pub fn new(vfs: usize) -> Self {
        Path { switch: Switch::new(vfs), check: Check::new(vfs), ..Self::default() }
    }
}

#[kernel]
impl Logic for Path {
    fn update(&mut self) {
        clocked!(self.offload, self.switch, self.check);
        link!(self.sends, self.offload.frame);
        link!(self.wants, self.offload.wants);
        join!(self.offload.out, self.switch.from);
        join!(self.offload.sum, self.switch.sum);
        join!(self.switch.to, self.check.frame);
        link!(self.gets, self.check.out);
        link!(self.told, self.check.told);
        link!(self.keys, self.check.keys);
        link!(self.room, self.switch.room);
        link!(self.rx, self.switch.rx);
        link!(self.tx, self.switch.tx);
        link!(self.ports, self.switch.ports);
        link!(self.counters, self.switch.counters);
        self.busy = self.offload.busy | self.switch.busy | self.check.busy;
    }
}
