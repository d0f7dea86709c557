//! Giving virtual functions back.

use crate::bind::unbind;
use crate::inventory::pf;
use crate::{Error, Host, Result, group};

/// Releases a function. A VF is reset, so that nothing of its guest's stays in it, and taken from vfio-pci. A PF gives up
/// all its VFs, and goes back to its own driver if vfio-pci had it. What is in use is refused, and nothing is changed.
pub fn release(host: &Host, address: &str) -> Result<()> {
    let path = host.function(address)?;
    let Some(found) = pf(host, address)? else {
        group::require_free(host, address)?;
        reset(host, address)?;
        let is_vf = path.join("physfn").exists();
        return unbind(host, address, !is_vf);
    };
    for vf in &found.vfs {
        group::require_free(host, &vf.address)?;
    }
    for vf in &found.vfs {
        reset(host, &vf.address)?;
        unbind(host, &vf.address, false)?;
    }
    if !found.vfs.is_empty() {
        host.write(&path.join("sriov_numvfs"), "0")?;
    }
    if found.driver.as_deref() == Some("vfio-pci") {
        unbind(host, address, true)?;
    }
    Ok(())
}

/// Function Level Reset by the kernel; a function without one has no such file.
fn reset(host: &Host, address: &str) -> Result<()> {
    let file = host.function(address)?.join("reset");
    match host.write(&file, "1") {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
