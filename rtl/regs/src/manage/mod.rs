//! Card management: BAR2 of the trust PF, the only place from which a VF can be bound to anything.

mod bindings;
mod ports;

pub use bindings::*;
pub use ports::*;

use crate::Field;

/// Reads [`MAGIC_VALUE`]: says that this BAR is an Azote management BAR.
pub const MAGIC: u64 = 0x0000;
/// `AZOT` in memory order.
pub const MAGIC_VALUE: u64 = 0x544f_5a41;
/// Version of this register page.
pub const VERSION: u64 = 0x0004;
/// Major and minor version; a driver refuses another major one.
pub const VERSION_VALUE: u64 = VERSION_MAJOR.put(1) | VERSION_MINOR.put(3);
/// VERSION: changes when an old driver would do harm.
pub const VERSION_MAJOR: Field = Field::bits(31, 16);
/// VERSION: changes when something was added.
pub const VERSION_MINOR: Field = Field::bits(15, 0);
/// The number of VFs of each kind that this card was built with.
pub const VFS: u64 = 0x0008;
