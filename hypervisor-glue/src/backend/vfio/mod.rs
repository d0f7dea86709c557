//! Functions of this machine, by the kernel's vfio-pci.

mod device;
mod explain;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use iommufd_ioctls::IommuFd;
use kvm_ioctls::VmFd;
use vfio_ioctls::{VfioContainer, VfioDevice, VfioDeviceFd, VfioIommufd, VfioOps};

pub use device::VfioFunction;

use crate::{Error, Result, memory::Memory};

/// An I/O address space with the guest's memory in it, and the devices that use it.
pub struct Vfio {
    ops: Arc<dyn VfioOps>,
    mapped: bool,
}

/// Where the kernel shows PCI functions.
const SYSFS: &str = "/sys/bus/pci/devices";

impl Vfio {
    /// Takes an I/O address space: iommufd where the kernel gives devices by it, a container else.
    pub fn new(vm: &VmFd, first: &Path) -> Result<Self> {
        let fail = |reason: String| Error::device(first.display().to_string(), reason);
        let cdev = first.join("vfio-dev").is_dir() && Path::new("/dev/iommu").exists();
        // KVM wants to know of devices that write to memory past caches. Without it everything else still works.
        let kvm = || {
            let mut device = kvm_bindings::kvm_create_device {
                type_: kvm_bindings::kvm_device_type_KVM_DEV_TYPE_VFIO,
                ..Default::default()
            };
            vm.create_device(&mut device).ok().map(|fd| Arc::new(VfioDeviceFd::new_from_kvm(fd)))
        };
        let ops: Arc<dyn VfioOps> = if cdev {
            let iommufd = IommuFd::new().map_err(|e| fail(format!("/dev/iommu: {e}")))?;
            Arc::new(VfioIommufd::new(Arc::new(iommufd), None, kvm()).map_err(|e| fail(explain::reason(&e, first)))?)
        } else {
            Arc::new(VfioContainer::new(kvm()).map_err(|e| fail(explain::reason(&e, first)))?)
        };
        Ok(Self { ops, mapped: false })
    }

    /// Opens a function and, with the first one, gives devices the guest's memory.
    pub fn open(&mut self, path: &Path, memory: &Memory) -> Result<VfioFunction> {
        let name = explain::name(path);
        let fail = |reason: String| Error::device(name.clone(), reason);
        let device = VfioDevice::new(path, self.ops.clone(), true).map_err(|e| fail(explain::reason(&e, path)))?;
        if !std::mem::replace(&mut self.mapped, true) {
            for piece in memory.pieces() {
                let len = usize::try_from(piece.len).map_err(|e| fail(e.to_string()))?;
                // SAFETY: the piece stays mapped as long as `memory`, which the machine holds for longer than its devices. This process
                // reaches it only by vm-memory's volatile accesses, so no reference to it exists.
                unsafe { self.ops.vfio_dma_map(piece.guest, len, piece.host) }
                    .map_err(|e| fail(explain::reason(&e, path)))?;
            }
        }
        VfioFunction::new(name.clone(), device).map_err(|e| fail(format!("VFIO: {e}")))
    }
}

/// The sysfs folder that the user means: a path, or an address alone. Says what is wrong with the device, if something
/// is that can be seen there.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    resolve_in(Path::new(SYSFS), path)
}

fn resolve_in(sysfs: &Path, path: &Path) -> Result<PathBuf> {
    let path = if path.components().count() == 1 { sysfs.join(path) } else { path.to_owned() };
    let name = explain::name(&path);
    let fail = |reason: String| Err(Error::device(name.clone(), reason));
    if !path.join("vendor").exists() {
        return fail("no such PCI function; `azote vf list` shows those that may be given away".into());
    }
    let link = |link: &str| {
        let target = std::fs::read_link(path.join(link)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    };
    if link("iommu_group").is_none() {
        return fail(
            "it has no IOMMU group: the machine has no IOMMU, or the kernel was not told to use it \
             (intel_iommu=on, amd_iommu=on)"
                .into(),
        );
    }
    match link("driver").as_deref() {
        Some("vfio-pci") => Ok(path),
        driver => fail(format!(
            "bound to {}, not to vfio-pci; `azote vf bind {name}` (as root) binds it",
            driver.unwrap_or("no driver"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn what_is_wrong_with_a_device_is_said_in_a_line() {
        let sysfs = tempfile::tempdir().unwrap();
        let add = |name: &str, driver: Option<&str>, group: bool| {
            let dir = sysfs.path().join(name);
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("vendor"), "0x1af4\n").unwrap();
            if let Some(driver) = driver {
                symlink(format!("../drivers/{driver}"), dir.join("driver")).unwrap();
            }
            if group {
                symlink("../iommu_groups/7", dir.join("iommu_group")).unwrap();
            }
        };
        add("0000:01:00.0", Some("nvme"), true);
        add("0000:01:00.1", None, true);
        add("0000:01:00.2", Some("vfio-pci"), false);
        add("0000:01:00.3", Some("vfio-pci"), true);
        let error = |name: &str| resolve_in(sysfs.path(), Path::new(name)).unwrap_err().to_string();
        assert!(error("0000:09:00.0").contains("no such PCI function"));
        assert!(error("0000:01:00.0").contains("bound to nvme, not to vfio-pci; `azote vf bind 0000:01:00.0`"));
        assert!(error("0000:01:00.1").contains("bound to no driver"));
        assert!(error("0000:01:00.2").contains("no IOMMU group"));
        let path = sysfs.path().join("0000:01:00.3");
        assert_eq!(resolve_in(sysfs.path(), Path::new("0000:01:00.3")).unwrap(), path);
        assert_eq!(resolve_in(Path::new("/nowhere"), &path).unwrap(), path);
    }
}
