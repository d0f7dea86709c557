//! Giving a function to vfio-pci, and back.

use std::path::Path;
use std::process::Command;

use crate::{Error, Host, Result, group};

const VFIO_PCI: &str = "vfio-pci";

/// Binds a function to vfio-pci, if its group may be given away. Nothing happens if it is bound already.
pub fn bind(host: &Host, address: &str) -> Result<()> {
    let path = host.function(address)?;
    group::check(host, address)?;
    if host.driver(address).as_deref() == Some(VFIO_PCI) {
        return Ok(());
    }
    load(host)?;
    // The override first: between unbinding and probing nobody else may take it.
    host.write(&path.join("driver_override"), VFIO_PCI)?;
    detach(host, &path, address)?;
    host.write(&host.sys.join("bus/pci/drivers_probe"), address)?;
    if host.until(|| host.driver(address).as_deref() == Some(VFIO_PCI)) {
        Ok(())
    } else {
        Err(Error::NotBound { address: address.into(), driver: VFIO_PCI.into() })
    }
}

/// Takes a function from vfio-pci; with `probe`, gives it to whatever driver the kernel finds.
pub fn unbind(host: &Host, address: &str, probe: bool) -> Result<()> {
    let path = host.function(address)?;
    group::require_free(host, address)?;
    // A new line clears an override.
    host.write(&path.join("driver_override"), "\n")?;
    if host.driver(address).as_deref() == Some(VFIO_PCI) {
        detach(host, &path, address)?;
    }
    if probe && host.driver(address).is_none() {
        host.write(&host.sys.join("bus/pci/drivers_probe"), address)?;
    }
    Ok(())
}

fn detach(host: &Host, path: &Path, address: &str) -> Result<()> {
    let Some(driver) = host.driver(address) else { return Ok(()) };
    host.write(&path.join("driver/unbind"), address)?;
    let gone = host.until(|| host.driver(address).is_none());
    if gone { Ok(()) } else { Err(Error::Busy { address: address.into(), who: format!("its driver {driver}") }) }
}

/// Loads vfio-pci if the kernel does not have it yet.
fn load(host: &Host) -> Result<()> {
    let there = || host.sys.join("bus/pci/drivers").join(VFIO_PCI).is_dir();
    if there() {
        return Ok(());
    }
    let reason = match Command::new("modprobe").arg(VFIO_PCI).output() {
        Ok(done) if done.status.success() && host.until(there) => return Ok(()),
        Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        Err(e) => e.to_string(),
    };
    Err(Error::NoVfio { reason })
}
