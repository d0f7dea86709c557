//! Why a virtual function could not be made, bound or released, and what to do.

use std::path::{Path, PathBuf};

/// The result of an operation on virtual functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of sysfs.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// There is no such function.
    #[error("{address}: no such PCI function; `azote vf list` shows those with virtual functions")]
    NoFunction {
        /// The address that was given.
        address: String,
    },
    /// The function has no SR-IOV capability, or its driver hides it.
    #[error("{address}: no physical function with SR-IOV{hint}")]
    NoSriov {
        /// The function.
        address: String,
        /// Whose VF it is, if it is one.
        hint: String,
    },
    /// More VFs than there can be.
    #[error("{address}: {wanted} virtual functions, but the device has at most {total}")]
    TooMany {
        /// The PF.
        address: String,
        /// What was asked for.
        wanted: u16,
        /// What it has.
        total: u16,
    },
    /// The PF has VFs already; their number can only change by way of none.
    #[error("{address}: busy: {enabled} virtual functions are enabled; `azote vf release {address}` first")]
    Enabled {
        /// The PF.
        address: String,
        /// How many are enabled.
        enabled: u16,
    },
    /// The PF is bound to vfio-pci.
    #[error(
        "{address}: the physical function itself belongs to vfio-pci; its VFs could only be opened with the VF token of \
         whoever has it open. Give it back to its driver first: `azote vf release {address}`"
    )]
    Token {
        /// The PF.
        address: String,
    },
    /// No IOMMU stands before the function.
    #[error(
        "{address}: no IOMMU group: the machine has no IOMMU or it is off; switch it on in the firmware (VT-d, AMD-Vi) and boot \
         with intel_iommu=on"
    )]
    NoIommu {
        /// The function.
        address: String,
    },
    /// Somebody in the group is driven by the host.
    #[error(
        "{address}: IOMMU group {group} is not viable: {others} in it belong to the host. All of a group go to the guest or \
         none; bind them to vfio-pci too, or put the card in a slot with ACS"
    )]
    NotViable {
        /// The function.
        address: String,
        /// Its group.
        group: u32,
        /// The others, each with its driver.
        others: String,
    },
    /// A process has the function open.
    #[error("{address}: busy: in use by {who}; end that first")]
    Busy {
        /// The function.
        address: String,
        /// The process, as far as can be seen.
        who: String,
    },
    /// The kernel has no vfio-pci.
    #[error("the kernel has no vfio-pci driver: `modprobe vfio-pci` failed ({reason}); it is CONFIG_VFIO_PCI")]
    NoVfio {
        /// What modprobe said.
        reason: String,
    },
    /// The driver did not take the function.
    #[error("{address}: {driver} did not take it; the kernel's log (dmesg) says why")]
    NotBound {
        /// The function.
        address: String,
        /// The driver.
        driver: String,
    },
    /// An NVMe admin command on the PF.
    #[error("{address}: {command}: {reason}")]
    Admin {
        /// The PF.
        address: String,
        /// The command.
        command: &'static str,
        /// Status, or what the system said.
        reason: String,
    },
    /// There are not enough resources for so many controllers.
    #[error(
        "{address}: {wanted} VFs need 2 queue and 1 interrupt resources each; the device has {queues} and {interrupts}"
    )]
    Resources {
        /// The PF.
        address: String,
        /// VFs that were asked for.
        wanted: u16,
        /// Flexible queue resources.
        queues: u32,
        /// Flexible interrupt resources.
        interrupts: u32,
    },
    /// Another command changes leases, and does not come to its end.
    #[error("{}: locked for {seconds} s by another `azote`; `fuser {}` names it: end it, or wait for it", path.display(), path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// No VF of the wanted kind is to be had.
    #[error("no {kind} virtual function is free: {why}")]
    NoneFree {
        /// The kind.
        kind: &'static str,
        /// Why not.
        why: String,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Io { what, path: path.to_owned(), source }
    }
}
