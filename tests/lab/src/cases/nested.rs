//! Guests of our own hypervisor, in an emulated host: whose VF it is makes no difference.

use std::path::PathBuf;

use super::{Case, nvme_vf};
use crate::machine::{Machine, Outcome, silent};
use crate::pieces::Pieces;
use crate::server::Server;
use crate::{Initramfs, Result, image, programs};

/// QEMU's NVMe.
pub const NVME: Case = Case {
    name: "nvme-l2",
    about: "QEMU's NVMe VF assigned by our hypervisor to a stock Linux guest; refusals of wrong input",
    run: nvme,
};

/// The RTL.
pub const RTL: Case = Case {
    name: "rtl-l2",
    about: "an RTL VF, by vfio-pci in L1, assigned by our hypervisor to a stock Linux guest: file system, checksums",
    run: rtl,
};

/// The whole card.
pub const CARD: Case = Case {
    name: "card-l2",
    about: "the whole card in a guest of our hypervisor: stock Linux writes sriov_numvfs 0, 4, 0, 2; FLR beside I/O",
    run: card,
};

/// Our server and our hypervisor.
pub const USER: Case = Case {
    name: "user-l2",
    about: "an RTL VF from `azote serve` to `azote run` over vfio-user; a busy socket, and a server that is killed",
    run: user,
};

/// How guests end.
pub const END: Case = Case {
    name: "end-l2",
    about: "stock Linux guests that reset themselves in four ways, are paused for 12 s, flood a console that nobody reads",
    run: end,
};

/// Modules of a host that runs guests.
pub const HOST: [&str; 4] = ["kvm-amd", "vfio-pci", "vfio_iommu_type1", "virtio_blk"];

/// The initramfs of a guest with a disk, which makes a file system and copies a tree.
pub fn guest(pieces: &Pieces, name: &str, script: &str) -> Result<PathBuf> {
    Initramfs::new(pieces, &[], script)?
        .program(&programs::host("mke2fs")?)?
        .program(&programs::host("e2fsck")?)?
        .write(&format!("{name}-guest"))
}

/// What every host of a guest has: our command line, the hypervisor, and the guest's initramfs.
fn host_initramfs<'a>(pieces: &'a Pieces, script: &str, guest: PathBuf) -> Result<Initramfs<'a>> {
    let made = Initramfs::new(pieces, &HOST, script)?.program(&programs::azote()?)?.program(&programs::vmm()?)?;
    // It runs the guests, and looks at those that are late or die.
    let made = made.program(&programs::probe()?)?;
    Ok(made.copy("guest.cpio", guest))
}

/// A host that runs a guest, and what else it needs.
pub fn host<'a>(pieces: &'a Pieces, name: &str, script: &str, guest: PathBuf, more: &[PathBuf]) -> Result<Machine<'a>> {
    let mut initramfs = host_initramfs(pieces, script, guest)?;
    for program in more {
        initramfs = initramfs.program(program)?;
    }
    let initramfs = initramfs.write(name)?;
    Ok(Machine::new(pieces, name, initramfs).memory(1536).with_iommu().with_disk(&image::tools(pieces)?).timeout(240))
}

/// A guest with a disk.
pub const DISK_GUEST: &str = include_str!("../../guest/l2-disk.sh");

/// A guest with the whole card.
pub const CARD_GUEST: &str = include_str!("../../guest/card-l2-guest.sh");

fn nvme(pieces: &Pieces) -> Result<Outcome> {
    let name = "nvme-l2";
    let machine = host(pieces, name, include_str!("../../guest/nvme-l2.sh"), guest(pieces, name, DISK_GUEST)?, &[])?;
    nvme_vf::with_nvme(machine, &image::empty(pieces, name, 64)?).run(&mut silent)
}

fn end(pieces: &Pieces) -> Result<Outcome> {
    let name = "end-l2";
    let guest = Initramfs::new(pieces, &[], include_str!("../../guest/end-l2-guest.sh"))?.write("end-l2-guest")?;
    let initramfs = host_initramfs(pieces, include_str!("../../guest/end-l2.sh"), guest)?.write(name)?;
    let machine = Machine::new(pieces, name, initramfs).memory(1536).with_disk(&image::tools(pieces)?);
    machine.timeout(300).run(&mut silent)
}

fn rtl(pieces: &Pieces) -> Result<Outcome> {
    let name = "rtl-l2";
    let server = Server::start(&pieces.root, name, &[image::empty(pieces, name, 64)?])?;
    let machine = host(pieces, name, include_str!("../../guest/rtl-l2.sh"), guest(pieces, name, DISK_GUEST)?, &[])?;
    let outcome = machine.with_port("rp0", 0).with(&["-device", &server.device(0, "rp0")]).run(&mut silent)?;
    server.stop()?;
    Ok(outcome)
}

/// A host that simulates the card itself. It has no Verilator: the RTL is compiled here, for its processor.
fn host_with_model<'a>(pieces: &'a Pieces, name: &str, script: &str, guest: PathBuf) -> Result<Machine<'a>> {
    let initramfs =
        host_initramfs(pieces, script, guest)?.library(&programs::model(pieces)?, "card.so")?.write(name)?;
    Ok(Machine::new(pieces, name, initramfs).memory(1536).with_disk(&image::tools(pieces)?).timeout(300))
}

fn card(pieces: &Pieces) -> Result<Outcome> {
    let name = "card-l2";
    let guest = Initramfs::new(pieces, &[], CARD_GUEST)?.write("card-l2-guest")?;
    host_with_model(pieces, name, include_str!("../../guest/card-l2.sh"), guest)?.run(&mut silent)
}

fn user(pieces: &Pieces) -> Result<Outcome> {
    let name = "user-l2";
    let guest = guest(pieces, name, DISK_GUEST)?;
    host_with_model(pieces, name, include_str!("../../guest/user-l2.sh"), guest)?.run(&mut silent)
}
