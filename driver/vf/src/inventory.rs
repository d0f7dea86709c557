//! What there is: physical functions with SR-IOV, their virtual functions, who has them.

use std::fs;

use azote_regs::{function, ids};

use crate::{Host, Result, group};

/// What a function is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A network interface.
    Net,
    /// An NVMe controller.
    Storage,
    /// A root of trust.
    Trust,
    /// Something else.
    Other,
}

impl Kind {
    /// As commands spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Net => "net",
            Kind::Storage => "storage",
            Kind::Trust => "trust",
            Kind::Other => "other",
        }
    }

    /// By identity where the function is one of ours, else by class: an NVMe controller of anybody's is storage.
    fn of(subsystem_vendor: u64, subsystem: u64, class: u64) -> Kind {
        match ids::kind_of(subsystem_vendor, subsystem) {
            Some(function::Kind::Net) => Kind::Net,
            Some(function::Kind::Storage) => Kind::Storage,
            Some(function::Kind::Trust) => Kind::Trust,
            _ if class >> 8 == 0x0108 => Kind::Storage,
            _ if class >> 8 == 0x0200 => Kind::Net,
            _ => Kind::Other,
        }
    }
}

/// A physical function that can have virtual functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pf {
    /// Its address.
    pub address: String,
    /// What it is for.
    pub kind: Kind,
    /// Its driver.
    pub driver: Option<String>,
    /// VFs that it could have.
    pub total: u16,
    /// VFs that it has.
    pub vfs: Vec<Vf>,
}

/// A virtual function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vf {
    /// Its address.
    pub address: String,
    /// Its number, from 0.
    pub index: u16,
    /// Its driver.
    pub driver: Option<String>,
    /// Its IOMMU group.
    pub group: Option<u32>,
    /// Who has it open through VFIO.
    pub user: Option<String>,
}

/// All physical functions with SR-IOV, in the order of their addresses. A machine without PCI has none.
pub fn inventory(host: &Host) -> Result<Vec<Pf>> {
    let mut addresses: Vec<String> = match fs::read_dir(host.devices()) {
        Ok(entries) => entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect(),
        Err(_) => Vec::new(),
    };
    addresses.sort();
    // What disappears while we look is as good as not there.
    Ok(addresses.iter().filter_map(|address| pf(host, address).ok().flatten()).collect())
}

/// A function as a PF; `None` if it has no SR-IOV.
pub(crate) fn pf(host: &Host, address: &str) -> Result<Option<Pf>> {
    let path = host.function(address)?;
    let Ok(total) = host.number(&path.join("sriov_totalvfs")) else { return Ok(None) };
    let [vendor, subsystem] =
        ["subsystem_vendor", "subsystem_device"].map(|name| host.number(&path.join(name)).unwrap_or(0));
    let class = host.number(&path.join("class"))?;
    let enabled = host.number(&path.join("sriov_numvfs"))?;
    let vfs = (0..enabled as u16)
        .filter_map(|index| Some(vf(host, host.link(&path.join(format!("virtfn{index}")))?, index)))
        .collect();
    Ok(Some(Pf {
        address: address.to_owned(),
        kind: Kind::of(vendor, subsystem, class),
        driver: host.driver(address),
        total: total as u16,
        vfs,
    }))
}

fn vf(host: &Host, address: String, index: u16) -> Vf {
    let group = group::of(host, &address);
    let driver = host.driver(&address);
    let user = group.filter(|_| driver.as_deref() == Some("vfio-pci")).and_then(|g| group::user(host, g));
    Vf { address, index, driver, group, user }
}
