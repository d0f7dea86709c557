//! The life of a virtual function on a Linux host: made, given resources, bound to vfio-pci, used, released.
//!
//! All of it is sysfs and, for NVMe controllers with flexible resources, a few admin commands on the PF. What is here knows
//! the order, checks what the kernel would refuse without words, and says what to do about it.
//!
//! ```text
//!   create   sriov_numvfs, queue and interrupt resources, online      (create.rs, resources.rs)
//!   bind     IOMMU group viable? driver_override, vfio-pci            (bind.rs, group.rs)
//!   lease    one VF for one guest, given back also after a crash      (lease.rs)
//!   release  reset, unbind, the PF's VFs disabled                     (release.rs)
//! ```
//!
//! It runs as root; nothing here is needed once a function is open.

mod admin;
mod bind;
mod create;
mod error;
mod group;
mod host;
mod inventory;
mod lease;
mod release;
mod resources;

pub use bind::{bind, unbind};
pub use create::create;
pub use error::{Error, Result};
pub use host::Host;
pub use inventory::{Kind, Pf, Vf, inventory};
pub use lease::{Lease, sweep};
pub use release::release;
