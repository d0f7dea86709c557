//! Both sides of the socket.

use azote_hdl::prelude::*;

use crate::dma::{LandIn, LandOut, ReadIn, ReadOut};
use crate::transaction::{BusMaster, BusSlave, TxIn, TxOut};

/// The socket at the engine.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "Socket"]
pub struct Engine {
    pub bus: BusSlave,
    pub reset: ResetIn,
    pub rd: ReadOut,
    pub land: LandIn,
    pub data: TxOut,
    pub entry: TxOut,
    pub irq: IrqOut,
    pub gate_changed: I<1>,
    pub mps: I<3>,
    pub enabled_vfs: I<6>,
    pub busy: O<1>,
    pub counts: O<1>,
    pub awake: I<1>,
}

/// The socket at the core.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "Engine"]
pub struct Socket {
    pub bus: BusMaster,
    pub reset: ResetOut,
    pub rd: ReadIn,
    pub land: LandOut,
    pub data: TxIn,
    pub entry: TxIn,
    pub irq: IrqIn,
    pub gate_changed: O<1>,
    pub mps: O<3>,
    pub enabled_vfs: O<6>,
    pub busy: I<1>,
    pub counts: I<1>,
    pub awake: O<1>,
}

/// A function is to be forgotten, at who asks for it.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ResetIn"]
pub struct ResetOut {
    pub valid: O<1>,
    /// The function's slot among those of its kind: 0 is the PF.
    pub slot: O<6>,
    pub done: I<1>,
}

/// The same, at who forgets.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ResetOut"]
pub struct ResetIn {
    pub valid: I<1>,
    pub slot: I<6>,
    pub done: O<1>,
}

/// An interrupt, at who asks for it: held until `ready`.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "IrqIn"]
pub struct IrqOut {
    pub valid: O<1>,
    pub owner: O<8>,
    pub vector: O<4>,
    pub ready: I<1>,
}

/// The same, at who sends it.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "IrqOut"]
pub struct IrqIn {
    pub valid: I<1>,
    pub owner: I<8>,
    pub vector: I<4>,
    pub ready: O<1>,
}
