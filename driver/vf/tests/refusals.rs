//! What is refused, on a sysfs made of files: every refusal says what, where and what to do. What the kernel does is tried on
//! a real one, in the lab.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use azote_vf::{Error, Host, Kind, Lease, bind, create, inventory, release, sweep};

/// A host with a PF of two VFs (the second enabled already, if asked) and a bridge beside them.
struct Fake {
    dir: tempfile::TempDir,
    host: Host,
}

const PF: &str = "0000:01:00.0";
const VF: &str = "0000:01:00.1";
const BRIDGE: &str = "0000:00:1c.0";

impl Fake {
    fn new() -> Fake {
        let dir = tempfile::tempdir().unwrap();
        let fake = Fake { host: Host::at(dir.path()), dir };
        for address in [PF, VF, BRIDGE] {
            fs::create_dir_all(fake.function(address)).unwrap();
            fake.set(address, "driver_override", "");
        }
        for (name, text) in [("vendor", "0x1b36"), ("device", "0x0010"), ("class", "0x010802")] {
            fake.set(PF, name, text);
        }
        fake.set(PF, "sriov_totalvfs", "2");
        fake.set(PF, "sriov_numvfs", "0");
        symlink("../0000:01:00.0", fake.function(VF).join("physfn")).unwrap();
        fs::create_dir_all(fake.path("sys/bus/pci/drivers/vfio-pci")).unwrap();
        fs::create_dir_all(fake.path("dev/vfio")).unwrap();
        fs::write(fake.path("sys/bus/pci/drivers_probe"), "").unwrap();
        fake
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn function(&self, address: &str) -> PathBuf {
        self.path("sys/bus/pci/devices").join(address)
    }

    fn set(&self, address: &str, name: &str, text: &str) {
        fs::write(self.function(address).join(name), text).unwrap();
    }

    fn get(&self, address: &str, name: &str) -> String {
        fs::read_to_string(self.function(address).join(name)).unwrap()
    }

    fn driver(&self, address: &str, name: &str) {
        symlink(format!("../../drivers/{name}"), self.function(address).join("driver")).unwrap();
    }

    /// Puts functions into a group.
    fn group(&self, number: u32, addresses: &[&str]) {
        let members = self.path(&format!("sys/kernel/iommu_groups/{number}/devices"));
        fs::create_dir_all(&members).unwrap();
        for address in addresses {
            symlink(self.function(address), members.join(address)).unwrap();
            symlink(members.parent().unwrap(), self.function(address).join("iommu_group")).unwrap();
        }
    }

    fn enable_vf(&self) {
        self.set(PF, "sriov_numvfs", "1");
        symlink(Path::new("..").join(VF), self.function(PF).join("virtfn0")).unwrap();
    }
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, Error>, words: &str) {
    let text = result.unwrap_err().to_string();
    assert!(text.contains(words) && !text.contains('\n'), "{text:?} does not say {words:?}");
}

#[test]
fn functions_that_are_not_there_or_no_pf() {
    let fake = Fake::new();
    says(create(&fake.host, "0000:09:00.0", 1), "no such PCI function");
    says(create(&fake.host, "../../../etc", 1), "no such PCI function");
    says(create(&fake.host, BRIDGE, 1), "no physical function with SR-IOV");
    says(create(&fake.host, VF, 1), "it is a virtual function of 0000:01:00.0");
}

#[test]
fn numbers_of_vfs_that_can_not_be() {
    let fake = Fake::new();
    says(create(&fake.host, PF, 3), "at most 2");
    says(create(&fake.host, PF, 0), "at most 2");
    fake.enable_vf();
    says(create(&fake.host, PF, 2), "`azote vf release 0000:01:00.0` first");
}

#[test]
fn a_pf_that_belongs_to_vfio_would_need_a_token() {
    let fake = Fake::new();
    fake.driver(PF, "vfio-pci");
    says(create(&fake.host, PF, 1), "VF token");
    assert_eq!(fake.get(PF, "sriov_numvfs"), "0");
}

#[test]
fn without_an_iommu_nothing_is_given_away() {
    let fake = Fake::new();
    says(bind(&fake.host, VF), "intel_iommu=on");
    assert_eq!(fake.get(VF, "driver_override"), "", "nothing was changed");
}

#[test]
fn a_group_with_a_driver_of_the_hosts_is_not_viable() {
    let fake = Fake::new();
    fake.group(7, &[VF, PF, BRIDGE]);
    fake.driver(PF, "nvme");
    fake.driver(BRIDGE, "pcieport");
    says(bind(&fake.host, VF), "group 7 is not viable: 0000:01:00.0 (nvme)");
    assert_eq!(fake.get(VF, "driver_override"), "", "nothing was changed");
}

#[test]
fn binding_sets_the_override_before_it_probes() {
    let fake = Fake::new();
    fake.group(3, &[VF]);
    fake.driver(VF, "vfio-pci");
    bind(&fake.host, VF).unwrap();
    assert_eq!(fake.get(VF, "driver_override"), "", "bound already: nothing to do");
}

#[test]
fn release_of_a_pf_takes_its_vfs_back() {
    let fake = Fake::new();
    fake.enable_vf();
    fake.group(3, &[VF]);
    fake.set(VF, "reset", "");
    release(&fake.host, PF).unwrap();
    assert_eq!(fake.get(VF, "reset"), "1");
    assert_eq!(fake.get(VF, "driver_override"), "\n");
    assert_eq!(fake.get(PF, "sriov_numvfs"), "0");
}

#[test]
fn the_inventory_knows_kinds_drivers_and_groups() {
    let fake = Fake::new();
    fake.enable_vf();
    fake.group(3, &[VF]);
    fake.driver(PF, "nvme");
    let found = inventory(&fake.host).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].kind, found[0].total, found[0].driver.as_deref()), (Kind::Storage, 2, Some("nvme")));
    assert_eq!((found[0].vfs[0].address.as_str(), found[0].vfs[0].group), (VF, Some(3)));
    assert_eq!(inventory(&Host::at(Path::new("/no/such/folder"))).unwrap(), []);
}

#[test]
fn no_function_of_the_wanted_kind_is_free() {
    let fake = Fake::new();
    says(Lease::take(&fake.host, Kind::Net, None), "no net virtual function is free: the machine has no such physical");
    fake.enable_vf();
    fake.group(3, &[VF]);
    fake.driver(VF, "vfio-pci");
    // It goes by when its owner was started: this process is alive.
    symlink("/proc", fake.path("proc")).unwrap();
    let lease = Lease::take(&fake.host, Kind::Storage, None).unwrap();
    assert_eq!(lease.address(), VF);
    says(Lease::take(&fake.host, Kind::Storage, Some(PF)), "all of them are in use");
}

#[test]
fn what_a_dead_process_had_is_given_back() {
    let fake = Fake::new();
    fake.enable_vf();
    fake.group(3, &[VF]);
    fake.set(VF, "reset", "");
    let leases = fake.path("run/leases");
    fs::create_dir_all(&leases).unwrap();
    let record = format!(r#"{{"process":4000000,"started":5,"address":"{VF}","made_on":"{PF}"}}"#);
    fs::write(leases.join(VF), record).unwrap();
    fs::write(leases.join("torn"), "{\"proc").unwrap();
    assert_eq!(sweep(&fake.host).unwrap(), [VF]);
    assert_eq!((fake.get(VF, "reset").as_str(), fake.get(PF, "sriov_numvfs").as_str()), ("1", "0"));
    assert!(!leases.join(VF).exists());
    assert_eq!(sweep(&fake.host).unwrap(), [""; 0]);
}

#[test]
fn whoever_keeps_the_leases_locked_is_not_waited_for_without_an_end() {
    let fake = Fake::new();
    fs::create_dir_all(fake.path("run")).unwrap();
    let lock = fs::File::create(fake.path("run/lock")).unwrap();
    lock.lock().unwrap();
    let hasty = Host { lock_patience: std::time::Duration::from_millis(50), ..fake.host.clone() };
    says(sweep(&hasty), "by another `azote`");
    drop(lock);
    assert_eq!(sweep(&hasty).unwrap(), [""; 0]);
}

#[test]
fn a_lease_is_written_down_whole_or_not_at_all() {
    let fake = Fake::new();
    fake.enable_vf();
    fake.group(3, &[VF]);
    fake.driver(VF, "vfio-pci");
    symlink("/proc", fake.path("proc")).unwrap();
    let leases = fake.path("run/leases");
    let lease = Lease::take(&fake.host, Kind::Storage, None).unwrap();
    let record = fs::read_to_string(leases.join(VF)).unwrap();
    assert!(record.contains(VF) && record.ends_with('}'), "{record}");
    let names: Vec<_> = fs::read_dir(&leases).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [VF], "nothing half beside it");
    drop(lease);
}
