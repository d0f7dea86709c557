//! Our VFIO adapter and NVMe driver on a virtual function of somebody else's: QEMU's NVMe controller with SR-IOV, behind a
//! real vfio-pci and an IOMMU.

use std::path::Path;

use super::Case;
use crate::machine::{Machine, Outcome};
use crate::pieces::Pieces;
use crate::{Initramfs, Result, image, programs};

/// The case.
pub const CASE: Case = Case {
    name: "nvme-vf",
    about: "our NVMe driver on a VF of QEMU's, through vfio-pci and an IOMMU: 64 MiB, MSI-X, bad DMA, unplug",
    run,
};

const SCRIPT: &str = include_str!("../../guest/nvme-vf.sh");

/// Modules of a host that gives functions away.
pub const VFIO: [&str; 2] = ["vfio-pci", "vfio_iommu_type1"];

fn run(pieces: &Pieces) -> Result<Outcome> {
    let initramfs = Initramfs::new(pieces, &VFIO, SCRIPT)?
        .program(&programs::azote()?)?
        .program(&programs::probe()?)?
        .write("nvme-vf")?;
    let machine = Machine::new(pieces, "nvme-vf", initramfs);
    with_nvme(machine.with_iommu(), &image::empty(pieces, "nvme-vf", 64)?)
        .run(&mut |what, monitor| monitor.unplug(what.trim_start_matches("unplug ")).map(|()| "done".to_owned()))
}

/// QEMU's NVMe controller with up to four VFs, which share one namespace, at 0000:01:00.0.
pub fn with_nvme<'a>(machine: Machine<'a>, disk: &Path) -> Machine<'a> {
    machine.with_port("rp0", 0).with(&[
        "-drive",
        &format!("file={},if=none,id=nvme-disk,format=raw", disk.display()),
        "-device",
        "nvme-subsys,id=subsystem",
        "-device",
        "nvme,bus=rp0,id=nvme,serial=lab,subsys=subsystem,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,\
         max_ioqpairs=12,msix_qsize=12",
        "-device",
        "nvme-ns,drive=nvme-disk,bus=nvme,shared=on,nsid=1",
    ])
}
