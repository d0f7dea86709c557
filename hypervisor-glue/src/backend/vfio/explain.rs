//! What VFIO's refusals mean, for people.

use std::{fs, io, path::Path};

use vfio_ioctls::VfioError;

/// A function's address, from its folder.
pub fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// One line about an error, with what to do where that is known.
pub fn reason(error: &VfioError, path: &Path) -> String {
    match error {
        VfioError::OpenContainer(e) => {
            format!(
                "/dev/vfio/vfio: {e}; load vfio-pci and vfio_iommu_type1 (modprobe), and run as root or as its owner"
            )
        }
        VfioError::OpenGroup(e, group) if e.raw_os_error() == Some(libc::EBUSY) => {
            format!("busy: another guest or program has its IOMMU group {group}")
        }
        VfioError::OpenGroup(e, group) => {
            format!("/dev/vfio/{group}: {e}; run as root or as the owner of that file")
        }
        VfioError::GroupViable => format!("its IOMMU group is not viable: {}", others(path)),
        VfioError::GroupSetContainer => {
            "its IOMMU group can not be used: another program has it, or it is not viable".into()
        }
        VfioError::IommuDmaMap(e) | VfioError::ContainerSetIOMMU(e) if e.errno() == libc::ENOMEM => memlock(),
        VfioError::IommuDmaMap(e) => {
            format!("giving it the guest's memory: {}", io::Error::from_raw_os_error(e.errno()))
        }
        VfioError::VfioDeviceBindIommufd(e) if [libc::EBUSY, libc::EINVAL].contains(&e.errno()) => {
            "busy: another guest or program has it".into()
        }
        VfioError::GroupGetDeviceFD(e) if e.errno() == libc::EBUSY => "busy: another guest or program has it".into(),
        other => format!("VFIO: {other}"),
    }
}

/// Which functions of the group are in the way.
fn others(path: &Path) -> String {
    let bound = |device: &Path| {
        fs::read_link(device.join("driver")).ok().and_then(|d| Some(d.file_name()?.to_string_lossy().into_owned()))
    };
    let entries = fs::read_dir(path.join("iommu_group/devices"));
    let mut in_the_way: Vec<_> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| {
            let driver = bound(&e.path())?;
            (!["vfio-pci", "pcieport"].contains(&driver.as_str()))
                .then(|| format!("{} ({driver})", e.file_name().to_string_lossy()))
        })
        .collect();
    in_the_way.sort();
    if in_the_way.is_empty() {
        "all its functions must be bound to vfio-pci".into()
    } else {
        format!("bind these to vfio-pci, too: {}", in_the_way.join(", "))
    }
}

/// All memory of a guest with a device is pinned, and a process may pin only so much.
fn memlock() -> String {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid structure to be filled.
    let known =
        unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } == 0 && limit.rlim_cur != libc::RLIM_INFINITY;
    let limit = if known { format!("{} KiB", limit.rlim_cur / 1024) } else { "no limit known".into() };
    format!(
        "the guest's memory can not be pinned for it: the limit of locked memory (RLIMIT_MEMLOCK) is {limit}; raise it \
         (ulimit -l unlimited, LimitMEMLOCK=infinity), run as root, or give the guest less memory"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use vmm_sys_util::errno;

    #[test]
    fn refusals_say_what_to_do() {
        let path = Path::new("/sys/x/0000:01:00.1");
        let busy = VfioError::OpenGroup(io::Error::from_raw_os_error(libc::EBUSY), "12".into());
        assert_eq!(reason(&busy, path), "busy: another guest or program has its IOMMU group 12");
        let pinned = VfioError::IommuDmaMap(errno::Error::new(libc::ENOMEM));
        assert!(reason(&pinned, path).contains("RLIMIT_MEMLOCK"));
        let denied = VfioError::OpenGroup(io::Error::from_raw_os_error(libc::EACCES), "12".into());
        assert!(reason(&denied, path).contains("/dev/vfio/12: Permission denied"));
    }

    #[test]
    fn a_group_that_is_not_viable_names_who_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let devices = dir.path().join("iommu_group/devices");
        for (name, driver) in
            [("0000:01:00.0", Some("nvme")), ("0000:01:00.1", Some("vfio-pci")), ("0000:01:00.2", None)]
        {
            fs::create_dir_all(devices.join(name)).unwrap();
            if let Some(driver) = driver {
                symlink(format!("../drivers/{driver}"), devices.join(name).join("driver")).unwrap();
            }
        }
        let line = reason(&VfioError::GroupViable, dir.path());
        assert!(line.ends_with("bind these to vfio-pci, too: 0000:01:00.0 (nvme)"), "{line}");
    }
}
