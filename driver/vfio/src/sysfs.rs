//! What sysfs knows of PCI functions: which are ours, who drives them, whose VFs they are.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use azote_regs::{
    function::{FunctionId, Kind},
    ids,
};
use azote_seam::{Error, Result};

/// `/sys/bus/pci/devices`, or a stand-in.
#[derive(Debug, Clone)]
pub struct Sysfs(PathBuf);

/// A PCI function of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciFunction {
    /// Its address, with its domain.
    pub address: String,
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Subsystem Vendor ID and Subsystem ID: by these it is ours, as a standard's device id is anybody's.
    pub subsystem: (u16, u16),
    /// The driver that has it.
    pub driver: Option<String>,
    /// Its PF's address and its own number, if it is a VF.
    pub vf_of: Option<(String, u8)>,
}

impl PciFunction {
    /// What it is, if it is one of ours.
    #[must_use]
    pub fn id(&self) -> Option<FunctionId> {
        let kind: Kind = ids::kind_of(self.subsystem.0.into(), self.subsystem.1.into())?;
        match self.vf_of {
            None => Some(FunctionId::pf(kind)),
            Some((_, i)) => FunctionId::vf(kind, i),
        }
    }
}

impl Default for Sysfs {
    fn default() -> Self {
        Self("/sys/bus/pci/devices".into())
    }
}

impl Sysfs {
    /// Another root, for tests.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// The folder of a function.
    #[must_use]
    pub fn path(&self, address: &str) -> PathBuf {
        self.0.join(address)
    }

    /// The functions of Azote cards, in the order of their addresses.
    pub fn ours(&self) -> Result<Vec<PciFunction>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            // A machine, or a container, without PCI has none of ours.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io(format!("{}", self.0.display()), e)),
        };
        let mut found: Vec<_> = entries
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter_map(|address| self.find(&address).ok())
            .filter(|f| f.id().is_some())
            .collect();
        found.sort_by(|a, b| a.address.cmp(&b.address));
        Ok(found)
    }

    /// A function by its address.
    pub fn find(&self, address: &str) -> Result<PciFunction> {
        let path = self.path(address);
        let name = |link: &str| {
            let target = fs::read_link(path.join(link)).ok()?;
            Some(target.file_name()?.to_str()?.to_owned())
        };
        let physical = name("physfn");
        let vf_of = physical.and_then(|pf| {
            let index = (0..=u8::MAX).find(|i| {
                let link = fs::read_link(self.path(&pf).join(format!("virtfn{i}")));
                link.is_ok_and(|l| l.file_name().is_some_and(|n| n == address))
            })?;
            Some((pf, index))
        });
        Ok(PciFunction {
            address: address.to_owned(),
            // What says nothing of it is not ours.
            subsystem: {
                let read = |name| hex(&path.join(name)).unwrap_or(0);
                (read("subsystem_vendor"), read("subsystem_device"))
            },
            vendor: hex(&path.join("vendor"))?,
            device: hex(&path.join("device"))?,
            driver: name("driver"),
            vf_of,
        })
    }

    /// That a function is bound to vfio-pci; else what to do so that it is.
    pub fn require_vfio(&self, function: &PciFunction) -> Result<()> {
        let address = &function.address;
        match function.driver.as_deref() {
            Some("vfio-pci") => Ok(()),
            driver => Err(Error::Adapter {
                function: address.clone(),
                reason: format!(
                    "bound to {}, not to vfio-pci; `azote vf bind {address}` (as root) binds it",
                    driver.unwrap_or("no driver"),
                ),
            }),
        }
    }
}

fn hex(path: &Path) -> Result<u16> {
    let text = fs::read_to_string(path).map_err(|e| Error::io(format!("{}", path.display()), e))?;
    u16::from_str_radix(text.trim().trim_start_matches("0x"), 16)
        .map_err(|_| Error::io(format!("{}", path.display()), io::ErrorKind::InvalidData.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use azote_regs::function::Role;
    use std::os::unix::fs::symlink;

    fn machine() -> (tempfile::TempDir, Sysfs) {
        let dir = tempfile::tempdir().unwrap();
        let add = |address: &str, device: &str, subsystem: &str, driver: Option<&str>| {
            let path = dir.path().join(address);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("vendor"), "0x1af4\n").unwrap();
            fs::write(path.join("device"), device).unwrap();
            fs::write(path.join("subsystem_vendor"), "0x1af4\n").unwrap();
            fs::write(path.join("subsystem_device"), subsystem).unwrap();
            if let Some(driver) = driver {
                symlink(format!("../../bus/pci/drivers/{driver}"), path.join("driver")).unwrap();
            }
        };
        add("0000:01:00.1", "0x10f1\n", "0x10f1\n", None);
        add("0000:01:02.1", "0x10f1\n", "0x10f1\n", Some("vfio-pci"));
        add("0000:01:02.5", "0x10f1\n", "0x10f1\n", Some("nvme"));
        // A network device of ours, and one of QEMU's.
        add("0000:01:00.0", "0x1041\n", "0x10f0\n", None);
        add("0000:00:00.0", "0x1041\n", "0x1100\n", None);
        for (i, vf) in ["0000:01:02.1", "0000:01:02.5"].iter().enumerate() {
            symlink(format!("../{vf}"), dir.path().join("0000:01:00.1").join(format!("virtfn{i}"))).unwrap();
            symlink("../0000:01:00.1", dir.path().join(vf).join("physfn")).unwrap();
        }
        let sysfs = Sysfs::at(dir.path());
        (dir, sysfs)
    }

    #[test]
    fn our_functions_are_found_and_named() {
        let (_dir, sysfs) = machine();
        let ids: Vec<_> =
            sysfs.ours().unwrap().into_iter().filter_map(|f| f.id().map(|id| (id.kind, id.role))).collect();
        let storage = [Role::Pf, Role::Vf(0), Role::Vf(1)].map(|role| (Kind::Storage, role));
        assert_eq!(ids, [&[(Kind::Net, Role::Pf)], &storage[..]].concat());
    }

    #[test]
    fn a_function_with_another_driver_says_what_to_do() {
        let (_dir, sysfs) = machine();
        sysfs.require_vfio(&sysfs.find("0000:01:02.1").unwrap()).unwrap();
        let e = sysfs.require_vfio(&sysfs.find("0000:01:02.5").unwrap()).unwrap_err().to_string();
        assert!(e.contains("bound to nvme") && e.contains("azote vf bind 0000:01:02.5") && !e.contains('\n'), "{e}");
        assert!(sysfs.find("0000:09:00.0").is_err());
    }

    #[test]
    fn a_machine_without_pci_has_no_functions() {
        assert_eq!(Sysfs::at(Path::new("/no/such/folder")).ours().unwrap(), []);
    }
}
