//! Making virtual functions.

use crate::inventory::{Kind, Pf, pf};
use crate::{Error, Host, Result, resources};

/// Makes `count` virtual functions and, where the device wants it, gives them queues and interrupts and brings them online.
/// No driver takes them: they are for guests. Returns their addresses.
///
/// If a step fails, the VFs are disabled again.
pub fn create(host: &Host, address: &str, count: u16) -> Result<Vec<String>> {
    let found = require(host, address)?;
    if count == 0 || count > found.total {
        return Err(Error::TooMany { address: address.into(), wanted: count, total: found.total });
    }
    if !found.vfs.is_empty() {
        return Err(Error::Enabled { address: address.into(), enabled: found.vfs.len() as u16 });
    }
    if found.driver.as_deref() == Some("vfio-pci") {
        return Err(Error::Token { address: address.into() });
    }
    let path = host.function(address)?;
    let plan = match found.kind {
        Kind::Storage => resources::plan(host, address, count)?,
        _ => None,
    };
    // Older kernels have no such file; then a driver may take the VFs, and binding takes them from it.
    let _ = host.write(&path.join("sriov_drivers_autoprobe"), "0");
    host.write(&path.join("sriov_numvfs"), &count.to_string())?;
    let finish = || -> Result<Vec<String>> {
        if let Some(plan) = &plan {
            plan.carry_out()?;
        }
        Ok(require(host, address)?.vfs.into_iter().map(|vf| vf.address).collect())
    };
    finish().inspect_err(|_| {
        // The first error is the one to tell.
        let _ = host.write(&path.join("sriov_numvfs"), "0");
    })
}

/// A function that must be a PF with SR-IOV.
pub(crate) fn require(host: &Host, address: &str) -> Result<Pf> {
    pf(host, address)?.ok_or_else(|| {
        let physical = host.link(&host.devices().join(address).join("physfn"));
        let hint = physical.map_or(String::new(), |pf| format!("; it is a virtual function of {pf}"));
        Error::NoSriov { address: address.into(), hint }
    })
}
