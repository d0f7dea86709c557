//! Real functions behind Linux VFIO, on the drivers' seam.
//!
//! Two ways to the same kernel interface: [`VfioFunction`] over vfio-ioctls, for iommufd and for legacy containers, and
//! [`PciDriverFunction`] over pci-driver, for legacy containers. [`open`] takes what the machine has.
//!
//! What those crates leave to their caller is done here: every access is checked against its region before it is made,
//! by volatile accesses of its width on our own mapping; reads that the kernel refuses are errors, not old buffer contents;
//! MSI-X is disabled before its number of vectors changes; memory for DMA is mapped from its file and stays mapped as
//! long as the device can reach it.

mod bar;
mod device;
mod map;
mod open;
mod pci;
mod sysfs;
mod vector;

pub use device::VfioFunction;
pub use open::{Backend, open};
pub use pci::PciDriverFunction;
pub use sysfs::{PciFunction, Sysfs};
