//! IOMMU groups: what the hardware can only give away together.

use std::fs;

use crate::{Error, Host, Result};

/// Drivers that leave a device alone: a group with them is viable (kernel, `vfio_dev_viable`).
const HARMLESS: [&str; 3] = ["vfio-pci", "pci-stub", "pcieport"];

/// The number of a function's group.
pub fn of(host: &Host, address: &str) -> Option<u32> {
    host.link(&host.devices().join(address).join("iommu_group"))?.parse().ok()
}

/// That a function could be given away; the group's number. Others of the group that have no driver do no harm.
pub fn check(host: &Host, address: &str) -> Result<u32> {
    let group = of(host, address).ok_or_else(|| Error::NoIommu { address: address.into() })?;
    let members = host.sys.join(format!("kernel/iommu_groups/{group}/devices"));
    let entries = fs::read_dir(&members).map_err(Error::io("read", &members))?;
    let mut others: Vec<String> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|other| other != address)
        .filter_map(|other| Some((host.driver(&other)?, other)))
        .filter(|(driver, _)| !HARMLESS.contains(&driver.as_str()))
        .map(|(driver, other)| format!("{other} ({driver})"))
        .collect();
    others.sort();
    if others.is_empty() {
        Ok(group)
    } else {
        Err(Error::NotViable { address: address.into(), group, others: others.join(", ") })
    }
}

/// Who has the group open, if somebody has: the kernel lets only one.
pub fn user(host: &Host, group: u32) -> Option<String> {
    let node = host.dev.join("vfio").join(group.to_string());
    match fs::OpenOptions::new().read(true).write(true).open(&node) {
        Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {}
        _ => return None,
    }
    let processes = fs::read_dir(&host.proc).ok()?;
    let found = processes.filter_map(|e| e.ok()?.file_name().into_string().ok()).find(|pid| {
        let descriptors = fs::read_dir(host.proc.join(pid).join("fd"));
        descriptors.is_ok_and(|d| d.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == node)))
    });
    Some(match found {
        Some(pid) => {
            let name = fs::read_to_string(host.proc.join(&pid).join("comm")).unwrap_or_default();
            format!("{} (process {pid})", name.trim())
        }
        None => "a process that cannot be seen from here".into(),
    })
}

/// That nobody has the function open. Unbinding what is in use would wait for its user, perhaps for ever.
pub fn require_free(host: &Host, address: &str) -> Result<()> {
    match of(host, address).and_then(|group| user(host, group)) {
        Some(who) => Err(Error::Busy { address: address.into(), who }),
        None => Ok(()),
    }
}
