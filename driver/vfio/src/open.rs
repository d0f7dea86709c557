//! Opening a function in the way that the machine allows.

use std::{path::Path, sync::Arc};

use azote_seam::{Error, Function, Result};
use iommufd_ioctls::IommuFd;
use vfio_ioctls::{VfioContainer, VfioIommufd, VfioOps};

use crate::{PciDriverFunction, Sysfs, VfioFunction};

/// The way to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// iommufd if the machine has `/dev/iommu`, a legacy container else.
    #[default]
    Auto,
    /// vfio-ioctls over iommufd.
    Iommufd,
    /// vfio-ioctls over a legacy container.
    Container,
    /// pci-driver, over a legacy container.
    PciDriver,
}

/// Opens a function by its address. It must be bound to vfio-pci; the error says how, if it is not.
pub fn open(sysfs: &Sysfs, address: &str, backend: Backend) -> Result<Arc<dyn Function>> {
    let function = sysfs.find(address)?;
    sysfs.require_vfio(&function)?;
    let path = sysfs.path(address);
    let failed = |e: &dyn std::fmt::Display| Error::Adapter { function: address.into(), reason: format!("VFIO: {e}") };
    let iommufd = match backend {
        Backend::PciDriver => return Ok(Arc::new(PciDriverFunction::new(address, &path)?)),
        Backend::Iommufd => true,
        Backend::Container => false,
        Backend::Auto => Path::new("/dev/iommu").exists(),
    };
    let ops: Arc<dyn VfioOps> = if iommufd {
        let fd = IommuFd::new().map_err(|e| failed(&format!("/dev/iommu: {e:?}")))?;
        Arc::new(VfioIommufd::new(Arc::new(fd), None, None).map_err(|e| failed(&e))?)
    } else {
        Arc::new(VfioContainer::new(None).map_err(|e| failed(&e))?)
    };
    Ok(Arc::new(VfioFunction::new(address, &path, ops)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_does_not_exist_is_an_error_of_every_backend() {
        for backend in [Backend::Auto, Backend::Iommufd, Backend::Container, Backend::PciDriver] {
            let e = open(&Sysfs::default(), "ffff:ff:1f.7", backend).err().unwrap().to_string();
            assert!(e.contains("ffff:ff:1f.7") && !e.contains('\n'), "{e}");
        }
    }
}
