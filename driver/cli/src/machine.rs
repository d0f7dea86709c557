//! The cards of this machine, behind VFIO.

use std::{collections::HashMap, sync::Arc, time::Duration};

use azote_manage::Manager;
use azote_regs::function::{FunctionId, Kind, Role};
use azote_seam::Function;
use azote_vfio::{Backend, PciFunction, Sysfs, open};

use crate::{
    Error, Result,
    card::{Bound, BoundVolume, Card, Listed},
    limit::Bounds,
    target::Target,
};

/// How long a server may take for an answer: a simulated card is slow, and slower beside others.
const SERVER_TIME: Duration = Duration::from_secs(60);

/// The cards of this machine, and functions that other processes serve.
#[derive(Debug, Default)]
pub struct Machine {
    sysfs: Sysfs,
    backend: Backend,
}

impl Machine {
    /// The machine that another sysfs describes, for tests.
    #[must_use]
    pub fn at(sysfs: Sysfs) -> Self {
        Self { sysfs, backend: Backend::Auto }
    }

    /// The address of a function that was named by its place on the card.
    fn address(&self, wanted: FunctionId, target: &Target) -> Result<String> {
        let ours = self.sysfs.ours()?;
        let mut found = ours.iter().filter(|f| f.id() == Some(wanted));
        match (found.next(), found.next()) {
            (Some(f), None) => Ok(f.address.clone()),
            (Some(a), Some(b)) => {
                let what = format!("{target} is on several cards ({}, {}, …); give its address", a.address, b.address);
                Err(Error::Usage(what))
            }
            (None, _) => {
                let known: Vec<_> = ours.iter().map(|f| f.address.as_str()).collect();
                let known = if known.is_empty() {
                    "this machine has no Azote card (--sim simulates one)".to_owned()
                } else {
                    format!("this machine has {}", known.join(", "))
                };
                Err(Error::NoFunction { target: target.to_string(), known })
            }
        }
    }

    /// The bindings of each card whose trust PF we may open, by the part of its address that its functions share.
    fn volumes(&self, ours: &[PciFunction]) -> HashMap<String, HashMap<Role, BoundVolume>> {
        let trust = FunctionId::pf(Kind::Trust);
        let reachable = |f: &&PciFunction| f.id() == Some(trust) && f.driver.as_deref() == Some("vfio-pci");
        ours.iter()
            .filter(reachable)
            .filter_map(|f| {
                let function = open(&self.sysfs, &f.address, self.backend).ok()?;
                let manager = Manager::open(&*function).ok()?;
                let bound = |(role, v)| Some((role, BoundVolume::new(v, None, Bounds::of(&manager, role).ok()?)));
                Some((bus(f).to_owned(), manager.bindings().ok()?.into_iter().filter_map(bound).collect()))
            })
            .collect()
    }
}

/// Domain and bus of a function's PF: what the functions of a card have in common.
fn bus(f: &PciFunction) -> &str {
    let pf = f.vf_of.as_ref().map_or(f.address.as_str(), |(pf, _)| pf);
    pf.rsplit_once(':').map_or(pf, |(bus, _)| bus)
}

impl Card for Machine {
    fn list(&self) -> Result<Vec<Listed>> {
        let ours = self.sysfs.ours()?;
        let volumes = self.volumes(&ours);
        Ok(ours
            .iter()
            .map(|f| {
                let id = f.id();
                let known = volumes.get(bus(f));
                let role = id.filter(|id| id.kind == Kind::Storage).map(|id| id.role);
                let volume = match (role, known) {
                    (Some(_), None) => Bound::Unknown,
                    (Some(role), Some(known)) => known.get(&role).cloned().map_or(Bound::None, Bound::Volume),
                    (None, _) => Bound::None,
                };
                Listed {
                    address: f.address.clone(),
                    id,
                    state: f.driver.clone().unwrap_or_else(|| "no driver".into()),
                    volume,
                }
            })
            .collect())
    }

    fn open(&self, target: &Target) -> Result<Arc<dyn Function>> {
        let address = match target {
            Target::Address(address) => address.clone(),
            Target::Storage(role) => self.address(FunctionId { kind: Kind::Storage, role: *role }, target)?,
            Target::Net(role) => self.address(FunctionId { kind: Kind::Net, role: *role }, target)?,
            Target::Socket(path) => {
                return Ok(Arc::new(azote_vfio_user::UserFunction::connect(path, Arc::new(()), SERVER_TIME)?));
            }
        };
        Ok(open(&self.sysfs, &address, self.backend)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_machine_without_a_card_says_so() {
        let machine = Machine::at(Sysfs::at(Path::new("/no/such/folder")));
        assert_eq!(machine.list().unwrap(), []);
        let e = machine.open(&"vf0".parse().unwrap()).err().unwrap();
        assert!(matches!(e, Error::NoFunction { .. }) && e.to_string().contains("--sim"), "{e}");
        let e = machine.open(&"01:00.1".parse().unwrap()).err().unwrap().to_string();
        assert!(e.contains("0000:01:00.1") && !e.contains('\n'), "{e}");
    }
}
