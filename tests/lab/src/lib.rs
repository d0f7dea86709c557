//! The lab: real VFIO, KVM and Linux on a machine that has no PCIe card, no IOMMU and no nested virtualization.
//!
//! ```text
//!   this machine            L1: Linux in QEMU (TCG)          L2: Linux under KVM in L1
//!   azote serve, RTL  ────  vfio-user-pci ─ vfio-pci  ─────  stock nvme driver
//!                           QEMU's own NVMe with SR-IOV
//! ```
//!
//! QEMU emulates a whole PC with an IOMMU and SVM, so that an unmodified Linux in it has real `vfio-pci`, real IOMMU
//! groups and a real `/dev/kvm`. The Verilated card stays on this machine, at full speed.
//!
//! A case boots an L1 whose only program is the case's script (`guest/`), and reads lines that begin with `@` from its
//! serial console. The whole console is in `target/lab/logs`.

#![forbid(unsafe_code)]

pub mod cases;
mod command;
mod error;
mod folder;
mod image;
mod initramfs;
pub mod machine;
mod patience;
pub mod pieces;
mod programs;
mod server;

pub use error::{Error, Result};
pub use initramfs::Initramfs;
