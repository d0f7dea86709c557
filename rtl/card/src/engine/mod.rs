//! The socket: what an engine plugs into, and all that it sees of the card.
//!
//! An engine serves the functions of one kind. It has registers in the first two pages of their BAR0, reads and writes of host
//! memory in their name, their interrupts, and the duty to forget one of them when it is told to. It sees no TLP, and no bus
//! number: the core builds headers, and asks the gate whether a function may send.
//!
//! | bundle | what it is |
//! |---|---|
//! | `bus` | a register access: held until `ack`, within [`ACCESS_CLOCKS`](crate::transaction::ways::ACCESS_CLOCKS) |
//! | `reset` | forget a function: held until `done`, which stays until `valid` falls ([`parts::Forget`](crate::parts::Forget) is the keeper's side) |
//! | `rd`, `land` | reads of host memory, and what lands of them |
//! | `data`, `entry` | packets of writes, two makers: long ones, and those that somebody waits for |
//! | `irq` | an interrupt: it leaves after what `data` and `entry` gave the door before |
//! | `gate_changed` | one clock: who may send is no longer what it was |
//! | `mps`, `enabled_vfs` | Max_Payload_Size (PCIe 7.5.3.4), and the VFs of the kind that are enabled |
//! | `busy` | something is going on inside, or comes in by a port of the engine's own |
//! | `counts` | nothing is, but time must pass for it: a bucket fills |
//! | `awake` | time passes. While it does not the engine is not clocked in a simulation, and on a board nothing may change in it of itself: whatever counts clocks stands |

mod nobody;
mod socket;

use crate::dma::read::ENGINES;

pub use nobody::Nobody;
pub use socket::{Engine, IrqIn, IrqOut, ResetIn, ResetOut, Socket};

/// In which sockets an engine is, by the kind of function that it serves. Of one that is not there nothing is built.
pub type Plugged = [bool; ENGINES];
