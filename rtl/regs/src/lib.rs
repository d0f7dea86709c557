//! Every register offset, field, id and opcode of the Azote card, stated once.
//!
//! The RTL turns these constants into wires and ROM contents, the drivers and the simulation turn them into accesses,
//! and the tests compare the two. So the crate is `no_std`, has no dependency, and everything in it is `const`.
//!
//! Conventions, the same in every module:
//! - an offset, a value or a code is a plain `u64` constant under the specification's own name;
//! - a field is a [`Field`], numbered within its register as the specification draws it;
//! - a structure in host memory (a queue entry, an Identify page) gives byte offsets, and fields within its DWs.
//!
//! Specifications cited: PCI Express Base 5.0 ("PCIe"), Single Root I/O Virtualization as its chapter 9, PCI Bus Power
//! Management 1.2 ("PM"), NVM Express Base 1.4 ("NVMe"), Virtual I/O Device 1.2 ("virtio").

#![no_std]
#![forbid(unsafe_code)]

pub mod bar;
pub mod clock;
mod field;
pub mod function;
pub mod ids;
pub mod manage;
pub mod media;
pub mod nvme;
pub mod pcie;
pub mod virtio;

pub use field::Field;
